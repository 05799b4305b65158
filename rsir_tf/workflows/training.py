"""From an archive to a run: a network that was trained, scored on the test part and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rsir_tf.archives import select
from rsir_tf.archives.scenes import leave_out_void
from rsir_tf.evaluation import anmrr, mean_average_precision, relevance_by_scene
from rsir_tf.presentation import training_report
from rsir_tf.presentation.training_report import example_tiles, write_curves, write_training_report
from rsir_tf.progress import Progress, silent
from rsir_tf.vector_rankings import rankings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive, Record, Split
    from rsir_tf.segmentation import Run, TrainingSettings


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What `train_archive` did.

    Attributes:
        run: The run's folder.
        epochs: Number of its epochs.
        ended: Why it ended.
        scores: Scores on the test part, as in `report/scores.json`; None if the test part has no labels.
    """

    run: Path
    epochs: int
    ended: str
    scores: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {"run": str(self.run), "epochs": self.epochs, "scores": self.scores}


def usual_supervision(archive: Archive) -> Literal["masks", "tags"]:
    """The default supervision: masks, or tags if the archive has only tags."""
    return "tags" if archive.label_set is None and archive.tag_names else "masks"


def train_archive(
    archive: Archive,
    split: Split,
    run: Path,
    settings: TrainingSettings,
    *,
    score_flips: bool = False,
    progress: Progress = silent,
    devices: str | None = None,
) -> TrainingSummary:
    """Train a network on an archive, score it on the test part, and write the report with its pictures.

    A stopped run continues after its last complete epoch; a complete run is only scored again.

    Args:
        archive: With masks and a label set, or with tags, as the settings' supervision says.
        split: Which images train and which test.
        run: The run's folder; made, or continued where it holds the same run.
        settings: What changes the network.
        score_flips: Whether the test images are scored with the average over their mirror images; see
            `write_run_report`.
        progress: Called after each step and each test image.
        devices: On which devices of this machine; see `rsir_tf.segmentation.devices.choose_devices`.

    Raises:
        RsirError: As `rsir_tf.segmentation.train` and `write_run_report`.
    """
    from rsir_tf.segmentation import train, why_complete

    trained = train(
        archive,
        split,
        run,
        settings,
        progress=progress,
        watch=watch_retrieval,
        drawing=training_report,
        devices=devices,
    )
    test = leave_out_void(select(archive, split, "test"), progress) if split.test else None
    scores = write_run_report(trained, test, flips=score_flips, progress=progress)
    ended = why_complete(trained, settings.epochs, settings.patience)
    return TrainingSummary(run, len(trained.history()), ended or "not complete", scores)


def write_run_report(
    run: Run, test: Archive | None, *, flips: bool = False, progress: Progress = silent
) -> dict[str, Any] | None:
    """Score a run's best network on whole test images and write `report/` into the run's folder.

    Files: `scores.json`, `report.md`, `curves.png`, `examples.png`; each is replaced atomically.

    Args:
        run: A run with at least one complete epoch.
        test: The test part; masks and tags are scored where the run was supervised by them. None where all images
            trained.
        flips: Whether classes of pixels, and tags, are chosen by the average over the image and its three mirror
            images, which takes four times as long. `scores.json` and the report say so; an exported network does not
            do it.
        progress: Called after each image.

    Returns:
        The scores as in `scores.json`; None where there is no test part, or it has no labels to score by (only the
        curves are drawn then).

    Raises:
        ArtifactError: There is no checkpoint, or the folder cannot be written.
    """
    from rsir_tf.segmentation import score_run

    folder, history = run.path / "report", run.history()
    write_curves(folder / "curves.png", history)
    scored = None if test is None else score_run(run, test, flips=flips, progress=progress)
    if scored is None:
        return None
    colours = run.label_set.colours
    rows = [
        example_tiles(
            shown.id,
            shown.image,
            shown.prediction,
            colours,
            truth=shown.truth,
            right=shown.right,
            tags=shown.tags,
            predicted_tags=shown.predicted_tags,
        )
        for shown in scored.examples
    ]
    legend = list(zip(run.label_set.names, colours, strict=True))
    write_training_report(folder, scores=scored.content, history=history, examples=rows, legend=legend)
    return scored.content


def watch_retrieval(descriptors: NDArray[np.float32], records: Sequence[Record]) -> dict[str, float | None]:
    """Rank all images for each of them by L1 between descriptors; images of the same scene are relevant.

    Args:
        descriptors: float32 [N, D].
        records: Their images.

    Returns:
        `anmrr` and `map`, 0..1; None where images have no scene class.
    """
    if any(record.scene is None for record in records):
        return {"anmrr": None, "map": None}
    scenes = np.array([record.scene for record in records], dtype=object)
    ranked = np.stack(
        [relevance_by_scene(scenes[order], scenes[query]) for query, order in rankings(descriptors, "l1")]
    )
    return {"anmrr": anmrr(ranked), "map": mean_average_precision(ranked)}
