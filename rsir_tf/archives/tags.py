"""Tags files: a table with one row an image and one column a tag, as UC Merced's `LandUse_Multilabeled.txt`."""

from __future__ import annotations

import csv
import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rsir_tf.archives.folder_names import plain_spelling
from rsir_tf.archives.listing import SCENE_SUFFIXES
from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError, why

UCMERCED_TAGS = "LandUse_Multilabeled.txt"
"""Name of UC Merced's tags file (Chaudhuri et al., 2018): 2,100 images, 17 tags."""


@dataclass(frozen=True, slots=True)
class TagTable:
    """What a tags file says.

    Attributes:
        path: The file.
        names: The tags, in the order of the columns, spelt as in the file.
        rows: Image name as in the file → its tags, sorted.
    """

    path: Path
    names: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]


def find_tags(root: Path) -> Path | None:
    """Find UC Merced's tags file in an archive's folder or, where that is the folder `Images`, beside it."""
    places = [root]
    if root.resolve().name.lower() == "images":
        places.append(root.resolve().parent)
    return next((place / UCMERCED_TAGS for place in places if (place / UCMERCED_TAGS).is_file()), None)


def read_tags(path: Path) -> TagTable:
    """Read a tags file: a header, then an image's name and a 0 or 1 for each tag.

    Tabs, commas or semicolons divide the columns; a byte order mark, Windows line ends, blank lines, and space or empty
    columns at the end of a line do no harm.

    Raises:
        InputError: It is missing, no UTF-8 text, has no header, or a line has other columns, other values than 0 and 1,
            or an image that had its line before; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {why(error)}", wanted="a tags file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason})", cure="save it as UTF-8") from error
    header = next((line for line in lines if line.strip()), "")
    divider = next((mark for mark in "\t,;" if mark in header), "\t")
    table = [(number, _cells(row)) for number, row in enumerate(csv.reader(lines, delimiter=divider), start=1)]
    table = [(number, cells) for number, cells in table if cells]
    if len(table) < 2:
        raise InputError(f"{path}: has no table", wanted="a header and one line an image")
    names = tuple(table[0][1][1:])
    if not names or set(names) <= {"0", "1"}:
        raise InputError(f"{path}: begins with {header[:40]!r}", wanted="a header that names the tags")
    if "" in names or len(set(names)) < len(names):
        twice = next(name for name in names if not name or names.count(name) > 1)
        raise InputError(f"{path}: the header names the tag {twice!r} twice or not at all", wanted="each tag once")
    rows: dict[str, tuple[str, ...]] = {}
    for number, (image, *values) in table[1:]:
        where = f"{path}: line {number} ({image})"
        if len(values) != len(names):
            raise InputError(
                f"{where} has {len(values)} values", wanted=f"{len(names)}, one for each tag of the header"
            )
        for name, value in zip(names, values, strict=True):
            if value not in {"0", "1"}:
                raise InputError(f"{where} has {value!r} for {name}", wanted="0 or 1")
        if image in rows:
            raise InputError(f"{where} names an image that had a line before", wanted="one line an image")
        rows[image] = tuple(sorted(name for name, value in zip(names, values, strict=True) if value == "1"))
    return TagTable(path, names, rows)


def with_tags(archive: Archive, table: TagTable) -> Archive:
    """Give an archive's records the tags of a table.

    A row names an image by its id or file name, with or without ending. Images without a row keep tags None; rows
    without an image become `orphan_tags`: an archive may be a part of what the table knows.

    Raises:
        InputError: No row names an image of the archive, or a row names two.
    """
    by_name: dict[str, list[Record]] = defaultdict(list)
    for record in archive:
        path = PurePosixPath(record.id).with_suffix("")
        for name in {str(path), path.name}:
            by_name[plain_spelling(name)].append(record)
    tags: dict[str, tuple[str, ...]] = {}
    orphans = []
    for row, values in table.rows.items():
        matches = by_name.get(plain_spelling(_without_ending(row)), [])
        if len(matches) > 1:
            raise InputError(
                f"{table.path}: {row!r} is the name of {matches[0].id} and of {matches[1].id}",
                wanted="one image a line",
                cure="write the path below the image folder",
            )
        if not matches:
            orphans.append(row)
        elif matches[0].id in tags:
            raise InputError(
                f"{table.path}: two lines name {matches[0].id}, one as {row!r}", wanted="one line an image"
            )
        else:
            tags[matches[0].id] = values
    if not tags:
        raise InputError(
            f"{table.path}: no line names an image of {archive.root} "
            f"(the first line is for {next(iter(table.rows))!r}, the first image {archive.records[0].id})",
            cure="check that the tags file belongs to the archive",
        )
    return dataclasses.replace(
        archive,
        format="ucmerced" if archive.format == "folder" else archive.format,
        records=tuple(dataclasses.replace(record, tags=tags.get(record.id)) for record in archive),
        tag_names=table.names,
        orphan_tags=tuple(orphans),
    )


def _cells(row: list[str]) -> list[str]:
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _without_ending(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.with_suffix("") if path.suffix.lower() in SCENE_SUFFIXES else path)
