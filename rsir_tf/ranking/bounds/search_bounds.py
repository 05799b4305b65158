"""Lower and upper bounds of Eq. 3 between queries and the images of an index: they show what a search can skip.

Principal components (`components`) give lower bounds for all images from few bytes each; matrix products (`intervals`)
give both bounds for the images that the components leave open.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.vectors import StoredVectors
from rsir_tf.processors import usable_cores
from rsir_tf.ranking.bounds.blocks import REGIONS_PER_BLOCK, region_blocks
from rsir_tf.ranking.bounds.component_bounds import Components
from rsir_tf.ranking.bounds.components import COORDINATES
from rsir_tf.ranking.bounds.intervals import FEWEST_ROWS, recnn_intervals, rows_at_once
from rsir_tf.ranking.bounds.operands import Queries, RegionBlock, side_by_side
from rsir_tf.ranking.bounds.sampling import WORTH_SAMPLING, component_bounds, has_components, worth_looking

QUERY_REGIONS_AT_ONCE = 512
"""Columns of one matrix product when there are many queries."""

_FIRST = 128
"""This many images more than `top` are bounded first: the nearest of them show how far away the others may be."""


def groups(queries: Sequence[NDArray[np.float32]]) -> Iterator[slice]:
    """Cut queries into groups of at least one, whose regions are the columns of one matrix product."""
    begin = columns = 0
    for at, query in enumerate(queries):
        if columns and columns + len(query) > QUERY_REGIONS_AT_ONCE:
            yield slice(begin, at)
            begin, columns = at, 0
        columns += len(query)
    if columns:
        yield slice(begin, len(queries))


def narrowed_bounds(
    stored: StoredVectors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
    top: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bound the distances of Eq. 3 closely enough to find the first `top` images.

    Args:
        stored: The vectors of the index.
        queries: float32 [m, C] each, m ≥ 1.
        wanted: bool [P] for each query.
        direction: "query" or "both".
        top: At least 1.

    Returns:
        The least and the greatest distance, float64 [Q, P] each; infinite for images without regions, for unwanted ones
        and for those that the principal components show to be beyond the first `top`.
    """
    low, high = np.full((len(queries), len(stored)), np.inf), np.full((len(queries), len(stored)), np.inf)
    narrowed = _worth_components(stored, queries, wanted, direction, top)
    others = [at for at in range(len(queries)) if at not in narrowed]
    if others:
        asked, masks = [queries[at] for at in others], [wanted[at] for at in others]
        low[others], high[others] = _bounds(stored, asked, masks, direction)
    if not narrowed:
        return low, high
    least = _least_distances(stored, [queries[at] for at in narrowed], [wanted[at] for at in narrowed], direction)
    for at, known in zip(narrowed, least, strict=True):
        certain = np.where(known >= 0, known, np.inf)
        near = wanted[at] & (certain <= reach(certain, top + _FIRST))
        for some in (near, wanted[at] & ~near):
            open_still = some & (known <= reach(high[at], top))
            if open_still.any():
                for ends, found in zip(
                    (low, high), _bounds(stored, [queries[at]], [open_still], direction), strict=True
                ):
                    np.copyto(ends[at], found[0], where=open_still)
    return low, high


def _worth_components(
    stored: StoredVectors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
    top: int,
) -> list[int]:
    """The queries for which looking at components saves time: all or none where no sample must be taken."""
    most = max(int(mask.sum()) for mask in wanted)
    if most <= top + _FIRST or not has_components(stored, np.logical_or.reduce(list(wanted))):
        return []
    if most <= WORTH_SAMPLING:
        return list(range(len(queries)))
    sampled = _least_distances(stored, queries, wanted, direction, sample=True)

    def measure(at: int, some: NDArray[np.int64]) -> NDArray[np.float64]:
        mask = np.zeros(len(stored), dtype=bool)
        mask[some] = True
        greatest: NDArray[np.float64] = _bounds(stored, [queries[at]], [mask], direction)[1][0, some]
        return greatest

    return [
        at
        for at, (low, mask) in enumerate(zip(sampled, wanted, strict=True))
        if worth_looking(low, mask, top, partial(measure, at))
    ]


def _least_distances(
    stored: StoredVectors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
    *,
    sample: bool = False,
) -> NDArray[np.float64]:
    """Lower bounds from components, float64 [Q, P], as `component_bounds` gives them."""
    columns = side_by_side(queries, direction)

    def look(components: Components, _positions: slice, sample: bool) -> NDArray[np.float64]:
        return components.least_distances(columns, sample=sample)

    least = component_bounds(
        stored,
        np.logical_or.reduce(list(wanted)),
        len(queries),
        look,
        sample=sample,
        threads=_threads(COORDINATES + 1, columns),
    )
    least[~np.stack(list(wanted))] = np.inf
    return least


def _threads(channels: int, queries: Queries) -> int:
    """The number of threads; 1 where the products have so many columns that they use all processors by themselves."""
    return 1 if rows_at_once(channels, len(queries.vectors)) < FEWEST_ROWS else usable_cores()


def _bounds(
    stored: StoredVectors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest distance, float64 [Q, P] each; infinite for images without regions and unwanted ones."""
    columns = side_by_side(queries, direction)
    asked = np.logical_or.reduce(list(wanted))
    low, high = np.full((len(queries), len(asked)), np.inf), np.full((len(queries), len(asked)), np.inf)

    own = threading.local()

    def look(read: Callable[[NDArray[np.float32] | None], RegionBlock]) -> None:
        if not hasattr(own, "room"):
            own.room = np.empty((REGIONS_PER_BLOCK, columns.vectors.shape[1]), dtype=np.float32)
        block = read(own.room)
        least, greatest = recnn_intervals(columns, block, np.float32)
        low[:, block.positions], high[:, block.positions] = least.T, greatest.T

    with ThreadPoolExecutor(_threads(columns.vectors.shape[1], columns)) as pool:
        deque(pool.map(look, region_blocks(stored, asked)), maxlen=0)
    unwanted = ~np.stack(list(wanted))
    for ends in (low, high):
        np.copyto(ends, np.inf, where=unwanted)
    return low, high


def reach(high: NDArray[np.float64], top: int) -> float:
    """The `top`-th smallest upper bound: an image whose lower bound is above it is not among the first `top`."""
    return float(np.partition(high, top - 1)[top - 1]) if top <= len(high) else np.inf
