"""Exact search: knows vectors and positions; ids and files are the store's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.descriptors import Descriptors
from rsir_tf.index.distances import direct_global_distance, mean_of, nearest_regions
from rsir_tf.index.intervals import recnn_intervals, settled

QUERY_REGIONS_AT_ONCE = 512
"""Columns of one matrix product when every image is a query."""


def nearest_by_recnn(
    descriptors: Descriptors, query: NDArray[np.float32], top: int, wanted: NDArray[np.bool_]
) -> list[tuple[int, float]]:
    """The wanted images that are nearest by Eq. 3.

    Matrix products in float32 bound every distance from both sides. An image whose lower bound exceeds the `top`-th
    smallest upper bound cannot be among the first `top`; the others are measured directly.

    Args:
        descriptors: Of the index.
        query: float32 [m, C], m ≥ 1.
        top: At least 1; more than there are gives all.
        wanted: bool [P], false for removed images.

    Returns:
        (position, distance), nearest first, equal distances in order of the index's rows.
    """
    positions = np.flatnonzero(wanted)
    if not len(positions):
        return []
    low, high = _intervals(descriptors, query, wanted)
    low, high = low[positions], high[positions]
    place = min(top, len(positions)) - 1
    possible = positions[low <= np.partition(high, place)[place]]
    exact = query.astype(np.float64)
    return _first(descriptors, possible, np.array([_measure(descriptors, exact, int(at)) for at in possible]), top)


def nearest_by_recnn_plus(
    descriptors: Descriptors, query: NDArray[np.float32], top: int, wanted: NDArray[np.bool_], metric: str
) -> list[tuple[int, float]]:
    """The wanted images that are nearest by their global descriptor; as `nearest_by_recnn`.

    Args:
        descriptors: Of the index.
        query: float32 [C].
        top: At least 1.
        wanted: bool [P], false for removed images.
        metric: "l1", "l2" or "cosine".
    """
    distances = recnn_plus_distances(descriptors, query, wanted, metric)
    positions = np.flatnonzero(wanted)
    return _first(descriptors, positions, distances[positions], top)


def recnn_distances(descriptors: Descriptors, query: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances of Eq. 3 from a query to every image.

    Args:
        descriptors: Of the index.
        query: float32 [m, C], m ≥ 1.

    Returns:
        float64 [P], by position; their order is that of the directly computed distances, from which they differ by less
        than 1e-10 of themselves. NaN for removed images.
    """
    (distances,) = _stacked_distances(descriptors, [query])
    return distances


def recnn_plus_distances(
    descriptors: Descriptors, query: NDArray[np.float32], wanted: NDArray[np.bool_], metric: str
) -> NDArray[np.float64]:
    """Distances from a global descriptor to every wanted image, computed directly.

    Returns:
        float64 [P], by position; NaN for others.
    """
    distances = np.full(len(descriptors.rows), np.nan)
    exact = query.astype(np.float64)
    for positions, vectors in descriptors.global_blocks(wanted):
        distances[positions] = direct_global_distance(exact, vectors, metric)
    return distances


def all_recnn_distances(descriptors: Descriptors, positions: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    """As `recnn_distances`, with the images at `positions` as queries, several in one matrix product.

    An image without regions has no distance to any other: as a query it is infinitely far from all.
    """
    stack: list[NDArray[np.float32]] = []
    for position in positions:
        stack.append(descriptors.recnn(int(position)))
        if sum(map(len, stack)) >= QUERY_REGIONS_AT_ONCE:
            yield from _stacked_distances(descriptors, stack)
            stack = []
    yield from _stacked_distances(descriptors, stack)


def all_recnn_plus_distances(
    descriptors: Descriptors, positions: NDArray[np.int64], metric: str
) -> Iterator[NDArray[np.float64]]:
    """As `recnn_plus_distances`, with the images at `positions` as queries."""
    live = descriptors.rows >= 0
    for position in positions:
        yield recnn_plus_distances(descriptors, descriptors.recnn_plus(int(position)), live, metric)


def _stacked_distances(
    descriptors: Descriptors, queries: Sequence[NDArray[np.float32]]
) -> Iterator[NDArray[np.float64]]:
    """One float64 [P] a query, in order; all queries go through the vectors together."""
    live = descriptors.rows >= 0
    positions = np.flatnonzero(live)
    asking = [query for query in queries if len(query)]
    low, high = np.full((len(asking), len(live)), np.inf), np.full((len(asking), len(live)), np.inf)
    if asking:
        stacked = np.concatenate(asking)
        counts = np.array([len(query) for query in asking])
        starts = np.cumsum(counts) - counts
        for block in descriptors.region_blocks(live):
            least, greatest = recnn_intervals(stacked, block, np.float64)
            low[:, block.positions] = np.add.reduceat(least, starts, axis=1).T * _rounded_down(counts)[:, None]
            high[:, block.positions] = np.add.reduceat(greatest, starts, axis=1).T * _rounded_up(counts)[:, None]
    place = 0
    for query in queries:
        distances = np.full(len(live), np.nan)
        if not len(query):
            distances[positions] = np.inf
        else:
            measure = partial(_measure_at, descriptors, query.astype(np.float64), positions)
            distances[positions] = settled(low[place, positions], high[place, positions], measure)
            place += 1
        yield distances


def _measure_at(
    descriptors: Descriptors, query: NDArray[np.float64], positions: NDArray[np.int64], index: int
) -> float:
    return _measure(descriptors, query, int(positions[index]))


def _intervals(
    descriptors: Descriptors,
    query: NDArray[np.float32],
    wanted: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest distance, float64 [P] each; infinite where an image has no region or was not looked at."""
    low, high = np.full(len(wanted), np.inf), np.full(len(wanted), np.inf)
    for block in descriptors.region_blocks(wanted):
        least, greatest = recnn_intervals(query, block, np.float32)
        low[block.positions] = least.sum(axis=1) * _rounded_down(np.array(len(query)))
        high[block.positions] = greatest.sum(axis=1) * _rounded_up(np.array(len(query)))
    return low, high


def _rounded_down(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """1/m, less what the rounding of a sum of m terms may add: below m·2⁻⁵³ of it, and a little for the root."""
    return np.asarray((1 - (counts + 16) * 2.0**-52) / counts)


def _rounded_up(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """1/m, and what the rounding of a sum of m terms may take away."""
    return np.asarray((1 + (counts + 16) * 2.0**-52) / counts)


def _measure(descriptors: Descriptors, query: NDArray[np.float64], position: int) -> float:
    return mean_of(nearest_regions(query, descriptors.recnn(position).astype(np.float64))[1])


def _first(
    descriptors: Descriptors, positions: NDArray[np.int64], distances: NDArray[np.float64], top: int
) -> list[tuple[int, float]]:
    order = np.lexsort((descriptors.rows[positions], distances))[:top]
    return [(int(positions[at]), float(distances[at])) for at in order]
