"""F1 of predicted tags, and the average precision of the images that each tag ranks, over the whole set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rsir_tf.segmentation.inference import padded
from rsir_tf.segmentation.scoring import json_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

OF_A_TAG = ("precision", "recall", "f1", "average_precision")
"""The figures of each tag."""


@dataclass(frozen=True, slots=True)
class TagScores:
    """Figures for tags, 0..1; NaN where nothing counts.

    Attributes:
        micro_f1: 2·TP / (2·TP + FP + FN), counted over all images and tags at once.
        macro_f1: Mean of the F1 of the tags that are true or predicted for some image. Other tags, which a small
            held-out part may have, are left out, because they say nothing about the network. `multilabel_figures` of
            `rsir_tf.evaluation` counts such a tag as 0, like the literature and scikit-learn; its macro F1 is then
            lower than this one.
        precision: TP / (TP + FP) of each tag.
        recall: TP / (TP + FN) of each tag.
        f1: F1 of each tag; NaN for a tag that is nowhere true or predicted.
        average_precision: Average precision of each tag: the images are ranked by its score; NaN for a tag that no
            image has.
        tag_map: Multi-label mAP, the mean of the average precision of the tags that some image has.
        images: Number of scored images.
    """

    micro_f1: float
    macro_f1: float
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f1: tuple[float, ...]
    average_precision: tuple[float, ...]
    tag_map: float
    images: int

    def to_json(self, names: Sequence[str]) -> dict[str, Any]:
        """As JSON types, NaN as null.

        Args:
            names: One per tag.
        """
        return {
            "micro_f1": json_number(self.micro_f1),
            "macro_f1": json_number(self.macro_f1),
            "tag_map": json_number(self.tag_map),
            "tags": {
                name: dict(zip(OF_A_TAG, map(json_number, figures), strict=True))
                for name, *figures in zip(names, *(getattr(self, figure) for figure in OF_A_TAG), strict=True)
            },
            "images": self.images,
        }


def tag_scores(truth: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> TagScores:
    """Score predicted tags.

    Average precision is not interpolated, and images of equal scores count as one step: this is scikit-learn's
    definition, by which the field reports multi-label mAP.

    Args:
        truth: bool [N, K].
        scores: float [N, K]; a tag is predicted above 0.
    """
    from sklearn.metrics import average_precision_score

    predicted = scores > 0
    hits = (truth & predicted).sum(axis=0).astype(np.float64)
    true, said = truth.sum(axis=0), predicted.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision, recall, f1 = hits / said, hits / true, 2 * hits / (true + said)
        micro = 2 * hits.sum() / np.float64(true.sum() + said.sum())
    ranked = [
        float(average_precision_score(column, values)) if column.any() else float("nan")
        for column, values in zip(truth.T, scores.T, strict=True)
    ]
    return TagScores(
        micro_f1=float(micro),
        macro_f1=_mean(f1),
        precision=tuple(precision.tolist()),
        recall=tuple(recall.tolist()),
        f1=tuple(f1.tolist()),
        average_precision=tuple(ranked),
        tag_map=_mean(np.array(ranked)),
        images=len(truth),
    )


def _mean(values: NDArray[np.float64]) -> float:
    """Of the values that are numbers; NaN if none is."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))


def read_tags_of(
    model: keras.Model,
    read: Callable[[int], NDArray[np.uint8]],
    count: int,
    *,
    batch: int,
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the tags and the descriptors of whole images with a network.

    Args:
        model: From `tagging_model`.
        read: Gives image i, uint8 [H, W, 3], RGB.
        count: Number of images.
        batch: Images per step; only images of the same padded size are in one step.
        progress: Called with the number of finished images.

    Returns:
        Tag logits float32 [N, K] (a tag is predicted above 0) and descriptors float32 [N, 512], in the images' order.
    """
    logits: dict[int, NDArray[np.float32]] = {}
    descriptors: dict[int, NDArray[np.float32]] = {}
    for numbers, images in _groups(read, count, batch):
        scores, features = model.predict_on_batch(images)
        logits.update(zip(numbers, np.asarray(scores), strict=True))
        descriptors.update(zip(numbers, np.asarray(features), strict=True))
        if progress:
            progress(len(logits))
    return np.stack([logits[i] for i in range(count)]), np.stack([descriptors[i] for i in range(count)])


def _groups(
    read: Callable[[int], NDArray[np.uint8]], count: int, batch: int
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """Group images of the same padded size, at most `batch` together; memory holds at most one batch per size."""
    waiting: dict[tuple[int, ...], list[tuple[int, NDArray[np.float32]]]] = {}
    for number in range(count):
        image = padded(read(number))
        group = waiting.setdefault(image.shape, [])
        group.append((number, image))
        if len(group) == batch:
            yield [i for i, _ in group], np.stack([image for _, image in group])
            group.clear()
    for group in waiting.values():
        if group:
            yield [i for i, _ in group], np.stack([image for _, image in group])
