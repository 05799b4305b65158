"""Two schemes that rank together, each with a share of the distance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking.scheme import ImageFeatures, Match, Scheme
from rsir_tf.ranking.stages import StageOfTwo
from rsir_tf.ranking.whole_archives import all_distances

if TYPE_CHECKING:
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True)
class Mixed(StageOfTwo):
    """Ranks by (1 − share) · one scheme's distance + share · another one's.

    Distances of different schemes have different scales. So each scheme's distances from a query are first divided by
    their mean over all images that are searched, where infinite ones are left out; 1 is then an ordinary distance. An
    image that the second scheme puts at infinity, because it has no region, counts as its farthest one.

    A distance therefore depends on which images are searched, and cannot be compared between queries.

    Attributes:
        first: The first scheme.
        second: The second one.
        share: What the second one counts, from 0 (nothing) to 1 (alone).

    Raises:
        InputError: The share is outside 0 to 1.
    """

    first: Scheme
    second: Scheme
    share: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"the share of {self.second.name} is {self.share}", wanted="a number from 0 to 1")

    def _named(self, first: str, second: str = "") -> str:
        return f"{first} with {self.share:g} {second}"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """The distances if only these images are searched."""
        return self._mixed(self.first.distances(query, images), self.second.distances(query, images))

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions that explain a hit to the first scheme, or to the second one where the first one names none."""
        return self.first.matches(query, hit) or self.second.matches(query, hit)

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`."""
        asked, again = itertools.tee(queries)
        ones = all_distances(self.first, stored, asked, wanted)
        others = all_distances(self.second, stored, again, wanted)
        for one, other in zip(ones, others, strict=True):
            distances = np.full(len(stored), np.nan)
            distances[wanted] = self._mixed(one[wanted], other[wanted])
            yield distances

    def _mixed(self, one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        known = np.isfinite(other)
        other = np.where(known, other, other[known].max(initial=0))
        return (1 - self.share) * _scaled(one) + self.share * _scaled(other)


def _scaled(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = distances[np.isfinite(distances)]
    mean = float(finite.mean()) if len(finite) else 0.0
    return distances / mean if mean else distances
