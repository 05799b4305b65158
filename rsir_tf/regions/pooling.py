"""Element-wise maxima of bilinearly upsampled features, over regions and over a whole image."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.errors import InputError
from rsir_tf.regions.sampling import Axis, Convention, Samples, deciding_samples, sample_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLOCK = 2
"""Side of a block, in intervals between cells; a larger block means fewer calls but more multiplications by 0."""

_CHUNK = 256
"""Samples evaluated at once: 0.5 MB at 512 channels, which stays in the processor's cache."""

_PRODUCT = 2**18
"""Multiplications of one matrix product. OpenBLAS spreads larger ones over threads, and waiting for a thread that has
no free core (the model runs at the same time) takes a hundred times as long as the product."""


def pool_regions(
    conv5_3: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    convention: Convention = "half_pixel",
    *,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Describe each region by the element-wise maximum of its pixels' features (ReCNN).

    The features of a pixel come from the bilinearly upsampled map. That map is never built: only the pixels at which it
    can be largest are evaluated, and the result equals that of all pixels up to float32 rounding. Where a side of the
    image is not a multiple of the stride, the map covers more than the image (the network pads at the bottom and
    right): it is sampled as if it were upsampled to stride · h × stride · w and then cropped to H × W.

    Args:
        conv5_3: floating [h, w, C], the features; they are converted to float32.
        labels: integer [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉; 0 for no region, otherwise 1..m, each of
            which must occur.
        convention: "half_pixel" (TF2's `tf.image.resize`) or "aligned_corners" (MATLAB, Caffe and TF1's option).
        stride: Image pixels per cell of the map.

    Returns:
        float32 [m, C], row i for label i + 1; m = 0 where `labels` is all 0.

    Raises:
        InputError: Shapes or types do not fit, features hold NaN or infinity, a label of 1..m is missing, a label is
            negative, or the convention is unknown.
    """
    features = checked_features(conv5_3)
    count = checked_count(labels)
    rows, columns = sample_axes(features, labels.shape, convention, stride)
    return _maxima(features, deciding_samples(labels, rows, columns), rows, columns, count)


def pool_image(
    conv5_3: NDArray[np.floating[Any]],
    size: Sequence[int],
    convention: Convention = "half_pixel",
    *,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Describe an image by the element-wise maximum of all its pixels' features (ReCNN+).

    The same as `pool_regions` for one region that covers the image. The result is at most the maximum of the map
    itself, because pixels need not fall on the centres of cells.

    Args:
        conv5_3: floating [h, w, C], the features; they are converted to float32.
        size: (H, W) of the image in pixels, as in `segmentation.shape`.
        convention: As for `pool_regions`.
        stride: Image pixels per cell of the map.

    Returns:
        float32 [C].

    Raises:
        InputError: The size does not fit the map, features hold NaN or infinity, or the convention is unknown.
    """
    features = checked_features(conv5_3)
    if len(size) != 2 or min(size) < 1:
        raise InputError(f"size: is {tuple(size)}", wanted="(height, width) in pixels")
    rows, columns = sample_axes(features, size, convention, stride)
    row, column = (ends.ravel() for ends in np.meshgrid(rows.ends(), columns.ends(), indexing="ij"))
    maxima = _maxima(features, Samples(np.ones_like(row), row, column), rows, columns, 1)
    return maxima.reshape(-1)


def _maxima(
    features: NDArray[np.float32], samples: Samples, rows: Axis, columns: Axis, count: int
) -> NDArray[np.float32]:
    """Evaluate samples block by block and return each region's maxima, float32 [count, C]."""
    row, column = rows.interval(samples.row), columns.interval(samples.column)
    blocks_down, blocks_across = rows.cells // _BLOCK + 1, columns.cells // _BLOCK + 1
    block = row // _BLOCK * blocks_across + column // _BLOCK
    order = np.argsort(block * (count + 1) + samples.region)
    row, column, block, region = row[order], column[order], block[order], samples.region[order]
    weights = _weights(
        row % _BLOCK,
        column % _BLOCK,
        (samples.row[order] - row * rows.unit) / rows.unit,
        (samples.column[order] - column * columns.unit) / columns.unit,
    )
    # A chunk lies in one block and fits the buffer; a piece is the part of a chunk that belongs to one region.
    sample = np.arange(len(order))
    opens_block = np.diff(block, prepend=-1) != 0
    opens_chunk = (sample - np.maximum.accumulate(np.where(opens_block, sample, 0))) % _CHUNK == 0
    opens_piece = opens_chunk | (np.diff(region, prepend=0) != 0)
    pieces = zip(region[opens_piece].tolist(), _spans(opens_piece), strict=True)

    channels = features.shape[2]
    padded = np.zeros((blocks_down * _BLOCK + 1, blocks_across * _BLOCK + 1, channels), np.float32)
    padded[: rows.cells, : columns.cells] = features
    at_once = max(1, _PRODUCT // (channels * weights.shape[1]))
    maxima = np.full((count, channels), -np.inf, np.float32)
    values = np.empty((min(_CHUNK, len(order)), channels), np.float32)
    highest = np.empty(channels, np.float32)
    for start, stop in _spans(opens_chunk):
        top, left = (_BLOCK * place for place in divmod(int(block[start]), blocks_across))
        cells = padded[top : top + _BLOCK + 1, left : left + _BLOCK + 1].reshape(-1, channels)
        for first in range(start, stop, at_once):
            last = min(first + at_once, stop)
            np.matmul(weights[first:last], cells, out=values[first - start : last - start])
        for label, (first, last) in pieces:
            np.maximum.reduce(values[first - start : last - start], axis=0, out=highest)
            np.maximum(maxima[label - 1], highest, out=maxima[label - 1])
            if last == stop:
                break
    return maxima


def _spans(opens: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open spans: each from one marked place to the next, and the last one to the end."""
    return list(itertools.pairwise([*np.flatnonzero(opens).tolist(), len(opens)]))


def _weights(
    row: NDArray[np.int64], column: NDArray[np.int64], down: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Bilinear weights of n samples over their block's cells: [n, (_BLOCK + 1)²], at most four per row not 0."""
    side = _BLOCK + 1
    weights = np.zeros((len(row), side * side), np.float32)
    sample = np.arange(len(row))
    corner = row * side + column
    weights[sample, corner] = (1 - down) * (1 - across)
    weights[sample, corner + 1] = (1 - down) * across
    weights[sample, corner + side] = down * (1 - across)
    weights[sample, corner + side + 1] = down * across
    return weights


def sample_axes(
    features: NDArray[np.float32], size: Sequence[int], convention: Convention, stride: int
) -> tuple[Axis, Axis]:
    """Place the pixels of an image of (height, width) on a map: its vertical and its horizontal axis."""
    height, width = size
    return (
        sample_axis(height, features.shape[0], stride, convention),
        sample_axis(width, features.shape[1], stride, convention),
    )


def checked_features(conv5_3: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Check a map, and convert it to float32.

    Raises:
        InputError: It is not a floating array [h, w, C], is empty, or holds NaN or infinity.
    """
    if not isinstance(conv5_3, np.ndarray) or conv5_3.ndim != 3 or not np.issubdtype(conv5_3.dtype, np.floating):
        found = getattr(conv5_3, "dtype", type(conv5_3).__name__)
        raise InputError(f"conv5_3: is {found} {list(np.shape(conv5_3))}", wanted="a floating array [h, w, C]")
    features = conv5_3.astype(np.float32, copy=False)
    if conv5_3.size == 0:
        raise InputError(f"conv5_3: is empty ({list(conv5_3.shape)})", wanted="at least one cell and channel")
    if not np.isfinite(features).all():
        raise InputError("conv5_3: holds NaN or infinity", wanted="finite numbers", cure="check the model's weights")
    return features


def checked_count(labels: NDArray[np.integer[Any]]) -> int:
    """Check labels [H, W] and return the number of regions.

    Raises:
        InputError: They are no whole numbers, a label is negative, or one of 1..m is missing.
    """
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        found = getattr(labels, "dtype", type(labels).__name__)
        raise InputError(f"labels: is {found} {list(np.shape(labels))}", wanted="an integer array [H, W]")
    if labels.size == 0:
        raise InputError(f"labels: has no pixels ({list(labels.shape)})", wanted="at least one")
    if labels.min() < 0:
        raise InputError(f"labels: holds {labels.min()}", wanted="0 (no region) or 1..m")
    count = int(labels.max())
    # More labels than pixels cannot all occur; `bincount` would also need memory for each of them.
    if count > labels.size or not np.bincount(labels.ravel().astype(np.int64, copy=False))[1:].all():
        raise InputError(f"labels: not every one of 1..{count} has a pixel", wanted="regions numbered without gaps")
    return count
