"""Windows of scenes: where they lie, and which are kept."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.decoding import Window
from rsir_tf.rasters.layouts import Layout, layout_of
from rsir_tf.rasters.places import moved
from rsir_tf.rasters.recipe import Reading, Tiling
from rsir_tf.rasters.scenes import RasterSource
from rsir_tf.rasters.source import Place
from rsir_tf.rasters.warping import inside, scene_grid


def windows_of(path: str, reading: Reading, *, every: bool = False) -> Iterator[RasterSource]:
    """Cut a scene into windows, row by row.

    Windows start at multiples of tile − overlap. The last one of a row or column is shifted inwards, so that it ends at
    the border: every window is full, and every pixel is in one. A scene that is smaller than a tile gives one window
    whose rest is not valid. Windows of a common grid (`Tiling.grid`) are never shifted: what lies beyond the scene is
    not valid. Windows with fewer valid pixels than `Tiling.min_valid` are left out; a scene with a mask or nodata is
    read once for that.

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
    onto, windows = _lattice(path, layout, reading.recipe.resolution, tiling)
    for window in windows:
        source = RasterSource(path, reading.recipe, window, onto, reading.tile_names)
        if every or (whole and _within(source, layout)):
            yield source
            continue
        valid = source.read_pixels().valid
        if valid is None or (valid.any() and valid.mean() >= tiling.min_valid):
            yield source


def _lattice(
    path: str, layout: Layout, resolution: float | None, tiling: Tiling
) -> tuple[Place | None, Iterator[Window]]:
    """The grid of a scene's windows, None where it is the file's own, and the windows in it."""
    if resolution is None:
        return None, positions(layout.shape, tiling)
    place, column, row, width, height = scene_grid(path, layout, resolution, common=tiling.grid)
    if not tiling.grid:
        return None if place == layout.place else place, positions((height, width), tiling)
    step, tile = tiling.step, tiling.tile
    rows = range(row // step * step, row + height, step)
    columns = range(column // step * step, column + width, step)
    return place, ((x, y, tile, tile) for y in rows for x in columns)


def positions(shape: tuple[int, int], tiling: Tiling) -> Iterator[Window]:
    """The windows of a scene of (height, width) pixels, row by row."""
    height, width = shape
    columns = _starts(width, tiling)
    for y in _starts(height, tiling):
        for x in columns:
            yield x, y, tiling.tile, tiling.tile


def window_id(scene_id: str, window: Window) -> str:
    """Name a window by its scene and its first pixel: "scene.tif/512_0".

    Of a common grid the numbers count from the origin of the reference system: equal numbers are equal ground.
    """
    return f"{scene_id}/{window[0]}_{window[1]}"


def _starts(length: int, tiling: Tiling) -> list[int]:
    last = length - tiling.tile
    if last <= 0:
        return [0]
    starts = list(range(0, last + 1, tiling.step))
    return starts if starts[-1] == last else [*starts, last]


def _within(source: RasterSource, layout: Layout) -> bool:
    """Whether a window lies within its scene, so that it shows something everywhere where the scene does."""
    if source.window is None:
        return True
    if source.onto is not None:
        return inside(moved(source.onto, *source.window[:2]), source.shape, layout)
    x, y, width, height = source.window
    return x >= 0 and y >= 0 and x + width <= layout.shape[1] and y + height <= layout.shape[0]
