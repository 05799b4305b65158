"""Pixel accuracy, mean accuracy and intersection over union, from one confusion matrix over the whole set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def json_number(value: float) -> float | None:
    """A figure for JSON: None instead of NaN."""
    return None if np.isnan(value) else value


def confusion_matrix(
    truth: NDArray[np.integer[Any]], prediction: NDArray[np.integer[Any]], classes: int
) -> NDArray[np.int64]:
    """Count pixels by true and predicted class.

    Args:
        truth: Integer, any shape; values outside 0..K-1 (void) do not count.
        prediction: Integer, same shape, 0..K-1.
        classes: K.

    Returns:
        int64 [K, K]: row = true class, column = predicted class. Sum matrices of several images before scoring.

    Raises:
        InputError: The shapes differ or a predicted class is outside 0..K-1.
    """
    if truth.shape != prediction.shape:
        raise InputError(
            f"truth of shape {truth.shape} and prediction of shape {prediction.shape}", wanted="equal shapes"
        )
    valid = (truth >= 0) & (truth < classes)
    predicted = prediction[valid].astype(np.int64)
    if predicted.size and not 0 <= int(predicted.min()) <= int(predicted.max()) < classes:
        raise InputError(f"a predicted class outside 0..{classes - 1}")
    pairs = truth[valid].astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class SegmentationScores:
    """Scores of Shelhamer, Long and Darrell (FCN, section 5), 0..1; NaN where nothing counts.

    Attributes:
        pixel_accuracy: Σ n_ii / Σ t_i.
        mean_accuracy: Mean of n_ii / t_i over classes with true pixels.
        mean_iu: Mean of n_ii / (t_i + Σ_j n_ji − n_ii) over classes that are in truth or prediction.
        frequency_weighted_iu: Σ t_i · IU_i / Σ t_i.
        class_iu: IU of each class, NaN for a class that is in neither.
        pixels: Number of pixels that count.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iu: float
    frequency_weighted_iu: float
    class_iu: tuple[float, ...]
    pixels: int

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """As JSON types, NaN as null.

        Args:
            names: One per class.
        """
        return {
            "pixel_accuracy": json_number(self.pixel_accuracy),
            "mean_accuracy": json_number(self.mean_accuracy),
            "mean_iu": json_number(self.mean_iu),
            "frequency_weighted_iu": json_number(self.frequency_weighted_iu),
            "class_iu": {name: json_number(value) for name, value in zip(names, self.class_iu, strict=True)},
            "pixels": self.pixels,
        }


def segmentation_scores(confusion: NDArray[np.int64]) -> SegmentationScores:
    """Score a confusion matrix.

    Args:
        confusion: int64 [K, K] from `confusion_matrix`, summed over the whole set (never averaged over batches).
    """
    hits = np.diag(confusion).astype(np.float64)
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    total = int(true.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = hits / true
        iu = hits / (true + predicted - hits)
    nan = float("nan")
    return SegmentationScores(
        pixel_accuracy=float(hits.sum() / total) if total else nan,
        mean_accuracy=float(np.nanmean(accuracy)) if total else nan,
        mean_iu=float(np.nanmean(iu)) if total else nan,
        frequency_weighted_iu=float(np.nansum(true * iu) / total) if total else nan,
        class_iu=tuple(float(value) for value in iu),
        pixels=total,
    )
