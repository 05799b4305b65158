"""The report on a training run: scores, curves, and pictures of image, prediction and truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import write_json, written_aside
from rsir_tf.presentation.drawing import Colour, colour_map, save_png
from rsir_tf.presentation.plots import training_plot
from rsir_tf.presentation.sheets import Tile, sheet
from rsir_tf.presentation.tables import Table, markdown_table, markdown_text, number

FITTING = ("epoch", "loss", "learning_rate", "gradient_norm", "images_per_second", "seconds")
"""Entries that each epoch of a history has; its other entries are figures, 0..1."""

DIGITS = 4


def write_training_report(
    folder: Path,
    *,
    scores: dict[str, Any],
    history: Sequence[dict[str, Any]],
    examples: Sequence[Sequence[Tile]],
    legend: Sequence[tuple[str, Colour]],
) -> None:
    """Write `report.md`, `examples.png` and `scores.json`, each replaced atomically; `curves.png` is `write_curves`'.

    Args:
        folder: The folder of the report.
        scores: The content of `scores.json`: figures of masks, figures of tags under "tags", `epochs`, `checkpoint`.
        history: The epochs of the run.
        examples: At least one row of `example_tiles`, one per image.
        legend: Name and colour of each class.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    masks, tags = "mean_iu" in scores, scores.get("tags")
    title = "Image, prediction, truth" if masks else "Image, prediction"
    lines = ["# Training report", "", f"Checkpoint {scores['checkpoint']}.", ""]
    if masks:
        lines += [*_mask_lines(scores), ""]
    if tags:
        lines += [*_tag_lines(tags, scores.get("flips", False)), ""]
    lines += ["![curves](curves.png)", "", f"![{title.lower()}](examples.png)", "", *_epoch_lines(history), ""]
    save_png(folder / "examples.png", sheet(examples, title=title, legend=legend))
    with written_aside(folder / "report.md", replace=True) as aside:
        aside.write_text("\n".join(lines), encoding="utf-8")
    write_json(folder / "scores.json", scores)


def write_curves(path: Path, history: Sequence[dict[str, Any]]) -> None:
    """Draw loss and figures by epoch; only the loss where nothing was held out.

    Args:
        path: A PNG file, replaced.
        history: The epochs of the run.

    Raises:
        ArtifactError: The file cannot be written.
    """
    figures = {
        _title(name): [np.nan if entry.get(name) is None else entry[name] for entry in history]
        for name in _figures(history)
    }
    content = training_plot([entry["epoch"] for entry in history], [entry["loss"] for entry in history], figures)
    with written_aside(path, replace=True) as aside:
        aside.write_bytes(content)


def example_tiles(
    name: str,
    image: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    colours: Sequence[Colour],
    *,
    truth: NDArray[np.uint8] | None = None,
    right: float | None = None,
    tags: Sequence[str] | None = None,
    predicted_tags: Sequence[str] | None = None,
) -> list[Tile]:
    """A row of the sheet of examples: the image, the predicted classes and, where they are known, the true ones.

    Args:
        name: The image's id.
        image: uint8 [H, W, 3], RGB.
        prediction: uint8 [H, W], class indices.
        colours: RGB of each class.
        truth: uint8 [H, W], class indices, 255 = void.
        right: Share of the labelled pixels whose predicted class is right, 0..1; None where no pixel is labelled.
        tags: The image's own tags.
        predicted_tags: The tags that the network predicts.
    """
    own = () if tags is None else ("tags: " + (", ".join(tags) or "none"),)
    if truth is not None:
        words = "predicted, " + ("no pixel is labelled" if right is None else f"{right:.0%} of pixels right")
    else:
        words = "predicted: " + (", ".join(predicted_tags or ()) or "none")
    row = [Tile(image, (name, *own)), Tile(colour_map(prediction, colours), (words,), smooth=False)]
    return row if truth is None else [*row, Tile(colour_map(truth, colours), ("truth",), smooth=False)]


def example_strips(rows: Sequence[Sequence[NDArray[np.uint8]]], colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Images beside their class maps, for TensorBoard: each row is a picture; all are cropped to the smallest.

    Args:
        rows: One or more, of equal lengths: an image, uint8 [H, W, 3], then class maps of its size, uint8 [H, W].
        colours: RGB of each class.

    Returns:
        uint8 [rows, smallest H, smallest W × parts, 3].
    """
    height, width = (min(row[0].shape[axis] for row in rows) for axis in (0, 1))
    drawn = [
        [part if part.ndim == 3 else colour_map(part, colours) for part in (p[:height, :width] for p in row)]
        for row in rows
    ]
    return np.stack([np.concatenate(row, axis=1) for row in drawn])


def _mask_lines(scores: dict[str, Any]) -> list[str]:
    names = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")
    means = Table(
        ["pixel accuracy", "mean accuracy", "mean IU", "frequency-weighted IU"],
        [[number(scores[name], DIGITS) for name in names]],
    )
    classes = Table(
        ["class", "IU"], [[name, number(value, DIGITS)] for name, value in scores["class_iu"].items()], figures=True
    )
    found = f"{scores['images']} whole test images, {scores['pixels']:,} pixels."
    if scores.get("flips"):
        found += " The class of a pixel is that of the average over the image and its three mirror images."
    return [found, "", *markdown_table(means), "", *markdown_table(classes)]


def _tag_lines(scores: dict[str, Any], flips: bool) -> list[str]:
    names = ("micro_f1", "macro_f1", "tag_map")
    means = Table(["micro F1", "macro F1", "mAP"], [[number(scores[name], DIGITS) for name in names]])
    rows = [
        [name, *(number(entry[key], DIGITS) for key in ("precision", "recall", "f1", "average_precision"))]
        for name, entry in scores["tags"].items()
    ]
    found = f"Tags of {scores['images']} whole test images, predicted where the pooled score is above 0."
    if flips:
        found += " The score is the mean of those of the image and its three mirror images."
    if absent := [name for name, entry in scores["tags"].items() if entry["f1"] is None]:
        found += (
            f" Macro F1 leaves out {len(absent)} of {len(scores['tags'])} tags, which no test image has and the "
            f"network predicts for none: {markdown_text(', '.join(absent))}."
        )
    table = Table(["tag", "precision", "recall", "F1", "average precision"], rows, figures=True)
    return [found, "", *markdown_table(means), "", *markdown_table(table)]


def _epoch_lines(history: Sequence[dict[str, Any]]) -> list[str]:
    figures = _figures(history)
    header = ["epoch", "loss", *(f"{_title(name)} (held out)" for name in figures)]
    header += ["learning rate", "images/s", "seconds"]
    rows = []
    for entry in history:
        row = [f"{entry['epoch']}", f"{entry['loss']:.4f}", *(number(entry.get(name), DIGITS) for name in figures)]
        rows.append([*row, f"{entry['learning_rate']:.3g}", f"{entry['images_per_second']}", f"{entry['seconds']}"])
    return markdown_table(Table(header, rows, figures=True))


def _figures(history: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the figures that any epoch has: a resumed run may have other figures than before."""
    valued = (name for entry in history for name, value in entry.items() if value is not None)
    return list(dict.fromkeys(name for name in valued if name not in FITTING))


def _title(name: str) -> str:
    """The name of a figure for people."""
    words = {"iu": "IU", "f1": "F1", "map": "mAP", "anmrr": "ANMRR"}
    return " ".join(words.get(word, word) for word in name.split("_"))
