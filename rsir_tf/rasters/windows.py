"""Windows of scenes: where they lie, and which are kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.layouts import layout_of
from rsir_tf.rasters.recipe import Reading, Tiling
from rsir_tf.rasters.scenes import RasterSource, Window


def windows_of(path: str, reading: Reading, *, every: bool = False) -> Iterator[RasterSource]:
    """Cut a scene into windows, row by row.

    Windows start at multiples of tile − overlap. The last one of a row or column is shifted inwards, so that it ends at
    the border: every window is full, and every pixel is in one. A scene that is smaller than a tile gives one window
    whose rest is not valid; and windows of a common grid (`Tiling.grid`) are not shifted, so that theirs may be so too.
    Windows with fewer valid pixels than `Tiling.min_valid` are left out; a scene with a mask is read once for that.

    Args:
        path: A raster file or URL.
        reading: With a tiling.
        every: Leave none out, and read no pixel.

    Raises:
        InputError: The reading has no tiling, or the file cannot be read by it.
    """
    tiling = reading.tiling
    if tiling is None:
        raise InputError(f"{path}: is to be cut without a tile", cure="say --tile")
    layout = layout_of(path, reading.recipe, reading.tile_names)
    whole = not layout.masked and layout.nodata is None and np.dtype(layout.dtype).kind != "f"
    for window in positions(layout.shape, tiling):
        source = RasterSource(path, reading.recipe, window, tile_names=reading.tile_names)
        if every or (whole and _inside(window, layout.shape)):
            yield source
            continue
        valid = source.read_pixels().valid
        if valid is None or (valid.any() and valid.mean() >= tiling.min_valid):
            yield source


def positions(shape: tuple[int, int], tiling: Tiling) -> Iterator[Window]:
    """The windows of a scene of (height, width) pixels, row by row."""
    height, width = shape
    columns = _starts(width, tiling)
    for y in _starts(height, tiling):
        for x in columns:
            yield x, y, tiling.tile, tiling.tile


def window_id(scene_id: str, window: Window) -> str:
    """Name a window by its scene and its first pixel: "scene.tif/512_0"."""
    return f"{scene_id}/{window[0]}_{window[1]}"


def _starts(length: int, tiling: Tiling) -> list[int]:
    last = length - tiling.tile
    if last <= 0:
        return [0]
    starts = list(range(0, last + 1, tiling.step))
    return starts if starts[-1] == last else [*starts, last]


def _inside(window: Window, shape: tuple[int, int]) -> bool:
    x, y, width, height = window
    return x >= 0 and y >= 0 and x + width <= shape[1] and y + height <= shape[0]
