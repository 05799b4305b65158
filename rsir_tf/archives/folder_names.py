"""What the names of folders and files say: which hold images, which masks, which parts of a split."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

Parts = tuple[str, ...]

IMAGE_WORDS = frozenset(
    {
        "image",
        "images",
        "img",
        "imgs",
        "picture",
        "pictures",
        "photo",
        "photos",
        "rgb",
        "sat",
        "satellite",
        "ortho",
        "orthophoto",
        "orthophotos",
        "input",
        "inputs",
        "org",
        "original",
        "originals",
    }
)
"""Words, in lower case, in the names of folders of images."""

MASK_WORDS = frozenset(
    {
        "mask",
        "masks",
        "label",
        "labels",
        "lbl",
        "lbls",
        "labelled",
        "gt",
        "gts",
        "truth",
        "groundtruth",
        "target",
        "targets",
        "annotation",
        "annotations",
        "annot",
        "annots",
        "ann",
        "anns",
        "annotated",
        "seg",
        "segs",
        "segmentation",
        "segmentations",
        "labelids",
        "semantic",
    }
)
"""Words in the names of folders of masks, and at an end of a mask's own name."""

SHORT_MASK_WORDS = frozenset({"m", "l", "lab"})
"""At the end of file names alone: too short to mean anything unless every such file belongs to an image."""

SPLIT_WORDS = frozenset(
    {"train", "training", "val", "valid", "validation", "validate", "test", "testing", "dev", "eval"}
)

PLAIN_WORDS = frozenset(
    {
        "png",
        "pngs",
        "tif",
        "tiff",
        "tiffs",
        "tifs",
        "jpg",
        "jpeg",
        "jpegs",
        "bmp",
        "webp",
        "dir",
        "dirs",
        "folder",
        "folders",
        "chip",
        "chips",
        "tile",
        "tiles",
        "patch",
        "patches",
        "crop",
        "crops",
        "raw",
        "data",
        "dataset",
        "datasets",
        "file",
        "files",
        "set",
        "ground",
        "all",
    }
)
"""Words that say nothing about what lies in a folder."""

IMAGE, MASK = "image", "mask"

_END, _START = re.compile(r"[_\-. ]+([^_\-. ]+)$"), re.compile(r"([^_\-. ]+)[_\-. ]+")


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """Split a name into words, in lower case: at what is neither letter nor digit, and where capitals begin a word."""
    found: list[str] = []
    for piece in re.findall(r"[^\W_]+", unicodedata.normalize("NFC", name)):
        found += re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\x00-\x7f]+", piece)
    return tuple(word.lower() for word in found)


@lru_cache(maxsize=4096)
def role(folder: str) -> str | None:
    """What a folder holds by its name: `IMAGE`, `MASK`, or None where the name does not say."""
    own = set(words(folder))
    return MASK if own & MASK_WORDS else IMAGE if own & IMAGE_WORDS else None


@lru_cache(maxsize=4096)
def rest(folder: str) -> tuple[str, ...]:
    """The words of a folder's name that say neither what it holds nor nothing: `train` of `train_labels`."""
    return tuple(word for word in words(folder) if word not in IMAGE_WORDS | MASK_WORDS | PLAIN_WORDS)


def is_plain(folder: str) -> bool:
    """Whether a folder's name says only what it holds or to which part of a split it belongs: no scene, no place."""
    own = [word for word in words(folder) if not word.isdigit()]
    telling = IMAGE_WORDS | MASK_WORDS | SPLIT_WORDS
    numbered = len(own) < len(words(folder))
    return (
        bool(own)
        and all(word in telling or word in PLAIN_WORDS for word in own)
        and (not numbered or any(word in telling for word in own))
    )


def plain_spelling(name: str) -> str:
    """A name in NFC: macOS spells letters with accents as two characters, others as one, and they look equal."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def stem(name: str) -> str:
    """A file's name without its ending, in `plain_spelling`."""
    return plain_spelling(os.path.splitext(name)[0])


def split_affix(name: str, known: frozenset[str]) -> tuple[str, str] | None:
    """Take a known word off the end or the beginning of a file's name.

    Args:
        name: From `stem`.
        known: Words in lower case.

    Returns:
        What is left, and the word as it stands there with its sign (`_mask`); None where there is no such word, or
        nothing else.
    """
    end = _END.search(name)
    if end and end[1].lower() in known and name[: end.start()]:
        return name[: end.start()], end[0]
    start = _START.match(name)
    if start and start[1].lower() in known and name[start.end() :]:
        return name[start.end() :], start[0]
    return None


def scenes_of(paths: Sequence[Parts]) -> list[str | None]:
    """The scene of each image: the folder that it lies in.

    Where the folders that images lie in are called only `images`, `train`, `gt` and the like, those are no scenes: the
    nearest folder above with another name is, if there is one.

    Args:
        paths: The parts of each image's path, the last being its name.
    """
    plain = all(is_plain(parts[-2]) for parts in paths if len(parts) > 1)
    return [_scene(parts, plain) for parts in paths]


def _scene(parts: Parts, plain: bool) -> str | None:
    folders = [folder for folder in parts[:-1] if not plain or not is_plain(folder)]
    return folders[-1] if folders else None
