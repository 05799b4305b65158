"""The two sides of the matrix products that bound Eq. 3: region vectors of some images, and of several queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.ranking.set_distance import mean_over_regions


@dataclass(frozen=True, slots=True, eq=False)
class RegionBlock:
    """Region vectors of some images, each of which has at least one region.

    Attributes:
        positions: int64 [k], positions of the images, ascending.
        starts: int64 [k], the first row of each image in `vectors`.
        vectors: float32 [n, C].
        squared_norms: float32 [n], rounded, with a relative error below (C + 1)·2⁻²⁴.
    """

    positions: NDArray[np.int64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.float32]
    squared_norms: NDArray[np.float32]


def squared_norms(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n], ‖v‖² of each row; infinite where float32 cannot hold it."""
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("ij,ij->i", vectors, vectors), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The regions of Q queries, one after another: the columns of one matrix product.

    Attributes:
        vectors: float32 [M, C].
        starts: int64 [Q], the first row of each query in `vectors`.
        counts: int64 [Q], the number of regions of each query, at least 1.
        direction: "query" or "both", as for `region_set_distance`.
    """

    vectors: NDArray[np.float32]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    direction: str

    def __len__(self) -> int:
        return len(self.starts)

    def mean(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Take the mean over each query's regions: [k, M] → float64 [k, Q]."""
        return mean_over_regions(values, self.starts, axis=1)

    def minimum(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Take the minimum over each query's regions: [n, M] → [n, Q]."""
        return np.asarray(np.minimum.reduceat(values, self.starts, axis=1))


def side_by_side(queries: Sequence[NDArray[np.float32]], direction: str) -> Queries:
    """Put the regions of several queries into one array.

    Args:
        queries: At least one; float32 [m, C] each, m ≥ 1.
        direction: "query" or "both", as for `region_set_distance`.
    """
    counts = np.array([len(query) for query in queries], dtype=np.int64)
    return Queries(np.concatenate(queries), np.cumsum(counts) - counts, counts, direction)
