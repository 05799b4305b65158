"""How near each cell of a scene's conv5_3 is to one region: the scene may be of any size, and no seam is seen."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.distances import distances_from
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import read_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.rasters import RasterSource

TILE = 512
"""Pixels a side that the model sees at once."""

MARGIN = 96
"""Pixels at a window's side that only give their neighbours a surrounding: a cell of conv5_3 sees 98 pixels around it.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """A window along one axis, in pixels: it is read from `start` to `stop`, and `first` to `last` of it is kept."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def cells(self) -> slice:
        """The kept cells of the scene."""
        return slice(self.first // STRIDE, -(-self.last // STRIDE))

    @property
    def own_cells(self) -> slice:
        """The same cells, counted in the window."""
        return slice((self.first - self.start) // STRIDE, -(-(self.last - self.start) // STRIDE))


def spans(length: int, tile: int = TILE, margin: int = MARGIN) -> list[Span]:
    """Cut an axis into windows of which only the inner parts are kept; these lie side by side and cover the axis.

    Windows begin at multiples of 16 pixels, so that their cells are the scene's. At the ends of the axis there is no
    margin: what lies beyond is as unknown to one large window.

    Args:
        length: Pixels of the axis.
        tile: Pixels of a window, a multiple of 16.
        margin: Pixels at each side that are not kept, a multiple of 16, below half of `tile`.
    """
    starts = [0]
    while starts[-1] + tile < length:
        starts.append(min(starts[-1] + tile - 2 * margin, -(-(length - tile) // STRIDE) * STRIDE))
    firsts = [0, *(start + margin for start in starts[1:])]
    return [
        Span(start, min(start + tile, length), first, last)
        for start, first, last in zip(starts, firsts, [*firsts[1:], length], strict=True)
    ]


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
    windows = [(down, across) for down in spans(height) for across in spans(width)]
    waiting: deque[tuple[Span, Span, NDArray[np.bool_] | None]] = deque()

    def images() -> Iterator[NDArray[np.uint8]]:
        for down, across in windows:
            place = (across.start, down.start, across.stop - across.start, down.stop - down.start)
            pixels = read_pixels(dataclasses.replace(scene, window=place, onto=onto))
            known = None if pixels.valid is None else _cells_with_any(pixels.valid)
            if known is None or known.any():
                waiting.append((down, across, known))
                yield pixels.values

    for prediction in model.predict_stream(images()):
        down, across, known = waiting.popleft()
        cells = prediction.conv5_3[down.own_cells, across.own_cells]
        found = distances_from(query, cells.reshape(-1, cells.shape[-1]), "l2").reshape(cells.shape[:2])
        if known is not None:
            found[~known[down.own_cells, across.own_cells]] = np.nan
        distances[down.cells, across.cells] = found
        progress(windows.index((down, across)) + 1, len(windows), str(scene))
    return distances


def _cells_with_any(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether any of the 16×16 pixels of a cell is valid: bool [⌈H/16⌉, ⌈W/16⌉]."""
    starts = [np.arange(0, side, STRIDE) for side in valid.shape]
    rows = np.logical_or.reduceat(valid, starts[0], axis=0)
    return np.asarray(np.logical_or.reduceat(rows, starts[1], axis=1))
