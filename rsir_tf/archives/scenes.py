"""Scenes: files and URLs whose windows are the images, or which a recipe reads as one image each."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rsir_tf.archives.listing import LeftOut
from rsir_tf.archives.record_masks import tell_resampled
from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.tile_neighbours import refuse_misplaced
from rsir_tf.errors import InputError
from rsir_tf.processors import in_threads
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import RasterSource, Reading, open_dataset, path_of, read_pixels, window_id, windows_of
from rsir_tf.rasters.stored import require_size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

THREADS = 8
"""Scenes whose headers are read at once: of URLs, waiting is most of it."""


def read_by(archive: Archive, reading: Reading, *, strict: bool = False, progress: Progress = silent) -> Archive:
    """Make of an archive's files the images that a reading makes of them; headers are read, and no pixel.

    With a tiling, each file is a scene, and its windows are the images: none of them is left out yet for lack of valid
    pixels, which `why_left_out` tells when it is read. The windows of a scene are one group. Tags, which are those of
    whole images, are not kept. Without a tiling, each file is one image, which the recipe reads.

    Args:
        archive: Of whole files.
        reading: How they are read.
        strict: Whether a file that cannot be read like this is refused. Otherwise it is left out, with the reason.
        progress: Called after each file.

    Raises:
        InputError: No file can be read like this; or, with `strict`, one cannot; or web tiles do not lie where the
            pattern of their names puts them.
    """
    parts = _parts_of_virtual(archive.records)
    records: list[Record] = []
    left_out = [LeftOut(record.id, f"is a part of {parts[record.id]}") for record in archive if record.id in parts]
    files = [record for record in archive if record.id not in parts]
    if reading.tile_names is not None:
        refuse_misplaced([path_of(record.source.address) or "" for record in files], reading.tile_names, reading.recipe)
    refused: dict[str, InputError] = {}
    notes: defaultdict[str, list[str]] = defaultdict(list)
    opened = in_threads(lambda each: _images(each, reading), files, threads=THREADS)
    for done, (record, found) in enumerate(zip(files, opened, strict=True), start=1):
        progress(done, len(files), record.id)
        if isinstance(found, InputError):
            if strict:
                raise found
            refused[record.id] = found
        else:
            records += found
            for note in _notes(found):
                notes[note].append(record.id)
    if not records:
        raise _nothing_left(archive, refused)
    left_out += _reasons(refused)
    understood = archive.understood
    if reading.tiling is not None:
        understood += "; each file is cut into windows, which are the images, and it is their group"
    return dataclasses.replace(
        archive,
        format="scenes" if reading.tiling is not None else archive.format,
        records=tuple(records),
        understood=understood,
        left_out=(*archive.left_out, *left_out),
        remarks=(*archive.remarks, *tell_resampled(records)),
        reading=reading,
        notes={note: tuple(names) for note, names in notes.items()},
    )


def why_left_out(valid: NDArray[np.bool_] | None, reading: Reading) -> str | None:
    """Say why a window that has been read is no image of its archive: too few of its pixels are valid.

    Checking, indexing, training and comparing all ask this, after they have read a window: to open an archive stays
    quick, though nodata shows only in the pixels.

    Args:
        valid: bool [H, W], as `rsir_tf.rasters.read_pixels` gives it; None where every pixel is valid.
        reading: Of the archive.

    Returns:
        The reason, to be told after the window's name; None where the window is an image of the archive, as everything
        is that no tiling has cut.
    """
    if valid is None or reading.tiling is None:
        return None
    if not valid.any():
        return "none of its pixels is valid"
    share, least = float(valid.mean()), reading.tiling.min_valid
    return None if share >= least else f"{share:.1%} of its pixels are valid; wanted at least {least:.1%} (--min-valid)"


def leave_out_void(archive: Archive, progress: Progress = silent) -> Archive:
    """Leave out the windows that `why_left_out` names, which reads them all. One that cannot be read stays.

    Args:
        archive: From `open_archive`.
        progress: Called after each window.

    Raises:
        InputError: No window is left.
    """
    if archive.reading.tiling is None:
        return archive
    kept: list[Record] = []
    void = ""
    for done, (record, why) in enumerate(
        zip(archive, in_threads(lambda each: _why(each, archive.reading), archive, threads=2), strict=True), start=1
    ):
        progress(done, len(archive), record.id)
        if why is None:
            kept.append(record)
        else:
            void = void or f"{record.id}: {why}"
    if not kept:
        several = f"all {len(archive):,} windows are left out, the first is"
        which = "its only window is left out:" if len(archive) == 1 else several
        raise InputError(f"{archive.root}: {which} {void}")
    return dataclasses.replace(archive, records=tuple(kept))


def _why(record: Record, reading: Reading) -> str | None:
    try:
        return why_left_out(read_pixels(record.source).valid, reading)
    except InputError:
        return None


def _images(record: Record, reading: Reading) -> list[Record] | InputError:
    """The images that a reading makes of a file; the error where it cannot be read like this."""
    path = path_of(record.source.address) or ""
    try:
        if reading.tiling is None:
            whole = RasterSource(path, reading.recipe, tile_names=reading.tile_names)
            require_size(path, *whole.shape)
            return [dataclasses.replace(record, source=whole)]
        return [
            Record(window_id(record.id, source.window), source, record.mask, scene=record.scene, group=record.id)
            for source in windows_of(path, reading, every=True)
            if source.window is not None
        ]
    except InputError as error:
        return error


def _notes(images: list[Record]) -> tuple[str, ...]:
    """What is worth telling of the scene of some windows."""
    return next((image.source.notes for image in images if isinstance(image.source, RasterSource)), ())


def _reasons(refused: dict[str, InputError]) -> Iterator[LeftOut]:
    """Why each file is left out; of files that have the same cure, the first has it, up to the numbers in it."""
    told: set[str] = set()
    for name, error in refused.items():
        # The file's path stands before what is wrong with it, and its id will.
        found = error.found.partition(f"{PurePosixPath(name).name}: ")[2] or error.found
        wanted = f"; wanted {error.wanted}" if error.wanted else ""
        kind = re.sub(r"\d+(\.\d+)?", "", error.cure or "")
        cure = "" if not kind or kind in told else f"; {error.cure}"
        told.add(kind)
        yield LeftOut(name, f"{found}{wanted}{cure}")


def _parts_of_virtual(records: Sequence[Record]) -> dict[str, str]:
    """The files that GDAL's virtual rasters (`.vrt`) among the records are made of → the virtual raster's id."""
    virtual = [record for record in records if record.id.lower().endswith(".vrt")]
    places = {_real(record): record.id for record in records} if virtual else {}
    parts: dict[str, str] = {}
    for record in virtual:
        try:
            with open_dataset(path_of(record.source.address) or "") as opened:
                made_of = [str(Path(file).resolve()) for file in opened.files]
        except InputError:
            continue  # It is told when it is read.
        parts |= {places[file]: record.id for file in made_of if places.get(file, record.id) != record.id}
    return parts


def _real(record: Record) -> str:
    return str(Path(path_of(record.source.address) or "").resolve())


def _nothing_left(archive: Archive, refused: dict[str, InputError]) -> InputError:
    first = next(iter(refused.values()))
    if len(refused) == 1:
        return first
    return InputError(f"{archive.root}: none of its {len(refused)} files can be read like this; the first: {first}")
