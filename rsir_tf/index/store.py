"""An index opened for reading: joins what is known of the images with the search of their vectors."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index import every, search
from rsir_tf.index.descriptors import Descriptors
from rsir_tf.index.distances import nearest_regions, require_direction, require_metric
from rsir_tf.index.entry import ImageEntry, finite_vectors
from rsir_tf.index.hits import Hit, Match
from rsir_tf.index.images import Images
from rsir_tf.index.layout import Layout, read_layout
from rsir_tf.index.segment import Segment
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.skipped import read_skipped

SCHEMES = ("recnn", "recnn+")
"""Region descriptors with Eq. 3, and the global descriptor."""


def open_index(path: str | os.PathLike[str]) -> Index:
    """Open an index for reading.

    Versions, sizes and shapes are checked; the bytes are not (see `verify_index`). A writer may go on meanwhile: this
    reader keeps seeing what was there when it was opened.

    Args:
        path: The index's folder.

    Raises:
        ArtifactError: There is no index, its format is newer, or a file is missing or of another size; it is named.
    """
    folder = Path(path)
    layout = read_layout(folder)
    try:
        return Index(folder, layout)
    except ArtifactError:
        # A writer may have dropped a segment between our reading of the manifest and our opening of its files.
        newer = read_layout(folder)
        if newer == layout:
            raise
    return Index(folder, newer)


class Index:
    """Images and their descriptors, in rows sorted by id. Use `open_index`.

    Attributes:
        path: The index's folder.
        settings: What the descriptors were made with.
        images: What is known of the images, row by row.
        skipped: Images that could not be indexed, and why, by id.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.settings: IndexSettings = layout.settings
        self.skipped = read_skipped(path)
        self._segments = [Segment(path, record, layout.settings) for record in layout.segments]
        self.images = Images(self._segments)
        self._descriptors = Descriptors(self._segments, self.images.rows_of_positions)

    def __len__(self) -> int:
        return len(self.images.ids)

    def row_of(self, image: str) -> int:
        """The row of an id.

        Raises:
            InputError: There is no such image.
        """
        if image not in self._rows:
            raise InputError(f"{self.path}: holds no image {image!r}", cure="check the id")
        return self._rows[image]

    def entry(self, row: int) -> ImageEntry:
        """All that the index holds of one image.

        Raises:
            InputError: There is no such row.
        """
        segment, at = self._descriptors.locate(self._position(row))
        return segment.entry(at)

    def regions_of(self, row: int) -> ImageEntry:
        """The regions of one image: `.classes` [m], `.areas` [m], `.boxes` [m, 4] and `.recnn` [m, C]; as `entry`."""
        return self.entry(row)

    @cached_property
    def recnn_plus(self) -> NDArray[np.float32]:
        """float32 [N, C], the global descriptors in row order."""
        vectors = np.empty((len(self), self.settings.channels), dtype=np.float32)
        rows = self._descriptors.rows
        for positions, block in self._descriptors.global_blocks(rows >= 0):
            vectors[rows[positions]] = block
        return vectors

    @cached_property
    def shown_classes(self) -> NDArray[np.bool_]:
        """Whether an image has a region of a class: bool [N, classes], in row order."""
        shown = [segment.shown_classes for segment in self._segments]
        every = np.concatenate(shown) if shown else np.zeros((0, len(self.settings.class_names)), dtype=bool)
        return np.asarray(every[self._descriptors.positions])

    def find_content(self, content_hash: str) -> ImageEntry | None:
        """The first image, by row, with these pixels, or None."""
        rows = self._rows_by_content.get(content_hash)
        return self.entry(rows[0]) if rows else None

    def duplicates(self) -> list[tuple[int, ...]]:
        """Rows of images with equal pixels: groups of at least two, each ascending, in order of their first row."""
        return sorted(tuple(rows) for rows in self._rows_by_content.values() if len(rows) > 1)

    def search(
        self,
        features: NDArray[np.floating],
        *,
        scheme: str = "recnn",
        top: int = 10,
        metric: str | None = None,
        direction: str = "query",
        share_classes: Collection[int] | None = None,
    ) -> list[Hit]:
        """Find the images nearest to a query; exact, whatever the size of the index.

        Args:
            features: For "recnn" float32 [m, C] with m ≥ 1 (one row finds images with a region like it); for "recnn+"
                float32 [C]. Rounded to the index's number type before it is compared.
            scheme: "recnn" (Eq. 3) or "recnn+" (the global descriptor).
            top: How many, at least 1; more than there are gives all.
            metric: For "recnn+" "l1" (the paper's, the default), "l2" or "cosine"; for "recnn" Eq. 3 fixes "l2".
            direction: For "recnn": "query" (Eq. 3) or "both" (the mean of Eq. 3 there and back).
            share_classes: Class indices, usually the query's: images with a region of none of them are left out and
                never scored. None looks at all.

        Returns:
            Nearest first; equal distances in order of id. Under "recnn", images without regions come last, at infinity.

        Raises:
            InputError: Wrong shape or type, NaN or infinity, no region, a `top` below 1, an unknown scheme, metric or
                direction, or a class that the index does not have.
        """
        (hits,) = self.search_many(
            [features], scheme=scheme, top=top, metric=metric, direction=direction, share_classes=[share_classes]
        )
        return hits

    def search_many(
        self,
        features: Sequence[NDArray[np.floating]],
        *,
        scheme: str = "recnn",
        top: int = 10,
        metric: str | None = None,
        direction: str = "query",
        share_classes: Sequence[Collection[int] | None] | None = None,
    ) -> list[list[Hit]]:
        """Ask several queries at once: as `search` for each, but the index is gone through once for many of them.

        Args:
            features: Of each query, as for `search`.
            scheme: As for `search`.
            top: As for `search`.
            metric: As for `search`.
            direction: As for `search`.
            share_classes: One for each query, as for `search`; None looks at all images for all queries.

        Returns:
            The hits of each query.

        Raises:
            InputError: As for `search`.
        """
        if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
            raise InputError(f"top is {top!r}", wanted="a whole number of at least 1")
        metric = self._metric(scheme, metric, direction)
        queries = [self._query(each, scheme) for each in features]
        live = self._descriptors.rows >= 0
        filters = [None] * len(queries) if share_classes is None else list(share_classes)
        wanted = [live if classes is None else live & self._shares(classes) for classes in filters]
        if scheme == "recnn":
            found = search.nearest_by_recnn(self._descriptors, queries, int(top), wanted, direction)
        else:
            found = [
                search.nearest_by_recnn_plus(self._descriptors, query, int(top), mask, metric)
                for query, mask in zip(queries, wanted, strict=True)
            ]
        return [
            [self._hit(position, distance, query, scheme) for position, distance in hits]
            for query, hits in zip(queries, found, strict=True)
        ]

    def distances(
        self,
        features: NDArray[np.floating],
        scheme: str = "recnn",
        *,
        metric: str | None = None,
        direction: str = "query",
    ) -> NDArray[np.float64]:
        """Distances from a query to every image, for evaluation.

        Args:
            features: As for `search`.
            scheme: As for `search`.
            metric: As for `search`.
            direction: As for `search`.

        Returns:
            float64 [N], in row order. A stable sort gives the order of `search`; values agree with its to 1e-10.

        Raises:
            InputError: As for `search`.
        """
        metric = self._metric(scheme, metric, direction)
        query = self._query(features, scheme)
        if scheme == "recnn":
            distances = every.recnn_distances(self._descriptors, query, direction)
        else:
            distances = search.recnn_plus_distances(self._descriptors, query, self._descriptors.rows >= 0, metric)
        return distances[self._descriptors.positions]

    def all_distances(
        self,
        scheme: str = "recnn",
        rows: Sequence[int] | None = None,
        *,
        metric: str | None = None,
        direction: str = "query",
        among: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, NDArray[np.float64]]]:
        """Every image as the query, for evaluation.

        Args:
            scheme: As for `search`.
            rows: Which images are queries; None takes all.
            metric: As for `search`.
            direction: As for `search`.
            among: Rows of the images to measure the distance to, and no others; None takes all.

        Yields:
            A row, and float64 [N] as `distances` gives them for that image, to 1e-10: 0 for itself and for equal
            descriptors; NaN for what is not `among`. Under "recnn" an image without regions is infinitely far from all,
            itself included.

        Raises:
            InputError: There is no such row, or an unknown scheme, metric or direction.
        """
        metric = self._metric(scheme, metric, direction)
        asked = list(range(len(self))) if rows is None else [int(row) for row in rows]
        positions = np.array([self._position(row) for row in asked], dtype=np.int64)
        wanted = self._descriptors.rows >= 0
        if among is not None:
            wanted = np.zeros(len(wanted), dtype=bool)
            wanted[[self._position(row) for row in among]] = True
        if scheme == "recnn":
            answers = every.all_recnn_distances(self._descriptors, positions, direction, wanted)
        else:
            answers = every.all_recnn_plus_distances(self._descriptors, positions, metric, wanted)
        for row, distances in zip(asked, answers, strict=True):
            yield row, distances[self._descriptors.positions]

    def verify(self) -> None:
        """Read every byte and compare it with what was written.

        Raises:
            ArtifactError: A file is damaged; the first is named, and how many there are.
        """
        from rsir_tf.index.maintenance import verify_index

        problems = verify_index(self.path)
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ArtifactError(problems[0].text + more, cure=problems[0].cure)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image: row for row, image in enumerate(self.images.ids)}

    @cached_property
    def _rows_by_content(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, content_hash in enumerate(self.images.content_hashes):
            rows.setdefault(content_hash, []).append(row)
        return rows

    def _position(self, row: int) -> int:
        if not 0 <= row < len(self):
            raise InputError(f"{self.path}: has no row {row}", wanted=f"0 to {len(self) - 1}")
        return int(self._descriptors.positions[row])

    def _metric(self, scheme: str, metric: str | None, direction: str) -> str:
        if scheme not in SCHEMES:
            raise InputError(f"scheme is {scheme!r}", wanted="recnn or recnn+")
        require_direction(direction)
        if scheme != "recnn" and direction != "query":
            raise InputError(f"direction is {direction!r} for recnn+", wanted="query", cure="or scheme recnn")
        if metric is None:
            return "l2" if scheme == "recnn" else "l1"
        require_metric(metric)
        if scheme == "recnn" and metric != "l2":
            raise InputError(f"metric is {metric!r} for recnn", wanted="l2, as Eq. 3 has it", cure="or scheme recnn+")
        return metric

    def _query(self, features: NDArray[np.floating], scheme: str) -> NDArray[np.float32]:
        channels = self.settings.channels
        shape = (None, channels) if scheme == "recnn" else (channels,)
        query = finite_vectors(features, shape, self.settings.dtype, f"the query's {scheme}")
        if not len(query):
            raise InputError(
                "the query has no region", wanted="at least one", cure="lower the minimum area or use recnn+"
            )
        return query

    def _shares(self, share_classes: Collection[int]) -> NDArray[np.bool_]:
        """Tell, as bool [P], whether an image has a region of one of the classes."""
        known = len(self.settings.class_names)
        asked = np.array(sorted({int(index) for index in share_classes}), dtype=np.int64)
        if len(asked) and not (asked[0] >= 0 and asked[-1] < known):
            raise InputError(f"share_classes holds {asked.tolist()}", wanted=f"class indices from 0 to {known - 1}")
        return self._descriptors.with_classes(asked)

    def _hit(self, position: int, distance: float, query: NDArray[np.float32], scheme: str) -> Hit:
        row = int(self._descriptors.rows[position])
        matches: tuple[Match, ...] = ()
        if scheme == "recnn" and np.isfinite(distance):
            segment, at = self._descriptors.locate(position)
            classes, boxes = segment.classes[segment.offsets[at] :], segment.boxes(at).tolist()
            nearest = nearest_regions(query.astype(np.float64), self._descriptors.recnn(position).astype(np.float64))
            matches = tuple(
                Match(number, int(region), float(apart), int(classes[region]), tuple(boxes[region]))
                for number, (region, apart) in enumerate(zip(*nearest, strict=True))
            )
        return Hit(self.images.ids[row], row, distance, matches)
