"""From the raw values of a raster to 8-bit RGB and a validity mask, by a layout."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.rasters.blocks import Box, read_bands, read_plain_blocks, read_raw, strips_of
from rsir_tf.rasters.layouts import Layout
from rsir_tf.rasters.pixels import FILL, Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Window = tuple[int, int, int, int]
"""(x, y, width, height) in pixels of a scene's grid."""


def read_window(path: str, layout: Layout, window: Window) -> Pixels:
    """Read a window in the file's own grid; what lies beyond the scene is not valid.

    Raises:
        InputError: The file cannot be read.
    """
    colours = read_plain_blocks(path, layout, window)
    if colours is not None:
        return Pixels(colours)
    x, y, width, height = window
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, layout.shape[1]), min(y + height, layout.shape[0])
    if left == x and top == y and right == x + width and bottom == y + height:
        return _read_box(path, layout, (left, top, right, bottom))
    values = np.full((height, width, 3), FILL, np.uint8)
    valid = np.zeros((height, width), bool)
    if left < right and top < bottom:
        inner = np.s_[top - y : bottom - y, left - x : right - x]
        part = _read_box(path, layout, (left, top, right, bottom))
        values[inner] = part.values
        valid[inner] = True if part.valid is None else part.valid
    return Pixels(values, valid)


def _read_box(path: str, layout: Layout, box: Box) -> Pixels:
    """Read a window that lies within the scene."""
    strips = strips_of(path, layout, box)
    if len(strips) == 1:
        return to_pixels(*read_raw(path, layout, box), layout)
    left, top, right, bottom = box
    values = np.empty((bottom - top, right - left, 3), np.uint8)
    valid = np.ones(values.shape[:2], bool)
    for strip in strips:
        part = to_pixels(*read_raw(path, layout, strip, alone=True), layout)
        rows = slice(strip[1] - top, strip[3] - top)
        values[rows] = part.values
        valid[rows] = True if part.valid is None else part.valid
    return Pixels(values, None if valid.all() else valid)


def to_pixels(raw: NDArray[Any], mask: NDArray[np.uint8] | None, layout: Layout) -> Pixels:
    """Make RGB and validity of raw values [bands, H, W] (a layout's bands, each once, in order) and a mask [H, W]."""
    _, order = read_bands(layout.bands)
    colours = to_rgb(raw if order is None else raw[order], layout)
    if mask is None and layout.nodata is None and raw.dtype.kind != "f":
        return Pixels(colours)
    valid = valid_pixels(raw, mask, layout)
    if valid.all():
        return Pixels(colours)
    colours[~valid] = FILL
    return Pixels(colours, valid)


def valid_pixels(raw: NDArray[Any], mask: NDArray[np.uint8] | None, layout: Layout) -> NDArray[np.bool_]:
    """Which pixels show something: [H, W] of raw values [bands, H, W] and the file's mask [H, W].

    A pixel that the mask (or alpha) gives as 0 is not valid, nor is one with NaN or an infinite value in any band. A
    pixel whose value is nodata is not valid either: of 8-bit files where all its bands hold nodata, since 0 and 255
    are also what one band of a colour holds; of other types where any does, since a colour is not known then.
    """
    valid = np.ones(raw.shape[1:], bool) if mask is None else mask > 0
    if raw.dtype.kind == "f":
        valid &= np.isfinite(raw).all(axis=0)
    if layout.nodata is not None:
        missing = raw == np.asarray(layout.nodata).astype(raw.dtype)
        valid &= ~(missing.all(axis=0) if raw.dtype == np.uint8 else missing.any(axis=0))
    return valid


def to_rgb(raw: NDArray[Any], layout: Layout) -> NDArray[np.uint8]:
    """Turn raw values [3, H, W] into uint8 [H, W, 3] by a layout's ranges or palette."""
    if layout.palette is not None:
        return np.asarray(layout.palette[raw[0]])
    if layout.ranges is None:
        import cv2  # Six times as quick as NumPy.

        colours: NDArray[np.uint8] = cv2.merge([*raw])  # type: ignore[assignment]
        return colours
    colours = np.empty((*raw.shape[1:], 3), np.uint8)
    for number, (band, limits) in enumerate(zip(raw, layout.ranges, strict=True)):
        table = raw.dtype in (np.uint8, np.uint16)
        colours[..., number] = _table(raw.dtype.str, limits)[band] if table else _stretched(band, limits)
    return colours


def _stretched(values: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float64]:
    low, high = limits
    scaled = (values.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, posinf=255.0, neginf=0.0), 0, 255))


@lru_cache(maxsize=64)
def _table(dtype: str, limits: tuple[float, float]) -> NDArray[np.uint8]:
    """What each value of an unsigned type becomes; to look it up is ten times as quick as to compute it."""
    return _stretched(np.arange(np.iinfo(dtype).max + 1), limits).astype(np.uint8)
