"""Which archive of an index the given one is: the same, one that has been moved, or another, which needs a name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import MANIFEST
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.index import IndexWriter, address_of
from rsir_tf.index.layout import read_layout
from rsir_tf.rasters import MISSING, Reading, content_hash, is_url, open_source, path_of, read_pixels

if TYPE_CHECKING:
    from rsir_tf.archives import Archive, Record

SAMPLE = 16
"""Images whose pixels are compared before an archive at another place is taken for the one that was indexed."""

PLAIN_NAME = r"[\w.-]+"


@dataclass(frozen=True, slots=True)
class ArchiveInIndex:
    """An archive as a part of an index.

    Attributes:
        name: Its name there; "" for the first archive, which has none.
        records: Its images under their ids in the index: the name, where there is one, is the first part of the path.
        base: The folder that paths of its images are stored relative to; of scenes behind a URL, that URL.
        reading: How its files become images.
        moved_from: Where it was before; None where it has not been moved.
    """

    name: str
    records: tuple[Record, ...]
    base: str
    reading: Reading = field(default_factory=Reading)
    moved_from: str | None = None


def find_archive(
    archive: Archive, writer: IndexWriter, *, name: str | None = None, root: Path | None = None
) -> ArchiveInIndex:
    """Find out which archive of an index this is, and note there where it lies.

    It is the one that the index has at this place. It is also taken for the one of that name where its images lie at
    the very places that the index has, or where those are gone and a sample of its images has the same pixels.

    Args:
        archive: To be indexed.
        writer: Of the index.
        name: What the archive is called in the index; None finds out.
        root: Where the caller says that the archive of this name lies now: the given archive's folder.

    Raises:
        InputError: The index holds another archive, and no name is given to tell the two apart; the name is another
            archive's, or cannot be one; or `root` is another folder than the archive's.
        MismatchError: The index has read the images of this archive in another way.
        ArtifactError: The index cannot be written.
    """
    if name is not None and not re.fullmatch(PLAIN_NAME, name):
        raise InputError(f"--as {name!r}", wanted="a name of letters, digits, '.', '-' and '_'")
    here = place_of(archive)
    if root is not None and not same_folder(os.path.abspath(root), here):
        raise InputError(f"--root {root}", wanted=f"{archive.root}, the archive to index")
    at_this_place = names_at_place(archive, writer.roots, writer.readings)
    if name is None:
        name = at_this_place[0] if at_this_place else ""
    elif at_this_place and name not in at_this_place and _same_reading(archive, writer.readings[at_this_place[0]]):
        called = f"as {at_this_place[0]!r}" if at_this_place[0] else "without a name"
        raise InputError(f"{writer.path}: holds the images of {here} already, {called}", cure="leave --as out")
    records = tuple(replace(record, id=named(record.id, name)) for record in archive.records)
    found = ArchiveInIndex(name, records, here, archive.reading)
    if name not in at_this_place:
        settled = _settle(found, writer, asked_to_move=root is not None)
        _refuse_ambiguous_ids(found.records, name, writer)
        _require_reading(found, writer)
        if settled.base == here:
            writer.record_root(name, here)
        found = settled
    _require_reading(found, writer)
    if name in writer.roots:
        writer.record_reading(name, archive.reading)
    return found


def names_at_place(archive: Archive, roots: Mapping[str, str], readings: Mapping[str, Reading]) -> list[str]:
    """Name the archives of an index that lie where this one does; one that is read in the same way comes first.

    The same scenes may be in an index several times, with windows of several sizes.

    Args:
        archive: Not that of the index.
        roots: Of the index.
        readings: Of the index.
    """
    here = place_of(archive)
    found = [name for name, root in roots.items() if same_folder(root, here)]
    return sorted(found, key=lambda name: not _same_reading(archive, readings.get(name, Reading())))


def place_of(archive: Archive) -> str:
    """Where an archive lies: its folder as an absolute path; or the URL of its one scene, without its query."""
    paths = {path_of(record.source.address) for record in archive.records[:1]}
    url = next((path for path in paths if path is not None and is_url(path)), None)
    if url is not None and archive.root == Path():
        return url.partition("?")[0]
    return os.path.abspath(archive.root)


def recorded_reading(index: Path, archive: str | Path, name: str | None) -> Reading | None:
    """How an index has read an archive, before that is opened; None where it does not know the archive.

    Args:
        index: The index's folder; there need not be one.
        archive: The path or URL that names the archive.
        name: What the archive is called in the index, where that is given.

    Raises:
        ArtifactError: The index is damaged.
    """
    if not (index / MANIFEST).exists():
        return None
    layout = read_layout(index)
    text = str(archive).removeprefix("@")  # A file that lists scenes.
    here = text.partition("?")[0] if is_url(text) else os.path.abspath(text)
    places = (here, os.path.dirname(here)) if os.path.isfile(here) else (here,)
    for known, root in layout.roots.items():
        if known == name or (name is None and any(same_folder(root, place) for place in places)):
            return layout.readings.get(known, Reading())
    return None


def _require_reading(found: ArchiveInIndex, writer: IndexWriter) -> None:
    """Refuse to mix images that were read in two ways; an archive without images may be read anew."""
    known = writer.readings.get(found.name, Reading())
    if _same_reading(found, known):
        return
    if any(belongs(writer, image, found.name) for image in writer.ids):
        raise MismatchError(
            f"{found.base}: would be read in this way: {found.reading.describe() or 'as it is'}",
            wanted=f"as its images in {writer.path} were read: {known.describe() or 'as it is'}",
            cure="give the options that the index was made with, give the archive another name by --as, or make "
            "another index",
        )


def _same_reading(archive: Archive | ArchiveInIndex, known: Reading) -> bool:
    return _pixels_of(archive.reading) == _pixels_of(known)


def _pixels_of(reading: Reading) -> dict[str, Any]:
    """What of a reading decides about pixels: names of web tiles give places, which resampling needs, and no more."""
    content = reading.to_json()
    if reading.recipe.resolution is None:
        content.pop("tile_names", None)
    return content


def _settle(found: ArchiveInIndex, writer: IndexWriter, *, asked_to_move: bool) -> ArchiveInIndex:
    """Decide on an archive that the index does not have at this place."""
    before = writer.roots.get(found.name)
    own = [image for image in writer.ids if belongs(writer, image, found.name)]
    if before is None and not own and (found.name or not writer.roots):
        return found
    moved = replace(found, moved_from=before)
    if asked_to_move and (before is not None or own):
        return moved
    addresses = {image: _address(writer, image) for image in own}
    shared = [record for record in found.records if record.id in addresses]
    if shared and all(record.source.address == addresses[record.id] for record in shared):
        # The same files, through another folder: the archive's own folder of images, say, or the folder above.
        return found if before is None else replace(found, base=before)
    paths = [path_of(address) or "" for address in addresses.values()]
    if before is None and any(path.startswith(os.path.join(found.base, "")) for path in paths):
        return found
    sample = shared[:: max(1, len(shared) // SAMPLE)]
    gone = all(open_source(addresses[record.id]).fingerprint == MISSING for record in sample)
    if sample and gone and all(_same_pixels(record, writer) for record in sample):
        return moved
    if before is None and addresses:
        before = os.path.commonpath([os.path.dirname(path) for path in paths] or [""])
    raise _another(found, before, writer)


def _another(found: ArchiveInIndex, before: str | None, writer: IndexWriter) -> InputError:
    places = before or ", ".join(writer.roots.values())
    inside = "" if before is None else _inside(found.base, before)
    cure = f"give {'another' if found.name else 'it a'} name by --as NAME, with which its ids then begin"
    if before is not None:
        cure += f"; or --root {found.base}, if the archive has been moved there"
    return InputError(f"{writer.path}: holds the images of {places}, not of {found.base}{inside}", cure=cure)


def _inside(one: str, other: str) -> str:
    if one.startswith(os.path.join(other, "")):
        return ", which is a part of it"
    return ", which it is a part of" if other.startswith(os.path.join(one, "")) else ""


def belongs(writer: IndexWriter, image: str, name: str) -> bool:
    """Whether an image of the index is of the archive of this name; those of no known archive are the first's."""
    facts = writer.facts_of(image)
    return facts is not None and (facts.archive or "") == name


def named(image: str, name: str) -> str:
    """The id in an index of an image of the archive that is called so there."""
    return f"{name}/{image}" if name else image


def _refuse_ambiguous_ids(records: Sequence[Record], name: str, writer: IndexWriter) -> None:
    """An id must not be able to mean an image of either of two archives."""
    clash: str | None = None
    if name:
        clash = next((image for image in writer.ids if image.startswith(f"{name}/")), None)
        clash = None if clash is not None and belongs(writer, clash, name) else clash
    else:
        clash = next((record.id for record in records if record.id.split("/")[0] in writer.roots), None)
    if clash is not None:
        raise InputError(
            f"{writer.path}: {clash} would be an image of two archives", cure="choose another name for --as"
        )


def _address(writer: IndexWriter, image: str) -> str:
    facts = writer.facts_of(image)
    return "" if facts is None else address_of(facts.path, facts.archive, writer.roots)


def _same_pixels(record: Record, writer: IndexWriter) -> bool:
    facts = writer.facts_of(record.id)
    try:
        return facts is not None and content_hash(read_pixels(record.source)) == facts.content_hash
    except InputError:
        return False


def same_folder(one: str, other: str) -> bool:
    """Whether two paths, which need not be there, name the same folder."""
    if one == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
