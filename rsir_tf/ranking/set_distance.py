"""The distance of two images as sets of region vectors (paper, Eq. 3), computed directly.

This is the reference that every faster search must equal, and the only place that defines the mean of Eq. 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import finite_float64
from rsir_tf.errors import InputError

DIRECTIONS = ("query", "both")
"""Eq. 3 itself, from the query's regions to those of the other image; or the mean of Eq. 3 in both directions."""

_CHUNK = 1 << 17
"""Numbers in one step of a direct computation: 1 MB of float64, which stays in the processor's cache."""


def region_set_distance(query: NDArray[np.floating], other: NDArray[np.floating], direction: str = "query") -> float:
    """Distance of two images as sets of region vectors (paper, Eq. 3).

    D(q, r) = (1/m) Σ_i min_j ‖q_i − r_j‖₂ with i over the query's m regions and j over the other's. It is not
    symmetric. Differences are formed and summed in float64, so that a set is at distance exactly 0 from itself.

    Args:
        query: float [m, C], m ≥ 1, finite.
        other: float [n, C], finite. Without a region (n = 0) the distance is infinite.
        direction: "query" for D(q, r), which is Eq. 3; or "both" for (D(q, r) + D(r, q)) / 2, which is symmetric.

    Returns:
        ≥ 0, in the unit of the vectors.

    Raises:
        InputError: Wrong shapes, NaN or infinity, a query without regions, or an unknown direction.
    """
    require_direction(direction)
    query, other = finite_float64(query, 2, "query"), finite_float64(other, 2, "other")
    if query.shape[1] != other.shape[1]:
        raise InputError(f"query has {query.shape[1]} channels, the other {other.shape[1]}", wanted="equal numbers")
    if not len(query):
        raise InputError("the query has no region", wanted="at least one", cure="lower the minimum area or use recnn+")
    return direct_set_distance(query, other, direction)


def direct_set_distance(query: NDArray[np.float64], other: NDArray[np.float64], direction: str) -> float:
    """Like `region_set_distance`, but without checks of the arguments."""
    first = np.zeros(1, dtype=np.int64)
    there = mean_over_regions(nearest_regions(query, other)[1], first)
    if direction == "both" and len(other):
        there = mean_of_directions(there, mean_over_regions(nearest_regions(other, query)[1], first))
    return float(there[0])


def nearest_regions(
    query: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find, for each region of the query, the nearest region of the other image.

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


def mean_over_regions(distances: NDArray[np.floating], starts: NDArray[np.int64], axis: int = 0) -> NDArray[np.float64]:
    """Take the mean of Eq. 3: for each image, over the distances from its regions to their nearest ones.

    Args:
        distances: float, with the regions of several images one after another along `axis`.
        starts: int64 [k], the first region of each image along that axis; each has at least one.
        axis: Of `distances`.

    Returns:
        float64 of the same shape, except that it is k long along `axis`.
    """
    counts = np.diff(starts, append=distances.shape[axis])
    sums = np.add.reduceat(distances, starts, axis=axis, dtype=np.float64)
    return np.asarray(sums / np.expand_dims(counts, tuple(other for other in range(sums.ndim) if other != axis)))


def mean_of_directions(there: NDArray[np.float64], back: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distance for direction "both", from Eq. 3 in each direction: query to image, and image to query."""
    return (there + back) / 2


def require_direction(direction: str) -> None:
    """Refuse an unknown direction.

    Raises:
        InputError: It is none of `DIRECTIONS`.
    """
    if direction not in DIRECTIONS:
        raise InputError(f"direction is {direction!r}", wanted="query or both")
