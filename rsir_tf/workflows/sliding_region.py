"""How near each place of a scene is to one region, at conv5_3's stride: the scene may be of any size, without seams."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.distances import distances_from
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import read_pixels
from rsir_tf.regions import POWERS, without_void_cells
from rsir_tf.workflows.segmenting import plan_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.rasters import RasterSource

TILE = 1024
"""Pixels a side that the model sees at most at a time. An FCN-8s takes about 1 GB for each million."""

MARGIN = 96
"""Pixels at each cut side of a window whose cells are not those of one large window. A cell of conv5_3 sees 98 pixels
to each side of its middle, which is 8 pixels inside: beyond this margin they are, to the last bit."""

MOST_CELLS = 15
"""The largest side of an area that is pooled, in cells: its half is left at each cut side of a window as well."""


def pooled_side(area: int) -> int:
    """The side of the square of cells that is about as large as a region: an odd number, from 1 to `MOST_CELLS`.

    Args:
        area: Of the region in pixels.
    """
    return min(2 * int(math.sqrt(area) / (2 * STRIDE)) + 1, MOST_CELLS)


def cell_distances(
    region: NDArray[np.float32],
    side: int,
    scene: RasterSource,
    model: Model,
    *,
    pooling: str = "max",
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Measure how far the surroundings of each cell of a scene are from a region.

    Both are pooled alike: a region's descriptor over its pixels, and that of a place over as large a square of cells. A
    single cell would be compared with the maximum of many, and lose even on the region's own ground.

    Args:
        region: float32 [C], the region's ReCNN descriptor.
        side: Of the square in cells, an odd number; see `pooled_side`.
        scene: The whole scene.
        model: The one that described the region.
        pooling: With which the region was described: one of `regions.POOLINGS`.
        progress: Called after each window.

    Returns:
        float32 [⌈H/16⌉, ⌈W/16⌉], the L2 distance between the two vectors, for the square around each cell; NaN for
        cells in which no pixel is valid. Such cells, and what lies beyond the scene, are left out of the pooling.

    Raises:
        InputError: The scene cannot be read.
        ModelError: The model does not answer.
    """
    height, width = scene.shape
    distances = np.full((-(-height // STRIDE), -(-width // STRIDE)), np.nan, np.float32)
    query = region.astype(np.float64)
    onto = None if scene.recipe.resolution is None else scene.place
    parts = plan_windows((height, width), TILE, MARGIN + side // 2 * STRIDE)
    for number, part in enumerate(parts, start=1):
        pixels = read_pixels(replace(scene, window=(part.x, part.y, part.width, part.height), onto=onto))
        known = None if pixels.valid is None else _cells_with_any(pixels.valid)
        if known is None or known.any():
            left, top, right, bottom = part.kept
            own = _cells(left - part.x, top - part.y, right - part.x, bottom - part.y)
            # One after the other: a server that computes several at once needs several times the memory.
            (prediction,) = model.predict([pixels.values])
            features = prediction.conv5_3
            if pixels.valid is not None:
                features = without_void_cells(features, pixels.valid)
            cells = _pooled(features, known, side, pooling)[own]
            found = distances_from(query, cells.reshape(-1, cells.shape[-1]), "l2").reshape(cells.shape[:2])
            if known is not None:
                found[~known[own]] = np.nan
            distances[_cells(left, top, right, bottom)] = found
        progress(number, len(parts), str(scene))
    return distances


def _pooled(
    features: NDArray[np.floating], known: NDArray[np.bool_] | None, side: int, pooling: str
) -> NDArray[np.floating]:
    """Pool the square around each cell, [h, w, C]; cells that are not known are 0 and count nowhere."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    if pooling == "max":
        for axis in (0, 1):
            features = maximum_filter1d(features, side, axis=axis, mode="constant")  # 0 is the least after ReLU.
        return features
    powers = features.astype(np.float64) ** POWERS[pooling]
    counted = np.ones(features.shape[:2]) if known is None else known.astype(np.float64)
    for axis in (0, 1):
        powers = uniform_filter1d(powers, side, axis=axis, mode="constant")
        counted = uniform_filter1d(counted, side, axis=axis, mode="constant")
    # Running sums may leave a little less than 0 of numbers that are 0.
    means = np.maximum(powers, 0) / np.maximum(counted, 0.5 / side**2)[..., None]
    return np.asarray(means ** (1 / POWERS[pooling]))


def _cells(left: int, top: int, right: int, bottom: int) -> tuple[slice, slice]:
    """The cells of a box of pixels, which begins at a cell's corner."""
    return slice(top // STRIDE, -(-bottom // STRIDE)), slice(left // STRIDE, -(-right // STRIDE))


def _cells_with_any(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any of the 16×16 pixels of a cell is valid: bool [⌈H/16⌉, ⌈W/16⌉]."""
    starts = [np.arange(0, side, STRIDE) for side in valid.shape]
    rows = np.logical_or.reduceat(valid, starts[0], axis=0)
    return np.asarray(np.logical_or.reduceat(rows, starts[1], axis=1))
