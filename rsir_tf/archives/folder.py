"""A plain folder of images, and the search for image files that every reader begins with."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError
from rsir_tf.rasters import IMAGE_SUFFIXES, FileSource


def list_images(root: Path) -> list[PurePosixPath]:
    """List the image files below a folder, at any depth; links are followed, each folder is entered once.

    Args:
        root: The folder.

    Returns:
        Paths below `root`, sorted. Files whose name begins with a dot, and folders that systems leave behind, are not
        looked at.

    Raises:
        InputError: A folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed: {(error.strerror or '').lower()}") from error

    found: list[PurePosixPath] = []
    entered: set[str] = set()
    for folder, subfolders, files in os.walk(root, followlinks=True, onerror=refuse):
        place = os.path.realpath(folder)
        if place in entered:
            subfolders.clear()
            continue
        entered.add(place)
        # In order, so that of two links to one folder the same one is taken on every machine.
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        found.extend(
            below / name
            for name in files
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not name.startswith(".")
        )
    return sorted(found, key=str)


def read_folder(root: Path, files: list[PurePosixPath]) -> Archive:
    """Make records of a folder of images; the scene is the name of the folder that an image lies in.

    Args:
        root: The folder. Where all images lie in its subfolder `Images`, ids begin below that.
        files: From `list_images`.
    """
    image_folder = root
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    if len(tops) == 1 and all(len(file.parts) > 1 for file in files) and (top := next(iter(tops))).lower() == "images":
        image_folder = root / top
        files = [file.relative_to(top) for file in files]
    records = (
        Record(str(file), FileSource(image_folder / file), scene=file.parts[-2] if len(file.parts) > 1 else None)
        for file in files
    )
    return Archive(root=root, format="folder", records=tuple(sorted(records, key=lambda record: record.id)))


def read_single(image: Path) -> Archive:
    """Make an archive of one image file.

    Raises:
        InputError: Its ending is not that of an image.
    """
    if image.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"{image}: is of type {image.suffix!r}", wanted="a folder, or one of " + _suffixes())
    return Archive(root=image.parent, format="folder", records=(Record(image.name, FileSource(image)),))


def refuse_empty(root: Path) -> InputError:
    """Compose the error for a folder in which no image was found."""
    others: dict[str, int] = {}
    for _, _, files in os.walk(root):
        for name in files:
            suffix = os.path.splitext(name)[1].lower() or "no ending"
            others[suffix] = others.get(suffix, 0) + 1
    most = sorted(others.items(), key=lambda item: (-item[1], item[0]))[:3]
    held = "it is empty" if not most else "it holds " + ", ".join(f"{count} files with {name}" for name, count in most)
    return InputError(f"{root}: no images here ({held})", wanted=_suffixes(), cure="check the path")


def _suffixes() -> str:
    return ", ".join(sorted(IMAGE_SUFFIXES))
