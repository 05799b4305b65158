"""ReCNN: images as sets of regions, by Eq. 3 of the paper.

The distance that defines it is `region_set_distance`. A search first bounds every distance from below and above
(`bounds`). It computes the distance directly only where the bounds leave open whether an image is among the nearest;
these direct values decide order and ties. The bounds are of the vectors as they are: with vectors of length 1, every
image is measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances, to_float64, unit_vectors
from rsir_tf.index.derived import DerivedFile
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.bounds.component_bounds import COMPONENTS
from rsir_tf.ranking.bounds.search_bounds import groups, narrowed_bounds, reach
from rsir_tf.ranking.bounds.true_order import all_set_distances, told_apart_among
from rsir_tf.ranking.proposals import Proposal
from rsir_tf.ranking.region_matching import require_vectors
from rsir_tf.ranking.scheme import Field, Found, ImageFeatures, Match, matches_with
from rsir_tf.ranking.set_distance import (
    direct_set_distance,
    mean_of_directions,
    mean_over_regions,
    nearest_regions,
    require_direction,
)

if TYPE_CHECKING:
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True, slots=True)
class ReCNN:
    """Ranks by Eq. 3: the mean, over the query's regions, of the L2 distance to the nearest region of the other image.

    Attributes:
        direction: "query" for Eq. 3 itself, from the query to the other image; or "both" for the mean of Eq. 3 in both
            directions.
        vectors: "raw" takes vectors as they are, as the paper does; "unit" scales every region's vector to length 1
            first, so that only its direction counts.

    Raises:
        InputError: A value is none of these.
    """

    direction: str = "query"
    vectors: str = "raw"

    name: ClassVar[str] = "recnn"
    asks_with: ClassVar[Literal["regions", "image"]] = "regions"
    reads: ClassVar[tuple[Field, ...]] = ("recnn",)
    metrics: ClassVar[tuple[str, ...]] = ("l2",)
    derived_files: ClassVar[tuple[DerivedFile[Any], ...]] = (COMPONENTS,)

    def __post_init__(self) -> None:
        require_direction(self.direction)
        require_vectors(self.vectors)

    @property
    def title(self) -> str:
        """Says so where vectors of length 1 are compared."""
        return "ReCNN" if self.vectors == "raw" else "ReCNN, unit vectors"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Compute Eq. 3 for each image; infinite where the query or the image has no region."""
        if self.vectors == "unit":
            return np.asarray(self._unit_distances([query], images)[0])
        if not len(query.recnn):
            return np.full(len(images), np.inf)
        asked = query.recnn.astype(np.float64)
        ends = zip(images.starts[:-1], images.starts[1:], strict=True)
        others = (images.recnn[start:end].astype(np.float64) for start, end in ends)
        return np.array([direct_set_distance(asked, other, self.direction) for other in others])

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The nearest region of the hit for each region of the query."""
        asked, found = query.recnn.astype(np.float64), hit.recnn.astype(np.float64)
        if self.vectors == "unit":
            asked, found = unit_vectors(asked), unit_vectors(found)
        regions, apart = nearest_regions(asked, found)
        return matches_with(hit, zip(range(len(asked)), regions.tolist(), apart.tolist(), strict=True))

    def proposal(self) -> Proposal:
        """See `Proposable.proposal`: the distances from the query's regions to the nearest ones, squared and summed."""
        return Proposal("recnn", "l2", unit=self.vectors == "unit")

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`. The index is read once for many queries."""
        if self.vectors == "unit":
            return brute_force.nearest_measured(self.all_distances, stored, queries, top, wanted)
        asked = [query.recnn for query in queries]
        found: list[Found] = []
        for group in groups(asked):
            low, high = narrowed_bounds(stored, asked[group], wanted[group], self.direction, top)
            for at, query in enumerate(asked[group]):
                exact = query.astype(np.float64)
                positions = np.flatnonzero(wanted[group][at] & (low[at] <= reach(high[at], top)))
                distances = [
                    direct_set_distance(exact, stored.recnn(position).astype(np.float64), self.direction)
                    for position in positions.tolist()
                ]
                found.append(brute_force.first(stored, positions, np.array(distances), top))
        return found

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. A query without regions is infinitely far from all images."""
        if self.vectors == "unit":
            return brute_force.all_distances_in_threads(self._unit_distances, stored, queries, wanted)
        return all_set_distances(stored, (query.recnn for query in queries), self.direction, wanted)

    def joined(
        self, stored: StoredVectors, query: ImageFeatures, wanted: NDArray[np.bool_], distances: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """See `JoinsParts.joined`."""
        if self.vectors == "unit":
            return distances
        return told_apart_among(stored, query.recnn, self.direction, wanted, distances)

    def _unit_distances(self, queries: Sequence[ImageFeatures], images: ImageBlock) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to the images of a block, between vectors of length 1."""
        found = np.full((len(queries), len(images)), np.inf)
        shown = np.flatnonzero(np.diff(images.starts))
        starts, vectors = images.starts[shown], unit_vectors(to_float64(images.recnn))
        for at, query in enumerate(queries):
            if len(query.recnn) and len(shown):
                apart = pairwise_distances(unit_vectors(to_float64(query.recnn)), vectors, "l2")
                there = np.minimum.reduceat(apart, starts, axis=1).mean(axis=0)
                if self.direction == "both":
                    there = mean_of_directions(there, mean_over_regions(apart.min(axis=0), starts))
                found[at, shown] = there
        return found
