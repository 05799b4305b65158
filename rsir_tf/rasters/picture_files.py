"""Opening and decoding picture files with Pillow; what cannot be right is refused with an error that says why."""

from __future__ import annotations

import os
import re
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""File endings, lower case, that readers take for images."""

MIN_SIDE = 16
"""Pixels: below one cell of conv5_3 there is nothing to describe."""

MAX_PIXELS = 100_000_000
"""Pixels: a larger picture is refused from its header, before memory is taken for it."""

_FORMATS = ("TIFF", "JPEG", "PNG", "BMP", "WEBP")  # Pillow knows dozens more, and starts Ghostscript for one of them
_SIGNATURES = (b"II", b"MM", b"\xff\xd8", b"\x89PNG", b"BM", b"RIFF")
_BITS_PER_SAMPLE = 258  # TIFF tag

_opening = threading.Lock()


def open_picture(path: str | os.PathLike[str]) -> Image.Image:
    """Open a picture and check its header; pixels are not decoded yet.

    Args:
        path: A picture file.

    Returns:
        A PIL image whose size is within [MIN_SIDE, …] and MAX_PIXELS.

    Raises:
        InputError: The file is missing, empty, no picture, or of an impossible size.
    """
    from PIL import Image, UnidentifiedImageError

    name = os.fspath(path)
    file = Path(path)
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{name}: no such file", cure="check the path") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {(error.strerror or '').lower()}", cure="check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name}: is a folder", wanted="an image file")
    if status.st_size == 0:
        raise InputError(f"{name}: is empty (0 bytes)", wanted="an image file", cure="copy it again from its source")
    try:
        # Pillow warns or raises on large headers by itself, before ours can name the limit: ours is the only one.
        # Its limit is one variable for all threads, hence the lock.
        with _opening:
            guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                picture = Image.open(file, formats=_FORMATS)
            finally:
                Image.MAX_IMAGE_PIXELS = guard
    except UnidentifiedImageError as error:
        first = _first_bytes(file)
        if first.startswith(_SIGNATURES):
            raise InputError(
                f"{name}: begins as a picture, but its header is cut off, damaged, or of an unusual kind",
                wanted="8-bit RGB in TIFF, JPEG, PNG, BMP or WebP",
                cure="copy it again from its source, or convert it",
            ) from error
        raise InputError(
            f"{name}: is not a picture (begins with {first!r})", wanted="TIFF, JPEG, PNG, BMP or WebP"
        ) from error
    except PermissionError as error:
        raise InputError(f"{name}: may not be read", cure="change its permissions") from error
    except Exception as error:  # Pillow's plugins raise many types on damaged headers.
        raise InputError(
            f"{name}: its header cannot be read ({error})", cure="copy it again from its source"
        ) from error
    width, height = picture.size
    if width * height > MAX_PIXELS:
        picture.close()
        raise InputError(
            f"{name}: declares {width}×{height} pixels",
            wanted=f"at most {MAX_PIXELS:,} pixels",
            cure="cut it into tiles",
        )
    if min(width, height) < MIN_SIDE:
        picture.close()
        raise InputError(f"{name}: is {width}×{height} pixels", wanted=f"at least {MIN_SIDE} pixels a side")
    return picture


def decode(picture: Image.Image, path: str | os.PathLike[str]) -> NDArray[np.generic]:
    """Decode an opened picture's pixels as they are stored.

    Args:
        picture: From `open_picture`.
        path: Its file, for the error's text.

    Returns:
        [H, W] or [H, W, bands] in the file's own number type.

    Raises:
        InputError: The data end early or are damaged.
    """
    try:
        return np.asarray(picture)
    except Exception as error:  # OSError, SyntaxError, ValueError, EOFError: each codec has its own.
        raise InputError(
            f"{os.fspath(path)}: is damaged or cut off ({error})", cure="copy it again from its source"
        ) from error


def stored_bits(picture: Image.Image) -> int:
    """Bits a sample in the file. Pillow's modes hide it: a 16-bit RGB file opens as "RGB", 4-bit grey as 0..255.

    Args:
        picture: From `open_picture`, not decoded yet.
    """
    tags = getattr(picture, "tag_v2", None)
    if tags is not None:
        return int(max(tags.get(_BITS_PER_SAMPLE, (1,))))
    packing = str(picture.tile[0][3]) if getattr(picture, "tile", None) else ""
    width = re.search(r"\b(?:L|P|RGB|RGBA|LA|I);(\d+)", packing)
    return int(width[1]) if width else {"1": 1, "I;16": 16, "I": 32, "F": 32}.get(picture.mode, 8)


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)
