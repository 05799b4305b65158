"""Region vectors by their principal components: few bytes, from which a search by Eq. 3 sees what it need not look at.

A vector is taken to its first principal components and, as one coordinate more, the length of what these leave out.
That brings no two vectors farther apart than they are: by Pythagoras the squared distance is that of the components and
that of the rests, and by the triangle inequality the rests are at least as far apart as their lengths differ. So the
distance between two images' points is a lower bound of Eq. 3, which leaves most of a large index out of sight.

Derived from a segment's `recnn.npy` when segments are merged; a segment without components is searched all the same.
`components.npz` holds, for n regions of P images, C channels and K coordinates:

    levels int8 [n, K], steps float64 [K]              a point is about steps · levels
    squares float32 [n]                                squared length of steps · levels
    norms float32 [n]                                  squared length of the vectors themselves, in the segment's order
    errors float32 [P]                                 how far an image's points are from that at most, rounded up
    mean float32 [C], basis float32 [C, K − 1]         the way from a vector to its components
    middle float64 []                                  taken from the rests' lengths, so that they are about zero too

Other rows are not in the order of regions: images with equal numbers of regions are together, first region by first
region, so that the nearest of an image's regions is found in whole runs of numbers (`_groups`). Bytes depend, in the
last bits of what is rounded, on the processor and on BLAS's threads; answers do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError
from rsir_tf.index.blocks import squared_norms
from rsir_tf.index.derived import read_arrays
from rsir_tf.index.distances import wide
from rsir_tf.index.halves import to_float32
from rsir_tf.index.intervals import LARGEST, matrix_products, rounding_error, summing_error
from rsir_tf.index.queries import Queries

COORDINATES = 48
"""Of a point; part of the format. Of a network trained on UC Merced, 47 components hold 91% of the variance."""

_SAMPLE = 8192
"""The components are computed from so many vectors, or up to twice as many; and rows that are written at once."""

_ROWS = 4096
"""Of one matrix product: enough that threads rarely wait for each other, few enough for the processor's cache."""

_COMMON = 0.9995
"""Share of the coordinates that levels are laid out for; what lies beyond is cut off, and its image's error says so."""

_SLACK = 1e-9
"""Relative; the rounding of the way to a point, in float64, is far below it."""


def write_components(file: Path, recnn: NDArray[np.floating], counts: NDArray[np.int64]) -> None:
    """Compute and write a segment's components.

    Args:
        file: A new file.
        recnn: [n, C], n ≥ 1, finite, in the index's number type; may be mapped, it is read in chunks.
        counts: int64 [P], the regions of each image; their sum is n.
    """
    sample = wide(recnn[:: max(1, len(recnn) // _SAMPLE)])
    mean = sample.mean(axis=0).astype(np.float32)
    sample -= mean
    _, axes = np.linalg.eigh(sample.T @ sample)
    basis = axes[:, ::-1][:, : _coordinates(len(axes)) - 1].astype(np.float32)
    points = _points(sample, basis, 0.0)
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
        vectors = wide(recnn[rows])
        norms[rows] = squared_norms(to_float32(recnn[rows]))
        points = _points(vectors - mean, basis, middle)
        rounded = np.clip(np.rint(points / steps), -127, 127)
        levels[places[rows]] = rounded
        with np.errstate(over="ignore"):
            squares[places[rows]] = np.square(rounded * steps).sum(axis=1)
        apart = _lengths(points - rounded * steps) + _SLACK * (_lengths(vectors) + _lengths(mean))
        np.maximum.at(errors, owners[rows], apart)
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


_Piece = tuple[int, NDArray[np.int64], NDArray[np.int8], NDArray[np.float32]]
"""Images with c regions each: c, which they are, int64 [k], and their levels [c, k, K] and squares [c, k]."""


class Components:
    """A segment's components, read.

    About 56 bytes a region, in memory.

    Args:
        source: A binary file that can be sought in.
        counts: int64 [P], the regions of each image.
        channels: C.
        damaged: Composes the error that is raised where the file is not as it was written.
    """

    def __init__(
        self, source: Any, counts: NDArray[np.int64], channels: int, damaged: Callable[[str], ArtifactError]
    ) -> None:
        n, k = int(counts.sum()), _coordinates(channels)
        arrays = read_arrays(
            source,
            {
                "levels": (np.int8, (n, k)),
                "steps": (np.float64, (k,)),
                "squares": (np.float32, (n,)),
                "norms": (np.float32, (n,)),
                "errors": (np.float32, (len(counts),)),
                "mean": (np.float32, (channels,)),
                "basis": (np.float32, (channels, k - 1)),
                "middle": (np.float64, ()),
            },
            damaged,
        )
        self._levels, self._steps, self._squares = arrays["levels"], arrays["steps"], arrays["squares"]
        self._errors = arrays["errors"].astype(np.float64)
        self._mean, self._basis, self._middle = arrays["mean"], arrays["basis"], float(arrays["middle"])
        self.norms: NDArray[np.float32] = arrays["norms"]
        """float32 [n], ‖v‖² of each region's vector, as `squared_norms` gives it."""
        self._counts = counts
        # The basis is orthonormal but for rounding; with |BᵀB − 1| ≤ η, a distance grows by no more than this.
        exact = self._basis.astype(np.float64)
        eta = float(np.abs(exact.T @ exact - np.eye(exact.shape[1])).sum(axis=0).max())
        self._stretch = float(np.sqrt(1 + eta * (1 + eta))) * (1 + _SLACK)

    def least_distances(self, queries: Queries) -> NDArray[np.float64]:
        """Bound the distances of Eq. 3 from below.

        Args:
            queries: Q queries.

        Returns:
            float64 [P, Q], ≥ 0, in the unit of the vectors; infinite for images without regions.
        """
        exact = queries.vectors.astype(np.float64)
        points = _points(exact - self._mean, self._basis, self._middle)
        asked = np.square(points).sum(axis=1)
        slack = _SLACK * (_lengths(exact) + _lengths(self._mean))
        longest = self._squares.max(keepdims=True).astype(np.float64)
        # Squares and columns are rounded themselves: the channel more, and the 16 that are granted, have room for it.
        # A product that is flushed to zero was of a level, up to 127, and a number below 2⁻¹²⁶.
        error = rounding_error(asked, longest, points.shape[1] + 1, np.float32) + points.shape[1] * 127 * 2.0**-126
        # Where products may have overflowed, nothing is known but that a distance is not negative.
        shift = np.where((longest <= LARGEST) & (asked <= LARGEST), asked - error, -np.inf)

        def apart(products: NDArray[np.float32]) -> NDArray[np.float64]:
            distances = np.add(products, shift, dtype=np.float64)
            np.sqrt(np.fmax(distances, 0.0, out=distances), out=distances)
            distances /= self._stretch
            distances -= slack
            return distances

        nearest = np.zeros((len(self._counts), len(points)), dtype=np.float32)
        back = np.zeros((len(self._counts), len(queries)))
        with np.errstate(over="ignore", invalid="ignore"):
            columns = (points * self._steps * -2.0).T.astype(np.float32)
            for images, products in self._products(columns):
                nearest[images] = products.min(axis=0)
                if queries.direction == "both":
                    there = queries.minimum(apart(products).reshape(-1, len(points)))
                    back[images] = there.reshape(*products.shape[:2], -1).mean(axis=0)
            distances = apart(nearest)
        distances -= self._errors[:, None]
        least = queries.mean(np.maximum(distances, 0.0, out=distances)) * (1 - summing_error(queries.counts))
        if queries.direction == "both":
            back = np.maximum(back - self._errors[:, None], 0.0) * (1 - summing_error(self._counts)[:, None])
            least = (least + back) / 2
        least[self._counts == 0] = np.inf
        return least

    def _products(self, columns: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Images int64 [k] of c regions each, and their levels times the columns, plus squares: float32 [c, k, M]."""
        with_squares = np.vstack([columns, np.ones(columns.shape[1], dtype=np.float32)])
        # Fresh memory for each product would cost more than the product.
        room = np.empty((max(_ROWS, int(self._counts.max())), len(with_squares)), dtype=np.float32)
        for batch in self._batches:
            ends = np.cumsum([count * len(images) for count, images, _, _ in batch]).tolist()
            points = room[: ends[-1]]
            for (count, images, levels, squares), end in zip(batch, ends, strict=True):
                place = points[end - count * len(images) : end].reshape(count, len(images), -1)
                place[..., :-1], place[..., -1] = levels, squares
            products = matrix_products(points, with_squares)
            for (count, images, _, _), end in zip(batch, ends, strict=True):
                yield images, products[end - count * len(images) : end].reshape(count, len(images), -1)

    @cached_property
    def _batches(self) -> list[list[_Piece]]:
        """What is multiplied together: groups, or pieces of large ones."""
        batches: list[list[_Piece]] = [[]]
        row = filled = 0
        for count, images in _groups(self._counts):
            rows = slice(row, row + count * len(images))
            row = rows.stop
            levels = self._levels[rows].reshape(count, len(images), -1)
            squares = self._squares[rows].reshape(count, len(images))
            step = max(1, _ROWS // count)
            for begin in range(0, len(images), step):
                part = slice(begin, begin + step)
                if filled + count * len(images[part]) > _ROWS and filled:
                    batches.append([])
                    filled = 0
                batches[-1].append((count, images[part], levels[:, part], squares[:, part]))
                filled += count * len(images[part])
        return batches


def _coordinates(channels: int) -> int:
    return min(COORDINATES - 1, channels) + 1


def _points(above: NDArray[np.float64], basis: NDArray[np.float32], middle: float) -> NDArray[np.float64]:
    """Points float64 [n, K] of vectors from which the mean was taken, float64 [n, C]."""
    exact = basis.astype(np.float64)
    components = above @ exact
    return np.column_stack([components, _lengths(above - components @ exact.T) - middle])


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=-1)))


def _groups(counts: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
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
    regions = [(offsets[images] + np.arange(count)[:, None]).ravel() for count, images in _groups(counts)]
    places = np.empty(int(counts.sum()), dtype=np.int64)
    places[np.concatenate(regions)] = np.arange(len(places))
    return places
