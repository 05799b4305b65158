"""Raw values of windows, by whole blocks of a file that all threads share: each is decoded once a row of windows."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal, is_url, open_dataset, stamp_of
from rsir_tf.rasters.layouts import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; right and bottom are the first that do not belong to it."""

_SIDE = 512  # pixels: smaller blocks are read several at once
_LEAST, _MOST = 64 << 20, 512 << 20  # bytes that are kept

_Content = tuple["NDArray[Any]", "NDArray[np.uint8] | None"]


class _Shared:
    """Decoded blocks, the last used ones. A thread that asks for one that another is decoding waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks: OrderedDict[tuple[Any, ...], Future[_Content]] = OrderedDict()
        self.sizes: dict[tuple[Any, ...], int] = {}

    def get(self, key: tuple[Any, ...], load: Callable[[], _Content], capacity: int) -> _Content:
        with self.lock:
            held = self.blocks.get(key)
            if held is not None:
                self.blocks.move_to_end(key)
            else:
                mine = self.blocks[key] = Future()
        if held is not None:
            return held.result()
        try:
            content = load()
        except BaseException as error:
            with self.lock:
                self.blocks.pop(key, None)
            mine.set_exception(error)
            raise
        with self.lock:
            self.sizes[key] = sum(part.nbytes for part in content if part is not None)
            while len(self.sizes) > 1 and sum(self.sizes.values()) > capacity:
                oldest = next(known for known in self.blocks if known in self.sizes)
                del self.blocks[oldest], self.sizes[oldest]
        mine.set_result(content)
        return content


_shared = _Shared()


def _forget() -> None:
    global _shared  # noqa: PLW0603 - a child of a fork must not wait for threads that only its parent has
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def read_raw(path: str, layout: Layout, box: Box) -> _Content:
    """Read a part of a raster.

    Args:
        path: A raster file or URL.
        layout: Its layout.
        box: Within the raster.

    Returns:
        [bands, H, W] values of the layout's bands, each once, in the order of their numbers; and the file's mask
        uint8 [H, W], 0 where a pixel is not valid, or None where the layout has none. They may be parts of a block
        that others share: do not change them.

    Raises:
        InputError: It cannot be read.
    """
    left, top, right, bottom = box
    height, width = layout.shape
    rows, columns = _block_shape(path, layout)
    pixel = len(set(layout.bands)) * np.dtype(layout.dtype).itemsize + layout.masked
    # No other window needs a part of these blocks, or they are too large to be kept.
    if _ends_with_blocks(layout, box) or rows * columns * pixel > _MOST // 4:
        return _load(path, layout, box)
    capacity = min(max(_LEAST, 2 * (rows + 1) * width * pixel), _MOST)
    stamp = stamp_of(path)
    values = np.empty((len(set(layout.bands)), bottom - top, right - left), layout.dtype)
    mask = np.empty(values.shape[1:], np.uint8) if layout.masked else None
    for y in range(top // rows * rows, bottom, rows):
        for x in range(left // columns * columns, right, columns):
            block = (x, y, min(x + columns, width), min(y + rows, height))
            key = (path, stamp, layout.bands, layout.masked, block)
            try:
                part, part_mask = _shared.get(key, partial(_load, path, layout, block), capacity)
            except InputError:
                # A file that is cut off is read as far as it goes: this part of it may be there.
                return _load(path, layout, box)
            if x <= left and y <= top and block[2] >= right and block[3] >= bottom:
                within = np.s_[top - y : bottom - y, left - x : right - x]
                return part[:, within[0], within[1]], None if part_mask is None else part_mask[within]
            x0, y0, x1, y1 = max(x, left), max(y, top), min(block[2], right), min(block[3], bottom)
            target = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
            source = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
            values[:, target[0], target[1]] = part[:, source[0], source[1]]
            if mask is not None and part_mask is not None:
                mask[target] = part_mask[source]
    return values, mask


def _ends_with_blocks(layout: Layout, box: Box) -> bool:
    """Whether a part of a raster consists of whole blocks, as windows do that are as large as the file's blocks."""
    height, width = layout.shape
    rows, columns = layout.block
    left, top, right, bottom = box
    across = left % columns == 0 and (right % columns == 0 or right == width)
    return across and top % rows == 0 and (bottom % rows == 0 or bottom == height)


def _block_shape(path: str, layout: Layout) -> tuple[int, int]:
    """Rows and columns that are read at once: a block of the file, or several small ones of a local file."""
    rows, columns = layout.block
    if not is_url(path):
        rows, columns = (size * max(1, _SIDE // size) for size in (rows, columns))
    return min(rows, layout.shape[0]), min(columns, layout.shape[1])


def _load(path: str, layout: Layout, box: Box) -> _Content:
    left, top, right, bottom = box
    window = gdal().windows.Window(left, top, right - left, bottom - top)
    with open_dataset(path) as dataset:
        values = np.asarray(dataset.read(sorted(set(layout.bands)), window=window))
        return values, np.asarray(dataset.read_masks(layout.bands[0], window=window)) if layout.masked else None
