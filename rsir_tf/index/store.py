"""An index opened for reading: facts about the images, their regions and their vectors, but no distances."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.facts import ImageFacts, address_of
from rsir_tf.index.images import Images
from rsir_tf.index.layout import LEFT_OUT, Layout, read_layout, require_archive
from rsir_tf.index.segment import Segment
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.skipped import read_notes, read_skipped
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.rasters import Reading

_NEAR = 3
"""How many ids are proposed in place of an unknown one."""

_COMPARED = 20_000
"""Among how many ids the most similar one is looked for: it takes about a second."""

Kind = TypeVar("Kind", bound="StoredIndex")


class StoredIndex:
    """Images and their descriptors, in rows sorted by id. Use `StoredIndex.open`; to search, `rsir_tf.open_index`.

    Attributes:
        path: The index's folder.
        settings: What the descriptors were made with.
        images: What is known about the images, row by row.
        roots: Name of each archive whose images are in the index, "" for the first → its folder.
        readings: Name of each of these archives → how its images are read.
        skipped: Images that could not be indexed, and why, by id.
        vectors: The vectors in their order on disk, for ranking.
    """

    def __init__(self, path: Path, layout: Layout, roots: Mapping[str, str]) -> None:
        self.path = path
        self.roots = {**layout.roots, **roots}
        self.readings: dict[str, Reading] = {name: layout.readings.get(name, Reading()) for name in layout.roots}
        self.settings: IndexSettings = layout.settings
        self.skipped = read_skipped(path)
        segments = [Segment(path, record, layout.settings) for record in layout.segments]
        self.images = Images(segments, self.roots)
        self.vectors = StoredVectors(segments, self.images.rows_of_positions)

    @classmethod
    def open(
        cls: type[Kind], path: str | os.PathLike[str], *, roots: Mapping[str, str | os.PathLike[str]] | None = None
    ) -> Kind:
        """Open an index for reading.

        Versions, sizes and shapes are checked; the bytes are not (see `verify_index`). A writer may go on meanwhile:
        this reader keeps seeing what was there when it was opened.

        Args:
            path: The index's folder.
            roots: Where archives lie by now, by name, for those that have been moved; "" is the first one's name.

        Raises:
            ArtifactError: There is no index, its format is newer, or a file is missing or of another size; it is named.
            InputError: The index has no archive of such a name.
        """
        folder = Path(path)
        layout = read_layout(folder)
        moved = {name: os.path.abspath(root) for name, root in (roots or {}).items()}
        for name in moved:
            require_archive(folder, layout, name)
        try:
            return cls(folder, layout, moved)
        except ArtifactError:
            # A writer may have dropped a segment between our reading of the manifest and our opening of its files.
            newer = read_layout(folder)
            if newer == layout:
                raise
        return cls(folder, newer, moved)

    def __len__(self) -> int:
        return len(self.images.ids)

    def row_of(self, image: str) -> int:
        """The row of an id.

        Raises:
            InputError: There is no such image.
        """
        if image not in self._rows:
            near = self._near(image)
            cure = f"did you mean {' or '.join(near)}?" if near else "check the id"
            raise InputError(f"{self.path}: holds no image {image!r}", cure=cure)
        return self._rows[image]

    def _near(self, image: str) -> list[str]:
        """Ids that may be meant: those that contain the text, or else the most similar one."""
        ids = self.images.ids
        inside = [each for each in ids if image and image.lower() in each.lower()]
        if inside:
            return inside[:_NEAR]
        return difflib.get_close_matches(image, ids, n=1) if len(ids) <= _COMPARED else []

    def entry(self, row: int) -> ImageEntry:
        """Everything that the index has about one image.

        Raises:
            InputError: There is no such row.
        """
        segment, at = self.vectors.locate(self.position_of(row))
        return segment.entry(at)

    def facts_of(self, row: int) -> ImageFacts:
        """What is known about one image besides its descriptors; only this image's data is decoded.

        Raises:
            InputError: There is no such row.
        """
        segment, at = self.vectors.locate(self.position_of(row))
        return segment.facts(at)

    def address_of(self, row: int) -> str:
        """The address of one image's source, as in `images.paths`.

        Raises:
            InputError: There is no such row.
        """
        facts = self.facts_of(row)
        return address_of(facts.path, facts.archive, self.roots)

    def position_of(self, row: int) -> int:
        """The position of an image in `vectors`.

        Raises:
            InputError: There is no such row.
        """
        if not 0 <= row < len(self):
            raise InputError(f"{self.path}: has no row {row}", wanted=f"0 to {len(self) - 1}")
        return int(self.vectors.positions[row])

    def regions_of(self, row: int) -> ImageEntry:
        """The regions of one image: `.classes` [m], `.areas` [m], `.boxes` [m, 4] and `.recnn` [m, C]; as `entry`."""
        return self.entry(row)

    @property
    def recnn_plus(self) -> NDArray[np.float32]:
        """float32 [N, C], the global descriptors in row order."""
        return self.vectors.global_vectors.reshape(len(self), self.settings.channels)

    @cached_property
    def shown_classes(self) -> NDArray[np.bool_]:
        """Whether an image has a region of a class: bool [N, classes], in row order."""
        shown = [segment.shown_classes for segment in self.vectors.segments]
        every = np.concatenate(shown) if shown else np.zeros((0, len(self.settings.class_names)), dtype=bool)
        return np.asarray(every[self.vectors.positions])

    def find_content(self, content_hash: str) -> ImageEntry | None:
        """The first image, by row, with these pixels, or None."""
        rows = self._rows_by_content.get(content_hash)
        return self.entry(rows[0]) if rows else None

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """The ids of windows of scenes that are not in the index, because too few of their pixels are valid; sorted.

        Raises:
            ArtifactError: The list was damaged.
        """
        return tuple(read_notes(self.path / LEFT_OUT))

    def duplicates(self) -> list[tuple[int, ...]]:
        """Rows of images with equal pixels: groups of at least two, each ascending, in order of their first row."""
        return sorted(tuple(rows) for rows in self._rows_by_content.values() if len(rows) > 1)

    def verify(self) -> None:
        """Read every byte and compare it with what was written.

        Raises:
            ArtifactError: Files are damaged; the text names the first and says how many there are.
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
