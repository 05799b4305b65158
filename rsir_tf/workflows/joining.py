"""From the parts of an archive, which were indexed each for itself (`shards`), to one index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from rsir_tf.errors import InputError, MismatchError
from rsir_tf.index import ImageEntry, ImageFacts, IndexWriter, StoredIndex
from rsir_tf.index.layout import LEFT_OUT
from rsir_tf.index.skipped import read_notes
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import derived_files
from rsir_tf.workflows.shards import ShardNote, read_shard


@dataclass(slots=True)
class JoinSummary:
    """What `join_parts` did.

    Attributes:
        index: The index's folder.
        images: Number of images in the index now.
        added: Number of images that were added.
        reused: Number of images that were added with the descriptors of one with the same pixels.
        unchanged: Number of images that were in the index already.
        refreshed: Number of images that were in the index with other pixels or facts.
        removed: Number of images that were removed, because no part has them.
        absent: Number of images of the index that no part has, and that were kept.
        skipped: Number of images that could not be read when the parts were made.
    """

    index: str
    images: int = 0
    added: int = 0
    reused: int = 0
    unchanged: int = 0
    refreshed: int = 0
    removed: int = 0
    absent: int = 0
    skipped: int = 0

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def join_parts(
    parts: Sequence[Path], to: Path, *, prune: bool = False, merge: bool = False, progress: Progress = silent
) -> JoinSummary:
    """Put the parts of one archive together. No model is asked, and the parts stay as they are.

    The images are added in the order of the parts, so that the index does not depend on how many parts there are: its
    segments are equal in every byte. Of images with equal pixels, all get the descriptors of the first, as in an index
    that one machine makes. A command that was killed can be repeated: what the index has already is not added again.

    Args:
        parts: Folders of all parts, in any order.
        to: The index's folder; made, or continued where it holds the same archive.
        prune: Remove images that no part has.
        merge: At the end, merge all small segments and those with removed images.
        progress: Called after each image.

    Raises:
        InputError: Parts are missing, doubled, of different archives or of an archive at different places; or the
            index holds another archive.
        MismatchError: Parts, or the index, were made by different models, with different settings, or have read the
            archive in different ways; both values are named.
        ArtifactError: A part is not finished or damaged; the index cannot be written, or another process is writing it.
    """
    ordered = _in_order(parts)
    if to.resolve() in (part.resolve() for part in ordered):
        raise InputError(f"{to}: is one of the parts", wanted="another folder for the index")
    opened = StoredIndex.open(ordered[0])
    summary = JoinSummary(str(to))
    with IndexWriter.open(to, opened.settings, derived=derived_files()) as writer:
        _take_over_archive(opened, writer)
        before = {*writer.ids, *writer.skipped, *writer.left_out}
        counts = [_same_kind(StoredIndex.open(part), opened) for part in ordered]
        total, done = sum(counts), 0
        for part in ordered:
            index = StoredIndex.open(part)
            for row, image in enumerate(index.images.ids):
                how = take_in(index.entry(row), writer)
                setattr(summary, how, getattr(summary, how) + 1)
                before.discard(image)
                done += 1
                progress(done, total, image)
            for image, reason in index.skipped.items():
                writer.skip(image, reason)
                before.discard(image)
            summary.skipped += len(index.skipped)
            for image, fingerprint in read_notes(part / LEFT_OUT).items():
                size, modified = map(int, fingerprint.split())
                writer.leave_out(image, size, modified)
                before.discard(image)
        if prune:
            summary.removed = writer.remove(sorted(before))
        else:
            summary.absent = sum(image in writer for image in before)
        if merge:
            writer.merge()
        summary.images = len(writer)
    return summary


def take_in(entry: ImageEntry, writer: IndexWriter) -> Literal["added", "reused", "refreshed", "unchanged"]:
    """Add an image of another index, unless the index has just that already.

    If the index has an image of the same pixels, its descriptors are taken: equal pixels have distance 0 to the bit,
    also where two machines described them.

    Args:
        entry: The image.
        writer: Of the index.

    Returns:
        "unchanged" if the index has it; "refreshed" if it had one of the same id; "reused" if it has the pixels.

    Raises:
        ArtifactError: A segment was full and could not be written.
    """
    known = writer.facts_of(entry.id)
    if known == entry.facts:
        writer.unskip(entry.id)
        return "unchanged"
    twin = writer.find_content(entry.content_hash)
    if twin is not None:
        own = {field.name: getattr(entry, field.name) for field in fields(ImageFacts)}
        entry = replace(twin, id=entry.id, footprint=entry.footprint, **own)
    writer.add(entry)
    return "refreshed" if known is not None else "added" if twin is None else "reused"


def _in_order(parts: Sequence[Path]) -> list[Path]:
    """The folders by the numbers of the parts: all of one archive, each once."""
    if not parts:
        raise InputError("no parts", wanted="the folder of each part")
    notes = {part: read_shard(part) for part in parts}
    first, one = next(iter(notes.items()))
    for part, note in notes.items():
        if _whole(note) != _whole(one):
            raise InputError(
                f"{part}: is a part of {_words(note)}, and {first} of {_words(one)}",
                wanted="parts that were cut from the same images",
                cure="make the older parts again",
            )
    number, times = Counter(notes[part].part for part in parts).most_common(1)[0]
    if times > 1:
        double = ", ".join(str(part) for part in parts if notes[part].part == number)
        raise InputError(f"part {number} is given {times} times: {double}", wanted="each part once")
    missing = sorted({*range(1, one.of + 1)} - {note.part for note in notes.values()})
    if missing:
        some = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
        raise InputError(
            f"of {one.of} parts, {len(missing)} {'is' if len(missing) == 1 else 'are'} missing: {some}",
            wanted="all parts",
            cure=f"make them by `rsir-tf index … --shard {missing[0]}/{one.of}`",
        )
    return sorted(notes, key=lambda part: notes[part].part)


def _whole(note: ShardNote) -> tuple[int, int, str]:
    return note.of, note.images, note.ids


def _words(note: ShardNote) -> str:
    return f"{note.of} parts of {note.images:,} images ({note.ids[:8]})"


def _same_kind(index: StoredIndex, first: StoredIndex) -> int:
    """Refuse a part that does not go with the first one; how many images it has."""
    first.settings.require_equal(index.settings, whose=str(index.path))
    _require_same_archives(index.path, index.roots, first.path, first.roots)
    _require_same_readings(index, first)
    return len(index)


def _take_over_archive(part: StoredIndex, writer: IndexWriter) -> None:
    """Note in the index whose images the parts are, unless it knows that already."""
    if writer.roots:
        _require_same_archives(part.path, part.roots, writer.path, writer.roots)
    elif len(writer):
        raise InputError(f"{writer.path}: does not say of which archive its images are", wanted="another folder")
    for name, root in part.roots.items():
        if not writer.roots.get(name):
            writer.record_root(name, root)
    if len(writer):
        _require_same_readings(part, writer)
    for name, reading in part.readings.items():
        writer.record_reading(name, reading)


def _require_same_archives(path: Path, roots: dict[str, str], other: Path, wanted: dict[str, str]) -> None:
    if roots != wanted:
        raise InputError(
            f"{path}: holds the images of {_places(roots)}",
            wanted=f"those of {_places(wanted)}, as {other}",
            cure=f"where that is the same archive, `rsir-tf index --to {path} --root DIR` names its place anew",
        )


def _places(roots: dict[str, str]) -> str:
    return ", ".join(f"{root} as {name}" if name else root for name, root in sorted(roots.items())) or "no archive"


def _require_same_readings(index: StoredIndex, other: StoredIndex | IndexWriter) -> None:
    for name, reading in index.readings.items():
        known = other.readings.get(name)
        if known is not None and known.to_json() != reading.to_json():
            raise MismatchError(
                f"{index.path}: its images were read in this way: {reading.describe()}",
                wanted=f"as in {other.path}: {known.describe()}",
                cure="make the part again with the same options",
            )
