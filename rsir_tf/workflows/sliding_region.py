"""How near each cell of a scene's conv5_3 is to one region: the scene may be of any size, and no seam is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.distances import distances_from
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import read_pixels
from rsir_tf.workflows.segmenting import plan_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.rasters import RasterSource

TILE = 1024
"""Pixels a side that the model sees at most at a time. An FCN-8s takes about 1 GB for each million."""

MARGIN = 96
"""Pixels at each cut side of a window whose cells are not kept. A cell of conv5_3 sees 98 pixels to each side of its
middle, which is 8 pixels inside: with this margin every cell is that of one large window, to the last bit."""


def cell_distances(
    region: NDArray[np.float32], scene: RasterSource, model: Model, *, progress: Progress = silent
) -> NDArray[np.float32]:
    """Measure how far each cell of a scene is from a region.

    Args:
        region: float32 [C], the region's ReCNN descriptor.
        scene: The whole scene.
        model: The one that described the region.
        progress: Called after each window.

    Returns:
        float32 [⌈H/16⌉, ⌈W/16⌉], the L2 distance between the region's vector and the cell's; NaN for cells in which no
        pixel is valid.

    Raises:
        InputError: The scene cannot be read.
        ModelError: The model does not answer.
    """
    height, width = scene.shape
    distances = np.full((-(-height // STRIDE), -(-width // STRIDE)), np.nan, np.float32)
    query = region.astype(np.float64)
    onto = None if scene.recipe.resolution is None else scene.place
    parts = plan_windows((height, width), TILE, MARGIN)
    for number, part in enumerate(parts, start=1):
        pixels = read_pixels(replace(scene, window=(part.x, part.y, part.width, part.height), onto=onto))
        known = None if pixels.valid is None else _cells_with_any(pixels.valid)
        if known is None or known.any():
            left, top, right, bottom = part.kept
            own = _cells(left - part.x, top - part.y, right - part.x, bottom - part.y)
            # One after the other: a server that computes several at once needs several times the memory.
            (prediction,) = model.predict([pixels.values])
            cells = prediction.conv5_3[own]
            found = distances_from(query, cells.reshape(-1, cells.shape[-1]), "l2").reshape(cells.shape[:2])
            if known is not None:
                found[~known[own]] = np.nan
            distances[_cells(left, top, right, bottom)] = found
        progress(number, len(parts), str(scene))
    return distances


def _cells(left: int, top: int, right: int, bottom: int) -> tuple[slice, slice]:
    """The cells of a box of pixels, which begins at a cell's corner."""
    return slice(top // STRIDE, -(-bottom // STRIDE)), slice(left // STRIDE, -(-right // STRIDE))


def _cells_with_any(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any of the 16×16 pixels of a cell is valid: bool [⌈H/16⌉, ⌈W/16⌉]."""
    starts = [np.arange(0, side, STRIDE) for side in valid.shape]
    rows = np.logical_or.reduceat(valid, starts[0], axis=0)
    return np.asarray(np.logical_or.reduceat(rows, starts[1], axis=1))
