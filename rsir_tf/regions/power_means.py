"""Means and generalised means of bilinearly upsampled features, over regions and over a whole image.

The generalised mean of a region is (1/n Σ f(pixel)^p)^(1/p) over its n pixels, channel by channel: p = 1 is the mean,
and as p grows, it comes near the maximum (Radenović, Tolias and Chum, "Fine-tuning CNN image retrieval with no human
annotation", PAMI 2019, who pool cells of the map; here, pixels of the upsampled map are pooled, as the paper's maximum
is over pixels).

The upsampled map is never built. Between four neighbouring cells it is bilinear, so that its p-th power is a polynomial
of degree p along each axis. Such a polynomial is fixed by its values at p + 1 nodes along each axis, and its sum over
any pixels is a weighted sum of these values (Lagrange interpolation). The weights depend on the pixels alone: they are
the same for all channels. The result equals that of all pixels, up to the rounding of float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.contract import STRIDE
from rsir_tf.errors import InputError
from rsir_tf.regions.pooling import checked_count, checked_features, sample_axes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rsir_tf.regions.sampling import Axis, Convention

_BAND = 1 << 20
"""Values at nodes that are held at once: 8 MB."""


def pool_power_means(
    features: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    convention: Convention = "half_pixel",
    *,
    power: int,
    stride: int = STRIDE,
) -> NDArray[np.float32]:
    """Describe each region by the generalised mean of its pixels' features.

    Pixels sample the map as for `pool_regions`.

    Args:
        features: floating [h, w, C], finite and ≥ 0, as after ReLU.
        labels: integer [H, W] with h = ⌈H / stride⌉ and w = ⌈W / stride⌉; 0 for no region, otherwise 1..m, each of
            which must occur.
        convention: "half_pixel" or "aligned_corners".
        power: p, a whole number of at least 1.
        stride: Image pixels per cell of the map.

    Returns:
        float32 [m, C], row i for label i + 1, each value between the region's smallest and largest; m = 0 where
        `labels` is all 0.

    Raises:
        InputError: As for `pool_regions`; also where a feature is negative, or the power is no whole number above 0.
    """
    if isinstance(power, bool) or not isinstance(power, int) or power < 1:
        raise InputError(f"the power of a generalised mean is {power!r}", wanted="a whole number of at least 1")
    cells = checked_features(features)
    if cells.min() < 0:
        raise InputError(f"features: hold {cells.min():g}", wanted="numbers of at least 0, as after ReLU")
    count = checked_count(labels)
    rows, columns = sample_axes(cells, labels.shape, convention, stride)
    sums = np.zeros((count, cells.shape[2]))
    down, across = _basis(rows, power), _basis(columns, power)
    intervals = rows.interval(rows.positions)
    wide = _between(cells.transpose(1, 0, 2).astype(np.float64), power).transpose(1, 0, 2)
    for first, last, pixels in _bands(intervals, wide[0].size * power):
        values = _between(wide[first : min(last + 1, len(wide) - 1) + 1], power)
        values = _power(values, power)
        for label, box in _boxes(labels[pixels]):
            y, x = (slice(pixels.start + box[0].start, pixels.start + box[0].stop), box[1])
            mask = (labels[y, x] == label).astype(np.float64)
            columns_of = columns.interval(columns.positions[x])
            weights = _gathered(_gathered(mask, across[x], columns_of).T, down[y], intervals[y])
            top, left = power * (int(intervals[y.start]) - first), power * int(columns_of[0])
            seen = values[top : top + weights.shape[1], left : left + weights.shape[0]]
            sums[label - 1] += np.einsum("xy,yxc->c", weights, seen)
    areas = np.bincount(labels.ravel().astype(np.int64, copy=False), minlength=count + 1)[1:]
    # Weights of both signs may round a sum of zeros to a little less than 0.
    means = np.maximum(sums / areas[:, None], 0)
    return (means if power == 1 else means ** (1 / power)).astype(np.float32)


def _basis(axis: Axis, power: int) -> NDArray[np.float64]:
    """The Lagrange polynomials of each pixel: float64 [pixels, p + 1], for nodes at 0, 1/p, …, 1 of its interval."""
    at = (axis.positions / axis.unit - axis.interval(axis.positions)) * power
    nodes = np.arange(power + 1)
    factors = [[(at - other) / (node - other) for other in nodes if other != node] for node in nodes]
    return np.stack([np.prod(each, axis=0) for each in factors], axis=1)


def _between(cells: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Interpolate the first axis at the nodes: [n, …] becomes [(n − 1)·p + 1, …]; a single cell is repeated."""
    if len(cells) == 1:
        cells = np.concatenate([cells, cells])
    found = np.empty(((len(cells) - 1) * power + 1, *cells.shape[1:]))
    found[::power] = cells
    for node in range(1, power):
        found[node::power] = cells[:-1] * (1 - node / power) + cells[1:] * (node / power)
    return found


def _power(values: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """Whole powers by multiplication, which is many times quicker than `**`."""
    found = values
    for _ in range(power - 1):
        found = found * values
    return found


def _bands(intervals: NDArray[np.int64], per_interval: int) -> Iterator[tuple[int, int, slice]]:
    """Cut the rows of an image where intervals end: first and last interval of each band, and its pixels."""
    step = max(1, _BAND // per_interval)
    for first in range(0, int(intervals[-1]) + 1, step):
        start, stop = np.searchsorted(intervals, [first, first + step]).tolist()
        yield first, int(intervals[stop - 1]), slice(start, stop)


def _boxes(labels: NDArray[np.integer[Any]]) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """The labels of a band that are not 0, each with the box of its pixels there."""
    from scipy.ndimage import find_objects

    for label, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            yield label, box


def _gathered(
    mask: NDArray[np.float64], basis: NDArray[np.float64], intervals: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum over the pixels of the last axis their weight at each node: [n, pixels] becomes [n, nodes].

    Args:
        mask: float64 [n, pixels], neighbours.
        basis: float64 [pixels, p + 1], from `_basis`.
        intervals: int64 [pixels], the interval of each pixel; they ascend without gaps.
    """
    starts = np.flatnonzero(np.diff(intervals, prepend=-1))
    power = basis.shape[1] - 1
    found = np.zeros((len(mask), len(starts) * power + 1))
    for node in range(power + 1):
        found[:, node : node + (len(starts) - 1) * power + 1 : power] += np.add.reduceat(
            mask * basis[:, node], starts, axis=1
        )
    return found
