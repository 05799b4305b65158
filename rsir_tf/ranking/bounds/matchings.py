"""Integrated region matching by matrix products in float64, with a proven bound of the rounding error.

A product gives the squared distances of all pairs of regions of a query and of many images, in a fraction of the time
of differences (`intervals` derives its error). The pairs of each image are sorted once, and the masses then move pair
by pair, for all images at the same time.

The masses that move depend on nothing but the order of the pairs. Where two neighbours in this order are no farther
apart than the rounding error, the order may be another one than that of directly computed distances, and nothing is
said about such an image. In all others the same masses move between the same pairs as in a direct computation, so that
the result is off by no more than the distances of the pairs are.

The sort is of whole numbers, the bits of d² with the number of the pair in the last bits. That makes d² smaller by a
few parts in 10¹², which counts as an error of the order too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.ranking.bounds.intervals import rounding_error, summing_error

MOST_PAIRS = 4096
"""Of regions in one pair of images: with more, masses are moved more quickly in other ways."""

_NUMBERS = 1 << 17
"""Pairs of regions whose masses are moved at a time: the arrays for them take a few megabytes."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchedQuery:
    """A query as its regions stand among the columns of a product.

    Attributes:
        columns: Its own ones.
        masses: float64 [m], of its regions, with sum 1.
        longest: float64 [1], the largest squared length of their vectors.
        squares: float64 [m], all of these.
    """

    columns: slice
    masses: NDArray[np.float64]
    longest: NDArray[np.float64]
    squares: NDArray[np.float64]


class MatchedImages:
    """Images with about equally many regions, and the products of their vectors with queries.

    Args:
        products: float64 [r, M], ‖v‖² − 2 q·v for the regions of several images and queries.
        squares: float64 [r], ‖v‖².
        regions: int64 [k, n], rows of the products.
        shares: float64 [k, n], the masses of these regions, with sum 1.
        inside: bool [k, n], false where an image does not have a region.
        channels: C.
    """

    def __init__(
        self,
        products: NDArray[np.float64],
        squares: NDArray[np.float64],
        regions: NDArray[np.int64],
        shares: NDArray[np.float64],
        inside: NDArray[np.bool_],
        channels: int,
    ) -> None:
        self._products, self._regions, self.shares, self._channels = products, regions, shares, channels
        self._largest = squares[regions].max(axis=1)
        self._missing = None if inside.all() else ~inside

    def pairs(self, query: MatchedQuery, some: slice) -> _Pairs:
        """The pairs of regions of a query and of some of the images, in order."""
        shares, largest, regions = self.shares[some], self._largest[some], self._regions[some].reshape(-1)
        (count, n), m = shares.shape, len(query.masses)
        if regions[-1] - regions[0] + 1 == len(regions) and self._missing is None:
            squared = self._products[regions[0] : regions[-1] + 1, query.columns] + query.squares
        else:
            squared = self._products[regions, query.columns] + query.squares
        if self._missing is not None:
            squared.reshape(count, n, m)[self._missing[some]] = np.inf
        np.maximum(squared, 0.0, out=squared)
        bits = (n * m - 1).bit_length()
        number = np.int64((1 << bits) - 1)
        squared = squared.reshape(count, n * m)
        keys = squared.view(np.int64) & ~number
        keys |= np.arange(n * m)
        keys.sort(axis=1)
        numbers = keys & number
        keys &= ~number
        error = rounding_error(query.longest, largest, self._channels, np.float64)[:, 0]
        lost = (query.longest + largest) * 2.0 ** (bits - 50)  # ‖q − r‖² ≤ 2‖q‖² + 2‖r‖²
        apart = np.ascontiguousarray(keys.view(np.float64).T)
        # A mass that is rounded may leave a rest, which moves as far as any pair is apart.
        rest = summing_error(np.array([m + n])) * np.sqrt(2 * (query.longest + largest))
        unsure = _unsure(apart, error + lost, rest)
        apart = np.ascontiguousarray(np.take_along_axis(squared, numbers, axis=1).T)
        if np.isinf(apart[-1]).any():
            apart[np.isinf(apart)] = 0.0  # No mass moves there.
        ordered = np.ascontiguousarray(numbers.T)
        return _Pairs(np.sqrt(apart, out=apart), ordered, shares, error, rest, unsure)


def _off_by(error: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far distances are off where their squares are off by `error`: d − √(d² − ε) ≤ ε/(2d − √ε), and ≤ √ε."""
    root = np.sqrt(error)
    off = distances * 2
    off -= root
    return np.asarray(np.divide(error, np.maximum(off, root, out=off), out=off))


def _unsure(squared: NDArray[np.float64], error: NDArray[np.float64], rest: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Find the images whose pairs may be in another order.

    Args:
        squared: float64 [n·m, k], ascending squared distances; infinite for regions that an image does not have.
        error: float64 [k], how far they may be from those of a direct computation.
        rest: float64 [k], as in `_Pairs`; increased where the last pairs of an image are at equal distances. Whatever
            their order, what mass is left moves as far. These may be many: the unit vectors of regions that have no
            active channel in common are √2 apart.

    Returns:
        bool [k].
    """
    with np.errstate(invalid="ignore"):  # Two infinite ones have no difference.
        near = np.diff(squared, axis=0) <= 2 * error
    unsure: NDArray[np.bool_] = np.asarray(near.any(axis=0))
    some = np.flatnonzero(unsure)
    if len(some):
        own, near = squared[:, some], near[:, some]
        last = np.logical_and.accumulate((near | np.isinf(own[1:]))[::-1], axis=0)[::-1]
        unsure[some] = (near & ~last).any(axis=0)
        first = own[len(own) - 1 - last.sum(axis=0), np.arange(len(some))]
        rest[some] += np.sqrt(np.where(np.isinf(own), 0.0, own).max(axis=0)) - np.sqrt(first)
        rest[some] += _off_by(error[some], np.sqrt(first))
    return unsure


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The pairs of regions of a query and of k images, nearest first.

    Attributes:
        apart: float64 [n·m, k], distances; those of regions that an image does not have are last, and 0.
        numbers: int64 [n·m, k], j·m + i for region j of the image and region i of the query.
        shares: float64 [k, n], the masses of the images' regions.
        error: float64 [k], how far a squared distance may be from that of a direct computation.
        rest: float64 [k], what rounded masses may add to the distance of the image.
        unsure: bool [k], whether the order may be another one.
    """

    apart: NDArray[np.float64]
    numbers: NDArray[np.int64]
    shares: NDArray[np.float64]
    error: NDArray[np.float64]
    rest: NDArray[np.float64]
    unsure: NDArray[np.bool_]


def matching_intervals(
    query: MatchedQuery, groups: Sequence[MatchedImages], most_pairs: int = MOST_PAIRS
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Bound the distances between a query and several groups of images.

    Args:
        query: One of those in the groups' products.
        groups: The images.
        most_pairs: Of regions in a pair of images; nothing is said about those with more.

    Returns:
        For each group the least and the greatest distance, float64 [k] each; NaN where the order of pairs is open.
    """
    m = len(query.masses)
    found = [(np.full(len(group.shares), np.nan), np.full(len(group.shares), np.nan)) for group in groups]
    widest_first = sorted(range(len(groups)), key=lambda at: -groups[at].shares.shape[1])
    waiting: list[tuple[int, slice]] = []
    numbers = 0

    def move() -> None:
        ends = _moved(query.masses, [groups[at].pairs(query, some) for at, some in waiting])
        for (at, some), (low, high) in zip(waiting, ends, strict=True):
            found[at][0][some], found[at][1][some] = low, high

    for at in widest_first:
        count, n = groups[at].shares.shape
        if n * m > most_pairs:
            continue
        step = max(1, _NUMBERS // (n * m))
        for begin in range(0, count, step):
            some = slice(begin, min(begin + step, count))
            size = (some.stop - some.start) * n * m
            if waiting and numbers + size > _NUMBERS:
                move()
                waiting, numbers = [], 0
            waiting.append((at, some))
            numbers += size
    if waiting:
        move()
    return found


def _moved(
    query: NDArray[np.float64], parts: Sequence[_Pairs]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Move the masses; gives the ends of the distances of each part, float64 [k] each.

    Args:
        query: float64 [m], the masses of the query's regions.
        parts: Those with most pairs first.
    """
    m, ends = len(query), np.cumsum([len(part.shares) for part in parts]).tolist()
    count, widest = ends[-1], max(part.shares.shape[1] for part in parts)
    shape = len(parts[0].apart), count
    givers, takers, masses = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape)
    giving, taking = np.repeat(query, count), np.zeros((widest, count))
    # The number of images that have a pair at each step.
    having = np.zeros(shape[0], np.int64)
    for part, end in zip(parts, ends, strict=True):
        pairs, place = len(part.apart), slice(end - len(part.shares), end)
        n, image = part.shares.shape[1], np.arange(place.start, place.stop)
        np.add((np.tile(np.arange(m), n) * count)[part.numbers], image, out=givers[:pairs, place])
        np.add((np.repeat(np.arange(n), m) * count)[part.numbers], image, out=takers[:pairs, place])
        taking[:n, place] = part.shares.T
        having[:pairs] = end
    taking = taking.reshape(-1)
    for step, some in enumerate(having.tolist()):
        giver, taker, mass = givers[step, :some], takers[step, :some], masses[step, :some]
        gives, takes = giving.take(giver), taking.take(taker)
        np.minimum(gives, takes, out=mass)
        gives -= mass
        takes -= mass
        giving[giver] = gives
        taking[taker] = takes
    for part, end in zip(parts, ends, strict=True):
        own = masses[: len(part.apart), end - len(part.shares) : end]
        total = np.einsum("ij,ij->j", own, part.apart)
        width = np.einsum("ij,ij->j", own, _off_by(part.error, part.apart))
        width += total * summing_error(np.array([m + part.shares.shape[1]])) + part.rest
        total[part.unsure] = np.nan
        yield np.maximum(total - width, 0.0), total + width
