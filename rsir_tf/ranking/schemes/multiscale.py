"""Regions at two scales: integrated matching of regions whose vectors of conv5_3 and conv4_3 stand side by side.

A cell of conv4_3 covers 8 pixels a side and sees 92 around it, where one of conv5_3 covers 16 and sees 196: it tells
texture and small objects that the deeper layer has summed up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.further_layers import CONV4_3_WEIGHT, require_layers, side_by_side
from rsir_tf.ranking.images import ImageBlock
from rsir_tf.ranking.region_matching import require_vectors
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match
from rsir_tf.ranking.schemes.irm import IRM

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors


@dataclass(frozen=True, slots=True)
class MultiScale:
    """Ranks as integrated region matching does, with L2 between vectors of both layers side by side.

    Every image is measured.

    Attributes:
        vectors: "unit" scales the vectors of each layer to length 1 first; "raw" takes them as they are.
        weight: What conv4_3 counts; conv5_3 counts 1.

    Raises:
        InputError: The vectors are neither of these, or the weight is negative or not finite.
    """

    vectors: str = "unit"
    weight: float = CONV4_3_WEIGHT

    name: ClassVar[str] = "multiscale"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    needs_regions: ClassVar[bool] = True
    reads: ClassVar[tuple[Field, ...]] = ("recnn", "recnn_conv4_3", "classes", "areas", "boxes")
    metrics: ClassVar[tuple[str, ...]] = ("l2",)

    def __post_init__(self) -> None:
        require_vectors(self.vectors)
        require_weight(self.weight)

    @property
    def title(self) -> str:
        """Says so where vectors are compared as they are."""
        return "Multi-scale" if self.vectors == "unit" else "Multi-scale, raw vectors"

    def check_index(self, index: StoredIndex) -> None:
        """See `ChecksIndex.check_index`."""
        require_layers(index, self)

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Match the query with each image; infinite where one of them has no region."""
        return _MATCHING.distances(self._joined(query), self._joined_block(images))

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """For each region of the query, the region of the hit that most of its area is matched with."""
        return _MATCHING.matches(self._joined(query), self._joined(hit))

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Blocks of images are spread over the cores."""

        def measure(asked: Sequence[ImageFeatures], images: ImageBlock) -> NDArray[np.float64]:
            block = self._joined_block(images)
            return np.stack([_MATCHING.distances(query, block) for query in asked])

        joined = (self._joined(query) for query in queries)
        return brute_force.all_distances_in_threads(measure, stored, joined, wanted)

    def _joined(self, image: ImageFeatures) -> ImageFeatures:
        vectors = side_by_side(image.recnn, image.recnn_conv4_3, self.weight, self.vectors)
        return image.having(recnn=vectors)

    def _joined_block(self, images: ImageBlock) -> ImageBlock:
        return _Joined(images, side_by_side(images.recnn, images.recnn_conv4_3, self.weight, self.vectors))


_MATCHING = IRM(vectors="raw")
"""Of vectors that are scaled already."""


class _Joined(ImageBlock):
    """A block with other vectors of its regions."""

    def __init__(self, images: ImageBlock, vectors: NDArray[np.float64]) -> None:
        self._count = len(images)
        self.starts, self.areas = images.starts, images.areas
        self.recnn = vectors  # type: ignore[assignment]

    def __len__(self) -> int:
        return self._count


def require_weight(weight: float) -> None:
    """Refuse a weight that no layer can have.

    Raises:
        InputError: It is negative or not finite.
    """
    if not 0 <= weight < np.inf:
        raise InputError(f"the weight of conv4_3 is {weight}", wanted="a number of at least 0")
