"""A second stage that expands the images that were found as well as the query: all stand for their neighbours too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.images import HeldBlock, image_at
from rsir_tf.ranking.scheme import Found, ImageFeatures
from rsir_tf.ranking.stages import Expanded, nearest
from rsir_tf.ranking.whole_archives import all_distances


@dataclass(frozen=True)
class ExpandedBoth(Expanded):
    """Asks with an expanded query, and orders its first images by their own expanded vectors.

    Each of these images stands for the weighted mean of itself and of its nearest images among those that are searched,
    as the query does in `Expanded` (database-side augmentation: Turcot and Lowe, "Better matching with fewer features",
    ICCV workshops 2009; with weights, Gordo et al., "End-to-end learning of deep visual representations for image
    retrieval", IJCV 2017).

    Attributes:
        first: The scheme that is asked, of whole images by vectors.
        hits: How many neighbours the query and each image are expanded by, at least 1.
        power: Of the cosine that a neighbour counts with.
        top: How many of the first images are ordered; a search gives no more than these.

    Raises:
        InputError: As for `Expanded`; the scheme compares regions; or fewer than one image is ordered.
    """

    top: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise InputError(f"{self.top!r} images are to be expanded", wanted="a whole number of at least 1")
        if not self.compares_whole_images:
            raise InputError(
                f"scheme {self.first.name} compares regions, and both sides shall be expanded",
                wanted="a scheme that compares one vector per image, such as recnn+",
            )

    def _named(self, first: str, second: str = "") -> str:
        return f"{first}, both expanded by {self.hits}"

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`; no more than `self.top` images."""
        return [self._ordered(stored, query, mask, {})[1][:top] for query, mask in zip(queries, wanted, strict=True)]

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Beyond the first images, numbers only tell the expanded query's order."""
        known: dict[int, ImageFeatures] = {}
        for query in queries:
            again, ordered = self._ordered(stored, query, wanted, known)
            (distances,) = all_distances(self.first, stored, [again], wanted)
            distances = distances + max(distance for _, distance in ordered) if ordered else distances
            distances[[position for position, _ in ordered]] = [distance for _, distance in ordered]
            yield distances

    def _ordered(
        self,
        stored: StoredVectors,
        query: ImageFeatures,
        wanted: NDArray[np.bool_],
        known: dict[int, ImageFeatures],
    ) -> tuple[ImageFeatures, Found]:
        """The expanded query, and the first images in their order; `known` holds images that are expanded already."""
        (again,) = self._again(stored, [query], wanted)
        (found,) = nearest(self.first, stored, [again], self.top, [wanted])
        positions = [position for position, _ in found]
        new = [position for position in positions if position not in known]
        images = [image_at(stored, position) for position in new]
        known.update(zip(new, self._again(stored, images, wanted), strict=True))
        if not positions:
            return again, []
        distances = self.first.distances(again, HeldBlock([known[position] for position in positions]))
        return again, brute_force.first(stored, np.array(positions), distances, self.top)

    def _again(
        self, stored: StoredVectors, images: Sequence[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> list[ImageFeatures]:
        found = nearest(self.first, stored, images, self.hits + 1, [wanted] * len(images))
        return [self._expanded(stored, image, hits) for image, hits in zip(images, found, strict=True)]
