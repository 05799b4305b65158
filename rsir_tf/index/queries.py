"""Several queries side by side: the regions of all of them are columns of one matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """The regions of Q queries, one after the other.

    Attributes:
        vectors: float32 [M, C].
        starts: int64 [Q], the first row of each query in `vectors`.
        counts: int64 [Q], its regions, at least one.
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
        return np.asarray(np.add.reduceat(values, self.starts, axis=1, dtype=np.float64) / self.counts)

    def minimum(self, values: NDArray[np.floating]) -> NDArray[np.floating]:
        """Take the minimum over each query's regions: [n, M] → [n, Q]."""
        return np.asarray(np.minimum.reduceat(values, self.starts, axis=1))


def side_by_side(queries: Sequence[NDArray[np.float32]], direction: str) -> Queries:
    """Lay queries side by side.

    Args:
        queries: float32 [m, C] each, m ≥ 1; at least one.
        direction: "query" or "both", as for `region_set_distance`.
    """
    counts = np.array([len(query) for query in queries], dtype=np.int64)
    return Queries(np.concatenate(queries), np.cumsum(counts) - counts, counts, direction)
