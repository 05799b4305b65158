"""Lower bounds of Eq. 3 from the principal components that `components` writes; it also says why they hold."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError
from rsir_tf.index.derived import SegmentVectors, read_arrays
from rsir_tf.ranking.bounds.components import (
    SLACK,
    coordinates,
    euclidean_lengths,
    groups,
    to_points,
    write_components,
)
from rsir_tf.ranking.bounds.intervals import LARGEST, matrix_products, rounding_error, summing_error
from rsir_tf.ranking.bounds.operands import Queries
from rsir_tf.ranking.set_distance import mean_of_directions

WORTH_REGIONS = 1 << 13
"""From this number of regions on, a segment that will still grow has components too: without them, a search would look
at each region."""

_ROWS = 8192
"""Rows of one matrix product: enough that threads rarely wait for each other, few enough for the processor's cache."""

_Piece = tuple[NDArray[np.int8], NDArray[np.float32]]
"""Levels [c, k, K] and squares [c, k] of k images with c regions each."""

_Batch = tuple[NDArray[np.float32], list[tuple[int, int]]]
"""Points that are multiplied together, float32 [rows, K + 1], the squares last; and (c, k) of each piece, in order."""


class Components:
    """The components of a segment, in memory.

    They take about 60 bytes per region, and 200 after the first search: it turns the rounded numbers into float32,
    which costs more than the products with them, and keeps the result.

    Args:
        source: A seekable binary file.
        counts: int64 [P], the regions of each image.
        channels: C.
        damaged: Makes the error to raise where the file has changed since it was written.
    """

    def __init__(
        self, source: Any, counts: NDArray[np.int64], channels: int, damaged: Callable[[str], ArtifactError]
    ) -> None:
        n, k = int(counts.sum()), coordinates(channels)
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
        self._steps = arrays["steps"]
        self._rounded: tuple[NDArray[np.int8], NDArray[np.float32]] | None = arrays["levels"], arrays["squares"]
        self._batches: list[_Batch] = []
        self._laying_out = threading.Lock()
        self._order = np.concatenate([images for _, images in groups(counts)])
        self._longest = arrays["squares"].max(keepdims=True).astype(np.float64)
        self._errors = arrays["errors"].astype(np.float64)
        self._mean, self._basis, self._middle = arrays["mean"], arrays["basis"], float(arrays["middle"])
        self.norms: NDArray[np.float32] = arrays["norms"]
        """float32 [n], ‖v‖² of each region's vector, as `squared_norms` gives it."""
        self._counts = counts
        # The basis is orthonormal except for rounding; with |BᵀB − 1| ≤ η, a distance grows by no more than this.
        exact = self._basis.astype(np.float64)
        eta = float(np.abs(exact.T @ exact - np.eye(exact.shape[1])).sum(axis=0).max())
        self._stretch = float(np.sqrt(1 + eta * (1 + eta))) * (1 + SLACK)

    def least_distances(self, queries: Queries) -> NDArray[np.float64]:
        """Bound the distances of Eq. 3 from below.

        Args:
            queries: Q queries.

        Returns:
            float64 [P, Q], ≥ 0, in the unit of the vectors; infinite for images without regions.
        """
        exact = queries.vectors.astype(np.float64)
        points = to_points(exact - self._mean, self._basis, self._middle)
        asked = np.square(points).sum(axis=1)
        slack = SLACK * (euclidean_lengths(exact) + euclidean_lengths(self._mean))
        # Squares and columns are rounded themselves: the bound allows for one channel more and for 16, which covers it.
        # A product that is flushed to zero had a level, up to 127, and a number below 2⁻¹²⁶ as factors.
        width = points.shape[1]
        error = rounding_error(asked, self._longest, width + 1, np.float32) + width * 127 * 2.0**-126
        # Where products may have overflowed, we know only that a distance is not negative.
        shift = np.where((self._longest <= LARGEST) & (asked <= LARGEST), asked - error, -np.inf)

        def apart(products: NDArray[np.float32]) -> NDArray[np.float64]:
            distances = np.add(products, shift, dtype=np.float64)
            np.sqrt(np.fmax(distances, 0.0, out=distances), out=distances)
            distances /= self._stretch
            distances -= slack
            return distances

        # In the order of the groups; brought into the order of the images once, at the end.
        nearest = np.empty((len(self._order), len(points)), dtype=np.float32)
        back = np.empty((len(self._order), len(queries)))
        with np.errstate(over="ignore", invalid="ignore"):
            columns = (points * self._steps * -2.0).T.astype(np.float32)
            for images, products in self._products(columns):
                products.min(axis=0, out=nearest[images])
                if queries.direction == "both":
                    there = queries.minimum(apart(products).reshape(-1, len(points)))
                    there.reshape(*products.shape[:2], -1).mean(axis=0, out=back[images])
            distances = apart(nearest)
        errors = self._errors[self._order, None]
        distances -= errors
        grouped = queries.mean(np.maximum(distances, 0.0, out=distances)) * (1 - summing_error(queries.counts))
        if queries.direction == "both":
            back = np.maximum(back - errors, 0.0) * (1 - summing_error(self._counts[self._order])[:, None])
            grouped = mean_of_directions(grouped, back)
        least = np.full((len(self._counts), len(queries)), np.inf)
        least[self._order] = grouped
        return least

    def _products(self, columns: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield, for k images of c regions each, their places in `_order`, and products plus squares: [c, k, M]."""
        with self._laying_out:
            if self._rounded is not None:
                self._batches = list(_batches(self._counts, *self._rounded))
                self._rounded = None
        with_squares = np.vstack([columns, np.ones(columns.shape[1], dtype=np.float32)])
        image = 0
        for points, pieces in self._batches:
            products = matrix_products(points, with_squares)
            row = 0
            for count, k in pieces:
                yield slice(image, image + k), products[row : row + count * k].reshape(count, k, -1)
                image, row = image + k, row + count * k


@dataclass(frozen=True, slots=True)
class ComponentsFile:
    """The file of a segment's components, for the index that stores it: see `rsir_tf.index.derived.DerivedFile`."""

    name: str = "components.npz"

    def worth(self, images: int, regions: int, large: bool) -> bool:
        """True for large segments, and for those with many regions."""
        return regions >= (1 if large else WORTH_REGIONS)

    def write(self, file: Path, vectors: SegmentVectors) -> None:
        """Compute and write them."""
        write_components(file, vectors.recnn, vectors.counts)

    def read(self, source: Any, vectors: SegmentVectors, damaged: Callable[[str], ArtifactError]) -> Components:
        """Read and check them."""
        return Components(source, vectors.counts, vectors.recnn.shape[1], damaged)


COMPONENTS = ComponentsFile()


def _batches(counts: NDArray[np.int64], levels: NDArray[np.int8], squares: NDArray[np.float32]) -> Iterator[_Batch]:
    """Put several groups, or parts of large ones, into one matrix at a time."""
    row = filled = 0
    pieces: list[_Piece] = []
    for count, images in groups(counts):
        rows = slice(row, row + count * len(images))
        row = rows.stop
        of_group = levels[rows].reshape(count, len(images), -1)
        squares_of_group = squares[rows].reshape(count, len(images))
        step = max(1, _ROWS // count)
        for begin in range(0, len(images), step):
            part = slice(begin, begin + step)
            of_part = squares_of_group[:, part]
            if filled + of_part.size > _ROWS and filled:
                yield _batch(pieces)
                pieces, filled = [], 0
            pieces.append((of_group[:, part], of_part))
            filled += of_part.size
    if pieces:
        yield _batch(pieces)


def _batch(pieces: list[_Piece]) -> _Batch:
    points = np.empty((sum(squares.size for _, squares in pieces), pieces[0][0].shape[-1] + 1), dtype=np.float32)
    end = 0
    for levels, squares in pieces:
        begin, end = end, end + squares.size
        place = points[begin:end].reshape(*squares.shape, -1)
        place[..., :-1], place[..., -1] = levels, squares
    return points, [squares.shape for _, squares in pieces]
