"""Raw values of windows, by whole blocks of a file that all threads share: each is decoded once a row of windows."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import already_open, gdal, gdal_errors, is_url, open_dataset
from rsir_tf.rasters.layouts import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; right and bottom are the first that do not belong to it."""

_SIDE = 512  # pixels: smaller blocks are read several at once
_LARGE = 1 << 20  # pixels: to keep what such a window shares with its neighbours takes more memory than it is worth
_LEAST, _MOST = 64 << 20, 512 << 20  # bytes that are kept
_BEHIND = 16  # windows: no thread is as far behind the first one
_SCRATCH = 4 << 20  # bytes of a window, at most, whose raw values are put where those of the one before were

_Content = tuple["NDArray[Any]", "NDArray[np.uint8] | None"]


class _Shared:
    """Decoded blocks, the last used ones. A thread that asks for one that another is decoding waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks: OrderedDict[tuple[Any, ...], Future[_Content]] = OrderedDict()
        self.sizes: dict[tuple[Any, ...], int] = {}

    def get(
        self, key: tuple[Any, ...], load: Callable[[], _Content], capacity: int, above: int, before: int
    ) -> _Content:
        """Give a block; the file's blocks that end above this row, or before this column, are dropped."""
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
            own = [each for each in self.sizes if each[0] == key[0]]
            for known in [each for each in own if each[-1][3] <= above or each[-1][2] <= before]:
                del self.blocks[known], self.sizes[known]
            while len(self.sizes) > 1 and sum(self.sizes.values()) > capacity:
                oldest = next(known for known in self.blocks if known in self.sizes)
                del self.blocks[oldest], self.sizes[oldest]
        mine.set_result(content)
        return content


_shared = _Shared()
_local = threading.local()


def _forget() -> None:
    global _shared  # noqa: PLW0603 - a child of a fork must not wait for threads that only its parent has
    _shared = _Shared()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def strips_of(path: str, layout: Layout, box: Box) -> list[Box]:
    """Divide a large part of a raster into strips from top to bottom, each to be read `alone`; a small one is whole.

    So raw values need little memory beside the colours that are made of them.
    """
    left, top, right, bottom = box
    rows, columns = layout.block
    pixels = (bottom - top) * (right - left)
    decoded = (bottom - top + rows) * (right - left + columns)  # at most, with what lies in the same blocks
    if pixels < _LARGE or decoded > 2 * pixels or is_url(path):
        return [box]
    step = rows * max(1, _SIDE // rows)
    ends = [top, *range((top // step + 1) * step, bottom, step), bottom]
    return [(left, begin, right, end) for begin, end in itertools.pairwise(ends)]


def read_raw(path: str, layout: Layout, box: Box, *, alone: bool = False) -> _Content:
    """Read a part of a raster.

    Args:
        path: A raster file or URL.
        layout: Its layout.
        box: Within the raster.
        alone: Keep none of its blocks for others.

    Returns:
        [bands, H, W] values of the layout's bands, each once, in the order of their numbers; and the file's mask
        uint8 [H, W], 0 where a pixel is not valid, or None where the layout has none. They may be parts of a block
        that others share, or be overwritten when the same thread reads again: neither change nor keep them.

    Raises:
        InputError: It cannot be read.
    """
    if alone or _ends_with_blocks(layout, box):  # No other window needs a part of these blocks.
        return _load(path, layout, box, _scratch(layout, box))
    left, top, right, bottom = box
    height, width = layout.shape
    rows, columns = _block_shape(path, layout)
    count = len(read_bands(layout.bands)[0])
    pixel = count * np.dtype(layout.dtype).itemsize + layout.masked
    if rows * columns * pixel > _MOST // 4:  # The blocks are too large to be kept.
        return _load(path, layout, box)
    capacity = min(max(_LEAST, 2 * (rows + 1) * width * pixel), _MOST)
    # Windows come from top to bottom and from left to right. Other threads may be some windows behind, in the row of
    # windows above this one. After the last row nobody comes back to what lies on the left.
    above = top - (bottom - top)
    before = left - _BEHIND * (right - left) if bottom == height else 0
    values = np.empty((count, bottom - top, right - left), layout.dtype)
    mask = np.empty(values.shape[1:], np.uint8) if layout.masked else None
    for y in range(top // rows * rows, bottom, rows):
        for x in range(left // columns * columns, right, columns):
            block = (x, y, min(x + columns, width), min(y + rows, height))
            key = (path, layout.stamp, layout.bands, layout.masked, block)
            try:
                load = partial(_load, path, layout, block)
                part, part_mask = _shared.get(key, load, capacity, above, before)
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


def read_plain_blocks(path: str, layout: Layout, window: Box) -> NDArray[np.uint8] | None:
    """Read a window of whole blocks of a plain file that this thread has open, in as few steps as possible.

    It gives what `read_raw` and `to_rgb` give. To decode a block leaves little of Python in the processor's caches, so
    that these two take a tenth as long as that does; this takes half as long as they.

    Args:
        path: A raster file.
        layout: Its layout.
        window: (x, y, width, height) in pixels.

    Returns:
        RGB, uint8 [H, W, 3]; None where it is not such a window or file, or it cannot be read.
    """
    x, y, width, height = window
    rows, columns = layout.block
    if not layout.plain or x % columns or y % rows or width % columns or height % rows or min(x, y) < 0:
        return None
    dataset = already_open(path, layout.stamp)
    if dataset is None or x + width > layout.shape[1] or y + height > layout.shape[0]:
        return None
    held = _local.__dict__.get("planes")
    if held is None or held[0] != (height, width):
        scratch = _scratch(layout, (x, y, x + width, y + height))
        if scratch is None:
            return None
        from cv2 import merge

        held = _local.planes = ((height, width), scratch, [*scratch], merge, gdal().windows.Window, gdal_errors())
    _, scratch, planes, merge, of_dataset, errors = held
    try:
        dataset.read(layout.bands, window=of_dataset(x, y, width, height), out=scratch)
    except errors:
        return None
    colours: NDArray[np.uint8] = merge(planes)
    return colours


@lru_cache(maxsize=256)
def read_bands(bands: tuple[int, int, int]) -> tuple[list[int], list[int] | None]:
    """The bands that are read for three colours: each once, in the order of their numbers.

    Returns:
        Their numbers, and the place of each colour among them; None in place of 0, 1, 2.
    """
    numbers = sorted(set(bands))
    order = [numbers.index(band) for band in bands]
    return numbers, None if order == [0, 1, 2] else order


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


def _scratch(layout: Layout, box: Box) -> NDArray[Any] | None:
    """An array of this thread's for the raw values of a window, which its next window overwrites.

    Its memory is still in the processor's caches, unlike that of a new array: RGB is made of it in half the time.
    """
    left, top, right, bottom = box
    shape = (len(read_bands(layout.bands)[0]), bottom - top, right - left)
    held: NDArray[Any] | None = getattr(_local, "scratch", None)
    if held is None or held.shape != shape or held.dtype != layout.dtype:
        held = np.empty(shape, layout.dtype) if math.prod(shape) * np.dtype(layout.dtype).itemsize <= _SCRATCH else None
        _local.scratch = held
    return held


def _load(path: str, layout: Layout, box: Box, out: NDArray[Any] | None = None) -> _Content:
    left, top, right, bottom = box
    window = gdal().windows.Window(left, top, right - left, bottom - top)
    with open_dataset(path, stamp=layout.stamp) as dataset:
        values = dataset.read(read_bands(layout.bands)[0], window=window, out=out)
        return values, dataset.read_masks(layout.bands[0], window=window) if layout.masked else None
