"""Distances from a query to every image, in their true order: what evaluation asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.descriptors import Descriptors
from rsir_tf.index.distances import direct_set_distance
from rsir_tf.index.halves import to_float32
from rsir_tf.index.intervals import recnn_intervals, settled
from rsir_tf.index.queries import side_by_side
from rsir_tf.index.search import groups
from rsir_tf.pairwise import QUERIES_AT_ONCE, pairwise_distances
from rsir_tf.processors import in_threads


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
    (distances,) = _together(descriptors, [query], direction, descriptors.rows >= 0)
    return distances


def all_recnn_distances(
    descriptors: Descriptors, positions: NDArray[np.int64], direction: str, wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """As `recnn_distances`, with the images at `positions` as queries, several in one matrix product.

    An image without regions has no distance to any other: as a query it is infinitely far from all.

    Args:
        descriptors: Of the index.
        positions: int64 [Q].
        direction: "query" or "both".
        wanted: bool [P], the images to measure the distance to, false for removed ones; NaN for the others.
    """
    step = 64
    for begin in range(0, len(positions), step):
        queries = [descriptors.recnn(int(position)) for position in positions[begin : begin + step]]
        asking = [query for query in queries if len(query)]
        answers = (
            answer for group in groups(asking) for answer in _together(descriptors, asking[group], direction, wanted)
        )
        for query in queries:
            yield next(answers) if len(query) else np.where(wanted, np.inf, np.nan)


def all_recnn_plus_distances(
    descriptors: Descriptors, positions: NDArray[np.int64], metric: str, wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """Global distances, computed directly, with the images at `positions` as queries; one thread a processor.

    Args:
        descriptors: Of the index.
        positions: int64 [Q].
        metric: "l1", "l2" or "cosine".
        wanted: bool [P], as for `all_recnn_distances`.

    Yields:
        float64 [P], by position; NaN for images that are not wanted.
    """
    blocks = [(places, to_float32(vectors)) for places, vectors in descriptors.global_blocks(wanted)]

    def measure(start: int) -> NDArray[np.float64]:
        asked = positions[start : start + QUERIES_AT_ONCE].tolist()
        queries = np.array([descriptors.recnn_plus(position) for position in asked])
        distances = np.full((len(queries), len(wanted)), np.nan)
        for places, vectors in blocks:
            distances[:, places] = pairwise_distances(queries, vectors, metric)
        return distances

    for batch in in_threads(measure, range(0, len(positions), QUERIES_AT_ONCE)):
        yield from batch


def _together(
    descriptors: Descriptors, queries: Sequence[NDArray[np.float32]], direction: str, wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """One float64 [P] a query, in order; all queries go through the vectors together."""
    positions = np.flatnonzero(wanted)
    low, high = np.full((len(queries), len(wanted)), np.inf), np.full((len(queries), len(wanted)), np.inf)
    columns = side_by_side(queries, direction)
    for read in descriptors.region_blocks(wanted):
        block = read(None)
        least, greatest = recnn_intervals(columns, block, np.float64)
        low[:, block.positions], high[:, block.positions] = least.T, greatest.T
    for at, query in enumerate(queries):
        distances = np.full(len(wanted), np.nan)
        measure = partial(_measure_at, descriptors, query.astype(np.float64), positions, direction)
        distances[positions] = settled(low[at, positions], high[at, positions], measure)
        yield distances


def _measure_at(
    descriptors: Descriptors, query: NDArray[np.float64], positions: NDArray[np.int64], direction: str, index: int
) -> float:
    other = descriptors.recnn(int(positions[index])).astype(np.float64)
    return direct_set_distance(query, other, direction)
