"""Eq. 3 by matrix products, with a proven bound of the rounding error.

‖q − r‖² = ‖q‖² + (‖r‖² − 2 q·r) turns Eq. 3 into one matrix product, which is far quicker than differences and far less
exact: for vectors that are nearly equal, all digits of the result may be wrong. So a product gives an interval that
contains the true distance, and the few images whose intervals leave the order open are measured directly.

The bound, for unit roundoff u and C channels. A sum of C products, in any order, with or without fused multiply-add, is
off by at most γ·Σ|q_c r_c| ≤ γ‖q‖‖r‖ with γ = C·u/(1 − C·u) (Higham, Accuracy and Stability of Numerical Algorithms,
§3.1). So, to first order: the product is off by 2γ‖q‖‖r‖, the norm by γ‖r‖², their difference by another
u(‖r‖² + 2‖q‖‖r‖), and ‖q‖², always summed in float64, by C·2⁻⁵³‖q‖². Together less than

    u·((C + 16)·‖r‖² + (2C + 16)·‖q‖‖r‖) + 2⁻⁵³·(C + 16)·‖q‖²

which is widened by a tenth for the terms of second order (C·u < 0.05 holds up to 800,000 channels), and fourfold in
float64, where the bound must also cover the rounding of the direct computation itself, about 20 u relative to the
result. Numbers so small that they are flushed to zero add less than C·1e-36 in float32. Numbers whose squares overflow
give the interval [0, ∞).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.ranking.bounds.operands import Queries, RegionBlock
from rsir_tf.ranking.set_distance import mean_of_directions, mean_over_regions

Number = TypeVar("Number", np.float32, np.float64)

_MIDDLE = np.int64(1 << 22)
"""The bit that leads from the lower end of a cell to its middle: it stands for 2⁻³⁰ to 2⁻³¹ of the number. In narrower
cells, more intervals would reach into two cells, and in wider ones more distances would share a cell."""

_PRODUCT = 1 << 18
"""Multiplications of one product. OpenBLAS spreads larger ones over threads, which wait for each other: on a busy
machine, many times as long as the product takes."""

FEWEST_ROWS = 16
"""Rows of one small product; with fewer, the calls cost more than the threads."""

LARGEST = 1e36
"""Squared norms above it may overflow in float32."""


def recnn_intervals(
    queries: Queries, block: RegionBlock, precision: type[np.float32] | type[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the distance of Eq. 3 between each image and each query.

    Args:
        queries: Q queries with M regions.
        block: k images with n regions.
        precision: Number type of the products: float32 for speed, float64 for narrow intervals.

    Returns:
        Two float64 [k, Q]: the least and the greatest value that the distance can have.
    """
    exact = queries.vectors.astype(np.float64)
    query_squared = np.einsum("ij,ij->i", exact, exact)
    vectors: NDArray[np.floating] = block.vectors
    norms: NDArray[np.floating] = block.squared_norms
    if precision is np.float64:
        vectors = block.vectors.astype(np.float64)
        norms = np.einsum("ij,ij->i", vectors, vectors)
        products = vectors @ (exact.T * -2.0)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            products = matrix_products(block.vectors, queries.vectors.T * np.float32(-2))
    largest = np.maximum.reduceat(norms, block.starts).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        products += norms[:, None]
        error = rounding_error(query_squared, largest, queries.vectors.shape[1], precision)
        squared = np.minimum.reduceat(products, block.starts, axis=0) + query_squared
        unsure = ~np.isfinite(error + squared)
        if precision is np.float32:
            unsure |= (largest[:, None] > LARGEST) | (query_squared > LARGEST)
        low, high = _ends(squared, error, unsure)
        low = queries.mean(low) * (1 - summing_error(queries.counts))
        high = queries.mean(high) * (1 + summing_error(queries.counts))
        if queries.direction == "both":
            back = _intervals_back(queries, block, products + query_squared, error, unsure)
            low, high = mean_of_directions(low, back[0]), mean_of_directions(high, back[1])
    return low, high


def rows_at_once(channels: int, columns: int) -> int:
    """How many regions a matrix product may have that OpenBLAS does not spread over threads."""
    return max(1, _PRODUCT // (channels * columns))


def matrix_products(vectors: NDArray[Number], columns: NDArray[Number]) -> NDArray[Number]:
    """The matrix product, computed as many small ones where that keeps it in this thread."""
    rows = rows_at_once(*columns.shape)
    if rows < FEWEST_ROWS or len(vectors) <= rows:
        return vectors @ columns
    products = np.empty((len(vectors), columns.shape[1]), dtype=vectors.dtype)
    whole = len(vectors) // rows * rows
    stacked = products[:whole].reshape(-1, rows, columns.shape[1])
    np.matmul(vectors[:whole].reshape(-1, rows, vectors.shape[1]), columns, out=stacked)
    np.matmul(vectors[whole:], columns, out=products[whole:])
    return products


def _intervals_back(
    queries: Queries,
    block: RegionBlock,
    squared: NDArray[np.float64],
    error: NDArray[np.float64],
    unsure: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the other direction: the mean, over an image's regions, of the distance to the query's nearest."""
    counts = np.diff(block.starts, append=len(squared))
    errors, open_ended = np.repeat(error, counts, axis=0), np.repeat(unsure, counts, axis=0)
    low, high = (queries.minimum(end) for end in _ends(squared, errors, open_ended))
    rounding = summing_error(counts)[:, None]
    low, high = mean_over_regions(low, block.starts), mean_over_regions(high, block.starts)
    return low * (1 - rounding), high * (1 + rounding)


def _ends(
    squared: NDArray[np.float64], error: NDArray[np.float64], unsure: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low = np.where(unsure, 0.0, np.sqrt(np.maximum(squared - error, 0.0)))
    return low, np.where(unsure, np.inf, np.sqrt(np.maximum(squared + error, 0.0)))


def summing_error(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Bound the relative rounding error of sums with these numbers of terms: 2⁻⁵³ each, and some for the root."""
    return np.asarray((counts + 16) * 2.0**-52)


def rounding_error(
    query_squared: NDArray[np.float64],
    largest: NDArray[np.float64],
    channels: int,
    precision: type[np.float32] | type[np.float64],
) -> NDArray[np.float64]:
    """The bound that this file's docstring derives.

    Args:
        query_squared: float64 [m], ‖q‖² of the query's regions.
        largest: float64 [k], the largest ‖r‖² of each image.
        channels: C.
        precision: Number type of the products.

    Returns:
        float64 [k, m], how far a computed ‖q − r‖² may be from the true one.
    """
    is_float32 = precision is np.float32
    u = float(np.finfo(precision).eps) / 2
    norms = largest[:, None]
    error = u * ((channels + 16) * norms + (2 * channels + 16) * np.sqrt(query_squared * norms))
    error += 2.0**-53 * (channels + 16) * query_squared
    widened = (1.1 if is_float32 else 4.0) * error + channels * (1e-36 if is_float32 else 1e-300)
    return np.asarray(widened, dtype=np.float64)


def settled(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    measure: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Turn intervals into distances in the true order, measuring directly only where intervals leave something open.

    The result depends on the distances alone and not on the intervals, whose last bits differ between machines, numbers
    of threads, and blocks of images: see `told_apart`.

    Args:
        low: float64 [N], ≥ 0.
        high: float64 [N].
        measure: Takes int64 [k], numbers of some of the N, and gives their distances, computed directly.

    Returns:
        float64 [N], with a relative error below 1e-9.
    """
    distances = low.copy()
    unsettled = np.flatnonzero(_cells(low) != _cells(high))
    distances[unsettled] = measure(unsettled)
    return told_apart(distances, measure)


def told_apart(
    distances: NDArray[np.float64], measure: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Round distances, except for those that would become equal: these are measured directly.

    Rounding is to the middle of cells that are at most 2⁻²⁹ of the distance wide. It does not change a result of its
    own: told apart among some images, and then among more, distances are what they are if told apart at once.

    Args:
        distances: float64 [N], ≥ 0; each is in the cell of the directly computed distance.
        measure: As for `settled`.

    Returns:
        float64 [N], in the order of the directly computed distances; 0 and infinity are exact.
    """
    cells = _cells(distances)
    between = (distances > 0) & np.isfinite(distances)
    order = np.argsort(cells)
    same = cells[order[1:]] == cells[order[:-1]]
    shared = np.zeros(len(order), dtype=bool)
    shared[order] = np.append(same, False) | np.append(False, same)
    told = np.where(between, (cells | _MIDDLE).view(np.float64), distances)
    equal = np.flatnonzero(shared & between)
    told[equal] = measure(equal)
    return told


def _cells(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bits of each distance without the last 23."""
    bits: NDArray[np.int64] = np.ascontiguousarray(distances).view(np.int64)
    return np.asarray(bits & ~np.int64(2 * _MIDDLE - 1))
