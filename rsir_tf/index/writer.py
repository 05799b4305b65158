"""The one process that may change an index: adds, replaces and removes images, segment by segment."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rsir_tf import artifacts
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index.derived import DerivedFile
from rsir_tf.index.entry import ImageEntry, checked
from rsir_tf.index.layout import (
    LOCK,
    SEGMENTS,
    SKIPPED,
    Layout,
    SegmentRecord,
    read_layout,
    segment_folder,
    write_layout,
)
from rsir_tf.index.merging import due_for_merging, worth_merging, write_merged
from rsir_tf.index.segment import Segment, write_segment
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.skipped import read_skipped
from rsir_tf.locks import WriterLock

IMAGES_PER_SEGMENT = 256
REGIONS_PER_SEGMENT = 1 << 16
"""Pending vectors are kept in memory: 65,536 of 512 float32 are 128 MB."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    """Where a committed image lies, and what tells whether its file changed."""

    segment: str
    row: int
    file_size: int
    modified_ns: int
    content_hash: str


class IndexWriter:
    """Adds images to an index and removes them; use `IndexWriter.open`, in a `with` block.

    What was added is on disk after `commit`, which happens by itself every `images_per_segment` images and at the end
    of the block, even when the block ends in an error. A writer that is killed loses at most what was pending; the
    next one goes on where it stopped, and readers never notice. Small segments are merged as they pile up (`merging`).

    Attributes:
        path: The index's folder.
        settings: Of the index.
    """

    def __init__(
        self,
        path: Path,
        lock: WriterLock,
        layout: Layout,
        images_per_segment: int,
        derived: Sequence[DerivedFile[Any]],
    ) -> None:
        self.path = path
        self.settings = layout.settings
        self._lock: WriterLock | None = lock
        self._layout = layout
        self._images_per_segment = images_per_segment
        self._derived = tuple(derived)
        self._pending: dict[str, ImageEntry] = {}
        self._pending_regions = 0
        self._removed: dict[str, set[int]] = {record.name: set(record.removed) for record in layout.segments}
        self._skipped = read_skipped(path)
        self._changed = self._skipped_changed = False
        self._places: dict[str, _Place] = {}
        self._by_content: dict[str, list[str]] = {}
        self._opened: Segment | None = None
        for record in layout.segments:
            self._register(record.name)
        self._merge_due()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        settings: IndexSettings,
        *,
        images_per_segment: int = IMAGES_PER_SEGMENT,
        derived: Sequence[DerivedFile[Any]] = (),
    ) -> IndexWriter:
        """Create an index, or continue one that was made with the same settings.

        Args:
            path: The index's folder; made where missing.
            settings: What the descriptors are made with.
            images_per_segment: Images after which a segment is written by itself.
            derived: Files that merging derives from segments, usually `rsir_tf.ranking.derived_files()`. Segments that
                are merged without them are searched all the same, and get them when `merge` is called with them.

        Raises:
            ArtifactError: The folder holds something else, is read-only, is damaged, or another writer holds it.
            MismatchError: The index was made with other settings; both values are named.
        """
        if images_per_segment < 1:
            raise InputError(f"images_per_segment is {images_per_segment}", wanted="at least 1")
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise ArtifactError(f"{folder}: is a file", wanted="a folder for the index", cure="choose another name")
        _refuse_foreign_folder(folder)
        with artifacts.disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(folder / LOCK)
        try:
            if not (folder / artifacts.MANIFEST).exists():
                write_layout(folder, Layout(settings, created=""))
            layout = read_layout(folder)
            layout.settings.require_equal(settings, whose="what is to be added")
            _clean(folder, layout)
            return cls(folder, lock, layout, images_per_segment, derived)
        except BaseException:
            lock.release()
            raise

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    def __contains__(self, image: object) -> bool:
        return image in self._pending or image in self._places

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all images, pending ones included, sorted."""
        return tuple(sorted({*self._places, *self._pending}))

    @property
    def skipped(self) -> dict[str, str]:
        """Images that could not be indexed, and why, by id."""
        return dict(sorted(self._skipped.items()))

    def knows(self, image: str, file_size: int, modified_ns: int) -> bool:
        """Whether an image is in the index and its file has not been touched since.

        Args:
            image: Its id.
            file_size: First number of its source's fingerprint, now.
            modified_ns: Second number of it, now.
        """
        known = self._pending.get(image) or self._places.get(image)
        return known is not None and (known.file_size, known.modified_ns) == (file_size, modified_ns)

    def find_content(self, content_hash: str) -> ImageEntry | None:
        """An image of the index with the same pixels, whose descriptors can be used again.

        Descriptors of equal pixels are then equal in every bit, and their distance is exactly 0.

        Args:
            content_hash: As in `ImageEntry`.

        Returns:
            The entry as it was added (vectors rounded to the index's number type), or None.
        """
        images = self._by_content.get(content_hash)
        if not images:
            return None
        if images[0] in self._pending:
            return self._pending[images[0]]
        place = self._places[images[0]]
        return self._segment(place.segment).entry(place.row)

    def add(self, entry: ImageEntry) -> None:
        """Add an image; one of the same id is replaced.

        Args:
            entry: Its arrays are copied.

        Raises:
            InputError: The entry cannot be stored; the index is as before.
            ArtifactError: A segment was full and could not be written.
        """
        entry = checked(entry, self.settings)
        self._forget(entry.id)
        self._pending[entry.id] = entry
        self._pending_regions += len(entry.classes)
        self._by_content.setdefault(entry.content_hash, []).append(entry.id)
        self._skipped_changed |= self._skipped.pop(entry.id, None) is not None
        self._changed = True
        if len(self._pending) >= self._images_per_segment or self._pending_regions >= REGIONS_PER_SEGMENT:
            self.commit()

    def skip(self, image: str, reason: str) -> None:
        """Note that an image could not be indexed; what the index holds of it from before stays.

        Args:
            image: Its id.
            reason: One line.
        """
        # A name that is no valid Unicode is a reason to skip an image, and must not stop the list from being written.
        image = image.encode("utf-8", "backslashreplace").decode()
        self._skipped[image] = reason.encode("utf-8", "backslashreplace").decode()
        self._skipped_changed = True

    def remove(self, images: Iterable[str]) -> int:
        """Take images out of the index and off the skipped list.

        Args:
            images: Their ids; unknown ones are passed over.

        Returns:
            How many were in the index.
        """
        removed = 0
        for image in images:
            removed += self._forget(image)
            self._skipped_changed |= self._skipped.pop(image, None) is not None
        return removed

    def commit(self) -> None:
        """Bring everything so far to disk, in one step for readers.

        Raises:
            ArtifactError: The disk is full or read-only; what was pending still is, and can be committed later.
        """
        if self._lock is None:
            raise ArtifactError(f"{self.path}: this writer is closed", cure="open another")
        try:
            self._commit()
        except ArtifactError:
            raise
        except BaseException:
            # Interrupted: whether the manifest was replaced is not known, and trying again could add images twice.
            self._release()
            raise

    def _commit(self) -> None:
        if self._skipped_changed:
            artifacts.write_json(self.path / SKIPPED, self.skipped)
            self._skipped_changed = False
        if not self._changed:
            return
        records = [
            dataclasses.replace(record, removed=tuple(sorted(self._removed[record.name])))
            for record in self._layout.segments
        ]
        number, name = self._layout.next_segment, f"{self._layout.next_segment:06d}"
        if self._pending:
            # A manifest that could not be written leaves a segment that nothing lists: it is in the way of this try.
            shutil.rmtree(segment_folder(self.path, name), ignore_errors=True)
            records.append(write_segment(self.path, name, list(self._pending.values()), self.settings))
            number += 1
        kept = tuple(record for record in records if record.live)
        layout = dataclasses.replace(self._layout, segments=kept, next_segment=number)
        write_layout(self.path, layout)
        self._accept(layout, name)
        self._merge_due()

    def merge(self) -> None:
        """Commit, and merge small segments and those that lack images, however few there are.

        Raises:
            ArtifactError: A segment is damaged, or the disk is full or read-only; the index is as before.
        """
        self.commit()
        for group in worth_merging(self._layout.segments, self._derived):
            self._merge(group)

    def close(self) -> None:
        """Commit, and let the next writer in."""
        if self._lock is None:
            return
        try:
            self.commit()
        finally:
            self._release()

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Of two errors the first is the one to tell: a full disk fails again here.
        with contextlib.suppress(ArtifactError) if error is not None else contextlib.nullcontext():
            self.close()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _accept(self, layout: Layout, name: str) -> None:
        """Follow a written manifest: what was pending has a place, and dropped segments go."""
        kept = {record.name for record in layout.segments}
        for record in self._layout.segments:
            if record.name not in kept:
                del self._removed[record.name]
                shutil.rmtree(segment_folder(self.path, record.name), ignore_errors=True)
        self._layout = layout
        if self._pending:
            for row, entry in enumerate(self._pending.values()):
                self._places[entry.id] = _Place(name, row, entry.file_size, entry.modified_ns, entry.content_hash)
            self._removed[name] = set()
        self._pending, self._pending_regions, self._changed = {}, 0, False

    def _merge_due(self) -> None:
        while group := due_for_merging(self._layout.segments):
            self._merge(group)

    def _merge(self, group: Sequence[SegmentRecord]) -> None:
        """Put one segment in the place of several; nothing may be pending."""
        name = f"{self._layout.next_segment:06d}"
        segments = [Segment(self.path, record, self.settings) for record in group]
        merged = write_merged(self.path, name, segments, self._derived)
        self._removed[name] = set()
        kept = (record for record in self._layout.segments if record not in group)
        layout = dataclasses.replace(self._layout, segments=(*kept, merged), next_segment=self._layout.next_segment + 1)
        write_layout(self.path, layout)
        self._accept(layout, name)
        for row, image in enumerate(self._segment(name).images.column("id").to_pylist()):
            self._places[image] = dataclasses.replace(self._places[image], segment=name, row=row)

    def _forget(self, image: str) -> bool:
        pending, place = self._pending.pop(image, None), self._places.pop(image, None)
        if pending is not None:
            self._pending_regions -= len(pending.classes)
        if place is not None:
            self._removed[place.segment].add(place.row)
            self._changed = True
        known = pending or place
        if known is not None:
            same = self._by_content[known.content_hash]
            same.remove(image)
            if not same:
                del self._by_content[known.content_hash]
        return known is not None

    def _register(self, name: str) -> None:
        segment = self._segment(name)
        columns = ("id", "file_size", "modified_ns", "content_hash")
        rows = zip(*(segment.images.column(column).to_pylist() for column in columns), strict=True)
        removed = self._removed[name]
        for row, (image, file_size, modified_ns, content_hash) in enumerate(rows):
            if row not in removed:
                self._places[image] = _Place(name, row, file_size, modified_ns, content_hash)
                self._by_content.setdefault(content_hash, []).append(image)

    def _segment(self, name: str) -> Segment:
        """Open a segment; only the last one is kept, so that memory does not grow with the index."""
        if self._opened is None or self._opened.record.name != name:
            record = next(record for record in self._layout.segments if record.name == name)
            self._opened = Segment(self.path, record, self.settings)
        return self._opened


def _refuse_foreign_folder(folder: Path) -> None:
    """A folder with other things in it is not taken over; what a killed first writer left is."""
    if not folder.is_dir() or (folder / artifacts.MANIFEST).exists():
        return
    own = {LOCK, SEGMENTS, SKIPPED}
    with artifacts.disk_errors(folder):
        foreign = sorted(item.name for item in folder.iterdir() if item.name not in own and not _is_leftover(item))
    if foreign:
        raise ArtifactError(
            f"{folder}: is a folder with other things in it ({foreign[0]} …)",
            wanted="an index, or a folder that is empty or not there yet",
            cure="choose another name",
        )


def _is_leftover(item: Path) -> bool:
    """Whether this was being written aside in an index's folder when its writer was killed."""
    return item.name.startswith((f".{artifacts.MANIFEST}.", f".{SKIPPED}."))


def _clean(folder: Path, layout: Layout) -> None:
    """Remove what killed writers left; only the holder of the lock may."""
    listed = {record.name for record in layout.segments}
    with artifacts.disk_errors(folder):
        leftovers = [item for item in folder.iterdir() if _is_leftover(item)]
        if (folder / SEGMENTS).is_dir():
            leftovers += [item for item in (folder / SEGMENTS).iterdir() if item.name not in listed]
    for item in leftovers:
        shutil.rmtree(item, ignore_errors=True)
