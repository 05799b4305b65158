"""The integrated region matching of two images, computed directly: the reference that every faster search must equal.

Each image is a set of regions whose masses are their shares of the area. Pairs of regions are taken in order of their
distance, and each pair is given as much mass as both regions still have (Li, Wang and Wiederhold, "IRM: integrated
region matching for image retrieval", ACM Multimedia 2000; Wang, Li and Wiederhold, "SIMPLIcity", PAMI 2001). The
distance of the images is the sum of distance times mass over all pairs.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError

VECTORS = ("unit", "raw")
"""Whether region vectors are scaled to length 1 before they are compared, or taken as they are."""

_MANY = 128
"""From this number of regions in both images on, one image after another is matched."""

_TAKEN = 4096
"""Pairs of regions that are then looked at together."""

Step = tuple[NDArray[np.intp], NDArray[np.float64]]
"""What one step moves for each image: between which pair, as the number i·n + j, and how much mass, which may be 0."""


def area_shares(areas: NDArray[np.integer]) -> NDArray[np.float64]:
    """The masses of an image's regions: float64 [m], summing to 1, from int64 [m], m ≥ 1."""
    return np.asarray(areas / areas.sum())


def match(
    apart: NDArray[np.float64], query: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[Step]]:
    """Match the regions of one query with those of several images at once.

    Of pairs at equal distances, the one whose query region comes first is taken first, then the one whose other region
    does.

    Args:
        apart: float64 [k, m, n], the distances of regions; infinite for regions that an image does not have.
        query: float64 [m], the masses of the query's regions, with sum 1.
        others: float64 [k, n], the masses of each image's regions, with sum 1; 0 for regions that it does not have.

    Returns:
        float64 [k], the distances of the images, ≥ 0; and the steps, in order.
    """
    count, m, n = apart.shape
    if min(m, n) >= _MANY:
        return _match_large(apart, query, others)
    turned = m > n  # Each region of the smaller side keeps a sorted list of the regions of the other side.
    lists = apart.transpose(0, 2, 1) if turned else apart
    order = np.argsort(lists, axis=2, kind="stable")
    lists = np.take_along_axis(lists, order, axis=2).reshape(-1)
    few, many = others.copy(), np.repeat(query[None], count, axis=0)
    if not turned:
        few, many = many, few
    rows, longest = np.arange(count), many.shape[1]
    ends = (np.arange(few.size) * longest + longest - 1).reshape(few.shape)
    at = ends - (longest - 1)  # where the first region of each list is that has mass left
    order = order.reshape(-1)
    left = many.reshape(-1)  # the same memory
    firsts = rows[:, None] * longest
    partners = order[at]
    total = np.zeros(count)
    steps: list[Step] = []
    # Each step uses up a region of the query or of the image.
    for _ in range(m + n):
        nearest = np.where(few > 0, lists[at], np.inf)
        if turned:
            tied = nearest == nearest.min(axis=1, keepdims=True)
            own = np.where(tied, partners, m).argmin(axis=1)
        else:
            own = nearest.argmin(axis=1)
        distance, partner = nearest[rows, own], partners[rows, own]
        going = np.isfinite(distance)
        if not going.any():
            break
        moved = np.where(going, np.minimum(few[rows, own], many[rows, partner]), 0.0)
        total += moved * np.where(going, distance, 0.0)
        steps.append((partner * n + own if turned else own * n + partner, moved))
        few[rows, own] -= moved
        many[rows, partner] -= moved
        while True:  # Where the last region of a list is spent, all mass of that side is.
            spent = (left[firsts + partners] <= 0) & (at < ends)
            if not spent.any():
                break
            at += spent
            partners = order[at]
    return total, steps


def _match_large(
    apart: NDArray[np.float64], query: NDArray[np.float64], others: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[Step]]:
    """Like `match`, from all pairs of an image in order: where regions are many, few pairs move anything."""
    count, _, n = apart.shape
    total, moves = np.zeros(count), []
    for image, (distances, shares) in enumerate(zip(apart.reshape(count, -1), others, strict=True)):
        left, there = query.copy(), shares.copy()
        order = np.argsort(distances, kind="stable")[: int(np.isfinite(distances).sum())]
        moved: list[tuple[int, float]] = []
        for begin in range(0, len(order), _TAKEN):
            pairs = order[begin : begin + _TAKEN]
            for pair in pairs[(left[pairs // n] > 0) & (there[pairs % n] > 0)].tolist():
                i, j = divmod(pair, n)
                mass = min(left[i], there[j])
                if mass > 0:
                    total[image] += mass * distances[pair]
                    left[i] -= mass
                    there[j] -= mass
                    moved.append((pair, mass))
        moves.append(moved)
    steps = (zip(*each, strict=True) for each in itertools.zip_longest(*moves, fillvalue=(0, 0.0)))
    return total, [(np.array(pairs), np.array(masses)) for pairs, masses in steps]


def partners(apart: NDArray[np.float64], query: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each region of the query, the region of one other image that most of its mass is matched with: intp [m].

    The arguments are those of `match` for one image: float64 [m, n], [m] and [n].
    """
    moved = np.zeros(apart.size)
    for pairs, masses in match(apart[None], query, other[None])[1]:
        moved[pairs] += masses
    return np.asarray(moved.reshape(apart.shape).argmax(axis=1))


def least_distances(
    apart: NDArray[np.floating], query: NDArray[np.floating], shares: NDArray[np.floating], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Lower bounds of the distances: all mass of a region moves at least as far as the nearest region lies.

    Let near(i) be the distance from region i of the query to the nearest region of the image. Mass that moves from i
    to j moves near(i), and further by at least the smallest difference that any region of the query has between its
    distance to j and its own near. The mean of both, with the masses of i and of j, is one bound; the mean distance
    from the image's regions to the nearest ones of the query is another, and the larger one counts.

    This holds for every way to match the masses, and so for the integrated matching (bounds of the earth mover's
    distance: Kusner et al., "From word embeddings to document distances", ICML 2015, without the second term).

    Args:
        apart: float [m, n], lower bounds of the distances of the query's regions to those of several images.
        query: float [m], the masses of the query's regions.
        shares: float [n], the masses of the images' regions.
        starts: int64 [k], the first region of each image; each has at least one.

    Returns:
        float64 [k].
    """
    near = np.minimum.reduceat(apart, starts, axis=1)
    further = (apart - np.repeat(near, np.diff(starts, append=apart.shape[1]), axis=1)).min(axis=0)
    there = query @ near + np.add.reduceat(further * shares, starts)
    back = np.add.reduceat(apart.min(axis=0) * shares, starts)
    return np.asarray(np.maximum(there, back), dtype=np.float64)


def require_vectors(vectors: str) -> None:
    """Refuse an unknown kind of vectors.

    Raises:
        InputError: It is none of `VECTORS`.
    """
    if vectors not in VECTORS:
        raise InputError(f"vectors is {vectors!r}", wanted="unit or raw")
