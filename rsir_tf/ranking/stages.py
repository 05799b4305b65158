"""Second stages: schemes that ask another scheme first, and then once more in the light of what it found.

All can be used wherever a scheme can, also around each other. An answer names them, because its distances are those of
the second question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking import brute_force, whole_archives
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.scheme import (
    IMAGE_FIELDS,
    REGION_FIELDS,
    Field,
    Found,
    ImageFeatures,
    Match,
    Scheme,
    check_index,
    joined_borders,
)
from rsir_tf.ranking.whole_archives import all_distances

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

_AREA = 1 << 40
"""What areas of an expanded query are shares of, so that whole numbers keep twelve digits."""


class Stage:
    """What stages take from their first scheme."""

    first: Scheme

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Those that the stage asks."""
        return (self.first,)

    @property
    def name(self) -> str:
        """For example "recnn+, expanded by 5"."""
        return self._named(*(scheme.name for scheme in self.schemes))

    @property
    def title(self) -> str:
        """For example "ReCNN+, expanded by 5"."""
        return self._named(*(scheme.title for scheme in self.schemes))

    def _named(self, first: str, second: str = "") -> str:
        """What the stage is called, by what its schemes are called."""
        raise NotImplementedError

    @property
    def reads(self) -> tuple[Field, ...]:
        """The fields that any of its schemes reads."""
        return tuple(dict.fromkeys(field for scheme in self.schemes for field in scheme.reads))

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions of the query itself that explain a hit to the first scheme."""
        return self.first.matches(query, hit)

    @property
    def asks_with(self) -> Literal["regions", "image"]:
        """As the first scheme."""
        return self.first.asks_with

    @property
    def metrics(self) -> tuple[str, ...]:
        """As the first scheme."""
        return self.first.metrics

    def check_index(self, index: StoredIndex) -> None:
        """See `ChecksIndex.check_index`: what each of its schemes says."""
        for scheme in self.schemes:
            check_index(scheme, index)


class StageOfTwo(Stage):
    """What stages take from two schemes."""

    second: Scheme

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """Both."""
        return (self.first, self.second)

    @property
    def asks_with(self) -> Literal["regions", "image"]:
        """Single regions can be a query where both schemes take them."""
        return self.first.asks_with if self.first.asks_with == self.second.asks_with else "image"


@dataclass(frozen=True)
class Expanded(Stage):
    """Asks again with the query and its first hits together (query expansion).

    A hit counts with the cosine between its ReCNN+ and the query's, to a power (α query expansion: Radenović, Tolias
    and Chum, "Fine-tuning CNN image retrieval with no human annotation", PAMI 2019). Under a scheme that compares whole
    vectors, their weighted mean asks; under cosine, that of the vectors scaled to length 1. Under a scheme that
    compares regions, all regions ask together, with their areas weighted; if its queries may be single regions, only
    those regions of the hits that match the query's.

    Attributes:
        first: The scheme that is asked twice.
        hits: How many of the first hits take part, at least 1. Images with the query's own vectors, which would only
            count it twice, are passed over.
        power: Of the cosine; 0 gives all hits the same weight.

    Raises:
        InputError: Fewer than one hit, a negative power, or a scheme that reads the borders of regions.
    """

    first: Scheme
    hits: int = 5
    power: float = 3.0

    def __post_init__(self) -> None:
        if isinstance(self.hits, bool) or not isinstance(self.hits, int) or self.hits < 1:
            raise InputError(f"a query is expanded by {self.hits!r} hits", wanted="a whole number of at least 1")
        if "borders" in self.first.reads:
            raise InputError(
                f"a query under {self.first.name} is to be expanded, and regions of several images have no relations",
                cure="expand the scheme that finds, and mix or rerank by relations then",
            )
        if not self.power >= 0:
            raise InputError(f"the power of similarities is {self.power}", wanted="at least 0")

    def _named(self, first: str, second: str = "") -> str:
        return f"{first}, expanded by {self.hits}"

    @property
    def reads(self) -> tuple[Field, ...]:
        """The fields that the first scheme reads, and those that are needed to expand a query."""
        if self.compares_whole_images:
            return self.first.reads
        own: tuple[Field, ...] = ("classes", "areas", "boxes", "centroids", "recnn", "recnn_plus")
        return tuple(dict.fromkeys((*own, *self.first.reads)))

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """The distances from the query alone, which find its first hits."""
        return self.first.distances(query, images)

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`."""
        found = nearest(self.first, stored, queries, self.hits + 1, wanted)
        again = [self._expanded(stored, query, hits) for query, hits in zip(queries, found, strict=True)]
        return nearest(self.first, stored, again, top, wanted)

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`."""

        def again() -> Iterator[ImageFeatures]:
            for query in queries:
                (hits,) = nearest(self.first, stored, [query], self.hits + 1, [wanted])
                yield self._expanded(stored, query, hits)

        return all_distances(self.first, stored, again(), wanted)

    @property
    def compares_whole_images(self) -> bool:
        """Whether the first scheme compares whole images, by vectors alone."""
        return set(self.first.reads) <= set(IMAGE_FIELDS)

    def _expanded(self, stored: StoredVectors, query: ImageFeatures, hits: Found) -> ImageFeatures:
        near = [image_at(stored, position) for position, distance in hits if np.isfinite(distance)]
        images = [image for image in near if not np.array_equal(image.recnn_plus, query.recnn_plus)][: self.hits]
        cosines = np.array([_cosine(query.recnn_plus, image.recnn_plus) for image in images])
        weights = np.concatenate([[1.0], np.maximum(cosines, 0) ** self.power])
        if self.compares_whole_images:
            unit = getattr(self.first, "metric", "cosine") == "cosine"
            means = {
                name: _mean([getattr(each, name) for each in (query, *images)], weights, unit)
                for name in self.first.reads
            }
            return query.having(**means)
        if self.first.asks_with == "regions":
            images = [image.only([each.region for each in self.first.matches(query, image)]) for image in images]
        parts = [query, *images]
        joined: dict[str, NDArray[Any]] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in REGION_FIELDS
            if all(getattr(part, name) is not None for part in parts)
        }
        shares = [
            _AREA * weight * part.areas / max(1, part.areas.sum()) for weight, part in zip(weights, parts, strict=True)
        ]
        joined["areas"] = np.maximum(1, np.concatenate(shares)).astype(np.int64)
        return query.having(**joined, borders=joined_borders(parts))


@dataclass(frozen=True)
class Reranked(StageOfTwo):
    """Orders the first images that one scheme finds by another scheme.

    Attributes:
        first: The scheme that finds.
        second: The scheme that orders.
        top: How many images are ordered; a search gives no more than these.

    Raises:
        InputError: Fewer than one image.
    """

    first: Scheme
    second: Scheme
    top: int = 100

    def __post_init__(self) -> None:
        if isinstance(self.top, bool) or not isinstance(self.top, int) or self.top < 1:
            raise InputError(f"{self.top!r} images are to be ranked again", wanted="a whole number of at least 1")

    def _named(self, first: str, second: str = "") -> str:
        return f"{first}, first {self.top} by {second}"

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """The distances of the second scheme."""
        return self.second.distances(query, images)

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions that explain a hit to the second scheme."""
        return self.second.matches(query, hit)

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`; no more than `self.top` images."""
        heads = nearest(self.first, stored, queries, self.top, wanted)
        masks = [_mask(len(stored), head) for head in heads]
        return nearest(self.second, stored, queries, min(top, self.top), masks)

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Beyond the first images, numbers only tell the first scheme's order."""
        for query in queries:
            (distances,) = all_distances(self.first, stored, [query], wanted)
            asked = np.flatnonzero(wanted)
            head = brute_force.first(stored, asked, distances[asked], self.top)
            (ordered,) = nearest(self.second, stored, [query], self.top, [_mask(len(stored), head)])
            places = [position for position, _ in ordered]
            farthest = max((distance for _, distance in ordered if np.isfinite(distance)), default=0.0)
            distances = distances + (farthest + 1.0)
            # An image that the second scheme cannot compare, without regions say, is the last of the first images.
            distances[places] = [distance if np.isfinite(distance) else farthest + 0.5 for _, distance in ordered]
            yield distances


def needs_regions(scheme: Scheme) -> bool:
    """Whether a query without regions is infinitely far from every image, so that the order of hits says nothing.

    Of a mixture the first scheme decides: it ranks alone where the second one cannot compare.
    """
    if isinstance(scheme, Reranked):
        return any(map(needs_regions, scheme.schemes))
    if isinstance(scheme, Stage):
        return needs_regions(scheme.first)
    return bool(getattr(scheme, "needs_regions", scheme.asks_with == "regions"))


def nearest(
    scheme: Scheme,
    stored: StoredVectors,
    queries: Sequence[ImageFeatures],
    top: int,
    wanted: Sequence[NDArray[np.bool_]],
) -> list[Found]:
    """Like `whole_archives.nearest`, but a query may have no regions, whatever it asks."""
    asking = [at for at, query in enumerate(queries) if scheme.asks_with != "regions" or len(query)]
    asked, masks = [queries[at] for at in asking], [wanted[at] for at in asking]
    answers = dict(zip(asking, whole_archives.nearest(scheme, stored, asked, top, masks), strict=True))
    return [answers[at] if at in answers else _farthest(stored, mask, top) for at, mask in enumerate(wanted)]


def _farthest(stored: StoredVectors, mask: NDArray[np.bool_], top: int) -> Found:
    """The first wanted images where all are infinitely far away."""
    positions = np.flatnonzero(mask)
    return brute_force.first(stored, positions, np.full(len(positions), np.inf), top)


def _mask(length: int, found: Found) -> NDArray[np.bool_]:
    mask = np.zeros(length, dtype=bool)
    mask[[position for position, _ in found]] = True
    return mask


def _mean(vectors: Sequence[NDArray[np.float32]], weights: NDArray[np.float64], unit: bool) -> NDArray[np.float32]:
    """The weighted mean of vectors, which are scaled to length 1 first if `unit`."""
    stacked = np.array(vectors, dtype=np.float64)
    if unit:
        stacked /= np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(weights @ stacked / weights.sum(), dtype=np.float32)


def _cosine(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(two))
    return float(one.astype(np.float64) @ two.astype(np.float64)) / lengths if lengths else 0.0
