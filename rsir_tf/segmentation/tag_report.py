"""What a run reached on the tags of whole test images: F1, and pictures of image and segmentation with both tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.records import Record
from rsir_tf.archives.tag_labels import tag_table
from rsir_tf.imagery import read_image
from rsir_tf.pictures import Tile, colour_map
from rsir_tf.progress import Progress
from rsir_tf.segmentation.inference import segment
from rsir_tf.segmentation.multiple_instance import tagging_model
from rsir_tf.segmentation.tag_scoring import read_tags_of, tag_scores

BATCH = 8


def score_tags(
    network: keras.Model,
    records: Sequence[Record],
    label_set: LabelSet,
    shown: int,
    progress: Progress,
) -> tuple[dict[str, Any], list[list[Tile]]]:
    """Score the tags that a network reads from whole images.

    Args:
        network: From `build_fcn`.
        records: With tags.
        label_set: One class a tag.
        shown: How many images are drawn, spread evenly over the records.
        progress: Called with what is done.

    Returns:
        The scores as JSON types, and a row of two tiles for each image that is shown.
    """
    truth = tag_table(records, label_set) > 0

    def tell(done: int) -> None:
        progress(done, len(records), "scoring tags of test images")

    logits, _ = read_tags_of(
        tagging_model(network), lambda i: read_image(records[i].image), len(records), batch=BATCH, progress=tell
    )
    rows = []
    for i in np.unique(np.linspace(0, len(records) - 1, shown).round().astype(int)):
        image = read_image(records[i].image)
        picture = colour_map(segment(network, image), label_set.colours)
        predicted = "predicted: " + _named(logits[i] > 0, label_set)
        rows.append(
            [
                Tile(image, (records[i].id, "tags: " + _named(truth[i], label_set))),
                Tile(picture, (predicted,), smooth=False),
            ]
        )
    return tag_scores(truth, logits > 0).to_json(label_set.names), rows


def cell(value: float | None) -> str:
    """A figure in a report's table; a dash where nothing counts."""
    return "–" if value is None else f"{value:.4f}"


def tag_markdown(scores: dict[str, Any]) -> list[str]:
    """The lines of a report on tags.

    Args:
        scores: As `score_tags` gives them.
    """
    lines = [f"Tags of {scores['images']} whole test images, predicted where the pooled score is above 0.", ""]
    lines += [
        "| micro F1 | macro F1 |",
        "|---|---|",
        f"| {cell(scores['micro_f1'])} | {cell(scores['macro_f1'])} |",
    ]
    lines += ["", "| tag | precision | recall | F1 |", "|---|---|---|---|"]
    lines += [
        f"| {name} | " + " | ".join(cell(entry[key]) for key in ("precision", "recall", "f1")) + " |"
        for name, entry in scores["tags"].items()
    ]
    return lines


def _named(which: Any, label_set: LabelSet) -> str:
    return ", ".join(name for name, there in zip(label_set.names, which, strict=True) if there) or "none"
