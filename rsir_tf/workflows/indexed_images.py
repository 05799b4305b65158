"""Whether an index has the images of an archive, with their pixels of today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError, MismatchError
from rsir_tf.processors import in_threads
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import content_hash, read_pixels
from rsir_tf.workflows.archive_roots import named, names_at_place

if TYPE_CHECKING:
    from rsir_tf.archives import Archive, Record
    from rsir_tf.ranking import Index


def ids_in_index(index: Index, archive: Archive) -> dict[str, str]:
    """Give the id in an index of each image of an archive: it begins with the archive's name there, if it has one.

    Args:
        index: From `rsir_tf.open_index`.
        archive: Known by its folder, and by how it is read; an archive that the index does not know has no name.
    """
    name = next(iter(names_at_place(archive, index.roots, index.readings)), "")
    return {record.id: named(record.id, name) for record in archive}


def require_unchanged(index: Index, records: Sequence[Record], tell: Progress = silent) -> None:
    """Refuse an index if the pixels of an image have changed since it was indexed.

    Every image is read, because size and time of change do not prove that its pixels are the same. Images that the
    index does not have, or that cannot be read any more, are reported elsewhere.

    Args:
        index: From `rsir_tf.open_index`.
        records: Of the archive.
        tell: Called with (done, in all, words).

    Raises:
        MismatchError: An image differs; the first is named.
    """
    rows = {name: row for row, name in enumerate(index.images.ids)}
    known = [record for record in records if record.id in rows]
    for done, (record, found) in enumerate(zip(known, in_threads(_pixels, known), strict=True), start=1):
        if found not in (None, index.images.content_hashes[rows[record.id]]):
            raise MismatchError(
                f"{index.path}: {record.id} ({record.source}) has changed since it was indexed",
                wanted="an index of the images as they are",
                cure="run rsir-tf index --rehash again with this archive and index",
            )
        tell(done, len(known), "comparing images with the index")


def unread_by(index: Index, records: Sequence[Record]) -> dict[str, str]:
    """Give the images that could not be read when they were to be indexed, and why: reason by id.

    An image that the index holds from an earlier time is one of them only where it still cannot be read.

    Args:
        index: From `rsir_tf.open_index`.
        records: Of the archive, with their ids in the index.
    """
    known, noted = {*index.images.ids}, [record for record in records if record.id in index.skipped]
    unread = [record.id for record in noted if record.id not in known or _pixels(record) is None]
    return {image: index.skipped[image] for image in unread}


def _pixels(record: Record) -> str | None:
    try:
        return content_hash(read_pixels(record.source))
    except InputError:
        return None


def require_all(index: Index, records: Sequence[Record]) -> None:
    """Refuse an index that lacks images.

    Raises:
        InputError: Images are missing; the text names the first.
    """
    known = set(index.images.ids)
    lacking = [record.id for record in records if record.id not in known]
    if lacking:
        raise InputError(
            f"{index.path}: lacks {len(lacking)} of the {len(records)} images to compare (first {lacking[0]})",
            wanted="an index of the same archive and split",
            cure="run rsir-tf index with this archive and split, or name the model instead",
        )
