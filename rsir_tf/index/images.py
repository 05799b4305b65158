"""What an index knows about its images besides their vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError
from rsir_tf.index.facts import address_of, place_from
from rsir_tf.index.layout import REBUILD
from rsir_tf.index.segment import Segment
from rsir_tf.index.segment_files import ARCHIVE, CRS, FOOTPRINT, TRANSFORM
from rsir_tf.rasters import Place


class Images:
    """Columns of facts, one row per image of the index, sorted by id.

    Attributes:
        ids: The ids, sorted.
        rows_of_positions: int64 [P], the row of each image, in the order on disk; −1 where it was removed.
    """

    def __init__(self, segments: Sequence[Segment], roots: Mapping[str, str]) -> None:
        self._segments = segments
        self._roots = roots
        live = np.ones(sum(segment.record.images for segment in segments), dtype=bool)
        first = 0
        for segment in segments:
            live[first + np.array(segment.record.removed, dtype=np.int64)] = False
            first += segment.record.images
        positions = np.flatnonzero(live)
        ids = self._all("id")
        self._order = np.array(sorted(positions.tolist(), key=ids.__getitem__), dtype=np.int64)
        self.ids: tuple[str, ...] = tuple(ids[position] for position in self._order)
        twice = next((one for one, other in zip(self.ids, self.ids[1:], strict=False) if one == other), None)
        if twice is not None:
            raise ArtifactError(f"{segments[0].folder.parent}: holds image {twice!r} twice", cure=REBUILD)
        self.rows_of_positions: NDArray[np.int64] = np.full(len(live), -1, dtype=np.int64)
        self.rows_of_positions[self._order] = np.arange(len(self._order))

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The address of each image's source: for a file its absolute path, under its archive's folder."""
        stored = zip(self._column("path"), self.archives, strict=True)
        return tuple(address_of(path, archive, self._roots) for path, archive in stored)

    @cached_property
    def archives(self) -> tuple[str | None, ...]:
        """The name of each image's archive in the index; None where it is not known, as in segments of format 1."""
        return self._column(ARCHIVE)

    @cached_property
    def scenes(self) -> tuple[str | None, ...]:
        """The scene class of each image, where there is one."""
        return self._column("scene")

    @cached_property
    def tags(self) -> tuple[tuple[str, ...] | None, ...]:
        """The tags of each image; None where they are not known."""
        return tuple(None if tags is None else tuple(tags) for tags in self._column("tags"))

    @cached_property
    def content_hashes(self) -> tuple[str, ...]:
        """Identity of each image's pixels."""
        return self._column("content_hash")

    @cached_property
    def file_sizes(self) -> tuple[int, ...]:
        """First number of each source's fingerprint when it was indexed: for a file, its size in bytes."""
        return self._column("file_size")

    @cached_property
    def modified_ns(self) -> tuple[int, ...]:
        """Second number of the fingerprint: for a file, its time of change in nanoseconds since 1970."""
        return self._column("modified_ns")

    @cached_property
    def places(self) -> tuple[Place | None, ...]:
        """Where each image lies on Earth, for its pixels as they are read; None where that is not known."""
        return tuple(map(place_from, self._column(CRS), self._column(TRANSFORM)))

    @cached_property
    def footprints(self) -> tuple[bytes | None, ...]:
        """The outline of each image in longitude and latitude (RFC 7946), as WKB; None where it is not known."""
        return self._column(FOOTPRINT)

    @cached_property
    def heights(self) -> NDArray[np.int32]:
        """int32 [N], pixels."""
        return np.array(self._column("height"), dtype=np.int32)

    @cached_property
    def widths(self) -> NDArray[np.int32]:
        """int32 [N], pixels."""
        return np.array(self._column("width"), dtype=np.int32)

    @cached_property
    def region_counts(self) -> NDArray[np.int32]:
        """int32 [N], number of regions of each image."""
        return np.array(self._column("regions"), dtype=np.int32)

    def _column(self, name: str) -> tuple[Any, ...]:
        values = self._all(name)
        return tuple(values[position] for position in self._order)

    def _all(self, name: str) -> list[Any]:
        return [value for segment in self._segments for value in segment.column(name)]
