"""Region vectors by their principal components: few bytes, from which a search by Eq. 3 sees what it need not look at.

A vector is taken to its first principal components and, as one coordinate more, the length of what these leave out.
That brings no two vectors farther apart than they are: by Pythagoras the squared distance is that of the components and
that of the rests, and by the triangle inequality the rests are at least as far apart as their lengths differ. So the
distance between two images' points is a lower bound of Eq. 3, which leaves most of a large index out of sight.

Derived from a segment's `recnn.npy` when segments are merged; a segment without components is searched all the same.
`component_bounds` reads them.
`components.npz` holds, for n regions of P images, C channels and K coordinates:

    levels int8 [n, K], steps float64 [K]              a point is about steps · levels
    squares float32 [n]                                squared length of steps · levels
    norms float32 [n]                                  squared length of the vectors themselves, in the segment's order
    errors float32 [P]                                 how far an image's points are from that at most, rounded up
    mean float32 [C], basis float32 [C, K − 1]         the way from a vector to its components
    middle float64 []                                  taken from the rests' lengths, so that they are about zero too

Other rows are not in the order of regions: images with equal numbers of regions are together, first region by first
region, so that the nearest of an image's regions is found in whole runs of numbers (`groups`). Bytes depend, in the
last bits of what is rounded, on the processor and on BLAS's threads; answers do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float32, to_float64
from rsir_tf.ranking.bounds.operands import squared_norms

COORDINATES = 48
"""Of a point; part of the format. Of a network trained on UC Merced, 47 components hold 91% of the variance."""

_SAMPLE = 8192
"""The components are computed from so many vectors, or up to twice as many; and rows that are written at once."""

_COMMON = 0.9995
"""Share of the coordinates that levels are laid out for; what lies beyond is cut off, and its image's error says so."""

SLACK = 1e-9
"""Relative; the rounding of the way to a point, in float64, is far below it."""


def write_components(file: Path, recnn: NDArray[np.floating], counts: NDArray[np.int64]) -> None:
    """Compute and write a segment's components.

    Args:
        file: A new file.
        recnn: [n, C], n ≥ 1, finite, in the index's number type; may be mapped, it is read in chunks.
        counts: int64 [P], the regions of each image; their sum is n.
    """
    sample = to_float64(recnn[:: max(1, len(recnn) // _SAMPLE)])
    mean = sample.mean(axis=0).astype(np.float32)
    sample -= mean
    _, axes = np.linalg.eigh(sample.T @ sample)
    basis = axes[:, ::-1][:, : coordinates(len(axes)) - 1].astype(np.float32)
    points = to_points(sample, basis, 0.0)
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
    for begin in range(0, len(recnn), _SAMPLE):
        rows = slice(begin, begin + _SAMPLE)
        vectors = to_float64(recnn[rows])
        norms[rows] = squared_norms(to_float32(recnn[rows]))
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
    """Coordinates of a point, the length of the rest among them."""
    return min(COORDINATES - 1, channels) + 1


def to_points(above: NDArray[np.float64], basis: NDArray[np.float32], middle: float) -> NDArray[np.float64]:
    """Points float64 [n, K] of vectors from which the mean was taken, float64 [n, C]."""
    exact = basis.astype(np.float64)
    components = above @ exact
    return np.column_stack([components, euclidean_lengths(above - components @ exact.T) - middle])


def euclidean_lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """‖v‖ along the last axis, [..., C] → float64 [...]."""
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1)))


def groups(counts: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """A number of regions, and the images that have as many, in turn.

    Rows of a group: the first region of each image, then the second of each, and so on.
    """
    order = np.argsort(counts, kind="stable")
    numbers, begins = np.unique(counts[order], return_index=True)
    for count, images in zip(numbers.tolist(), np.split(order, begins[1:]), strict=True):
        if count:
            yield count, images


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 [n], for each region in the order of the segment the row at which its levels lie."""
    offsets = np.cumsum(counts) - counts
    regions = [(offsets[images] + np.arange(count)[:, None]).ravel() for count, images in groups(counts)]
    places = np.empty(int(counts.sum()), dtype=np.int64)
    places[np.concatenate(regions)] = np.arange(len(places))
    return places
