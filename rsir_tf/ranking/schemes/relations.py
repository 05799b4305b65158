"""Spatial relations: images by how their classes lie to each other, whatever the regions look like.

What is counted is in `relation_histograms`. The scheme asks for no vectors; it is meant to stand beside one that
compares what regions look like (`Mixed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rsir_tf.processors import in_threads
from rsir_tf.ranking.borders import matching_regions, require_borders
from rsir_tf.ranking.images import HeldBlock, image_blocks
from rsir_tf.ranking.relation_histograms import Histograms, histogram_distances, relation_histograms
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

_WORTH_KEEPING = 128
_MOST_KEPT = 1024
"""Blocks of images whose histograms are kept: about half a kilobyte an image, in blocks of at most 1,024."""

_KEPT: WeakKeyDictionary[StoredVectors, dict[bytes, Histograms]] = WeakKeyDictionary()
"""The vectors of an open index → the positions of a block of images → its histograms."""


@dataclass(frozen=True, slots=True)
class Relations:
    """Ranks by half the L1 distance between histograms of relations between classes, from 0 to 1.

    A query is always a whole image.
    """

    name: ClassVar[str] = "relations"
    title: ClassVar[str] = "Relations"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    needs_regions: ClassVar[bool] = True
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
        counted = _counted(stored, blocks)
        for query in queries:
            own = _histogram(query)
            distances = np.full(len(wanted), np.nan)
            for (places, block), histograms in zip(blocks, counted, strict=True):
                distances[places] = histogram_distances(own, histograms, len(block))
            yield distances


def _counted(stored: StoredVectors, blocks: Sequence[tuple[NDArray[np.int64], ImageBlock]]) -> list[Histograms]:
    """Count relations in blocks of images; those of large blocks are kept for later queries."""
    kept = _KEPT.setdefault(stored, {})
    if len(kept) > _MOST_KEPT:
        kept.clear()
    names = [places.tobytes() for places, _ in blocks]
    new = {name: block for name, (_, block) in zip(names, blocks, strict=True) if name not in kept}
    found = dict(zip(new, in_threads(relation_histograms, new.values()), strict=True))
    kept.update({name: each for name, each in found.items() if len(new[name]) >= _WORTH_KEEPING})
    return [found[name] if name in found else kept[name] for name in names]


def _histogram(query: ImageFeatures) -> Histograms:
    return relation_histograms(HeldBlock([query]))
