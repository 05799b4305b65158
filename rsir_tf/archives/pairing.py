"""Which files of an archive are images, which are masks, and which mask belongs to which image.

Nothing but names is looked at. The rules of `pairing_rules` are tried, and the one that finds a mask for more images is
taken; where two give one image different masks, nothing is guessed. Patterns (`--images`, `--masks`) take their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from rsir_tf.archives.folder_names import MASK, Parts, plain_spelling, role
from rsir_tf.archives.listing import SCENE_SUFFIXES
from rsir_tf.archives.pairing_rules import (
    NAME_THEM,
    PairedImage,
    Pairing,
    by_folders,
    by_names,
    by_role,
    claim,
    orphans,
)
from rsir_tf.errors import InputError


def find_pairs(files: Sequence[PurePosixPath]) -> Pairing | None:
    """Tell images and masks apart by their names; None where there are no masks.

    Args:
        files: From `list_images`.

    Raises:
        InputError: An image has two masks, a mask may belong to two images, two rules disagree, or a folder is called
            as folders of masks are and nothing in it belongs to an image.
    """
    found = [pairing for pairing in (by_folders(files), by_names(files)) if pairing is not None]
    if not found:
        _refuse_unpaired(files)
        return None
    best, *others = sorted(found, key=lambda pairing: -len(pairing.masks))
    images = {image.file for image in best.images}
    for other in others:
        for image, mask in other.masks.items():
            if mask in images or best.masks.get(image, mask) != mask:
                known = best.masks.get(image)
                raise InputError(
                    f"{image}: two rules find masks, and they disagree: {mask} is its mask where {other.rule}; "
                    + (f"{known} is" if known else "it is an image itself")
                    + f" where {best.rule}",
                    wanted="one way to tell images and masks apart",
                    cure=NAME_THEM,
                )
    return best


def pair_by_globs(files: Sequence[PurePosixPath], images: str, masks: str | None) -> Pairing | None:
    """Take images and masks as two patterns say; a pair is what their wildcards stand for the same in.

    Args:
        files: From `list_images`.
        images: A pattern of paths below the archive's folder, as `*/rgb/*.tif`.
        masks: Of the masks; None where there are none.

    Returns:
        None where there is no pattern of masks.

    Raises:
        InputError: A pattern fits no file, both fit one, or an image has two masks.
    """
    of_images = match_glob(files, images)
    if not of_images:
        raise InputError(
            f"--images {images}: matches none of the {len(files)} image files (the first is {files[0]})",
            wanted="a pattern of paths below the archive's folder",
        )
    if masks is None:
        return None
    of_masks = match_glob(files, masks)
    if not of_masks:
        raise InputError(
            f"--masks {masks}: matches none of the {len(files)} image files (the first is {files[0]})",
            wanted="a pattern of paths below the archive's folder",
        )
    both = sorted(of_images.keys() & of_masks.keys(), key=str)
    if both:
        raise InputError(
            f"{both[0]}: matches --images {images} and --masks {masks}", wanted="patterns that share no file"
        )
    by_key: dict[Parts, PurePosixPath] = {}
    for mask, key in of_masks.items():
        claim(by_key, key, mask)
    chosen = {image: by_key.get(key) for image, key in of_images.items()}
    if not any(chosen.values()):
        first, other = next(iter(of_images.items())), next(iter(of_masks.items()))
        raise InputError(
            f"--images {images} --masks {masks}: no mask belongs to an image (of {first[0]} the wildcards stand for "
            f"{'/'.join(first[1])}, of {other[0]} for {'/'.join(other[1])})",
            wanted="wildcards that stand for the same in an image and its mask",
        )
    return Pairing(
        f"images match {images}, masks match {masks}, and the wildcards stand for the same in an image and its mask",
        tuple(PairedImage(image, mask, (), image.parts) for image, mask in chosen.items()),
        orphans(of_masks, chosen),
        tuple(file for file in files if file not in of_images and file not in of_masks),
    )


def match_glob(files: Iterable[PurePosixPath], pattern: str) -> dict[PurePosixPath, tuple[str, ...]]:
    """Find the files that a pattern names, and what its wildcards stand for in each.

    Args:
        files: Paths below an archive's folder.
        pattern: Of such a path. `*` stands for any part of one name, `?` for one character, `**` for any number of
            folders.

    Returns:
        File → the names and parts of names that the wildcards stand for, without an ending of images, in NFC: an image
        and its mask have the same.
    """
    compiled = re.compile(_expression(plain_spelling(pattern.removeprefix("./"))))
    found = {}
    for file in files:
        match = compiled.fullmatch(plain_spelling(str(file)))
        if match:
            texts = [text for group in match.groups() for text in (group or "").split("/") if text]
            if texts and PurePosixPath(texts[-1]).suffix.lower() in SCENE_SUFFIXES:
                texts[-1] = PurePosixPath(texts[-1]).stem
            found[file] = tuple(text for text in texts if text)
    return found


def _expression(pattern: str) -> str:
    pieces = {"**/": "(?:(.*)/)?", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    # An ending that may be any (`*.*`) is none of what image and mask share.
    pattern, any_ending = (pattern[:-2], r"\.[^/.]*") if pattern.endswith(".*") else (pattern, "")
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(pieces.get(part, re.escape(part)) for part in parts) + any_ending


def _refuse_unpaired(files: Sequence[PurePosixPath]) -> None:
    masks, images = by_role(files)
    if masks and images:
        folder = next(name for name in masks[0].parts if role(name) == MASK)
        raise InputError(
            f"the folder {folder} has a name that folders of masks have, but none of the {len(masks)} files in it has "
            f"the name of an image (the first is {masks[0]}, the first image {images[0]})",
            wanted="masks with the names of their images",
            cure=f"{NAME_THEM}, or --images '**' alone where all are images",
        )
