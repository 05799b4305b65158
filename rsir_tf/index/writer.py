"""The one process that may change an index: adds, replaces and removes images, segment by segment."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.index.committed import Committed
from rsir_tf.index.derived import DerivedFile
from rsir_tf.index.entry import ImageEntry, checked
from rsir_tf.index.facts import ImageFacts
from rsir_tf.index.housekeeping import lock_folder, prepare_folder
from rsir_tf.index.layout import LEFT_OUT, SKIPPED, STAGED, Layout, require_archive
from rsir_tf.index.merging import due_for_merging, worth_merging
from rsir_tf.index.pending import Pending
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.skipped import NotedImages
from rsir_tf.index.staging import read_staged
from rsir_tf.locks import WriterLock
from rsir_tf.rasters import Reading

IMAGES_PER_SEGMENT = 256


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
        self._images_per_segment = images_per_segment
        self._derived = tuple(derived)
        self._skipped = NotedImages(path / SKIPPED)
        self._left_out = NotedImages(path / LEFT_OUT)
        self._changed = False
        self._committed = Committed(path, layout)
        self._pending = Pending(path)
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
        return len(self._committed.catalogue) + len(self._pending.entries)

    def __contains__(self, image: object) -> bool:
        return image in self._pending.entries or image in self._committed.catalogue

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all images, pending ones included, sorted."""
        return tuple(sorted({*self._committed.catalogue.ids, *self._pending.entries}))

    @property
    def pending(self) -> int:
        """How many images are not part of the index before the next `commit`."""
        return len(self._pending.entries)

    @property
    def skipped(self) -> dict[str, str]:
        """Images that could not be indexed, and why, by id."""
        return self._skipped.notes

    @property
    def left_out(self) -> tuple[str, ...]:
        """The ids of windows that were left out of the index, because too few of their pixels are valid; sorted."""
        return tuple(self._left_out.notes)

    def knows(self, image: str, file_size: int, modified_ns: int) -> bool:
        """Whether an image is in the index and its file has not been touched since.

        Args:
            image: Its id.
            file_size: First number of its source's fingerprint, now.
            modified_ns: Second number of it, now.
        """
        known = self.facts_of(image)
        return known is not None and (known.file_size, known.modified_ns) == (file_size, modified_ns)

    def left_out_before(self, image: str, file_size: int, modified_ns: int) -> bool:
        """Whether a window was left out of the index and its scene has not been touched since; as `knows`."""
        return self._left_out.get(image) == f"{file_size} {modified_ns}"

    def facts_of(self, image: str) -> ImageFacts | None:
        """What the index knows of an image beside its descriptors; None where it does not hold it.

        Args:
            image: Its id.
        """
        if image in self._pending.entries:
            return self._pending.entries[image].facts
        return self._committed.catalogue.facts(image)

    @property
    def roots(self) -> dict[str, str]:
        """Name of each archive whose images are in the index → its folder."""
        return dict(self._committed.layout.roots)

    def require_archive(self, name: str) -> None:
        """Refuse the name of an archive that the index does not know; see `layout.require_archive`."""
        require_archive(self.path, self._committed.layout, name)

    @property
    def readings(self) -> dict[str, Reading]:
        """Name of each archive whose images are in the index → how it is read."""
        layout = self._committed.layout
        return {name: layout.readings.get(name, Reading()) for name in layout.roots}

    def record_root(self, archive: str, root: str) -> None:
        """Note at once where an archive lies; the paths of its images are relative to that.

        Args:
            archive: Its name in the index, "" for the first.
            root: An absolute path, or a URL.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        self._committed.record_archives(roots={**self._committed.layout.roots, archive: root})

    def record_reading(self, archive: str, reading: Reading) -> None:
        """Note at once how an archive is read; what was left out is forgotten where that is new.

        Args:
            archive: The name of one whose root is recorded.
            reading: How each of its images is read, from now on.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        known = self._committed.layout.readings
        if known.get(archive, Reading()).to_json() == reading.to_json():  # NaN, as nodata, does not equal itself
            return
        others = {name: each for name, each in known.items() if name != archive}
        self._committed.record_archives(readings={**others, archive: reading})
        for image in self.left_out:
            self._left_out.drop(image)

    def find_content(self, content_hash: str) -> ImageEntry | None:
        """An image of the index with the same pixels, whose descriptors can be used again.

        Descriptors of equal pixels are then equal in every bit, and their distance is exactly 0.

        Args:
            content_hash: As in `ImageEntry`.

        Returns:
            The entry as it was added (vectors rounded to the index's number type), or None.
        """
        image = self._committed.catalogue.with_content(content_hash)
        return self._pending.with_content(content_hash) if image is None else self._committed.entry(image)

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
        self._pending.add(entry)
        self.unskip(entry.id)
        self._left_out.drop(entry.id)
        self._changed = True
        if self._pending.fill_segment(self._images_per_segment):
            self.commit()
        else:
            self._pending.stage_if_due(self._committed.layout.next_segment)

    def refresh(self, image: str, facts: ImageFacts) -> None:
        """Change what is known of an image beside its descriptors; its segment stays, and it is written to a new one.

        Args:
            image: The id of an image of the index.
            facts: The new ones.

        Raises:
            InputError: There is no such image, or a fact cannot be stored; the index is as before.
            ArtifactError: Its segment is damaged, or a segment was full and could not be written.
        """
        entry = self._pending.entries.get(image) or self._committed.entry(image)
        if entry is None:
            raise InputError(f"{self.path}: holds no image {image!r}", cure="check the id")
        changed = {field.name: getattr(facts, field.name) for field in dataclasses.fields(facts)}
        outline = entry.footprint if facts.place == entry.place else None
        self.add(dataclasses.replace(entry, **changed, footprint=outline))

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

    def leave_out(self, image: str, file_size: int, modified_ns: int) -> None:
        """Note that a window has too few valid pixels, and take it out of the index if it is there.

        Args:
            image: Its id.
            file_size: First number of its source's fingerprint.
            modified_ns: Second number of it.
        """
        self.remove([image])
        self._left_out.note(image, f"{file_size} {modified_ns}")

    def remove(self, images: Iterable[str]) -> int:
        """Take images out of the index and off the lists of what is not in it.

        Args:
            images: Their ids; unknown ones are passed over.

        Returns:
            How many were in the index.
        """
        removed = 0
        for image in images:
            removed += self._forget(image)
            self.unskip(image)
            self._left_out.drop(image)
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
        self._left_out.save()
        if not self._changed:
            return
        if not self._pending.entries:
            # All that was staged has been removed again: the next writer must not take it for what is pending.
            self._pending.forget_staged()
        self._committed.write(list(self._pending.entries.values()))
        self._pending.clear()
        self._changed = False
        self._pending.forget_staged()
        self._merge_due()

    def merge(self) -> None:
        """Commit, and merge small segments and those that lack images, however few there are.

        Raises:
            ArtifactError: A segment is damaged, or the disk is full or read-only; the index is as before.
        """
        self.commit()
        for group in worth_merging(self._committed.layout.segments, self._derived):
            self._committed.merge(group, self._derived)

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

    def _merge_due(self) -> None:
        while group := due_for_merging(self._committed.layout.segments):
            self._committed.merge(group, self._derived)

    def _forget(self, image: str) -> bool:
        was_pending, was_committed = self._pending.drop(image), self._committed.remove(image)
        self._changed |= was_committed
        return was_pending or was_committed
