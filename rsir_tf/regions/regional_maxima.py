"""Regional maxima: a region's maximum in each window of its image, summed up as vectors of length 1 (R-MAC).

Tolias, Sicre and Jégou, "Particular object retrieval with integral max-pooling of CNN activations", ICLR 2016, describe
a whole image so, without the whitening that they learn. A maximum over everything tells that a feature occurs; the sum
over windows also tells how widely.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.regions.pooling import checked_count, checked_features, pool_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.regions.sampling import Convention

LEVELS = 3
"""Scales of windows; at level l, their side is 2 / (l + 1) of the image's shorter one."""

_OVERLAP = 0.4
"""The least part of its side that a window shares with the next one; the paper's."""


def pool_regional_maxima(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    convention: Convention = "half_pixel",
    *,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Describe each region by the sum of its maxima in square windows of the image.

    In each window of `windows`, the maximum is taken over the region's pixels there, exactly, as `pool_regions` does,
    and scaled to length 1. The sum over all windows that show a part of the region is scaled to length 1 too.

    Args:
        features: floating [h, w, C]; they are converted to float32.
        labels: integer [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉; 0 for no region, otherwise 1..m.
        convention: "half_pixel" or "aligned_corners".
        stride: Image pixels per cell of the map.

    Returns:
        float32 [m, C], rows of length 1, or of zeros where all features of a region are 0; m = 0 where `labels` is all
        0.

    Raises:
        InputError: As for `pool_regions`.
    """
    cells, count = checked_features(features), checked_count(labels)
    sums = np.zeros((count, cells.shape[2]))
    for top, left, side in windows(*labels.shape):
        window = np.zeros(labels.shape, np.int64)
        window[top : top + side, left : left + side] = labels[top : top + side, left : left + side]
        shown, numbered = np.unique(window, return_inverse=True)
        # Regions that show in the window are numbered without gaps; number 0 is no region, shown or not.
        first = int(shown[0] == 0)
        maxima = pool_regions(cells, numbered.reshape(labels.shape) + 1 - first, convention, stride=stride)
        sums[shown[first:] - 1] += _unit(maxima.astype(np.float64))
    return _unit(sums).astype(np.float32)


def windows(height: int, width: int) -> list[tuple[int, int, int]]:
    """The square windows of an image, at three scales: (top, left, side) in pixels.

    Along each side, as few windows as share at least 40% with the next one are spread evenly from border to border:
    along the shorter side, 1, 2 and 3 of them at the three levels. A square image has 14.
    """
    found = []
    for level in range(1, LEVELS + 1):
        side = max(1, round(2 * min(height, width) / (level + 1)))
        found += [(top, left, side) for top in _starts(height, side) for left in _starts(width, side)]
    return found


def _starts(length: int, side: int) -> list[int]:
    # A little less than the quotient: rounding must not make one window more of a whole number.
    steps = math.ceil((length - side) / ((1 - _OVERLAP) * side) - 1e-9) if length > side else 0
    return [round(at * (length - side) / max(1, steps)) for at in range(steps + 1)]


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1))
