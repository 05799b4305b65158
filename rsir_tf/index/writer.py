"""The one process that may change an index: adds, replaces and removes images, segment by segment."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rsir_tf import artifacts
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index.catalogue import Catalogue, Place
from rsir_tf.index.derived import DerivedFile
from rsir_tf.index.entry import ImageEntry, checked
from rsir_tf.index.facts import ImageFacts
from rsir_tf.index.housekeeping import lock_folder, prepare_folder
from rsir_tf.index.layout import (
    STAGED,
    Layout,
    SegmentRecord,
    require_archive,
    segment_folder,
    write_layout,
)
from rsir_tf.index.merging import due_for_merging, worth_merging, write_merged
from rsir_tf.index.segment import Segment, write_segment
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.skipped import SkippedList
from rsir_tf.index.staging import read_staged, write_staged
from rsir_tf.locks import WriterLock

IMAGES_PER_SEGMENT = 256
REGIONS_PER_SEGMENT = 1 << 16
"""Pending vectors are kept in memory: 65,536 of 512 float32 are 128 MB."""

SECONDS_BETWEEN_STAGINGS = 30.0
"""A killed writer loses at most the images that were added in this time."""


class IndexWriter:
    """Adds images to an index and removes them; use `IndexWriter.open`, in a `with` block.

    What was added is part of the index after `commit`, which happens by itself every `images_per_segment` images and at
    the end of the block, even when the block ends in an error. Where that takes long, what is pending is staged on disk
    every 30 s. The next writer after one that was killed goes on with what was committed or staged, and readers never
    notice. Small segments are merged as they pile up (`merging`).

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
        self._skipped = SkippedList(path)
        self._changed = False
        self._catalogue = Catalogue()
        self._opened: Segment | None = None
        self._staged_at = time.monotonic()
        for record in layout.segments:
            self._catalogue.register(self._segment(record.name), self._removed[record.name])
        staged = read_staged(path / STAGED, layout.next_segment, layout.settings)
        self._merge_due()
        for entry in staged:
            self.add(entry)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        settings: IndexSettings | None,
        *,
        images_per_segment: int = IMAGES_PER_SEGMENT,
        derived: Sequence[DerivedFile[Any]] = (),
    ) -> IndexWriter:
        """Create an index, or continue one that was made with the same settings.

        Args:
            path: The index's folder; made where missing.
            settings: What the descriptors are made with; None continues an index with its own.
            images_per_segment: Images after which a segment is written by itself.
            derived: Files that merging derives from segments, usually `rsir_tf.ranking.derived_files()`. Segments that
                are merged without them are searched all the same, and get them when `merge` is called with them.

        Raises:
            ArtifactError: The folder holds something else, is read-only, is damaged, or another writer holds it; or it
                holds no index, and no settings are given to make one.
            MismatchError: The index was made with other settings; both values are named.
        """
        if images_per_segment < 1:
            raise InputError(f"images_per_segment is {images_per_segment}", wanted="at least 1")
        folder = Path(path)
        lock = lock_folder(folder, make=settings is not None)
        try:
            layout = prepare_folder(folder, settings)
            return cls(folder, lock, layout, images_per_segment, derived)
        except BaseException:
            lock.release()
            raise

    def __len__(self) -> int:
        return len(self._catalogue.places) + len(self._pending)

    def __contains__(self, image: object) -> bool:
        return image in self._pending or image in self._catalogue.places

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all images, pending ones included, sorted."""
        return tuple(sorted({*self._catalogue.places, *self._pending}))

    @property
    def skipped(self) -> dict[str, str]:
        """Images that could not be indexed, and why, by id."""
        return self._skipped.reasons

    def knows(self, image: str, file_size: int, modified_ns: int) -> bool:
        """Whether an image is in the index and its file has not been touched since.

        Args:
            image: Its id.
            file_size: First number of its source's fingerprint, now.
            modified_ns: Second number of it, now.
        """
        known = self.facts_of(image)
        return known is not None and (known.file_size, known.modified_ns) == (file_size, modified_ns)

    def facts_of(self, image: str) -> ImageFacts | None:
        """What the index knows of an image beside its descriptors; None where it does not hold it.

        Args:
            image: Its id.
        """
        if image in self._pending:
            return self._pending[image].facts
        place = self._catalogue.places.get(image)
        return None if place is None else place.facts

    @property
    def roots(self) -> dict[str, str]:
        """Name of each archive whose images are in the index → its folder."""
        return dict(self._layout.roots)

    def require_archive(self, name: str) -> None:
        """Refuse the name of an archive that the index does not know; see `layout.require_archive`."""
        require_archive(self.path, self._layout, name)

    def record_root(self, archive: str, root: str) -> None:
        """Note at once where an archive lies; the paths of its images are relative to that.

        Args:
            archive: Its name in the index, "" for the first.
            root: An absolute path.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        if self._layout.roots.get(archive) != root:
            layout = dataclasses.replace(self._layout, roots={**self._layout.roots, archive: root})
            write_layout(self.path, layout)
            self._layout = layout

    def find_content(self, content_hash: str) -> ImageEntry | None:
        """An image of the index with the same pixels, whose descriptors can be used again.

        Descriptors of equal pixels are then equal in every bit, and their distance is exactly 0.

        Args:
            content_hash: As in `ImageEntry`.

        Returns:
            The entry as it was added (vectors rounded to the index's number type), or None.
        """
        image = self._catalogue.with_content(content_hash)
        return None if image is None else self._entry(image)

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
        self._catalogue.add_content(entry.id, entry.content_hash)
        self.unskip(entry.id)
        self._changed = True
        if len(self._pending) >= self._images_per_segment or self._pending_regions >= REGIONS_PER_SEGMENT:
            self.commit()
        elif time.monotonic() - self._staged_at >= SECONDS_BETWEEN_STAGINGS:
            write_staged(self.path / STAGED, list(self._pending.values()), self._layout.next_segment)
            self._staged_at = time.monotonic()

    def refresh(self, image: str, facts: ImageFacts) -> None:
        """Change what is known of an image beside its descriptors; its segment stays, and it is written to a new one.

        Args:
            image: The id of an image of the index.
            facts: The new ones.

        Raises:
            InputError: There is no such image, or a fact cannot be stored; the index is as before.
            ArtifactError: Its segment is damaged, or a segment was full and could not be written.
        """
        if image not in self:
            raise InputError(f"{self.path}: holds no image {image!r}", cure="check the id")
        changed = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
        self.add(dataclasses.replace(self._entry(image), **changed))

    def skip(self, image: str, reason: str) -> None:
        """Note that an image could not be indexed; what the index holds of it from before stays.

        Args:
            image: Its id.
            reason: One line.
        """
        self._skipped.note(image, reason)

    def unskip(self, image: str) -> None:
        """Take an image off the list of those that could not be indexed, if it is on it."""
        self._skipped.drop(image)

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
            self.unskip(image)
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
        self._skipped.save()
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
        else:
            # All that was staged has been removed again: the next writer must not take it for what is pending.
            self._drop_staged()
        kept = tuple(record for record in records if record.live)
        layout = dataclasses.replace(self._layout, segments=kept, next_segment=number)
        write_layout(self.path, layout)
        self._accept(layout, name)
        self._drop_staged()
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

    def _drop_staged(self) -> None:
        with artifacts.disk_errors(self.path / STAGED):
            (self.path / STAGED).unlink(missing_ok=True)
        self._staged_at = time.monotonic()

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
                self._catalogue.places[entry.id] = Place(name, row, entry.facts)
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
            self._catalogue.places[image] = dataclasses.replace(self._catalogue.places[image], segment=name, row=row)

    def _forget(self, image: str) -> bool:
        known = self.facts_of(image)
        if known is None:
            return False
        pending, place = self._pending.pop(image, None), self._catalogue.places.pop(image, None)
        if pending is not None:
            self._pending_regions -= len(pending.classes)
        if place is not None:
            self._removed[place.segment].add(place.row)
            self._changed = True
        self._catalogue.drop_content(image, known.content_hash)
        return True

    def _entry(self, image: str) -> ImageEntry:
        """An image of the index, with vectors rounded to the index's number type."""
        if image in self._pending:
            return self._pending[image]
        place = self._catalogue.places[image]
        return self._segment(place.segment).entry(place.row)

    def _segment(self, name: str) -> Segment:
        """Open a segment; only the last one is kept, so that memory does not grow with the index."""
        if self._opened is None or self._opened.record.name != name:
            record = next(record for record in self._layout.segments if record.name == name)
            self._opened = Segment(self.path, record, self.settings)
        return self._opened
