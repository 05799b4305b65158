"""Distances of Eq. 3 from queries to every image, in their true order, as evaluation needs them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.vectors import StoredVectors
from rsir_tf.processors import in_threads, products_in_own_thread
from rsir_tf.ranking.bounds.blocks import ReadBlock, region_blocks
from rsir_tf.ranking.bounds.intervals import recnn_intervals, settled, told_apart
from rsir_tf.ranking.bounds.operands import side_by_side
from rsir_tf.ranking.bounds.search_bounds import groups
from rsir_tf.ranking.set_distance import direct_set_distance

_READ_AT_ONCE = 64
"""Queries whose regions are in memory at once."""

_REGIONS_AT_ONCE = 1024
"""Regions of one product with those of many queries, which takes 4 MB: larger ones leave the processor's cache."""


def all_set_distances(
    stored: StoredVectors, queries: Iterable[NDArray[np.float32]], direction: str, wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """Compute the distances from any number of queries, several in one matrix product.

    A query without regions is infinitely far from all images.

    Args:
        stored: The vectors of the index.
        queries: float32 [m, C] each.
        direction: "query" or "both".
        wanted: bool [P], the images to measure the distance to; false for removed ones. The others get NaN.
    """
    waiting = iter(queries)
    while together := list(itertools.islice(waiting, _READ_AT_ONCE)):
        asking = [query for query in together if len(query)]
        answers = (
            answer for group in groups(asking) for answer in set_distances(stored, asking[group], direction, wanted)
        )
        for query in together:
            yield next(answers) if len(query) else np.where(wanted, np.inf, np.nan)


def set_distances(
    stored: StoredVectors, queries: Sequence[NDArray[np.float32]], direction: str, wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """Compute the distances from queries to the wanted images, reading the vectors once for all queries.

    Args:
        stored: The vectors of the index.
        queries: float32 [m, C] each, m ≥ 1.
        direction: "query" or "both".
        wanted: bool [P], false for removed images.

    Yields:
        For each query, in order, float64 [P] by position. They are ordered as the directly computed distances are, and
        their relative difference from them is below 1e-9. NaN for images that are not wanted.
    """
    positions = np.flatnonzero(wanted)
    low, high = np.full((len(queries), len(wanted)), np.inf), np.full((len(queries), len(wanted)), np.inf)
    columns = side_by_side(queries, direction)

    def bound(read: ReadBlock) -> None:
        block = read(None)
        least, greatest = recnn_intervals(columns, block, np.float64)
        low[:, block.positions], high[:, block.positions] = least.T, greatest.T

    with products_in_own_thread():
        deque(in_threads(bound, region_blocks(stored, wanted, regions_at_once=_REGIONS_AT_ONCE)), maxlen=0)
    for at, query in enumerate(queries):
        distances = np.full(len(wanted), np.nan)
        measure = partial(_measure_at, stored, query.astype(np.float64), positions, direction)
        distances[positions] = settled(low[at, positions], high[at, positions], measure)
        yield distances


def told_apart_among(
    stored: StoredVectors,
    query: NDArray[np.float32],
    direction: str,
    wanted: NDArray[np.bool_],
    distances: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Join distances of which each was computed by `set_distances` among some of the images; see `told_apart`.

    Args:
        stored: The vectors of the index.
        query: float32 [m, C].
        direction: "query" or "both".
        wanted: bool [P].
        distances: float64 [P].
    """
    positions = np.flatnonzero(wanted)
    measure = partial(_measure_at, stored, query.astype(np.float64), positions, direction)
    joined: NDArray[np.float64] = distances.copy()
    joined[positions] = told_apart(distances[positions], measure)
    return joined


def _measure_at(
    stored: StoredVectors,
    query: NDArray[np.float64],
    positions: NDArray[np.int64],
    direction: str,
    some: NDArray[np.int64],
) -> NDArray[np.float64]:
    others = (stored.recnn(position).astype(np.float64) for position in positions[some].tolist())
    return np.array([direct_set_distance(query, other, direction) for other in others])
