"""Whole images at two scales: the cosine distance of their vectors of conv5_3 and conv4_3, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import pairwise_distances
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.further_layers import CONV4_3_WEIGHT, require_layers, side_by_side
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match
from rsir_tf.ranking.schemes.multiscale import require_weight

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True, slots=True)
class MultiScalePlus:
    """Ranks by the weighted mean of the cosine distances in conv5_3 and in conv4_3, one vector of each per image.

    Every image is measured.

    Attributes:
        weight: What conv4_3 counts in the vector, and so squared in the mean; conv5_3 counts 1.

    Raises:
        InputError: The weight is negative or not finite.
    """

    weight: float = CONV4_3_WEIGHT

    name: ClassVar[str] = "multiscale+"
    title: ClassVar[str] = "Multi-scale+"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    reads: ClassVar[tuple[Field, ...]] = ("recnn_plus", "recnn_plus_conv4_3")
    metrics: ClassVar[tuple[str, ...]] = ("cosine",)

    def __post_init__(self) -> None:
        require_weight(self.weight)

    def check_index(self, index: StoredIndex) -> None:
        """See `ChecksIndex.check_index`."""
        require_layers(index, self)

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """½ of the squared L2 distance of the vectors side by side, so that it is exactly 0 for equal vectors."""
        return np.asarray(self._measured([query], images)[0])

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """No region explains the distance of two whole images."""
        return ()

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Blocks of images are spread over the cores."""
        return brute_force.all_distances_in_threads(self._measured, stored, queries, wanted)

    def _measured(self, queries: Sequence[ImageFeatures], images: ImageBlock) -> NDArray[np.float64]:
        """float64 [Q, k], the distances from queries to the images of a block."""
        asked = np.concatenate([self._joined(query.recnn_plus, query.recnn_plus_conv4_3) for query in queries])
        joined = self._joined(images.recnn_plus, images.recnn_plus_conv4_3)
        return np.asarray(pairwise_distances(asked, joined, "cosine", scaled=True), dtype=np.float64)

    def _joined(self, one: NDArray[np.float32], two: NDArray[np.float32] | None) -> NDArray[np.float64]:
        return side_by_side(np.atleast_2d(one), None if two is None else np.atleast_2d(two), self.weight)
