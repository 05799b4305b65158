"""What of an index is on disk, as its writer sees it and changes it: the manifest and the segments that it lists."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsir_tf.index.catalogue import Catalogue
from rsir_tf.index.derived import DerivedFile
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.layout import Layout, SegmentRecord, segment_folder, write_layout
from rsir_tf.index.merging import write_merged
from rsir_tf.index.segment import Segment
from rsir_tf.index.segment_files import write_segment


class Committed:
    """The segments of an index; only the holder of its lock may change them.

    Args:
        path: The index's folder.
        layout: Its manifest.

    Attributes:
        layout: The manifest as it was last written.
        catalogue: What is known of the images, by id and by content.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        self.catalogue = Catalogue(path)
        self._path = path
        self._removed: dict[str, set[int]] = {record.name: set(record.removed) for record in layout.segments}
        self._opened: Segment | None = None
        for record in layout.segments:
            self.catalogue.register(self._segment(record.name), self._removed[record.name])

    def entry(self, image: str) -> ImageEntry | None:
        """Read an image back as it was added; None where it is not there."""
        slot = self.catalogue.slot(image)
        return None if slot is None else self._segment(slot.segment).entry(slot.row)

    def remove(self, image: str) -> bool:
        """Take an image out, if it is there, with the next `write`; whether it was there."""
        slot = self.catalogue.drop(image)
        if slot is not None:
            self._removed[slot.segment].add(slot.row)
        return slot is not None

    def write(self, entries: Sequence[ImageEntry]) -> None:
        """Bring images, as a new segment, and all removals to disk, in one step for readers.

        Args:
            entries: Checked entries; may be none.

        Raises:
            ArtifactError: The disk is full or read-only; the index is as before, and this can be tried again.
        """
        removed = {name: tuple(sorted(rows)) for name, rows in self._removed.items()}
        records = [dataclasses.replace(record, removed=removed[record.name]) for record in self.layout.segments]
        number, name = self.layout.next_segment, f"{self.layout.next_segment:06d}"
        if entries:
            # A manifest that could not be written leaves a segment that nothing lists: it is in the way of this try.
            shutil.rmtree(segment_folder(self._path, name), ignore_errors=True)
            records.append(write_segment(self._path, name, entries, self.layout.settings))
            number += 1
        kept = tuple(record for record in records if record.live)
        with self.catalogue.changing():
            self._follow(dataclasses.replace(self.layout, segments=kept, next_segment=number))
            if entries:
                self._removed[name] = set()
            self.catalogue.add(name, ((entry.id, entry.facts) for entry in entries))

    def merge(self, group: Sequence[SegmentRecord], derived: Sequence[DerivedFile[Any]]) -> None:
        """Put one segment in the place of several; no removal may be waiting for `write`.

        Raises:
            ArtifactError: A segment is damaged, or the disk is full or read-only; the index is as before.
        """
        name = f"{self.layout.next_segment:06d}"
        segments = [Segment(self._path, record, self.layout.settings) for record in group]
        merged = write_merged(self._path, name, segments, derived)
        kept = (record for record in self.layout.segments if record not in group)
        number = self.layout.next_segment + 1
        with self.catalogue.changing():
            self._follow(dataclasses.replace(self.layout, segments=(*kept, merged), next_segment=number))
            self._removed[name] = set()
            self.catalogue.move(name, self._segment(name).column("id"))

    def record_archives(self, **changed: Any) -> None:
        """Change at once what the manifest says of archives: `roots` or `readings`, as in `Layout`.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        layout = dataclasses.replace(self.layout, **changed)
        if layout != self.layout:
            write_layout(self._path, layout)
            self.layout = layout

    def _follow(self, layout: Layout) -> None:
        """Write a manifest, and remove the segments that it does not list any more."""
        write_layout(self._path, layout)
        kept = {record.name for record in layout.segments}
        for record in self.layout.segments:
            if record.name not in kept:
                del self._removed[record.name]
                shutil.rmtree(segment_folder(self._path, record.name), ignore_errors=True)
        self.layout = layout

    def _segment(self, name: str) -> Segment:
        """Open a segment; only the last one is kept, so that memory does not grow with the index."""
        if self._opened is None or self._opened.record.name != name:
            record = next(record for record in self.layout.segments if record.name == name)
            self._opened = Segment(self._path, record, self.layout.settings, frugal=True)
        return self._opened
