"""Prepare an index's folder for a writer: lock it, refuse a folder with other things, and remove leftovers."""

from __future__ import annotations

import shutil
from pathlib import Path

from rsir_tf import artifacts
from rsir_tf.errors import ArtifactError
from rsir_tf.index.layout import (
    CATALOGUE,
    LEFT_OUT,
    LOCK,
    SEGMENTS,
    SKIPPED,
    STAGED,
    Layout,
    read_layout,
    write_layout,
)
from rsir_tf.index.settings import IndexSettings
from rsir_tf.locks import WriterLock


def lock_folder(folder: Path, *, make: bool) -> WriterLock:
    """Take an index's folder for a writer.

    Args:
        folder: Of an index, or of one to be made.
        make: Whether it may be made; else there must be an index.

    Raises:
        ArtifactError: It is a file, holds something else, is read-only, or another writer holds it; or there is no
            index, and none may be made.
    """
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder}: is a file", wanted="a folder for the index", cure="choose another name")
    if not make:
        read_layout(folder)
    _refuse_foreign_folder(folder)
    with artifacts.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return WriterLock(folder / LOCK)


def prepare_folder(folder: Path, settings: IndexSettings | None) -> Layout:
    """Make an index where there is none, and remove what killed writers left; only the holder of the lock may.

    Args:
        folder: Locked.
        settings: To make an index with, or those that the index must have; None takes the index's own.

    Raises:
        ArtifactError: The folder is read-only, or the manifest is damaged.
        MismatchError: The index was made with other settings; both values are named.
    """
    if settings is not None and not (folder / artifacts.MANIFEST).exists():
        write_layout(folder, Layout(settings, created=""))
    layout = read_layout(folder)
    if settings is not None:
        layout.settings.require_equal(settings, whose="what is to be added")
    _clean(folder, layout)
    return layout


def _refuse_foreign_folder(folder: Path) -> None:
    """A folder with other things in it is not taken over; what a killed first writer left is."""
    if not folder.is_dir() or (folder / artifacts.MANIFEST).exists():
        return
    own = {CATALOGUE, LEFT_OUT, LOCK, SEGMENTS, SKIPPED, STAGED}
    with artifacts.disk_errors(folder):
        foreign = sorted(item.name for item in folder.iterdir() if item.name not in own and not _is_leftover(item))
    if foreign:
        raise ArtifactError(
            f"{folder}: is a folder with other things in it ({foreign[0]} …)",
            wanted="an index, or a folder that is empty or not there yet",
            cure="choose another name",
        )


def _clean(folder: Path, layout: Layout) -> None:
    listed = {record.name for record in layout.segments}
    with artifacts.disk_errors(folder):
        leftovers = [item for item in folder.iterdir() if _is_leftover(item)]
        if (folder / SEGMENTS).is_dir():
            leftovers += [item for item in (folder / SEGMENTS).iterdir() if item.name not in listed]
    for item in leftovers:
        shutil.rmtree(item, ignore_errors=True)


def _is_leftover(item: Path) -> bool:
    """Whether this was being written aside in an index's folder when its writer was killed."""
    return item.name.startswith(tuple(f".{name}." for name in (artifacts.MANIFEST, LEFT_OUT, SKIPPED, STAGED)))
