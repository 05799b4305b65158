"""Maintenance of an index: read every byte again, and drop damaged segments."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from rsir_tf.artifacts import file_hash
from rsir_tf.index.layout import (
    IMAGES,
    LAYER_FILES,
    LOCK,
    REPAIR,
    SEGMENT_FILES,
    Layout,
    SegmentRecord,
    read_layout,
    segment_folder,
    write_layout,
)
from rsir_tf.index.settings import IndexSettings
from rsir_tf.locks import WriterLock
from rsir_tf.progress import Progress, silent


@dataclass(frozen=True, slots=True)
class Problem:
    """A damaged file of a segment.

    Attributes:
        segment: The segment's name.
        file: The file's name.
        text: The file's path and what is wrong with it.
        cure: What to do.
    """

    segment: str
    file: str
    text: str
    cure: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """A segment that was taken out of an index because it was damaged.

    Attributes:
        segment: Its name.
        images: Number of images that the index lost with it.
        ids: Their ids, for indexing them again; None if the list of ids itself was damaged.
    """

    segment: str
    images: int
    ids: tuple[str, ...] | None


def verify_index(path: str | os.PathLike[str], *, progress: Progress = silent) -> list[Problem]:
    """Read every byte of an index and compare it with its manifest.

    Args:
        path: The index's folder.
        progress: Called before each file and at the end, with (finished MiB, all MiB, the file).

    Returns:
        The damaged files, in order; empty if there are none.

    Raises:
        ArtifactError: There is no index, its format is newer, or the manifest itself is damaged.
    """
    return _problems(Path(path), read_layout(Path(path)), progress)


def repair_index(path: str | os.PathLike[str], settings: IndexSettings | None = None) -> list[Dropped]:
    """Take damaged segments out of an index, so that it opens again and their images can be indexed again.

    Every byte is read. A segment with damage only in derived files stays without these: it can be searched too.

    Args:
        path: The index's folder.
        settings: The settings for indexing the images again; nothing is dropped if the index has other settings.

    Returns:
        The dropped segments; may be empty.

    Raises:
        MismatchError: The index was made with other settings; the text names both values.
        ArtifactError: There is no index, its format is newer, its manifest itself is damaged, it is read-only, or
            another writer is writing it.
    """
    folder = Path(path)
    read_layout(folder)
    lock = WriterLock(folder / LOCK)
    try:
        layout = read_layout(folder)
        if settings is not None:
            layout.settings.require_equal(settings, whose="what is to be added")
        damaged: dict[str, set[str]] = {}
        for problem in _problems(folder, layout):
            damaged.setdefault(problem.segment, set()).add(problem.file)
        if not damaged:
            return []
        needed = {*SEGMENT_FILES, *LAYER_FILES}
        lost = [record for record in layout.segments if damaged.get(record.name, set()) & needed]
        dropped = [_dropped(folder, record, damaged[record.name]) for record in lost]
        kept = [
            record.without_derived_files() if record.name in damaged else record
            for record in layout.segments
            if record not in lost
        ]
        write_layout(folder, replace(layout, segments=tuple(kept)))
        for record in lost:
            shutil.rmtree(segment_folder(folder, record.name), ignore_errors=True)
        return dropped
    finally:
        lock.release()


def _problems(folder: Path, layout: Layout, progress: Progress = silent) -> list[Problem]:
    problems = []
    total, done = sum(sum(record.sizes.values()) for record in layout.segments), 0
    for record in layout.segments:
        for name, wanted in record.hashes.items():
            progress(done >> 20, total >> 20, f"{record.name}/{name}")
            done += record.sizes.get(name, 0)
            file = segment_folder(folder, record.name) / name
            try:
                found = file_hash(file)
            except OSError as error:
                text = f"{file}: cannot be read: {error.strerror}"
                problems.append(Problem(record.name, name, text, REPAIR))
                continue
            if found != wanted:
                text = (
                    f"{file}: is damaged: its SHA-256 begins with {found[:8]}, that in the manifest with {wanted[:8]}"
                )
                problems.append(Problem(record.name, name, text, REPAIR))
    progress(total >> 20, total >> 20, "")
    return problems


def _dropped(folder: Path, record: SegmentRecord, damaged: set[str]) -> Dropped:
    ids = None
    if IMAGES not in damaged:
        from pyarrow import parquet

        column = parquet.read_table(segment_folder(folder, record.name) / IMAGES, columns=["id"]).column("id")
        gone = set(record.removed)
        ids = tuple(image for row, image in enumerate(column.to_pylist()) if row not in gone)
    return Dropped(record.name, record.live, ids)
