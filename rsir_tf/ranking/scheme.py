"""What a ranking scheme is: what its queries are, what "near" means exactly, and which regions explain a hit.

A scheme must only implement `Scheme`: it then ranks exactly, by brute force. `Quick` and `RanksArchives` are for
schemes that have a quicker way to the same answers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock

Found = list[tuple[int, float]]
"""(position, distance), nearest first; equal distances are in the order of the index's rows."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageFeatures:
    """What a scheme gets to know about one image with m regions and C channels.

    Where a query consists of vectors only, just the fields that the scheme `reads` are filled; the others are empty.

    Attributes:
        classes: int32 [m], class index of each region.
        areas: int64 [m], pixels of each region.
        boxes: int32 [m, 4], (top, left, bottom, right) of each region in pixels, half-open.
        centroids: float32 [m, 2], (y, x) of each region in the same pixels; NaN in segments of index format 1.
        recnn: float32 [m, C], one vector per region.
        recnn_plus: float32 [C], the vector of the whole image.
        borders: int32 [e, 3], rows of (region, another region that it touches, pixel edges between them), each border
            from both sides; None stands for not known, and becomes an empty array.
        edge: int32 [m], pixel edges of each region at which the picture ends; −1 where borders are not known.
        recnn_conv4_3: float32 [m, C], like `recnn`, of conv4_3; None where the index keeps conv5_3 alone.
        recnn_plus_conv4_3: float32 [C], like `recnn_plus`; None likewise.
    """

    classes: NDArray[np.int32]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int32]
    centroids: NDArray[np.float32]
    recnn: NDArray[np.float32]
    recnn_plus: NDArray[np.float32]
    borders: NDArray[np.int32] = None  # type: ignore[assignment]
    edge: NDArray[np.int32] = None  # type: ignore[assignment]
    recnn_conv4_3: NDArray[np.float32] | None = None
    recnn_plus_conv4_3: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.edge is None:
            object.__setattr__(self, "borders", np.empty((0, 3), np.int32))
            object.__setattr__(self, "edge", np.full(len(self.classes), -1, np.int32))

    def __len__(self) -> int:
        """The number of regions."""
        return max(len(self.recnn), len(self.classes))

    def only(self, regions: Sequence[int]) -> ImageFeatures:
        """The same image with some of its regions, in the order of `regions`."""
        chosen = list(regions)
        number = np.full(len(self.edge), -1, np.int32)
        number[chosen] = np.arange(len(chosen))
        borders = np.column_stack([number[self.borders[:, :2]], self.borders[:, 2]])
        kept = borders[(borders[:, :2] >= 0).all(axis=1)]
        arrays = {name: getattr(self, name) for name in REGION_FIELDS}
        own = {name: array[chosen] for name, array in arrays.items() if array is not None}
        return self.having(**own, borders=kept[np.lexsort((kept[:, 1], kept[:, 0]))])

    def having(self, **others: NDArray[Any]) -> ImageFeatures:
        """The same image with other arrays in some fields."""
        return ImageFeatures(**{name: getattr(self, name) for name in FIELDS if name not in others}, **others)


Field = Literal[
    "classes",
    "areas",
    "boxes",
    "centroids",
    "recnn",
    "recnn_plus",
    "borders",
    "edge",
    "recnn_conv4_3",
    "recnn_plus_conv4_3",
]
FIELDS: tuple[str, ...] = tuple(field.name for field in fields(ImageFeatures))
REGION_VECTORS = ("recnn", "recnn_conv4_3")
"""The fields that hold one vector for each region."""
IMAGE_FIELDS = ("recnn_plus", "recnn_plus_conv4_3")
"""The fields that hold one vector of the whole image."""
REGION_FIELDS = tuple(name for name in FIELDS if name not in (*IMAGE_FIELDS, "borders"))
"""The fields that have one row per region."""


def joined_borders(images: Iterable[ImageFeatures]) -> NDArray[np.int32]:
    """The borders of several images, int32 [e, 3], where their regions are numbered one image after another."""
    images = list(images)
    firsts = itertools.accumulate((len(image) for image in images), initial=0)
    moved = [image.borders + np.array([at, at, 0], np.int32) for image, at in zip(images, firsts, strict=False)]
    return np.concatenate([np.empty((0, 3), np.int32), *moved])


@dataclass(frozen=True, slots=True)
class Match:
    """Which region of a hit corresponds to a region of the query.

    Attributes:
        query_region: From 0, a row of the query's ReCNN.
        region: From 0, the hit's nearest region, a row of its ReCNN; the first of equals.
        distance: Between the two regions, in the unit of the scheme; L2 for "recnn".
        class_index: Class of the hit's region.
        box: (top, left, bottom, right) of the hit's region, in pixels of the hit.
    """

    query_region: int
    region: int
    distance: float
    class_index: int
    box: tuple[int, int, int, int]


def matches_with(hit: ImageFeatures, pairs: Iterable[tuple[int, int, float]]) -> tuple[Match, ...]:
    """Matches of a query's regions with regions of a hit; each pair is (query region, region, distance)."""
    boxes = hit.boxes.tolist()
    return tuple(
        Match(own, region, distance, int(hit.classes[region]), tuple(boxes[region])) for own, region, distance in pairs
    )


@dataclass(frozen=True, slots=True)
class Hit:
    """One image that was found.

    Attributes:
        id: The image's id.
        row: Its row in the index.
        distance: To the query, ≥ 0; with "recnn" infinite for an image without regions.
        matches: Regions that explain the hit. For "recnn": one for each region of the query, in the same order; the
            mean of their distances is Eq. 3. For "recnn+": none.
    """

    id: str
    row: int
    distance: float
    matches: tuple[Match, ...] = ()


class Scheme(Protocol):
    """How images are ranked. Instances carry their options, usually as fields of a frozen dataclass.

    Its class may name `needs_regions`: True where it asks with an image, and one without regions is infinitely far from
    all others. Such an image is then no query.

    Attributes:
        name: Its name in options, reports and files.
        title: Its name in the paper and in tables.
        asks_with: "regions" where a query may be some of an image's regions, at least one; otherwise "image".
        reads: The fields of `ImageFeatures` that it reads. If this is one field of vectors, a query may be bare
            vectors.
        metrics: The values that its option `metric` takes, or the one metric that it always uses; may be empty.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def asks_with(self) -> Literal["regions", "image"]: ...

    @property
    def reads(self) -> tuple[Field, ...]: ...

    @property
    def metrics(self) -> tuple[str, ...]: ...

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """Compute the distances that define the scheme; quicker ways must agree with them.

        Args:
            query: The query.
            images: k images of the index.

        Returns:
            float64 [k], ≥ 0, not NaN; infinite for images that shall come last.
        """
        ...

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions that explain a hit at a finite distance; may be empty."""
        ...


@runtime_checkable
class Quick(Protocol):
    """A scheme that finds the nearest images without measuring all.

    Its class may name `derived_files`, a tuple of `rsir_tf.index.derived.DerivedFile`: files that it reads beside the
    vectors of merged segments. Without them it is slower, but exact.
    """

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """Find the `top` wanted images that are nearest to each query, as brute force would.

        Args:
            stored: The vectors of the index.
            queries: The queries; only the fields in `reads` are filled.
            top: At least 1; a number larger than the index gives all images.
            wanted: bool [P] for each query, false for removed images.
        """
        ...


@runtime_checkable
class ChecksIndex(Protocol):
    """A scheme that not every index is fit for."""

    def check_index(self, index: StoredIndex) -> None:
        """Refuse an index that lacks what the scheme reads.

        Raises:
            InputError: The text says what is lacking, and what to do.
        """
        ...


def check_index(scheme: Scheme, index: StoredIndex) -> None:
    """Refuse an index that a scheme is not fit for; see `ChecksIndex`."""
    if isinstance(scheme, ChecksIndex):
        scheme.check_index(index)


@runtime_checkable
class RanksArchives(Protocol):
    """A scheme that measures all images for many queries, quicker than one query after another."""

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """Compute the distances from several queries, in their true order and with a relative error below 1e-9.

        Args:
            stored: The vectors of the index.
            queries: Any number; a few are read ahead.
            wanted: bool [P], the images to measure the distance to, false for removed ones.

        Yields:
            float64 [P], by position; NaN for images that are not wanted.
        """
        ...


@runtime_checkable
class RanksAlone(Protocol):
    """A scheme that ranks an archive more quickly than by its `all_distances`."""

    def rankings(
        self, stored: StoredVectors, positions: NDArray[np.int64], queries: range
    ) -> Iterator[NDArray[np.int64]]:
        """Rank the given images for queries among them; other images of the index are not searched.

        Args:
            stored: The vectors of the index.
            positions: int64 [N], of the images to rank, in the order of the index's rows; equal distances keep it.
            queries: The queries, as consecutive places in `positions`.

        Yields:
            int64 [N], places in `positions`, nearest first.
        """
        ...


@runtime_checkable
class Staged(Protocol):
    """A scheme that asks another one, and does more with what that finds among all images than a part could."""

    @property
    def first(self) -> Scheme: ...


@runtime_checkable
class JoinsParts(Protocol):
    """A scheme whose `all_distances` depend on which images are measured together, in digits that do not matter."""

    def joined(
        self, stored: StoredVectors, query: ImageFeatures, wanted: NDArray[np.bool_], distances: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Make of distances, each of which was computed among some of the images, what all together would have got.

        Args:
            stored: The vectors of the index.
            query: The query.
            wanted: bool [P], the images that were measured.
            distances: float64 [P], NaN for images that are not wanted.

        Returns:
            float64 [P].
        """
        ...
