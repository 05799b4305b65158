"""Every image ranked for every query, a few queries at a time: never a matrix of all distances."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError
from rsir_tf.processors import usable_cores

_QUERIES = 16
_ROWS = 128
"""Of 512 numbers each they stay in a core's cache while the queries of one batch pass over them."""

_NEAR = 1e-3
"""Cosine distances below are computed anew from differences: 1 − a·b has lost their digits."""


def rankings(
    vectors: ArrayLike, metric: str, *, queries: range | None = None, threads: int | None = None
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rank all images by distance to each.

    Memory: the vectors, and the rankings of a few dozen queries. Distances are formed in float64 from differences
    ("cosine" in float32 from products, near ones anew from differences) and compared as float32, so equal vectors are
    at exactly 0, and distances that differ by less than about 1e-7 of themselves (cosine: 1e-6) may change places.

    Args:
        vectors: float [N, d], finite, one an image.
        metric: "l1", "l2" or "cosine" (1 − cos; a zero vector is at 1/2 from others).
        queries: Consecutive rows that are queries; None takes all.
        threads: How many work at once; None takes the processor's cores.

    Yields:
        A query's row, in order, and int64 [N]: all rows, nearest first, equal distances in order of row.

    Raises:
        InputError: The vectors are not float [N, d] or not finite, or the metric is not known.
    """
    held: NDArray[np.float32] = np.array(vectors, dtype=np.float32, order="C")  # A copy: it is normalised in place.
    if held.ndim != 2 or held.size == 0 or not np.isfinite(held).all():
        raise InputError(f"vectors are {list(held.shape)}", wanted="finite numbers [images, dimensions]")
    if metric not in ("l1", "l2", "cosine"):
        raise InputError(f"metric is {metric!r}", wanted="l1, l2 or cosine")
    if metric == "cosine":
        norms = np.linalg.norm(held, axis=1, keepdims=True)
        held /= np.where(norms == 0, 1, norms)
    asked = range(len(held)) if queries is None else queries
    return _ranked(held, metric, asked, usable_cores() if threads is None else threads)


def nearest_first(distances: NDArray[np.floating]) -> NDArray[np.int64]:
    """Rows by distance, equal distances in order of row: what a stable sort gives, in a third of its time.

    Args:
        distances: float [N], not NaN; infinity comes last.

    Returns:
        int64 [N].
    """
    order = np.argsort(distances)
    ranked = distances[order]
    same = ranked[1:] == ranked[:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
        # Numbers of the runs of equal distances: sorting by run, then row, moves nothing out of its run.
        runs = np.cumsum(np.append(True, ~same))[tied]
        order[tied] = order[tied][np.lexsort((order[tied], runs))]
    return order.astype(np.int64, copy=False)


def _ranked(
    vectors: NDArray[np.float32], metric: str, queries: range, threads: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    waiting: deque[tuple[int, Future[NDArray[np.uint32]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for start in queries[::_QUERIES]:
            batch = vectors[start : min(start + _QUERIES, queries.stop)]
            waiting.append((start, pool.submit(_rank_batch, vectors, batch, metric)))
            if len(waiting) > 2 * threads:
                yield from _rows(*waiting.popleft())
        while waiting:
            yield from _rows(*waiting.popleft())


def _rows(start: int, batch: Future[NDArray[np.uint32]]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    for place, order in enumerate(batch.result(), start=start):
        yield place, order.astype(np.int64)


def _rank_batch(vectors: NDArray[np.float32], queries: NDArray[np.float32], metric: str) -> NDArray[np.uint32]:
    distances = _cosine(vectors, queries) if metric == "cosine" else _direct(vectors, queries, metric)
    # Bits of floats ≥ 0 order as the floats do; with the row below them one sort of whole numbers settles ties too, in
    # a third of a stable sort's time.
    keys = distances.view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= np.arange(len(vectors), dtype=np.uint64)
    keys.sort(axis=1)
    return np.asarray(keys.astype(np.uint32))


def _direct(vectors: NDArray[np.float32], queries: NDArray[np.float32], metric: str) -> NDArray[np.float32]:
    """L1 distances or squared L2 distances, float32 [queries, N]."""
    from scipy.spatial.distance import cdist

    found = np.empty((len(queries), len(vectors)), dtype=np.float32)
    asked = queries.astype(np.float64)  # What cdist computes in; one tile of rows at a time is copied to it.
    for start in range(0, len(vectors), _ROWS):
        rows = vectors[start : start + _ROWS].astype(np.float64)
        found[:, start : start + _ROWS] = cdist(asked, rows, "cityblock" if metric == "l1" else "sqeuclidean")
    return found


def _cosine(vectors: NDArray[np.float32], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 − a·b of unit vectors, float32 [queries, N]; near ones as ½‖a − b‖², which is exact where it is 0."""
    found: NDArray[np.float32] = np.maximum(1 - queries @ vectors.T, 0)
    for query, line in zip(queries, found, strict=True):
        near = np.flatnonzero(line < _NEAR)
        line[near] = np.square(vectors[near] - query).sum(axis=1) / 2
        if not query.any():
            line[:] = np.where(vectors.any(axis=1), 0.5, 0)
    # A zero vector: ½‖0 − b‖² = ½.
    found[:, ~vectors.any(axis=1)] = np.where(queries.any(axis=1), 0.5, 0)[:, None]
    return found
