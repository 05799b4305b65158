"""Region vectors by their principal components: few bytes that show a search by Eq. 3 which images it can skip.

A vector becomes a point: its first principal components and, as one more coordinate, the length of the rest, which
these leave out. No two points are farther apart than their vectors: by Pythagoras, the squared distance of two vectors
is that of their components plus that of their rests, and by the triangle inequality the rests are at least as far apart
as their lengths differ. So Eq. 3 over the points is a lower bound of Eq. 3, and a search can skip most of a large
index.

They are derived from a segment's `recnn.npy` when segments are merged; a segment without components can be searched
too. `component_bounds` reads them. `components.npz` holds, for n regions of P images, C channels and K coordinates:

    levels int8 [n, K], steps float64 [K]              a point is about steps · levels
    squares float32 [n]                                squared length of steps · levels
    norms float32 [n]                                  squared length of the vectors themselves, in the segment's order
    errors float32 [P]                                 how far an image's points are from that at most, rounded up
    mean float32 [C], basis float32 [C, K − 1]         turn a vector into its components
    middle float64 []                                  subtracted from the rests' lengths, so that these are about 0

The rows of the other arrays are not in the order of regions: images with equal numbers of regions are together, first
all their first regions and so on, so that the nearest of an image's regions is found with whole arrays (`groups`). The
last bits of rounded numbers depend on the processor and on BLAS's threads; the answers of a search do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float32, to_float64
from rsir_tf.index.derived import in_blocks
from rsir_tf.ranking.bounds.operands import squared_norms

COORDINATES = 48
"""Of a point; part of the format. For a network trained on UC Merced, 47 components hold 91% of the variance."""

_SAMPLE = 8192
"""The components are computed from this number of vectors, or up to twice as many."""

_ROWS = 512
"""Vectors in memory at once: 2 MB of 512 float64, and several arrays of that size are computed from them."""

_COMMON = 0.9995
"""Share of the coordinates that the levels cover; what lies beyond is clipped, and the image's error includes that."""

SLACK = 1e-9
"""Relative; the rounding error of computing a point in float64 is far below it."""


def write_components(file: Path, recnn: NDArray[np.floating], counts: NDArray[np.int64]) -> None:
    """Compute and write a segment's components.

    Args:
        file: A new file.
        recnn: [n, C], n ≥ 1, finite, in the index's number type; may be a memory-mapped file, since it is read in
            blocks.
        counts: int64 [P], the regions of each image; their sum is n.
    """
    mean, basis = _mean_and_basis(recnn)
    points = np.concatenate([to_points(sample - mean, basis, 0.0) for sample in _samples(recnn)])
    middle = float(points[:, -1].mean())
    points[:, -1] -= middle
    steps = np.quantile(np.abs(points), _COMMON, axis=0) / 127
    steps[steps == 0] = 1.0

    owners = np.repeat(np.arange(len(counts)), counts)
    places = _places(counts)
    levels = np.empty((len(recnn), len(steps)), dtype=np.int8)
    squares = np.empty(len(recnn), dtype=np.float32)
    norms = np.empty(len(recnn), dtype=np.float32)
    errors = np.zeros(len(counts))
    for at, block in enumerate(in_blocks(recnn, _ROWS)):
        rows = slice(at * _ROWS, at * _ROWS + len(block))
        vectors = to_float64(block)
        norms[rows] = squared_norms(to_float32(block))
        points = to_points(vectors - mean, basis, middle)
        rounded = np.clip(np.rint(points / steps), -127, 127)
        levels[places[rows]] = rounded
        with np.errstate(over="ignore"):
            squares[places[rows]] = np.square(rounded * steps).sum(axis=1)
        slack = SLACK * (euclidean_lengths(vectors) + euclidean_lengths(mean))
        np.maximum.at(errors, owners[rows], euclidean_lengths(points - rounded * steps) + slack)
    with np.errstate(over="ignore"):
        above = np.nextafter(errors.astype(np.float32), np.float32(np.inf))
    with file.open("wb") as opened:
        np.savez(
            opened,
            levels=levels,
            steps=steps,
            squares=squares,
            norms=norms,
            errors=above,
            mean=mean,
            basis=basis,
            middle=np.float64(middle),
        )


def coordinates(channels: int) -> int:
    """Number of coordinates of a point, including the length of the rest."""
    return min(COORDINATES - 1, channels) + 1


def to_points(above: NDArray[np.float64], basis: NDArray[np.float32], middle: float) -> NDArray[np.float64]:
    """Points float64 [n, K] of vectors float64 [n, C], from which the mean was already subtracted."""
    exact = basis.astype(np.float64)
    components = above @ exact
    rest = components @ exact.T
    np.subtract(above, rest, out=rest)
    return np.column_stack([components, euclidean_lengths(rest) - middle])


def euclidean_lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """‖v‖ along the last axis, [..., C] → float64 [...]."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1)))


def groups(counts: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each number of regions, with the images that have this number.

    Rows of a group: the first region of each image, then the second of each, and so on.
    """
    order = np.argsort(counts, kind="stable")
    numbers, begins = np.unique(counts[order], return_index=True)
    for count, images in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
        if count:
            yield count, images


def _samples(recnn: NDArray[np.floating]) -> Iterator[NDArray[np.float64]]:
    """Evenly spaced vectors of a segment, in blocks of about `_ROWS`: products of smaller matrices are slow."""
    step = max(1, len(recnn) // _SAMPLE)
    blocks = in_blocks(recnn, _ROWS, step)
    while some := list(islice(blocks, step)):
        yield to_float64(np.concatenate(some))


def _mean_and_basis(recnn: NDArray[np.floating]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean of a sample, float32 [C], and its first principal axes, float32 [C, K − 1]."""
    count, total = 0, np.zeros(recnn.shape[1])
    for sample in _samples(recnn):
        count += len(sample)
        total += sample.sum(axis=0)
    mean = (total / count).astype(np.float32)
    spread = np.zeros((len(mean), len(mean)))
    for sample in _samples(recnn):
        above = sample - mean
        spread += above.T @ above
    _, axes = np.linalg.eigh(spread)
    return mean, axes[:, ::-1][:, : coordinates(len(axes)) - 1].astype(np.float32)


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n]: for each region, in the order of the segment, the row of its levels."""
    offsets = np.cumsum(counts) - counts
    regions = [(offsets[images] + np.arange(count)[:, None]).ravel() for count, images in groups(counts)]
    places = np.empty(int(counts.sum()), dtype=np.int64)
    places[np.concatenate(regions)] = np.arange(len(places))
    return places
