"""The result of a run: scores on whole test images, and some of these images as examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.tag_labels import tag_table
from rsir_tf.progress import Progress, silent
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.data import PairReader
from rsir_tf.segmentation.inference import MIRRORED, segment
from rsir_tf.segmentation.multiple_instance import tagging_model
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.scoring import confusion_matrix, segmentation_scores
from rsir_tf.segmentation.tag_scoring import read_tags_of, tag_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet

EXAMPLES = 6
"""Number of test images that are kept as examples, spread evenly over the test part."""

BATCH = 8


@dataclass(frozen=True, slots=True)
class Example:
    """A test image and what the network predicts for it.

    Attributes:
        id: The image's id.
        image: uint8 [H, W, 3], RGB.
        prediction: uint8 [H, W], class indices.
        truth: uint8 [H, W], class indices, 255 for void; None where tags are scored.
        right: Share of the labelled pixels whose predicted class is right, 0..1; None where no pixel is labelled.
        tags: Its true tags, where tags are scored.
        predicted_tags: Its predicted tags, where tags are scored.
    """

    id: str
    image: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None
    right: float | None = None
    tags: tuple[str, ...] | None = None
    predicted_tags: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RunScores:
    """Scores of a run's best network on the test part.

    Attributes:
        content: JSON types: figures of the masks, figures of the tags under "tags", `epochs` and `checkpoint`.
        examples: Test images with masks, or with tags where there are none with masks.
    """

    content: dict[str, Any]
    examples: list[Example] = field(default_factory=list)


def score_run(run: Run, test: Archive, *, flips: bool = False, progress: Progress = silent) -> RunScores | None:
    """Score the run's best network on whole test images.

    Args:
        run: A run with at least one complete epoch.
        test: The test part; masks and tags are scored if they supervised the run.
        flips: Whether each pixel's class is chosen by the average over the image and its three mirror images, as
            `segment` says, and each tag by the mean of its four logits.
        progress: Called after each image.

    Returns:
        The scores; None where the test part has neither masks nor tags for them.

    Raises:
        ArtifactError: There is no checkpoint.
    """
    kind = run.manifest.get("supervision", {}).get("kind", "masks")
    masked = [record for record in test if record.mask is not None and kind != "tags"]
    tagged = [record for record in test if record.tags is not None and kind != "masks"]
    if not masked and not tagged:
        return None
    network = load_best(run)
    content: dict[str, Any] = {}
    examples: list[Example] = []
    if masked:
        content, examples = _score_masks(network, PairReader(masked, run.label_set), flips, progress)
    if tagged:
        tagging = tagging_model(network, run.settings.get("tag_pooling", "scores"))
        content["tags"], with_tags = _score_tags(network, tagging, tagged, run.label_set, flips, progress)
        examples = examples or with_tags
    content |= {"flips": flips, "epochs": len(run.history()), "checkpoint": run.best.name if run.best else "none"}
    return RunScores(content, examples)


def _score_masks(
    network: keras.Model, reader: PairReader, flips: bool, progress: Progress
) -> tuple[dict[str, Any], list[Example]]:
    classes = len(reader.label_set.names)
    confusion = np.zeros((classes, classes), np.int64)
    chosen, examples = _chosen(len(reader)), []
    for index, record in enumerate(reader.records):
        image, truth = reader.read(index)
        prediction = segment(network, image, flips=flips)
        confusion += confusion_matrix(truth, prediction, classes)
        if index in chosen:
            counts = truth < classes
            right = float(np.mean(truth[counts] == prediction[counts])) if counts.any() else None
            examples.append(Example(record.id, image, prediction, truth, right))
        progress(index + 1, len(reader), "scoring whole test images")
    scores = segmentation_scores(confusion).to_json(reader.label_set.names)
    return {**scores, "images": len(reader)}, examples


def _score_tags(
    network: keras.Model,
    tagging: keras.Model,
    records: Sequence[Record],
    label_set: LabelSet,
    flips: bool,
    progress: Progress,
) -> tuple[dict[str, Any], list[Example]]:
    truth = tag_table(records, label_set) > 0
    steps = MIRRORED if flips else MIRRORED[:1]
    each, _ = read_tags_of(
        tagging,
        lambda i: records[i // len(steps)].source.read()[steps[i % len(steps)]],
        len(records) * len(steps),
        batch=BATCH,
        progress=lambda done: progress(done // len(steps), len(records), "scoring tags of test images"),
    )
    logits = each.reshape(len(records), len(steps), -1).mean(axis=1)

    def named(which: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(name for name, there in zip(label_set.names, which, strict=True) if there)

    examples = []
    for i in sorted(_chosen(len(records))):
        image = records[i].source.read()
        own, found = named(truth[i]), named(logits[i] > 0)
        examples.append(Example(records[i].id, image, segment(network, image), tags=own, predicted_tags=found))
    return tag_scores(truth, logits).to_json(label_set.names), examples


def _chosen(images: int) -> set[int]:
    return {round(i) for i in np.linspace(0, images - 1, min(EXAMPLES, images))}
