"""L1, L2 and cosine distances between vectors: the one place that computes them, for search, evaluation and baselines.

All are computed in float64 from differences, so that the distance of equal vectors is exactly 0. `distances_from`
measures from one vector and loads no library; `pairwise_distances` measures from several with SciPy, which takes a
quarter of a second to load. Their relative difference is about 1e-13; never compare a value of one with a value of the
other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsir_tf.errors import InputError

METRICS = ("l1", "l2", "cosine")
"""Σ|q − r|; ‖q − r‖₂; and 1 − cos(q, r), computed as ½‖q/‖q‖ − r/‖r‖‖²."""

QUERIES_AT_ONCE = 16
"""The best number of queries for one call of `pairwise_distances`."""

_TILE = 128
"""Vectors of a tile: with 512 numbers each, they stay in a core's cache for all queries of a call."""

_CHUNK = 1 << 15
"""Numbers that `distances_from` processes at once: 256 KB of float64, which stay in a core's own cache."""

_SCIPY = {"l1": "cityblock", "l2": "euclidean", "cosine": "sqeuclidean"}

_SIGN_AND_VALUE = np.int32(-0x70000001)
"""All bits except the three above the exponent, into which the sign was extended."""


def global_distance(
    query: NDArray[np.floating], others: NDArray[np.floating], metric: str = "l1"
) -> NDArray[np.float64]:
    """Distances from one global descriptor to many, in float64.

    Args:
        query: float [C], finite.
        others: float [N, C], finite.
        metric: "l1" Σ|q − r| (in the paper for ReCNN+ and colour histograms), "l2" ‖q − r‖₂ (in the paper for the
            others), or "cosine" 1 − cos(q, r), computed as ½‖q/‖q‖ − r/‖r‖‖² so that the distance of equal vectors is
            exactly 0. The cosine distance of a zero vector is ½ from others and 0 from another zero vector.

    Returns:
        float64 [N], ≥ 0.

    Raises:
        InputError: Wrong shapes, NaN or infinity, or an unknown metric.
    """
    require_metric(metric)
    query, others = finite_float64(query, 1, "query"), finite_float64(others, 2, "others")
    if len(query) != others.shape[1]:
        raise InputError(f"query has {len(query)} channels, the others {others.shape[1]}", wanted="equal numbers")
    return distances_from(query, others, metric)


def distances_from(query: NDArray[np.float64], others: NDArray[np.floating], metric: str) -> NDArray[np.float64]:
    """Like `global_distance`, but without checks of the arguments; `others` may have any floating type."""
    distances = np.empty(len(others))
    if metric == "cosine":
        query = unit_vectors(query[None])[0]
    step = max(1, _CHUNK // max(1, len(query)))
    for start in range(0, len(others), step):
        block = to_float64(others[start : start + step])
        difference = np.subtract(unit_vectors(block) if metric == "cosine" else block, query, out=block)
        if metric == "l1":
            distances[start : start + step] = np.abs(difference, out=difference).sum(axis=1)
        else:
            distances[start : start + step] = np.square(difference, out=difference).sum(axis=1)
    if metric == "l2":
        return np.sqrt(distances)
    return distances / 2 if metric == "cosine" else distances


def pairwise_distances(
    queries: NDArray[np.floating],
    vectors: NDArray[np.floating],
    metric: str,
    dtype: DTypeLike = np.float64,
    *,
    scaled: bool = False,
) -> NDArray[np.floating]:
    """Distances from each query to each vector, computed in float64 from differences: exactly 0 for equal vectors.

    Several threads can call it in parallel: it releases Python's global lock most of the time.

    Args:
        queries: float32 or float64 [Q, d], finite; `QUERIES_AT_ONCE` or about as many.
        vectors: float32 or float64 [N, d], finite.
        metric: "l1", "l2" or "cosine", as for `global_distance`.
        dtype: Number type of the result.
        scaled: Whether all vectors have length 1 already, if the metric is cosine.

    Returns:
        [Q, N], ≥ 0, rounded to `dtype`.
    """
    from scipy.spatial.distance import cdist

    found = np.empty((len(queries), len(vectors)), dtype=dtype)
    scale = metric == "cosine" and not scaled
    asked = _prepared(queries, scale)
    for start in range(0, len(vectors), _TILE):
        distances = cdist(asked, _prepared(vectors[start : start + _TILE], scale), _SCIPY[metric])
        found[:, start : start + _TILE] = distances / 2 if metric == "cosine" else distances
    return found


def require_metric(metric: str) -> None:
    """Refuse an unknown metric.

    Raises:
        InputError: It is none of `METRICS`.
    """
    if metric not in METRICS:
        raise InputError(f"metric is {metric!r}", wanted="l1, l2 or cosine")


def finite_float64(values: NDArray[np.floating], axes: int, what: str) -> NDArray[np.float64]:
    """Check vectors from a caller, and convert them to float64.

    Args:
        values: float [C] for 1 axis, [regions, C] for 2.
        axes: 1 or 2.
        what: Name of the vectors in the error text.

    Raises:
        InputError: They have another shape or number type, or hold NaN or infinity.
    """
    array = np.asarray(values)
    if array.ndim != axes or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{what} is {array.dtype} {list(array.shape)}",
            wanted="float32 [regions, C]" if axes == 2 else "float32 [C]",
        )
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinity", wanted="finite numbers", cure="check the model's weights")
    return np.ascontiguousarray(array, dtype=np.float64)


def to_float64(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 copies of stored vectors, of the same shape."""
    return (to_float32(vectors) if vectors.dtype == np.float16 else vectors).astype(np.float64)


def to_float32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Convert finite numbers to float32 exactly; for float16 many times quicker than NumPy.

    If exponent and mantissa of a float16 are moved to their places in a float32, this is the number times 2⁻¹¹²; that
    holds for subnormal numbers too.

    Args:
        values: float16 or float32, any shape, finite.

    Returns:
        float32 of the same shape: a new array, or a float32 array itself.
    """
    if values.dtype == np.float32:
        return np.asarray(values, dtype=np.float32)
    bits = np.ascontiguousarray(values).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_VALUE
    single: NDArray[np.float32] = bits.view(np.float32)
    single *= np.float32(2.0**112)
    return single


def _prepared(vectors: NDArray[np.floating], scale: bool) -> NDArray[np.float64]:
    """Convert to float64, in which cdist computes; scale to length 1 where that is wanted."""
    own = vectors.astype(np.float64, copy=scale)
    return unit_vectors(own, out=own) if scale else own


def unit_vectors(vectors: NDArray[np.float64], out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Scale vectors to length 1; a zero vector stays zero.

    Args:
        vectors: float64 [N, C].
        out: Where the result is written; None makes a new array.
    """
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    norms[norms == 0] = 1.0
    return np.asarray(np.divide(vectors, norms, out=out))
