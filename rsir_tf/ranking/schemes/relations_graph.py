"""Regions as nodes of a graph: what they look like and what lies around them, matched together.

It is integrated region matching (`region_matching`) with a cost that has two parts: how far the vectors of two regions
are apart, and how different their surroundings are (`borders.surroundings`). All images are measured, none is ruled out
before; it is meant to order the first images that another scheme finds, or for a share of its distance.

The other way to compare such graphs that was measured is the fused Gromov-Wasserstein distance (Vayer, Chapel, Flamary,
Tavenard and Courty, "Optimal transport for structured data with application on graphs", ICML 2019), which looks at all
pairs of nodes. README.md of `ranking` says what both bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances, to_float64, unit_vectors
from rsir_tf.errors import InputError
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.borders import largest_regions, require_borders, surroundings
from rsir_tf.ranking.images import HeldBlock
from rsir_tf.ranking.region_matching import match, partners
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match, matches_with

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

MOST_REGIONS = 512
"""Of more regions in one image the largest are matched."""


@dataclass(frozen=True, slots=True)
class RelationsGraph:
    """Ranks by integrated matching of regions and their surroundings, with shares of the area as masses.

    A query is always a whole image.

    Attributes:
        share: Of the surroundings in the cost of a pair of regions: (1 − share) · L2 between unit vectors + share ·
            half the L1 distance between surroundings.

    Raises:
        InputError: The share is outside 0 to 1.
    """

    share: float = 0.2

    name: ClassVar[str] = "relations-graph"
    title: ClassVar[str] = "Relations graph"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    needs_regions: ClassVar[bool] = True
    reads: ClassVar[tuple[Field, ...]] = ("recnn", "classes", "areas", "boxes", "borders", "edge")
    metrics: ClassVar[tuple[str, ...]] = ("l2",)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"the share of surroundings is {self.share}", wanted="a number from 0 to 1")

    def check_index(self, index: StoredIndex) -> None:
        """See `ChecksIndex.check_index`."""
        require_borders(index, self.name)

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Match the query with each image; infinite where one of them has no region."""
        return np.asarray(self._measured([_Graphs(HeldBlock([query]))], images)[0])

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """For the largest regions of the query, the region of the hit that most of its area is matched with."""
        own, other = _Graphs(HeldBlock([query])), _Graphs(HeldBlock([hit]))
        if not len(own.regions) or not len(other.regions):
            return ()
        costs = self._costs(own, other)
        found = partners(costs, own.masses, other.masses)
        apart = costs[np.arange(len(found)), found].tolist()
        return matches_with(hit, zip(own.regions.tolist(), other.regions[found].tolist(), apart, strict=True))

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Blocks of images are spread over the cores."""
        asked = (_Graphs(HeldBlock([query])) for query in queries)
        return brute_force.all_distances_in_threads(self._measured, stored, asked, wanted)

    def _measured(self, queries: Sequence[_Graphs], images: ImageBlock) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to the images of a block."""
        graphs = _Graphs(images)
        found = np.full((len(queries), len(images)), np.inf)
        asking = [(at, query) for at, query in enumerate(queries) if len(query.regions)]
        for count in np.unique(graphs.counts[graphs.counts > 0]).tolist():
            which = np.flatnonzero(graphs.counts == count)
            regions = graphs.begins[which, None] + np.arange(count)
            for at, query in asking:
                cube = self._costs(query, graphs, regions.ravel()).reshape(-1, *regions.shape).transpose(1, 0, 2)
                found[at, which], _ = match(cube, query.masses, graphs.masses[regions])
        return found

    def _costs(
        self, own: _Graphs, others: _Graphs, chosen: NDArray[np.int64] | slice = slice(None)
    ) -> NDArray[np.float64]:
        apart = pairwise_distances(own.vectors, others.vectors[chosen], "l2")
        shown = own.around.any(axis=0) | others.around.any(axis=0)
        around = pairwise_distances(own.around[:, shown], others.around[chosen][:, shown], "l1") / 2
        return np.asarray((1 - self.share) * apart + self.share * around, np.float64)


class _Graphs:
    """The largest regions of each image of a block, in their order.

    Attributes:
        regions: int64 [n], their numbers in the block.
        counts: int64 [k], how many each image has.
        begins: int64 [k], where each image's begin.
        masses: float64 [n], shares of their area; the sum is 1 in each image.
        vectors: float64 [n, C], of length 1.
        around: float64 [n, 257], see `surroundings`.
    """

    def __init__(self, block: ImageBlock) -> None:
        self.regions = largest_regions(block, MOST_REGIONS)
        images = block.images[self.regions]
        self.counts = np.bincount(images, minlength=len(block))
        self.begins = np.cumsum(self.counts) - self.counts
        areas = block.areas[self.regions]
        self.masses = areas / np.bincount(images, weights=areas, minlength=len(block))[images]
        self.vectors = unit_vectors(to_float64(block.recnn[self.regions]))
        self.around = surroundings(block)[self.regions]
