"""A plain folder of images, and an archive of one image file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from rsir_tf.archives.folder_names import SPLIT_WORDS, scenes_of, stem, words
from rsir_tf.archives.listing import SCENE_SUFFIXES
from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError
from rsir_tf.rasters import IMAGE_SUFFIXES, FileSource


def read_folder(root: Path, files: Sequence[PurePosixPath]) -> Archive:
    """Make records of a folder of images; the scene is the name of the folder that an image lies in.

    Folders that are called `images`, `train` and the like are no scenes where all are called so; see `scenes_of`.

    Args:
        root: The folder. Where all images lie in its subfolder `Images`, ids begin below that.
        files: Paths below it, from `list_images`.
    """
    image_folder = root
    tops = {file.parts[0] for file in files if len(file.parts) > 1}
    if len(tops) == 1 and all(len(file.parts) > 1 for file in files) and (top := next(iter(tops))).lower() == "images":
        image_folder = root / top
        files = [file.relative_to(top) for file in files]
    scenes = scenes_of([file.parts for file in files])
    records = (
        Record(str(file), FileSource(image_folder / file), scene=scene)
        for file, scene in zip(files, scenes, strict=True)
    )
    understood = "a folder of images"
    if any(scenes):
        understood += "; the scene is the folder that an image lies in"
    elif any(len(file.parts) > 1 for file in files):
        folders = sorted({file.parts[-2] for file in files if len(file.parts) > 1})
        understood += f"; folders called {', '.join(folders[:3])} are no scenes"
    return Archive(
        root=root,
        format="folder",
        records=tuple(sorted(records, key=lambda record: record.id)),
        remarks=tuple(_twins(files)),
        understood=understood,
    )


def _twins(files: Sequence[PurePosixPath]) -> Iterator[str]:
    """Tell of two folders side by side with the same names: one of them may hold masks, which nothing in names says."""
    names: dict[PurePosixPath, set[str]] = defaultdict(set)
    for file in files:
        names[file.parent].add(stem(file.name))
    beside: dict[PurePosixPath, list[PurePosixPath]] = defaultdict(list)
    for folder in names:
        if folder.parts:
            beside[folder.parent].append(folder)
    for folders in beside.values():
        parts_of_a_split = all(set(words(folder.name)) & SPLIT_WORDS for folder in folders)
        if len(folders) == 2 and not parts_of_a_split and names[folders[0]] == names[folders[1]]:
            first, second = sorted(map(str, folders))
            yield (
                f"{first} and {second} hold files of the same names, and all are taken for images: if one holds masks, "
                f"say it with --images '{first}/*' --masks '{second}/*', or the other way round"
            )


def read_single(image: Path, *, any_ending: bool = False) -> Archive:
    """Make an archive of one image file.

    Args:
        image: The file.
        any_ending: Whether its name may end in any way: GDAL finds out what it is.

    Raises:
        InputError: Its ending is not that of an image.
    """
    if image.suffix.lower() not in IMAGE_SUFFIXES and not any_ending:
        wanted = "a folder, or one of " + ", ".join(sorted(IMAGE_SUFFIXES))
        cure = "--tile 256 reads it as a scene" if image.suffix.lower() in SCENE_SUFFIXES else None
        raise InputError(f"{image}: is of type {image.suffix!r}", wanted=wanted, cure=cure)
    return Archive(
        root=image.parent,
        format="folder",
        records=(Record(image.name, FileSource(image)),),
        understood="one image file",
    )
