"""Integrated region matching: images as sets of regions whose areas count.

The distance that defines it is in `region_matching`. A search first bounds every distance from below, by components
where a sample shows that they save time; it bounds those that stay open again, by products of the vectors themselves,
and matches images in order of these bounds, until no image that is left can be among the nearest.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances, to_float64, unit_vectors
from rsir_tf.index.derived import DerivedFile
from rsir_tf.processors import in_threads, products_in_own_thread, usable_cores
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.bounds.blocks import REGIONS_PER_BLOCK, ReadBlock, cut, gathered, region_blocks
from rsir_tf.ranking.bounds.component_bounds import COMPONENTS, Components
from rsir_tf.ranking.bounds.intervals import LARGEST, matrix_products, settled, told_apart
from rsir_tf.ranking.bounds.matched_images import alike, matched_images, side_by_side
from rsir_tf.ranking.bounds.matchings import MatchedImages, matching_intervals
from rsir_tf.ranking.bounds.sampling import WORTH_SAMPLING, component_bounds, has_components, worth_looking
from rsir_tf.ranking.bounds.search_bounds import reach
from rsir_tf.ranking.bounds.unit_lengths import UnitLengths
from rsir_tf.ranking.region_matching import area_shares, least_distances, match, partners, require_vectors
from rsir_tf.ranking.scheme import Field, Found, ImageFeatures, Match, matches_with

if TYPE_CHECKING:
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

_FIRST = 1024
"""This many images more than `top` are bounded by products first: the nearest of them show how far away others may be.
"""

_TRIED = 256
"""This many images more than `top` are matched first; each later batch is twice as large."""

_MATCHED_AT_ONCE = 2048
"""Regions whose images are matched by one thread at a time."""

_MOST_PAIRS = 512
"""Images with more pairs of regions are measured directly in a search: there are too few of them to move masses of many
images at once."""

_REGIONS_AT_ONCE = 8192
"""Regions of a block, where a whole archive is ranked."""

_FEWEST_ASKED, _MOST_ASKED, _DISTANCES_AT_ONCE = 8, 100, 1 << 23
"""Of a whole archive, the queries that are asked together, and about how many of their distances are in memory."""


@dataclass(frozen=True, slots=True)
class IRM:
    """Ranks by integrated region matching, with shares of the area as masses and L2 between region vectors.

    A query is always a whole image: all its mass is matched with all mass of the other image, so that one region alone
    would be compared with everything that the other image shows.

    Attributes:
        vectors: "unit" scales every region's vector to length 1 first, so that only its direction counts; "raw" takes
            vectors as they are.

    Raises:
        InputError: It is neither of these.
    """

    vectors: str = "unit"

    name: ClassVar[str] = "irm"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    needs_regions: ClassVar[bool] = True
    reads: ClassVar[tuple[Field, ...]] = ("recnn", "classes", "areas", "boxes")
    metrics: ClassVar[tuple[str, ...]] = ("l2",)
    derived_files: ClassVar[tuple[DerivedFile[Any], ...]] = (COMPONENTS,)

    def __post_init__(self) -> None:
        require_vectors(self.vectors)

    @property
    def title(self) -> str:
        """Says so where vectors are compared as they are."""
        return "IRM" if self.vectors == "unit" else "IRM, raw vectors"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Match the query with each image; infinite where one of them has no region."""
        return np.asarray(self._measured([query], images)[0])

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """For each region of the query, the region of the hit that most of its area is matched with."""
        if not len(query.recnn) or not len(hit.recnn):
            return ()
        apart = np.asarray(pairwise_distances(self._scaled(query.recnn), self._scaled(hit.recnn), "l2"), np.float64)
        found = partners(apart, area_shares(query.areas), area_shares(hit.areas)).tolist()
        return matches_with(hit, ((own, region, float(apart[own, region])) for own, region in enumerate(found)))

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`."""
        return [self._nearest(stored, query, top, mask) for query, mask in zip(queries, wanted, strict=True)]

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Several queries are the columns of one product."""
        waiting = iter(queries)
        most = max(_FEWEST_ASKED, min(_MOST_ASKED, _DISTANCES_AT_ONCE // max(1, len(stored))))
        while together := list(itertools.islice(waiting, most)):
            yield from self._all_from(stored, together, wanted)

    def joined(
        self, stored: StoredVectors, query: ImageFeatures, wanted: NDArray[np.bool_], distances: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See `JoinsParts.joined`."""
        positions = np.flatnonzero(wanted)
        joined: NDArray[np.float64] = distances.copy()
        measure = partial(self._measure, stored, query)
        joined[positions] = told_apart(distances[positions], lambda some: measure(positions[some]))
        return joined

    def _all_from(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        low = np.full((len(queries), len(stored)), np.inf)
        high = np.full((len(queries), len(stored)), np.inf)
        asking = [at for at, query in enumerate(queries) if len(query.recnn)]
        positions = np.flatnonzero(wanted)
        if asking:
            columns, asked = side_by_side([self._asked(queries[at]) for at in asking])
            shown = positions[stored.region_counts[positions] > 0]
            shown = shown[np.argsort(stored.region_counts[shown], kind="stable")]
            ends = np.cumsum(stored.region_counts[shown])

            def bound(part: slice) -> None:
                places, groups = zip(*self._images(stored, np.sort(shown[part]), columns, finely=True), strict=True)
                for at, query in zip(asking, asked, strict=True):
                    for where, found in zip(places, matching_intervals(query, groups), strict=True):
                        low[at, where], high[at, where] = found

            with products_in_own_thread():
                # Small archives are shared by all threads too.
                most = max(1, min(_REGIONS_AT_ONCE, int(ends[-1:].sum()) // usable_cores()))
                deque(in_threads(bound, cut(ends, most)), maxlen=0)

        def settle(at: int) -> NDArray[np.float64]:
            distances = np.full(len(stored), np.nan)
            measure = partial(self._measure, stored, queries[at])
            unsure = positions[np.isnan(low[at, positions])]
            low[at, unsure] = high[at, unsure] = measure(unsure)
            ends = low[at, positions], high[at, positions]
            distances[positions] = settled(*ends, lambda some: measure(positions[some]))
            return distances

        yield from in_threads(settle, range(len(queries)))

    def _images(
        self, stored: StoredVectors, positions: NDArray[np.int64], columns: NDArray[np.float64], *, finely: bool = False
    ) -> list[tuple[NDArray[np.int64], MatchedImages]]:
        """Images in groups, each with its positions.

        Args:
            stored: The vectors of the index.
            positions: int64 [k], ascending, of images with regions.
            columns: From `side_by_side`.
            finely: As for `alike`.
        """
        areas = stored.areas(positions)
        return matched_images(gathered(stored, positions), areas, columns, unit=self.vectors == "unit", finely=finely)

    def _asked(self, query: ImageFeatures) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self._scaled(query.recnn), area_shares(query.areas)

    def _nearest(self, stored: StoredVectors, query: ImageFeatures, top: int, wanted: NDArray[np.bool_]) -> Found:
        low, high = np.where(wanted, 0.0, np.inf), np.full(len(stored), np.inf)
        known = np.zeros(len(stored), dtype=bool)

        def tighten(some: NDArray[np.int64]) -> NDArray[np.float64]:
            low[some], high[some] = self._intervals(stored, query, some)
            known[some] = True
            return high[some]

        rough = self._rough(stored, query, top, wanted, tighten)
        if rough is not None:
            low[~known] = rough[~known]
        farthest = reach(high[known], top)
        left = np.flatnonzero(wanted & ~known)
        left = left[np.argsort(low[left], kind="stable")]
        size = top + _FIRST if rough is not None else len(left)
        while len(left) and low[left[0]] <= farthest:
            some, left = left[:size], left[size:]
            some, least = self._least(stored, query, some[low[some] <= farthest])
            done, tried = 0, top + _TRIED
            while done < (still := int(np.searchsorted(least, farthest, side="right"))):
                tighten(some[done : min(done + tried, still)])
                farthest = reach(high[known], top)
                done += tried
                tried *= 2
            size *= 4
        positions = np.flatnonzero(known & (low <= reach(high[known], top)))
        return brute_force.first(stored, positions, self._measure(stored, query, positions), top)

    def _rough(
        self,
        stored: StoredVectors,
        query: ImageFeatures,
        top: int,
        wanted: NDArray[np.bool_],
        measure: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    ) -> NDArray[np.float64] | None:
        """Lower bounds from components, float64 [P]; None where they would not save time."""
        most = int(wanted.sum())
        if not len(query.recnn) or most <= top + _FIRST or not has_components(stored, wanted):
            return None
        asked, masses = to_float64(query.recnn), area_shares(query.areas)

        def look(components: Components, positions: slice, sample: bool) -> NDArray[np.float64]:
            shares = stored.area_shares(np.arange(positions.start, positions.stop))
            least = components.least_matchings(asked, masses, shares, unit=self.vectors == "unit", sample=sample)
            return least[:, None]

        if most > WORTH_SAMPLING:
            (sampled,) = component_bounds(stored, wanted, 1, look, sample=True)
            if not worth_looking(sampled, wanted, top, measure):
                return None
        return np.asarray(component_bounds(stored, wanted, 1, look)[0])

    def _intervals(
        self, stored: StoredVectors, query: ImageFeatures, some: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the greatest distance of some images (int64 [k]), float64 [k] each; equal where measured."""
        low, high = np.full(len(stored), np.inf), np.full(len(stored), np.inf)
        positions = np.sort(some[stored.region_counts[some] > 0])
        if len(query.recnn) and len(positions):
            columns, (asked,) = side_by_side([self._asked(query)])

            ends = np.cumsum(stored.region_counts[positions])
            parts = (positions[part] for part in cut(ends, _MATCHED_AT_ONCE))
            read = in_threads(partial(self._images, stored, columns=columns), parts)
            places, groups = zip(*itertools.chain.from_iterable(read), strict=True)
            for where, found in zip(places, matching_intervals(asked, groups, _MOST_PAIRS), strict=True):
                low[where], high[where] = found
            unsure = positions[np.isnan(low[positions])]
            low[unsure] = high[unsure] = self._measure(stored, query, unsure)
        return low[some], high[some]

    def _measure(self, stored: StoredVectors, query: ImageFeatures, some: NDArray[np.int64]) -> NDArray[np.float64]:
        """The distances of some images, int64 [k], as `distances` computes them."""
        found = np.full(len(stored), np.inf)
        if len(query.recnn) and len(some):
            mask = np.zeros(len(stored), dtype=bool)
            mask[some] = True
            for read in region_blocks(stored, mask, regions_at_once=_MATCHED_AT_ONCE):
                block = read(None)
                counts, areas = stored.region_counts[block.positions], stored.areas(block.positions)
                found[block.positions] = self._matched([query], block.vectors, block.starts, counts, areas)[0]
        return found[some]

    def _least(
        self, stored: StoredVectors, query: ImageFeatures, some: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Bound the distances from below by products of all vectors.

        Args:
            stored: The vectors of the index.
            query: The query.
            some: int64 [k], positions.

        Returns:
            The same positions in order of their bounds, and the bounds, float64 [k]; infinite without regions.
        """
        low = np.full(len(stored), np.inf)
        if not len(query.recnn):
            return some, low[some]
        wanted = np.zeros(len(stored), dtype=bool)
        wanted[some] = True
        asked, masses = to_float64(query.recnn), area_shares(query.areas).astype(np.float32)
        columns = np.ascontiguousarray(asked.T * -2, dtype=np.float32)
        lengths = UnitLengths(asked) if self.vectors == "unit" else None
        # A float32 product of C numbers is off by less than (C + 2)·2⁻²⁴ of the product of the lengths, and so are the
        # squared lengths; twice each, because squares of distances are sums of three such numbers.
        narrowed = np.float32(1 - (asked.shape[1] + 8) * 2.0**-23)
        squares = _where_it_fits(np.square(asked).sum(axis=1, keepdims=True)) * narrowed
        own = threading.local()

        def bound(read: ReadBlock) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            if not hasattr(own, "room"):
                own.room = np.empty((REGIONS_PER_BLOCK, len(columns)), dtype=np.float32)
            block = read(own.room)
            with np.errstate(over="ignore", invalid="ignore"):
                # The query's regions are rows: whole arrays are longest along the regions of the images.
                apart = np.ascontiguousarray(matrix_products(block.vectors, columns).T)
                apart += _where_it_fits(block.squared_norms) * narrowed
                apart += squares
                apart = lengths.scale(apart, block.squared_norms) if lengths else np.fmax(apart, 0, out=apart)
            shares = stored.area_shares(block.positions)
            return block.positions, least_distances(np.sqrt(apart, out=apart), masses, shares, block.starts)

        for positions, least in in_threads(bound, region_blocks(stored, wanted)):
            low[positions] = least
        order = some[np.argsort(low[some], kind="stable")]
        return order, low[order] * (1 - 1e-5)  # of sums in float32

    def _measured(self, queries: Sequence[ImageFeatures], images: ImageBlock) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to the images of a block."""
        return self._matched(queries, images.recnn, images.starts[:-1], np.diff(images.starts), images.areas)

    def _matched(
        self,
        queries: Sequence[ImageFeatures],
        vectors: NDArray[np.floating],
        starts: NDArray[np.int64],
        counts: NDArray[np.int64],
        areas: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to k images, whose regions stand from `starts` on."""
        found = np.full((len(queries), len(starts)), np.inf)
        vectors = self._scaled(vectors)
        for which, regions in alike(starts, counts):
            inside = np.arange(regions.shape[1]) < counts[which, None]
            own = np.where(inside, areas[regions], 0)
            shares = own / own.sum(axis=1, keepdims=True)
            of_images = vectors[regions.ravel()]
            for at, query in enumerate(queries):
                if len(query.recnn):
                    apart = pairwise_distances(self._scaled(query.recnn), of_images, "l2")
                    cube = apart.reshape(-1, *regions.shape).transpose(1, 0, 2)
                    cube = np.where(inside[:, None], cube, np.inf)
                    found[at, which], _ = match(cube, area_shares(query.areas), shares)
        return found

    def _scaled(self, vectors: NDArray[np.floating]) -> NDArray[np.float64]:
        scaled = to_float64(vectors)
        return unit_vectors(scaled, out=scaled) if self.vectors == "unit" else scaled


def _where_it_fits(squares: NDArray[np.floating]) -> NDArray[np.float32]:
    """Squared lengths in float32; NaN, from which only 0 follows as a bound, where products may overflow."""
    return np.where(squares <= LARGEST, squares, np.nan).astype(np.float32)
