"""The ways to pool a layer's features over regions and over a whole image, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.errors import InputError
from rsir_tf.regions.pooling import pool_image, pool_regions
from rsir_tf.regions.power_means import pool_power_means
from rsir_tf.regions.regional_maxima import pool_regional_maxima
from rsir_tf.regions.validity import continued_over_void, pool_valid, without_void_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.regions.sampling import Convention

POWERS = {"gem": 3, "mean": 1}
"""Poolings that are generalised means, and their power p; 3 is what Radenović et al. start from and about what networks
learn."""

POOLINGS = ("max", *POWERS, "rmac")
"""The paper's maximum, the generalised mean with p = 3, the mean, and regional maxima."""


def pool(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    valid: NDArray[np.bool_] | None = None,
    *,
    pooling: str = "max",
    convention: Convention = "half_pixel",
    stride: int = STRIDE,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pool the bilinearly upsampled features of one image over its regions, and over all its pixels.

    Pixels that are not valid count nowhere. Cells without any valid pixel show nothing, but bilinear sampling would mix
    them into pixels beside them: under maxima they count as 0, which never wins; under a mean, where 0 would pull
    down the pixels beside them, they take the value of the nearest cell that shows something, as pixels at the border
    of an image do.

    Args:
        features: floating [h, w, C], finite; for means ≥ 0, as after ReLU.
        labels: integer [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉; 0 for no region, otherwise 1..m.
        valid: bool [H, W]; None where all pixels are valid.
        pooling: One of `POOLINGS`.
        convention: As for `pool_regions`.
        stride: Image pixels per cell of the map.

    Returns:
        float32 [m, C], one row per region; and float32 [C] of all valid pixels, zeros where there is none.

    Raises:
        InputError: As for `pool_regions`; or the pooling is unknown.
    """
    shown = np.ones(labels.shape, np.int32) if valid is None else valid.astype(np.int32)
    if pooling in ("max", "rmac"):
        cells = features if valid is None else without_void_cells(features, valid, stride=stride)
        if pooling == "rmac":
            regions = pool_regional_maxima(cells, labels, convention, stride=stride)
            return regions, _only(pool_regional_maxima(cells, shown, convention, stride=stride))
        regions = pool_regions(cells, labels, convention, stride=stride)
        if valid is None:
            return regions, pool_image(cells, labels.shape, convention, stride=stride)
        return regions, pool_valid(cells, valid, convention, stride=stride)
    if pooling not in POWERS:
        raise InputError(f"pooling is {pooling!r}", wanted=" or ".join(POOLINGS))
    cells = features if valid is None else continued_over_void(features, valid, stride=stride)
    power = POWERS[pooling]
    regions = pool_power_means(cells, labels, convention, power=power, stride=stride)
    return regions, _only(pool_power_means(cells, shown, convention, power=power, stride=stride))


def _only(pooled: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector of all valid pixels; zeros where there is none."""
    return pooled[0] if len(pooled) else np.zeros(pooled.shape[1], np.float32)
