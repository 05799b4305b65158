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
from rsir_tf.ranking.bounds.component_layout import Batch, batches
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
from rsir_tf.ranking.bounds.unit_lengths import UnitLengths
from rsir_tf.ranking.set_distance import mean_of_directions

WORTH_REGIONS = 1 << 13
"""From this number of regions on, a segment that will still grow has components too: without them, a search would look
at each region."""


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
        self._batches: list[Batch] = []
        self._laying_out = threading.Lock()
        self._order = np.concatenate([images for _, images in groups(counts)])
        self._longest = arrays["squares"].max(keepdims=True).astype(np.float64)
        self._errors = arrays["errors"]
        self._mean, self._basis, self._middle = arrays["mean"], arrays["basis"], float(arrays["middle"])
        self.norms: NDArray[np.float32] = arrays["norms"]
        """float32 [n], ‖v‖² of each region's vector, as `squared_norms` gives it."""
        self._counts = counts
        # The basis is orthonormal except for rounding; with |BᵀB − 1| ≤ η, a distance grows by no more than this.
        exact = self._basis.astype(np.float64)
        eta = float(np.abs(exact.T @ exact - np.eye(exact.shape[1])).sum(axis=0).max())
        self._stretch = float(np.sqrt(1 + eta * (1 + eta))) * (1 + SLACK)

    def least_distances(self, queries: Queries, *, sample: bool = False) -> NDArray[np.float64]:
        """Bound the distances of Eq. 3 from below.

        Args:
            queries: Q queries.
            sample: Look at some images only, those of one matrix product.

        Returns:
            float64 [P, Q], ≥ 0, in the unit of the vectors; infinite for images without regions, and for those that are
            not in the sample.
        """
        columns, shift, slack = self._columns(queries.vectors.astype(np.float64))
        order, width = self._order, columns.shape[1]

        def apart(products: NDArray[np.float32]) -> NDArray[np.float64]:
            distances = np.add(products, shift, dtype=np.float64)
            np.sqrt(np.fmax(distances, 0.0, out=distances), out=distances)
            distances /= self._stretch
            distances -= slack
            return distances

        # In the order of the groups; brought into the order of the images once, at the end.
        nearest = np.full((len(order), width), np.inf, dtype=np.float32)
        back = np.full((len(order), len(queries)), np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in self._batches_of(sample):
                of_batch = matrix_products(batch.points, columns)
                for piece in batch.pieces:
                    products = of_batch[piece.rows].reshape(*piece.shape, width)
                    products.min(axis=0, out=nearest[piece.images])
                    if queries.direction == "both":
                        there = queries.minimum(apart(products).reshape(-1, width))
                        there.reshape(*piece.shape, -1).mean(axis=0, out=back[piece.images])
            distances = apart(nearest)
        errors = self._errors[order, None].astype(np.float64)
        distances -= errors
        grouped = queries.mean(np.maximum(distances, 0.0, out=distances)) * (1 - summing_error(queries.counts))
        if queries.direction == "both":
            back = np.maximum(back - errors, 0.0) * (1 - summing_error(self._counts[order])[:, None])
            grouped = mean_of_directions(grouped, back)
        if sample:
            grouped[np.isinf(nearest).any(axis=1)] = np.inf
        least = np.full((len(self._counts), len(queries)), np.inf)
        least[order] = grouped
        return least

    def least_matchings(
        self,
        query: NDArray[np.float64],
        masses: NDArray[np.float64],
        shares: NDArray[np.float32],
        *,
        unit: bool,
        sample: bool = False,
    ) -> NDArray[np.float64]:
        """Bound the distances of integrated region matching from below, as `region_matching.least_distances` does.

        Args:
            query: float64 [m, C], the query's vectors.
            masses: float64 [m], the masses of its regions.
            shares: float32 [n], the masses of the segment's regions, in its order.
            unit: Vectors are to be scaled to length 1 before they are compared.
            sample: As for `least_distances`.

        Returns:
            float64 [P], ≥ 0, in the unit of the vectors; infinite for images without regions, and for those that are
            not in the sample.
        """
        grouped = np.full(len(self._order), np.inf, dtype=np.float32)
        weights = masses.astype(np.float32)
        lengths = UnitLengths(query) if unit else None
        with np.errstate(over="ignore", invalid="ignore"):
            for batch, apart in self._region_bounds(query, sample):
                if lengths:
                    squared = lengths.scale(np.square(apart, out=apart), self.norms[batch.regions])
                    np.sqrt(squared, out=apart)
                of_batch = shares[batch.regions]
                for piece in batch.pieces:
                    own, areas = apart[:, piece.rows].reshape(-1, *piece.shape), of_batch[piece.rows]
                    near = own.min(axis=1)
                    there = weights @ near + _sums((own - near[:, None]).min(axis=0), areas)
                    np.maximum(there, _sums(own.min(axis=0), areas), out=grouped[piece.images])
        least = np.full(len(self._counts), np.inf)
        least[self._order] = grouped * (1 - 2.0**-23 * (len(query) + self._counts.max() + 16))
        return least

    def _region_bounds(self, query: NDArray[np.float64], sample: bool) -> Iterator[tuple[Batch, NDArray[np.float32]]]:
        """Yield batches, and lower bounds of the L2 distances of a query's regions to theirs: float32 [m, rows].

        Here the query's regions are rows, so that whole arrays are longest along the regions of the images.
        """
        columns, shift, slack = self._columns(query)
        scale = (1 - 2.0**-20) / self._stretch  # Rounding in the steps here changes a distance by less.
        columns, shift = (columns * scale**2).astype(np.float32), (shift * scale**2).astype(np.float32)
        for batch in self._batches_of(sample):
            apart = np.ascontiguousarray(matrix_products(batch.points, columns).T)
            apart += shift[:, None]
            np.sqrt(np.fmax(apart, 0, out=apart), out=apart)
            apart -= batch.errors + np.float32(slack.max())
            yield batch, np.fmax(apart, 0, out=apart)

    def _columns(
        self, query: NDArray[np.float64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
        """Columns whose products with a batch's points give squared distances of points.

        Returns:
            float32 [K + 1, m]. Float64 [m], to be added to the products: then they are squared distances or less. And
            float64 [m], to be subtracted from their roots, after the division by `_stretch`.
        """
        points = to_points(query - self._mean, self._basis, self._middle)
        asked = np.square(points).sum(axis=1)
        # Squares and columns are rounded themselves: the bound allows for one channel more and for 16, which covers it.
        # A product that is flushed to zero had a level, up to 127, and a number below 2⁻¹²⁶ as factors.
        width = points.shape[1]
        error = rounding_error(asked, self._longest, width + 1, np.float32) + width * 127 * 2.0**-126
        error += 2.0**-21 * (asked + self._longest)  # where the sum is formed in float32
        # Where products may have overflowed, we know only that a distance is not negative.
        shift = np.where((self._longest <= LARGEST) & (asked <= LARGEST), asked - error, -np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            columns = (points * self._steps * -2.0).T.astype(np.float32)
        slack = SLACK * (euclidean_lengths(query) + euclidean_lengths(self._mean))
        return np.vstack([columns, np.ones(len(points), dtype=np.float32)]), shift.reshape(-1), slack

    def _batches_of(self, sample: bool) -> list[Batch]:
        """All batches, or one of them: that of images with neither many nor few regions."""
        with self._laying_out:
            if self._rounded is not None:
                self._batches = list(batches(self._counts, *self._rounded, self._errors))
                self._rounded = None
        middle = len(self._batches) // 2
        return self._batches[middle : middle + 1] if sample else self._batches


def _sums(of_regions: NDArray[np.float32], shares: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [k], Σ over the c regions of each image of float32 [c, k], times float32 [c·k]."""
    return np.asarray(np.einsum("ij,ij->j", of_regions, shares.reshape(of_regions.shape)))


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
