"""Exact search: knows vectors and positions; ids and files are the store's.

Every distance is bounded from both sides before it is computed, and computed only where the bounds leave open whether
it is among the first: that of Eq. 3 by principal components (`components`) and then by matrix products (`intervals`),
L1 by levels (`levels`). What is left is computed directly (`distances`), which decides order and ties.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.blocks import RegionBlock
from rsir_tf.index.components import COORDINATES
from rsir_tf.index.descriptors import REGIONS_PER_BLOCK, Descriptors
from rsir_tf.index.distances import direct_global_distance, direct_set_distance
from rsir_tf.index.intervals import FEWEST_ROWS, recnn_intervals, rows_at_once
from rsir_tf.index.queries import Queries, side_by_side
from rsir_tf.index.segment import Segment
from rsir_tf.processors import usable_cores

QUERY_REGIONS_AT_ONCE = 512
"""Columns of one matrix product when there are many queries."""

_FIRST = 1024
"""Images beyond the wanted number whose distances are bounded first: the better ones of them say how far to look."""

Found = list[tuple[int, float]]
"""(position, distance), nearest first, equal distances in order of the index's rows."""


def nearest_by_recnn(
    descriptors: Descriptors,
    queries: Sequence[NDArray[np.float32]],
    top: int,
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
) -> list[Found]:
    """The wanted images that are nearest by Eq. 3; the index is gone through once for many queries.

    Args:
        descriptors: Of the index.
        queries: float32 [m, C] each, m ≥ 1.
        top: At least 1; more than there are gives all.
        wanted: bool [P] for each query, false for removed images.
        direction: "query" or "both".

    Returns:
        What was found for each query.
    """
    found: list[Found] = []
    for group in groups(queries):
        low, high = _narrowed_bounds(descriptors, queries[group], wanted[group], direction, top)
        for at, query in enumerate(queries[group]):
            exact = query.astype(np.float64)
            positions = np.flatnonzero(wanted[group][at] & (low[at] <= _reach(high[at], top)))
            distances = [
                direct_set_distance(exact, descriptors.recnn(position).astype(np.float64), direction)
                for position in positions.tolist()
            ]
            found.append(_sorted(descriptors, positions, np.array(distances), top))
    return found


def groups(queries: Sequence[NDArray[np.float32]]) -> Iterator[slice]:
    """Cut queries into groups whose regions are columns of one matrix product, a query at least."""
    begin = columns = 0
    for at, query in enumerate(queries):
        if columns and columns + len(query) > QUERY_REGIONS_AT_ONCE:
            yield slice(begin, at)
            begin, columns = at, 0
        columns += len(query)
    if columns:
        yield slice(begin, len(queries))


def nearest_by_recnn_plus(
    descriptors: Descriptors, query: NDArray[np.float32], top: int, wanted: NDArray[np.bool_], metric: str
) -> Found:
    """The wanted images that are nearest by their global descriptor.

    Args:
        descriptors: Of the index.
        query: float32 [C].
        top: At least 1.
        wanted: bool [P], false for removed images.
        metric: "l1", "l2" or "cosine".
    """
    exact = query.astype(np.float64)
    asked = wanted
    if metric == "l1":
        low, high = np.where(wanted, 0.0, np.inf), np.full(len(wanted), np.inf)
        for positions, segment in descriptors.parts():
            if segment.levels is not None and wanted[positions].any():
                low[positions], high[positions] = segment.levels.bounds(exact)
        high[~wanted] = np.inf
        asked = wanted & (low <= _reach(high, top))
    distances = recnn_plus_distances(descriptors, query, asked, metric)
    measured = np.flatnonzero(asked)
    return _sorted(descriptors, measured, distances[measured], top)


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


def _narrowed_bounds(
    descriptors: Descriptors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
    top: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_bounds`, but infinite too for images that the principal components show to be beyond the first `top`."""
    worth_it = any(int(mask.sum()) > top + _FIRST for mask in wanted)
    least = _least_distances(descriptors, queries, wanted, direction) if worth_it else None
    if least is None:
        return _bounds(descriptors, queries, wanted, direction)
    low, high = np.full(least.shape, np.inf), np.full(least.shape, np.inf)
    for at, query in enumerate(queries):
        known = np.where(least[at] >= 0, least[at], np.inf)
        near = wanted[at] & (known <= _reach(known, top + _FIRST))
        for asked in (near, wanted[at] & ~near):
            open_still = asked & (least[at] <= _reach(high[at], top))
            if open_still.any():
                for ends, found in zip(
                    (low, high), _bounds(descriptors, [query], [open_still], direction), strict=True
                ):
                    np.copyto(ends[at], found[0], where=open_still)
    return low, high


def _least_distances(
    descriptors: Descriptors,
    queries: Sequence[NDArray[np.float32]],
    wanted: Sequence[NDArray[np.bool_]],
    direction: str,
) -> NDArray[np.float64] | None:
    """Lower bounds from components, float64 [Q, P]; −1 where a segment has none, None where no segment has any."""
    asked = np.logical_or.reduce(list(wanted))
    parts = [(positions, segment) for positions, segment in descriptors.parts() if asked[positions].any()]
    if not any(segment.components is not None for _, segment in parts):
        return None
    columns = side_by_side(queries, direction)
    least = np.full((len(queries), len(asked)), -1.0)

    def look(part: tuple[slice, Segment]) -> None:
        positions, segment = part
        if segment.components is not None:
            least[:, positions] = segment.components.least_distances(columns).T

    with ThreadPoolExecutor(_threads(COORDINATES + 1, columns)) as pool:
        deque(pool.map(look, parts), maxlen=0)
    least[~np.stack(list(wanted))] = np.inf
    return least


def _threads(channels: int, queries: Queries) -> int:
    """One where products are of so many columns that they use all processors by themselves."""
    return 1 if rows_at_once(channels, len(queries.vectors)) < FEWEST_ROWS else usable_cores()


def _bounds(
    descriptors: Descriptors,
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
        deque(pool.map(look, descriptors.region_blocks(asked)), maxlen=0)
    unwanted = ~np.stack(list(wanted))
    for ends in (low, high):
        np.copyto(ends, np.inf, where=unwanted)
    return low, high


def _reach(high: NDArray[np.float64], top: int) -> float:
    """The `top`-th smallest upper bound: what lies beyond it for certain is not among the first `top`."""
    return float(np.partition(high, top - 1)[top - 1]) if top <= len(high) else np.inf


def _sorted(descriptors: Descriptors, positions: NDArray[np.int64], distances: NDArray[np.float64], top: int) -> Found:
    order = np.lexsort((descriptors.rows[positions], distances))[:top]
    return [(int(positions[at]), float(distances[at])) for at in order]
