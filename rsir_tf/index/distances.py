"""Distances between descriptors, computed directly: the reference that every faster search must equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.index.halves import to_float32

METRICS = ("l1", "l2", "cosine")
"""Metrics between global descriptors."""

DIRECTIONS = ("query", "both")
"""Eq. 3 as it stands, from the query's regions to the other image's; or the mean of that and of the way back."""

_CHUNK = 1 << 17
"""Numbers that one step of a direct computation holds: 1 MB of float64, which stays in the processor's cache."""


def region_set_distance(query: NDArray[np.floating], other: NDArray[np.floating], direction: str = "query") -> float:
    """Distance of two images as sets of region vectors (paper, Eq. 3).

    D(q, r) = (1/m) Σ_i min_j ‖q_i − r_j‖₂ with i over the query's m regions and j over the other's. It is not
    symmetric. Differences are formed and summed in float64, so that a set is at distance exactly 0 from itself.

    Args:
        query: float [m, C], m ≥ 1, finite.
        other: float [n, C], finite. Without a region (n = 0) the distance is infinite.
        direction: "query", Eq. 3 as it stands; or "both", (D(q, r) + D(r, q)) / 2, which is symmetric.

    Returns:
        ≥ 0, in the unit of the vectors.

    Raises:
        InputError: Wrong shapes, NaN or infinity, a query without regions, or an unknown direction.
    """
    require_direction(direction)
    query, other = _float64(query, 2, "query"), _float64(other, 2, "other")
    if query.shape[1] != other.shape[1]:
        raise InputError(f"query has {query.shape[1]} channels, the other {other.shape[1]}", wanted="equal numbers")
    if not len(query):
        raise InputError("the query has no region", wanted="at least one", cure="lower the minimum area or use recnn+")
    return direct_set_distance(query, other, direction)


def direct_set_distance(query: NDArray[np.float64], other: NDArray[np.float64], direction: str) -> float:
    """As `region_set_distance`, for arguments that are known to be right."""
    there = mean_of(nearest_regions(query, other)[1])
    if direction == "query" or not len(other):
        return there
    return (there + mean_of(nearest_regions(other, query)[1])) / 2


def nearest_regions(
    query: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """For each region of the query, the nearest region of the other image.

    Args:
        query: float64 [m, C].
        other: float64 [n, C].

    Returns:
        intp [m], the other's region (the first of equals, −1 where there is none), and float64 [m], its L2 distance.
    """
    regions = np.full(len(query), -1, dtype=np.intp)
    squares = np.full(len(query), np.inf)
    if len(other):
        step = max(1, _CHUNK // other.size)
        for start in range(0, len(query), step):
            difference = query[start : start + step, None] - other
            squared = np.square(difference, out=difference).sum(axis=-1)
            regions[start : start + step] = squared.argmin(axis=1)
            squares[start : start + step] = squared.min(axis=1)
    return regions, np.sqrt(squares)


def mean_of(nearest: NDArray[np.float64]) -> float:
    """Take the mean over the query's regions; in one place, so that equal images get equal bits."""
    return float(nearest.sum() / len(nearest))


def global_distance(
    query: NDArray[np.floating], others: NDArray[np.floating], metric: str = "l1"
) -> NDArray[np.float64]:
    """Distances from one global descriptor to many, in float64.

    Args:
        query: float [C], finite.
        others: float [N, C], finite.
        metric: "l1" Σ|q − r| (the paper's for ReCNN+ and colour histograms), "l2" ‖q − r‖₂ (the paper's for the rest),
            or "cosine" 1 − cos(q, r), computed as ½‖q/‖q‖ − r/‖r‖‖² so that equal vectors are at exactly 0. A zero
            vector is at cosine distance ½ from others and 0 from another zero vector.

    Returns:
        float64 [N], ≥ 0.

    Raises:
        InputError: Wrong shapes, NaN or infinity, or an unknown metric.
    """
    require_metric(metric)
    query, others = _float64(query, 1, "query"), _float64(others, 2, "others")
    if len(query) != others.shape[1]:
        raise InputError(f"query has {len(query)} channels, the others {others.shape[1]}", wanted="equal numbers")
    return direct_global_distance(query, others, metric)


def direct_global_distance(
    query: NDArray[np.float64], others: NDArray[np.floating], metric: str
) -> NDArray[np.float64]:
    """As `global_distance`, for arguments that are known to be right; `others` may have any floating type."""
    distances = np.empty(len(others))
    if metric == "cosine":
        query = _unit(query[None])[0]
    step = max(1, _CHUNK // max(1, len(query)))
    for start in range(0, len(others), step):
        block = wide(others[start : start + step])
        difference = np.subtract(_unit(block) if metric == "cosine" else block, query, out=block)
        if metric == "l1":
            distances[start : start + step] = np.abs(difference, out=difference).sum(axis=1)
        else:
            distances[start : start + step] = np.square(difference, out=difference).sum(axis=1)
    if metric == "l2":
        return np.sqrt(distances)
    return distances / 2 if metric == "cosine" else distances


def wide(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 copies of stored vectors, of the same shape."""
    return (to_float32(vectors) if vectors.dtype == np.float16 else vectors).astype(np.float64)


def require_metric(metric: str) -> None:
    """Refuse an unknown metric.

    Raises:
        InputError: It is none of `METRICS`.
    """
    if metric not in METRICS:
        raise InputError(f"metric is {metric!r}", wanted="l1, l2 or cosine")


def require_direction(direction: str) -> None:
    """Refuse an unknown direction.

    Raises:
        InputError: It is none of `DIRECTIONS`.
    """
    if direction not in DIRECTIONS:
        raise InputError(f"direction is {direction!r}", wanted="query or both")


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.sqrt(np.square(vectors).sum(axis=1, keepdims=True))
    return vectors / np.where(norms == 0, 1.0, norms)


def _float64(values: NDArray[np.floating], axes: int, what: str) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.ndim != axes or not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            f"{what} is {array.dtype} {list(array.shape)}",
            wanted="float32 [regions, C]" if axes == 2 else "float32 [C]",
        )
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinity", wanted="finite numbers", cure="check the model's weights")
    return np.ascontiguousarray(array, dtype=np.float64)
