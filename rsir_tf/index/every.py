"""Distances from a query to every image, in their true order: what evaluation asks for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.descriptors import Descriptors
from rsir_tf.index.distances import direct_global_distance, direct_set_distance
from rsir_tf.index.intervals import recnn_intervals, settled
from rsir_tf.index.queries import side_by_side
from rsir_tf.index.search import groups, recnn_plus_distances
from rsir_tf.processors import usable_cores

PAIRS_AT_ONCE = 4096
"""Images whose distances to each other are kept together: 134 MB."""


def recnn_distances(descriptors: Descriptors, query: NDArray[np.float32], direction: str) -> NDArray[np.float64]:
    """Distances of Eq. 3 from a query to every image.

    Args:
        descriptors: Of the index.
        query: float32 [m, C], m ≥ 1.
        direction: "query" or "both".

    Returns:
        float64 [P], by position; their order is that of the directly computed distances, from which they differ by less
        than 1e-10 of themselves. NaN for removed images.
    """
    (distances,) = _together(descriptors, [query], direction)
    return distances


def all_recnn_distances(
    descriptors: Descriptors, positions: NDArray[np.int64], direction: str
) -> Iterator[NDArray[np.float64]]:
    """As `recnn_distances`, with the images at `positions` as queries, several in one matrix product.

    An image without regions has no distance to any other: as a query it is infinitely far from all.
    """
    live = descriptors.rows >= 0
    step = 64
    for begin in range(0, len(positions), step):
        queries = [descriptors.recnn(int(position)) for position in positions[begin : begin + step]]
        asking = [query for query in queries if len(query)]
        answers = (answer for group in groups(asking) for answer in _together(descriptors, asking[group], direction))
        for query in queries:
            yield next(answers) if len(query) else np.where(live, np.inf, np.nan)


def all_recnn_plus_distances(
    descriptors: Descriptors, positions: NDArray[np.int64], metric: str
) -> Iterator[NDArray[np.float64]]:
    """Global distances, computed directly, with the images at `positions` as queries; one thread a processor.

    Yields:
        float64 [P], by position; NaN for removed images.
    """
    live = descriptors.rows >= 0
    if len(positions) <= PAIRS_AT_ONCE and np.array_equal(np.sort(positions), np.flatnonzero(live)):
        yield from _all_pairs(descriptors, positions, metric)
        return
    queries = (descriptors.recnn_plus(int(position)) for position in positions)
    yield from _in_threads(lambda query: recnn_plus_distances(descriptors, query, live, metric), queries)


def _all_pairs(descriptors: Descriptors, positions: NDArray[np.int64], metric: str) -> Iterator[NDArray[np.float64]]:
    """Every image against every other: these distances are symmetric to the last bit, so half of them are computed."""
    vectors = np.array([descriptors.recnn_plus(int(position)) for position in positions])
    pairs = np.empty((len(positions), len(positions)))

    def measure(at: int) -> NDArray[np.float64]:
        pairs[at, at:] = direct_global_distance(vectors[at].astype(np.float64), vectors[at:], metric)
        pairs[at:, at] = pairs[at, at:]
        row: NDArray[np.float64] = pairs[at]
        return row

    for row in _in_threads(measure, range(len(positions))):
        distances = np.full(len(descriptors.rows), np.nan)
        distances[positions] = row
        yield distances


def _in_threads(work: Callable[[Any], NDArray[np.float64]], items: Iterable[Any]) -> Iterator[NDArray[np.float64]]:
    """Work on items in one thread a processor, a few items ahead; results in order."""
    threads = usable_cores()
    waiting: deque[Future[NDArray[np.float64]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _together(
    descriptors: Descriptors, queries: Sequence[NDArray[np.float32]], direction: str
) -> Iterator[NDArray[np.float64]]:
    """One float64 [P] a query, in order; all queries go through the vectors together."""
    live = descriptors.rows >= 0
    positions = np.flatnonzero(live)
    low, high = np.full((len(queries), len(live)), np.inf), np.full((len(queries), len(live)), np.inf)
    columns = side_by_side(queries, direction)
    for read in descriptors.region_blocks(live):
        block = read(None)
        least, greatest = recnn_intervals(columns, block, np.float64)
        low[:, block.positions], high[:, block.positions] = least.T, greatest.T
    for at, query in enumerate(queries):
        distances = np.full(len(live), np.nan)
        measure = partial(_measure_at, descriptors, query.astype(np.float64), positions, direction)
        distances[positions] = settled(low[at, positions], high[at, positions], measure)
        yield distances


def _measure_at(
    descriptors: Descriptors, query: NDArray[np.float64], positions: NDArray[np.int64], direction: str, index: int
) -> float:
    other = descriptors.recnn(int(positions[index])).astype(np.float64)
    return direct_set_distance(query, other, direction)
