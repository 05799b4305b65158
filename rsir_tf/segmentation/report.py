"""What a run reached: scores on whole test images, curves, and pictures of image, prediction and truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rsir_tf.archives.records import Archive
from rsir_tf.artifacts import write_json, written_aside
from rsir_tf.pictures import Tile, colour_map, save_png, sheet
from rsir_tf.progress import Progress, silent
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.data import PairReader
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores
from rsir_tf.segmentation.tag_report import cell, score_tags, tag_markdown

if TYPE_CHECKING:
    from numpy.typing import NDArray

FITTING = ("epoch", "loss", "learning_rate", "gradient_norm", "images_per_second", "seconds")
"""What each epoch of a history has; its other entries are figures, fractions of 1."""

PICTURES = 6
"""Test images on the sheet of examples, spread evenly over the test part."""


def write_run_report(run: Run, test: Archive, *, progress: Progress = silent) -> dict[str, Any] | None:
    """Score the run's best network on whole test images and write `report/` into the run's folder.

    Files: `scores.json`, `report.md`, `curves.png`, `examples.png`; each replaced atomically.

    Args:
        run: With at least one ended epoch.
        test: The test part; masks and tags are scored where the run was supervised by them.
        progress: Called after each image.

    Returns:
        The scores as in `scores.json`; None where the test part has none of them (only the curves are written then).

    Raises:
        ArtifactError: There is no checkpoint, or the folder cannot be written.
    """
    folder = run.path / "report"
    history = run.history()
    write_curves(folder / "curves.png", history)
    kind = run.manifest.get("supervision", {}).get("kind", "masks")
    masked = [record for record in test if record.mask is not None and kind != "tags"]
    tagged = [record for record in test if record.tags is not None and kind != "masks"]
    if not masked and not tagged:
        return None
    network = load_best(run)
    content: dict[str, Any] = {}
    examples: list[list[Tile]] = []
    lines = ["# Training report", "", f"Checkpoint {run.best.name if run.best else 'none'}.", ""]
    if masked:
        scores, examples = _look_at_all(network, PairReader(masked, run.label_set), run, progress)
        content |= {**scores.to_json(run.label_set.names), "images": len(masked)}
        lines += [*_mask_markdown(content), ""]
    if tagged:
        figures, rows = score_tags(network, tagged, run.label_set, PICTURES, progress)
        content["tags"] = figures
        examples = examples or rows
        lines += [*tag_markdown(figures), ""]
    content |= {"epochs": len(history), "checkpoint": run.best.name if run.best else "none"}
    legend = list(zip(run.label_set.names, run.label_set.colours, strict=True))
    title = "Image, prediction, truth" if masked else "Image, prediction"
    save_png(folder / "examples.png", sheet(examples, title=title, legend=legend))
    lines += ["![curves](curves.png)", "", f"![{title.lower()}](examples.png)", "", *_epochs_markdown(history), ""]
    with written_aside(folder / "report.md", replace=True) as aside:
        aside.write_text("\n".join(lines), encoding="utf-8")
    write_json(folder / "scores.json", content)
    return content


def _look_at_all(
    network: keras.Model, reader: PairReader, run: Run, progress: Progress
) -> tuple[SegmentationScores, list[list[Tile]]]:
    classes, colours = run.architecture.classes, run.label_set.colours
    confusion = np.zeros((classes, classes), np.int64)
    chosen = {round(i) for i in np.linspace(0, len(reader) - 1, min(PICTURES, len(reader)))}
    examples = []
    for index, record in enumerate(reader.records):
        image, truth = reader.read(index)
        prediction = segment(network, image)
        confusion += confusion_matrix(truth, prediction, classes)
        if index in chosen:
            examples.append(
                [
                    Tile(image, (record.id,)),
                    Tile(
                        colour_map(prediction, colours),
                        (f"predicted, {_agreement(truth, prediction, classes)}",),
                        smooth=False,
                    ),
                    Tile(colour_map(truth, colours), ("truth",), smooth=False),
                ]
            )
        progress(index + 1, len(reader), "scoring whole test images")
    return segmentation_scores(confusion), examples


def _agreement(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> str:
    counts = truth < classes
    return f"{np.mean(truth[counts] == prediction[counts]):.0%} of pixels right" if counts.any() else "no pixel counts"


def _mask_markdown(scores: dict[str, Any]) -> list[str]:
    names = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")
    return [
        f"{scores['images']} whole test images, {scores['pixels']:,} pixels.",
        "",
        "| pixel accuracy | mean accuracy | mean IU | frequency-weighted IU |",
        "|---|---|---|---|",
        "| " + " | ".join(cell(scores[name]) for name in names) + " |",
        "",
        "| class | IU |",
        "|---|---|",
        *(f"| {name} | {cell(value)} |" for name, value in scores["class_iu"].items()),
    ]


def _epochs_markdown(history: list[dict[str, Any]]) -> list[str]:
    figures = _figures(history)
    heads = ["epoch", "loss", *(f"{_title(name)} (held out)" for name in figures)]
    heads += ["learning rate", "images/s", "seconds"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for entry in history:
        cells = [entry["epoch"], f"{entry['loss']:.4f}", *(cell(entry.get(name)) for name in figures)]
        cells += [f"{entry['learning_rate']:.3g}", entry["images_per_second"], entry["seconds"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def _figures(history: list[dict[str, Any]]) -> list[str]:
    """Names of what has a value in any epoch: a run that is resumed elsewhere may be watched otherwise."""
    valued = (name for entry in history for name, value in entry.items() if value is not None)
    return list(dict.fromkeys(name for name in valued if name not in FITTING))


def _title(name: str) -> str:
    """A figure's name as people write it."""
    words = {"iu": "IU", "f1": "F1", "map": "mAP", "anmrr": "ANMRR"}
    return " ".join(words.get(word, word) for word in name.split("_"))


def write_curves(path: Path, history: list[dict[str, Any]]) -> None:
    """Draw loss and figures by epoch; the loss alone where nothing was held out.

    Args:
        path: A PNG file, replaced.
        history: The run's.

    Raises:
        ArtifactError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    epochs, names = [entry["epoch"] for entry in history], _figures(history)
    figure = Figure(figsize=(9, 3.6) if names else (4.5, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    loss, *held = figure.subplots(1, 2 if names else 1, squeeze=False)[0]
    loss.plot(epochs, [entry["loss"] for entry in history], marker="o", color="#1e5ac8")
    loss.set(xlabel="epoch", ylabel="training loss (nats)")
    for axes in held:
        for name in names:
            values = [np.nan if entry.get(name) is None else entry[name] for entry in history]
            axes.plot(epochs, values, marker="o", label=_title(name))
        axes.set(xlabel="epoch", ylabel="on what was held out", ylim=(0, 1))
        axes.legend()
    for axes in (loss, *held):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    with written_aside(path, replace=True) as aside:
        figure.savefig(aside, dpi=120, format="png")
