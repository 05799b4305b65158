"""Archives that are no folder: a URL, and a text file that lists scenes, one in each line."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError, why
from rsir_tf.rasters import FileSource, RasterSource, is_url
from rsir_tf.wording import without_keys

_SHORTENED = re.compile(r"(https?|s3):/(?=[^/])")


def as_named(path: str | os.PathLike[str]) -> str:
    """What names an archive, as text; of a URL that went through `pathlib`, with the slash that it lost."""
    return _SHORTENED.sub(r"\1://", os.fspath(path))


def read_url(url: str) -> Archive:
    """Make an archive of one scene behind a URL; nothing is fetched yet."""
    name = PurePosixPath(_id(url)).name
    return _archive(Path(), [Record(name, RasterSource(url))], f"one scene, {without_keys(url)}")


def read_list(file: Path) -> Archive:
    """Make an archive of the scenes that a text file lists.

    Args:
        file: One path or URL in each line; relative paths begin at the current folder. Empty lines and those that begin
            with # are skipped. The id of a scene is its line, without a URL's scheme and query, and without what a path
            begins with: "/" or "../".

    Raises:
        InputError: The file cannot be read, lists nothing, or lists something twice.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: cannot be read: {why(error)}", wanted="paths or URLs of scenes, one in each line"
        ) from error
    records: dict[str, Record] = {}
    named: dict[str, str] = {}
    for line in lines:
        if not line or line.startswith("#"):
            continue
        name = _id(line)
        if name in records:
            first, second = without_keys(named[name]), without_keys(line)
            both = f"{second} twice" if line == named[name] else f"{first} and {second}, which have the same id, {name}"
            raise InputError(f"{file}: lists {both}", wanted="each once")
        named[name] = line
        records[name] = Record(name, RasterSource(line) if is_url(line) else FileSource(Path(line)))
    if not records:
        raise InputError(f"{file}: lists no scene", wanted="paths or URLs of scenes, one in each line")
    return _archive(file.parent, list(records.values()), f"scenes that {file} lists")


def _id(line: str) -> str:
    if is_url(line):
        return line.partition("://")[2].partition("?")[0]
    return re.sub(r"^(\.{0,2}/)+", "", PurePosixPath(os.path.normpath(line)).as_posix())


def _archive(root: Path, records: list[Record], understood: str) -> Archive:
    ordered = tuple(sorted(records, key=lambda record: record.id))
    return Archive(root=root, format="folder", records=ordered, understood=understood)
