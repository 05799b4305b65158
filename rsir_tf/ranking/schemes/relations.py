"""Spatial relations: images by how their classes lie to each other, whatever the regions look like.

What is counted is in `relation_histograms`. The scheme asks for no vectors; it is meant to stand beside one that
compares what regions look like (`Mixed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.processors import in_threads
from rsir_tf.ranking.borders import matching_regions, require_borders
from rsir_tf.ranking.images import HeldBlock, image_blocks
from rsir_tf.ranking.relation_histograms import Histograms, histogram_distances, relation_histograms
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match
from rsir_tf.ranking.whole_archives import rankings_by_distance

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True, slots=True)
class Relations:
    """Ranks by half the L1 distance between histograms of relations between classes, from 0 to 1.

    A query is always a whole image.
    """

    name: ClassVar[str] = "relations"
    title: ClassVar[str] = "Relations"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    reads: ClassVar[tuple[Field, ...]] = ("classes", "areas", "boxes", "borders", "edge")
    metrics: ClassVar[tuple[str, ...]] = ("l1",)

    def check_index(self, index: StoredIndex) -> None:
        """See `ChecksIndex.check_index`."""
        require_borders(index, self.name)

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Compare histograms; infinite where one of the images has no region."""
        return histogram_distances(_histogram(query), relation_histograms(images), len(images))

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """For the largest regions of the query, the region of the hit in the most similar surroundings."""
        return matching_regions(query, hit)

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Relations are counted once for all queries."""
        blocks = image_blocks(stored, wanted)
        counted = list(in_threads(relation_histograms, (block for _, block in blocks)))
        for query in queries:
            own = _histogram(query)
            distances = np.full(len(wanted), np.nan)
            for (places, block), histograms in zip(blocks, counted, strict=True):
                distances[places] = histogram_distances(own, histograms, len(block))
            yield distances

    def rankings(
        self, stored: StoredVectors, positions: NDArray[np.int64], queries: range
    ) -> Iterator[NDArray[np.int64]]:
        """See `RanksArchives.rankings`."""
        return rankings_by_distance(self, stored, positions, queries)


def _histogram(query: ImageFeatures) -> Histograms:
    return relation_histograms(HeldBlock([query]))
