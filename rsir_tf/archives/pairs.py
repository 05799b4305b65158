"""Folders of images beside folders of masks, at any depth: DLRSD's layout, Dubai's tiles, one's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rsir_tf.archives.label_files import SHIPPED, load_label_set
from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.records import Archive, Record
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource

IMAGE_FOLDER = "images"
MASK_FOLDERS = ("masks", "labels")
"""Names of the two folders of a pair, whatever their case."""

Parts = tuple[str, ...]


def find_pairs(files: Iterable[PurePosixPath]) -> set[Parts]:
    """Find the folders that hold both a folder of images and a folder of masks.

    Args:
        files: From `list_images`.

    Returns:
        Their paths as parts; () is the archive's root.
    """
    image_parents, mask_parents = set(), set()
    for folder in {file.parent for file in files}:
        for depth, part in enumerate(folder.parts):
            if part.lower() == IMAGE_FOLDER:
                image_parents.add(folder.parts[:depth])
            elif part.lower() in MASK_FOLDERS:
                mask_parents.add(folder.parts[:depth])
    return image_parents & mask_parents


def is_dlrsd(files: Iterable[PurePosixPath], pairs: set[Parts]) -> bool:
    """Tell DLRSD's layout: `Images/<class>/…` beside `Labels/<class>/…`, and nothing else in pairs."""
    if pairs != {()}:
        return False
    inside = [file.parts for file in files if file.parts[0].lower() in {IMAGE_FOLDER, *MASK_FOLDERS}]
    return all(len(parts) == 3 and parts[0].lower() in {IMAGE_FOLDER, "labels"} for parts in inside)


def read_pairs(root: Path, files: list[PurePosixPath], pairs: set[Parts], label_set: LabelSet | None) -> Archive:
    """Make records of images and their masks: equal paths below the two folders of a pair, up to the ending.

    Ids leave out the `images` part, so `Tile 1/images/a.jpg` is `Tile 1/a.jpg`; the folder above a pair is the group, a
    folder inside it the scene. Images in a folder `images` that has no masks beside it are records without a mask.

    Args:
        root: The archive's folder.
        files: From `list_images`.
        pairs: From `find_pairs`.
        label_set: What the masks' values mean; None is right for DLRSD's layout alone, which has its own.

    Raises:
        InputError: There is no label set, or two masks claim one image.
    """
    dlrsd = is_dlrsd(files, pairs)
    if label_set is None:
        if not dlrsd:
            masks = next(file.parent for file in files if _place(file, pairs, MASK_FOLDERS))
            raise InputError(
                f"{root}: has masks ({masks}), and nothing says what their values mean",
                wanted="a label set",
                cure=f"pass --labels FILE or the name of one that is shipped ({', '.join(SHIPPED)})",
            )
        label_set = load_label_set("dlrsd")
    masks_of: dict[tuple[Parts, Parts], PurePosixPath] = {}
    images: list[tuple[Parts, Parts, PurePosixPath]] = []
    for file in files:
        if place := _place(file, pairs, (IMAGE_FOLDER,)):
            images.append((*place, file))
        elif place := _place(file, pairs, MASK_FOLDERS):
            key = _without_ending(*place)
            if key in masks_of:
                raise InputError(
                    f"{root}: {masks_of[key]} and {file} are masks of one image", wanted="one", cure="remove one"
                )
            masks_of[key] = file
    names = Counter(PurePosixPath(*above, *below) for above, below, _ in images)
    records = []
    used = set()
    for above, below, file in images:
        name = PurePosixPath(*above, *below)
        mask = masks_of.get(_without_ending(above, below))
        used.add(mask)
        records.append(
            Record(
                id=str(name if names[name] == 1 else file),
                source=FileSource(root / file),
                mask=None if mask is None else root / mask,
                scene=below[-2] if len(below) > 1 else None,
                group="/".join(above) or None,
            )
        )
    return Archive(
        root=root,
        format="dlrsd" if dlrsd else "masks",
        records=tuple(sorted(records, key=lambda record: record.id)),
        label_set=label_set,
        orphan_masks=tuple(root / mask for mask in masks_of.values() if mask not in used),
    )


def _place(file: PurePosixPath, pairs: set[Parts], names: tuple[str, ...]) -> tuple[Parts, Parts] | None:
    """Split a path at the folder of a pair: what lies above it, what lies below; None where there is no such folder.

    The outermost folder that belongs to a pair counts; failing that, the outermost of such a name.
    """
    folders = file.parts[:-1]
    of_pairs = [depth for depth in range(len(folders)) if folders[:depth] in pairs and _is_of_a_pair(folders[depth])]
    named = [depth for depth in range(len(folders)) if _is_of_a_pair(folders[depth])]
    for depth in (of_pairs or named)[:1]:
        if folders[depth].lower() in names:
            return folders[:depth], file.parts[depth + 1 :]
    return None


def _is_of_a_pair(folder: str) -> bool:
    return folder.lower() == IMAGE_FOLDER or folder.lower() in MASK_FOLDERS


def _without_ending(above: Parts, below: Parts) -> tuple[Parts, Parts]:
    return above, (*below[:-1], PurePosixPath(below[-1]).stem)
