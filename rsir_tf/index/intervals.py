"""Eq. 3 by matrix products, with a proven bound on what rounding does to it.

‖q − r‖² = ‖q‖² + (‖r‖² − 2 q·r) turns Eq. 3 into one matrix product, which is far quicker than differences and far
less exact: for vectors that are nearly equal nothing is left of the result. So a product gives an interval that holds
the true distance, and whoever needs more measures directly the few images whose intervals leave the order open.

The bound, for unit roundoff u and C channels. A sum of C products, in any order, with or without fused multiply-add, is
off by at most γ·Σ|q_c r_c| ≤ γ‖q‖‖r‖ with γ = C·u/(1 − C·u) (Higham, Accuracy and Stability of Numerical Algorithms,
§3.1). So, to first order: the product is off by 2γ‖q‖‖r‖, the norm by γ‖r‖², their difference by another
u(‖r‖² + 2‖q‖‖r‖), and ‖q‖², always summed in float64, by C·2⁻⁵³‖q‖². Together less than

    u·((C + 16)·‖r‖² + (2C + 16)·‖q‖‖r‖) + 2⁻⁵³·(C + 16)·‖q‖²

which is widened by a tenth for the terms of second order (C·u < 0.05 holds up to 800,000 channels), and fourfold in
float64, where the rounding of the direct computation itself, some 20 u relative to the result, must find room too.
Numbers so small that they are flushed to zero add less than C·1e-36 in float32. Numbers whose squares overflow give the
interval [0, ∞).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.descriptors import RegionBlock

_NARROW = 1e-10
"""Relative width below which the middle of an interval is as good as a measurement."""

_LARGEST = 1e36
"""Squared norms above it may overflow in float32."""


def recnn_intervals(
    query: NDArray[np.float32], block: RegionBlock, precision: type[np.float32] | type[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the distance from each query region to the nearest region of each image.

    Args:
        query: float32 [m, C].
        block: Of k images.
        precision: In which the products are formed: float32 for speed, float64 for narrow intervals.

    Returns:
        Two float64 [k, m]: the least and the greatest value that the L2 distance can have.
    """
    exact = query.astype(np.float64)
    query_squared = np.einsum("ij,ij->i", exact, exact)
    if precision is np.float64:
        vectors = block.vectors.astype(np.float64)
        norms = np.einsum("ij,ij->i", vectors, vectors)
        products = vectors @ (exact.T * -2.0)
    else:
        vectors, norms = block.vectors.astype(np.float32, copy=False), block.squared_norms
        with np.errstate(over="ignore", invalid="ignore"):
            products = vectors @ (query.T * np.float32(-2))
    with np.errstate(over="ignore", invalid="ignore"):
        products += norms[:, None]
        squared = np.minimum.reduceat(products, block.starts, axis=0).astype(np.float64)
        largest = np.maximum.reduceat(norms, block.starts).astype(np.float64)
        squared += query_squared
        error = rounding_error(query_squared, largest, query.shape[1], precision)
        low = np.sqrt(np.maximum(squared - error, 0.0))
        high = np.sqrt(np.maximum(squared + error, 0.0))
    unsure = ~(np.isfinite(low) & np.isfinite(high))
    if precision is np.float32:
        unsure |= (largest[:, None] > _LARGEST) | (query_squared > _LARGEST)
    low[unsure], high[unsure] = 0.0, np.inf
    return low, high


def rounding_error(
    query_squared: NDArray[np.float64],
    largest: NDArray[np.float64],
    channels: int,
    precision: type[np.float32] | type[np.float64],
) -> NDArray[np.float64]:
    """The bound of this file's head.

    Args:
        query_squared: float64 [m], ‖q‖² of the query's regions.
        largest: float64 [k], the largest ‖r‖² of each image.
        channels: C.
        precision: In which the products are formed.

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
    low: NDArray[np.float64], high: NDArray[np.float64], measure: Callable[[int], float]
) -> NDArray[np.float64]:
    """Turn intervals into distances in the true order, measuring directly only where intervals meet or are wide.

    Args:
        low: float64 [N], ≥ 0.
        high: float64 [N].
        measure: From the index of one of the N to its distance, computed directly.

    Returns:
        float64 [N]: the middle of a narrow interval that stands alone, off by less than 1e-10 of itself, or else what
        `measure` gave; so 0 is exact.
    """
    distances = (low + high) / 2
    order = np.argsort(low, kind="stable")
    reach = np.maximum.accumulate(high[order])
    meets_earlier = np.zeros(len(order), dtype=bool)
    meets_earlier[1:] = low[order[1:]] <= reach[:-1]
    # The first of a group meets none before it, but is met by the next.
    together = meets_earlier | np.append(meets_earlier[1:], False)
    # Where one region has an equal in the query, the root makes an absolute error large.
    wide = high[order] > low[order] * (1 + _NARROW)
    for index in order[together | wide]:
        distances[index] = measure(int(index))
    return distances
