"""What lies in a folder: the image files that readers begin with, and what was passed over and why."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rsir_tf.artifacts import kind_written_here
from rsir_tf.errors import InputError
from rsir_tf.rasters import IMAGE_SUFFIXES
from rsir_tf.wording import counted

SCENE_SUFFIXES = IMAGE_SUFFIXES | {
    # JPEG 2000, GDAL's virtual rasters, Imagine, NITF, PCI Geomatica, ER Mapper, raw bands with a header beside them,
    # Idrisi, SAGA, Meta Raster, MBTiles, TIFF beyond 4 GB.
    *(".jp2", ".j2k", ".vrt", ".img", ".ntf", ".nitf", ".pix", ".ers", ".bil", ".bip", ".bsq", ".rst", ".sdat", ".mrf"),
    *(".mbtiles", ".btf", ".tf8"),
}
"""File endings, lower case, that scenes have, all of them read by GDAL. What lies beside a scene (`.aux.xml`, `.ovr`,
`.msk`, `.tfw`, `.hdr`) has none of them."""

SYSTEM_FOLDERS = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        ".ipynb_checkpoints",
        "@eadir",
        "@tmp",
        "__macosx",
        "__pycache__",
        "lost+found",
        "recycler",
        "system volume information",
    }
)
"""Folders, in lower case, that systems and programs keep for themselves: thumbnails, bins, what unpacking leaves."""


SYSTEM_FOLDER = "a folder that a system or a program keeps for itself"
"""Why such a folder is left out."""


class LeftOut(NamedTuple):
    r"""Something in an archive's folder that is no image and no mask of the archive.

    Attributes:
        path: Below the archive's folder, with forward slashes; bytes that are no UTF-8 are spelt `\xNN`.
        why: In words.
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The image files below a folder.

    Attributes:
        files: Paths below the folder, sorted.
        left_out: What was passed over, sorted by path.
        others: Endings of files that are no images → how many.
    """

    files: tuple[PurePosixPath, ...]
    left_out: tuple[LeftOut, ...]
    others: dict[str, int]


def list_images(root: Path, suffixes: Collection[str] = IMAGE_SUFFIXES) -> Listing:
    """List the image files below a folder, at any depth; links are followed, each folder is entered once.

    Files and folders whose name begins with a dot are not looked at. A folder that cannot be listed, one that a system
    keeps for itself, one that this program wrote (a run with pictures of its test images, say), and a name that is not
    UTF-8 are passed over and told: one of them does not stop the others.

    Args:
        root: The folder.
        suffixes: The endings of image files, in lower case.

    Raises:
        InputError: The folder itself cannot be listed.
    """
    files: list[PurePosixPath] = []
    left_out: list[LeftOut] = []
    others: dict[str, int] = {}
    entered: set[str] = set()

    def refuse(error: OSError) -> None:
        reason = (error.strerror or "").lower()
        if Path(os.fsdecode(error.filename)) == root:
            raise InputError(f"{root}: cannot be listed: {reason}", cure="check its permissions") from error
        left_out.append(LeftOut(_spell(root, Path(error.filename)), f"the folder cannot be listed: {reason}"))

    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=refuse):
        place = os.path.realpath(folder)
        if place in entered:
            subfolders.clear()
            continue
        entered.add(place)
        kind = kind_written_here(Path(folder), names) if Path(folder) != root else None
        if kind is not None:
            left_out.append(LeftOut(_spell(root, Path(folder)), f"a folder that rsir-tf wrote ({kind})"))
            subfolders.clear()
            continue
        kept = []
        # In order, so that of two links to one folder the same one is taken on every machine.
        for name in sorted(subfolders):
            why = _why_not_entered(name)
            if why:
                left_out.append(LeftOut(_spell(root, Path(folder, name)), why))
            elif not name.startswith("."):
                kept.append(name)
        subfolders[:] = kept
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if name.startswith("."):
                continue
            if suffix not in suffixes:
                suffix = _printable(suffix)
                others[suffix] = others.get(suffix, 0) + 1
            elif _is_utf8(name):
                files.append(below / name)
            else:
                left_out.append(LeftOut(_spell(root, Path(folder, name)), "its name is not UTF-8: rename it"))
    return Listing(tuple(sorted(files, key=str)), tuple(sorted(left_out)), others)


def refuse_empty(root: Path, listing: Listing, suffixes: Collection[str] = IMAGE_SUFFIXES) -> InputError:
    """Compose the error for a folder in which no image was found."""
    most = sorted(listing.others.items(), key=lambda item: (-item[1], item[0]))[:3]
    held = ", ".join(f"{counted(count, 'file')} with {name or 'no ending'}" for name, count in most)
    if listing.left_out:
        first = listing.left_out[0]
        held += f"{', and ' if held else ''}{first.path}, which was left out: {first.why}"
    found = f"it holds {held}" if held else "it is empty"
    scenes = sorted((SCENE_SUFFIXES - IMAGE_SUFFIXES) & set(listing.others))
    cure = f"files with {', '.join(scenes)} are read as scenes: say --tile 256" if scenes else "check the path"
    return InputError(f"{root}: no images here ({found})", wanted=", ".join(sorted(suffixes)), cure=cure)


def _why_not_entered(name: str) -> str | None:
    if name.lower() in SYSTEM_FOLDERS or name.startswith("__MACOSX"):
        return SYSTEM_FOLDER
    return None if _is_utf8(name) else "the folder's name is not UTF-8: rename it"


def _is_utf8(name: str) -> bool:
    # Python keeps bytes that are no UTF-8 as lone surrogates, which no JSON, Parquet or terminal takes.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _spell(root: Path, path: Path) -> str:
    return _printable(path.relative_to(root).as_posix())


def _printable(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "backslashreplace")
