"""Figures that compare predicted tags with true ones: per example, over all labels (micro), per label (macro).

Tests compare them with scikit-learn's. It does not compute them here, because it takes one label for the two classes of
a binary problem and then gives other averages or refuses, and because it is slower: 1.2 s instead of 0.02 s for 54,580
images with 60 labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError


@dataclass(frozen=True, slots=True)
class Averages:
    """Four figures with the same kind of average, each 0..1, higher is better.

    Attributes:
        accuracy: Mean of TP / (TP + FP + FN), the Jaccard index.
        precision: Mean of TP / (TP + FP).
        recall: Mean of TP / (TP + FN).
        f1: Mean of 2·TP / (2·TP + FP + FN): the mean of F1 values, not the F1 of the mean precision and recall.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class MultiLabelFigures:
    """All figures of a multi-label prediction.

    Attributes:
        example: TP, FP and FN counted in each image, then averaged over images.
        micro: Counted over all images and labels at once.
        macro: Counted for each label, then averaged over labels.
        hamming_loss: Share of the N·T decisions that are wrong, 0..1, lower is better.
    """

    example: Averages
    micro: Averages
    macro: Averages
    hamming_loss: float

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        averages = {"example": self.example, "micro": self.micro, "macro": self.macro}
        content: dict[str, Any] = {
            name: {
                "accuracy": values.accuracy,
                "precision": values.precision,
                "recall": values.recall,
                "f1": values.f1,
            }
            for name, values in averages.items()
        }
        return {**content, "hamming_loss": self.hamming_loss}


def multilabel_figures(truth: ArrayLike, predicted: ArrayLike, *, zero_division: float = 0.0) -> MultiLabelFigures:
    """Compare predicted tags with true ones.

    Definitions after Zhang and Zhou (A review on multi-label learning algorithms, IEEE TKDE 26(8), 2014, Section 2.2).
    Accuracy is the Jaccard index everywhere: counting true negatives too would give 1 − Hamming loss in every average.

    Args:
        truth: bool [N, T].
        predicted: bool [N, T].
        zero_division: The value of 0/0. It occurs for precision where nothing is predicted, for recall where nothing is
            true, and for all four figures where neither is. 0 is the usual choice (also in scikit-learn): a label that
            is nowhere true or predicted then lowers the macro averages, as in published figures. 1 counts it as right.
            `macro_f1` in training reports leaves such labels out.

    Returns:
        The figures.

    Raises:
        InputError: The arrays are not bool, have different shapes, or are empty.
    """
    true, found = np.asarray(truth), np.asarray(predicted)
    for name, array in (("truth", true), ("predicted", found)):
        if array.dtype != np.bool_ or array.ndim != 2 or array.size == 0:
            raise InputError(
                f"{name} is {array.dtype} {list(array.shape)}", wanted="bool [images, labels], one or more of both"
            )
    if true.shape != found.shape:
        raise InputError(f"truth is {list(true.shape)}, predicted is {list(found.shape)}", wanted="equal shapes")
    hits, false_alarms, misses = true & found, ~true & found, true & ~found

    def averages(axis: int | tuple[int, int]) -> Averages:
        counts = (hits.sum(axis=axis), false_alarms.sum(axis=axis), misses.sum(axis=axis))
        tp, fp, fn = (np.atleast_1d(np.asarray(count, dtype=np.float64)) for count in counts)
        return Averages(
            accuracy=_mean_ratio(tp, tp + fp + fn, zero_division),
            precision=_mean_ratio(tp, tp + fp, zero_division),
            recall=_mean_ratio(tp, tp + fn, zero_division),
            f1=_mean_ratio(2 * tp, 2 * tp + fp + fn, zero_division),
        )

    return MultiLabelFigures(
        example=averages(1), micro=averages((0, 1)), macro=averages(0), hamming_loss=float((true ^ found).mean())
    )


def _mean_ratio(above: NDArray[np.float64], below: NDArray[np.float64], zero_division: float) -> float:
    return float(np.divide(above, below, out=np.full(below.shape, zero_division), where=below > 0).mean())
