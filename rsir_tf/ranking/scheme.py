"""What a ranking scheme is: what it asks with, what "near" means exactly, and which regions explain a hit.

A scheme needs nothing but `Scheme`: it then ranks by brute force, exactly. `Quick` and `RanksArchives` are for schemes
that know a quicker way to the same answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rsir_tf.index.derived import DerivedFile
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

Found = list[tuple[int, float]]
"""(position, distance), nearest first, equal distances in order of the index's rows."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFeatures:
    """What a scheme is given of one image with m regions and C channels.

    Of a query that is asked with bare vectors, only what the scheme `reads` is filled; the rest is empty.

    Attributes:
        classes: int32 [m], class index of each region.
        areas: int64 [m], pixels of each region.
        boxes: int32 [m, 4], (top, left, bottom, right) of each region in pixels, half-open.
        centroids: float32 [m, 2], (y, x) of each region in the same pixels; NaN in segments of index format 1.
        recnn: float32 [m, C], a vector a region.
        recnn_plus: float32 [C], the vector of the whole image.
    """

    classes: NDArray[np.int32]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int32]
    centroids: NDArray[np.float32]
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]

    def __len__(self) -> int:
        """The number of regions."""
        return max(len(self.recnn), len(self.classes))

    def only(self, regions: Sequence[int]) -> ImageFeatures:
        """The same image with some of its regions, in the order of `regions`."""
        chosen = list(regions)
        return self.having(**{name: getattr(self, name)[chosen] for name in REGION_FIELDS})

    def having(self, **others: NDArray[Any]) -> ImageFeatures:
        """The same image with other arrays in some fields."""
        return ImageFeatures(**{name: getattr(self, name) for name in FIELDS if name not in others}, **others)


Field = Literal["classes", "areas", "boxes", "centroids", "recnn", "recnn_plus"]
FIELDS: tuple[str, ...] = tuple(field.name for field in fields(ImageFeatures))
REGION_FIELDS = tuple(name for name in FIELDS if name != "recnn_plus")
"""Those that have a row for each region."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which region of a hit answered to a region of the query.

    Attributes:
        query_region: From 0, a row of the query's ReCNN.
        region: From 0, the hit's nearest region, a row of its ReCNN; the first of equals.
        distance: Between the two, in the unit of the scheme; under "recnn" L2.
        class_index: Class of the hit's region.
        box: (top, left, bottom, right) of the hit's region, in pixels of the hit.
    """

    query_region: int
    region: int
    distance: float
    class_index: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """One image that was found.

    Attributes:
        id: The image's id.
        row: Its row in the index.
        distance: To the query, ≥ 0; infinite for an image without regions under "recnn".
        matches: Regions that explain the hit, as the scheme gives them: under "recnn" one a query region, in their
            order, whose distances' mean is that of Eq. 3; under "recnn+" none.
    """

    id: str
    row: int
    distance: float
    matches: tuple[Match, ...] = ()


class Scheme(Protocol):
    """How images are ranked. Instances carry their options, usually as fields of a frozen dataclass.

    Attributes:
        name: As options, reports and files name it.
        title: As the paper and tables spell it.
        asks_with: "regions" where a query may be one region or some, and must have at least one; else "image".
        reads: The fields of `ImageFeatures` that it reads. Where it is one field of vectors, bare vectors can ask.
        metrics: Values of an option `metric` that it takes, or the one that it always uses; empty where it has none.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    asks_with: ClassVar[Literal["regions", "image"]]
    reads: ClassVar[tuple[Field, ...]]
    metrics: ClassVar[tuple[str, ...]]

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """The distances that define the scheme, whatever quicker way there is.

        Args:
            query: What is asked with.
            images: k images of the index.

        Returns:
            float64 [k], ≥ 0, not NaN; infinite for what is to come last.
        """
        ...

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions that explain a hit at a finite distance; empty where none do."""
        ...


@runtime_checkable
class Quick(Protocol):
    """A scheme that finds the first images without measuring all.

    Attributes:
        derived_files: What it wants to be kept beside the vectors of merged segments; without them it is exact too.
    """

    derived_files: ClassVar[tuple[DerivedFile[object], ...]]

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """Find the `top` wanted images that are nearest to each query, as brute force would.

        Args:
            stored: Of the index.
            queries: What is asked with; of `reads` alone.
            top: At least 1; more than there are gives all.
            wanted: bool [P] for each query, false for removed images.
        """
        ...


@runtime_checkable
class RanksArchives(Protocol):
    """A scheme that measures or ranks all images for all images quicker than one after the other."""

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """Distances from several queries, in their true order and to 1e-10 of themselves.

        Args:
            stored: Of the index.
            queries: Any number, read a few ahead.
            wanted: bool [P], the images to measure the distance to, false for removed ones.

        Yields:
            float64 [P], by position; NaN for images that are not wanted.
        """
        ...

    def rankings(
        self, stored: StoredVectors, positions: NDArray[np.int64], queries: range
    ) -> Iterator[NDArray[np.int64]]:
        """Rank images for some of these; only they are searched, whatever else the index holds.

        Args:
            stored: Of the index.
            positions: int64 [N], of the images to rank, in order of the index's rows: equal distances go by it.
            queries: Consecutive places in `positions`, of the images to rank them for.

        Yields:
            int64 [N], places in `positions`, nearest first.
        """
        ...
