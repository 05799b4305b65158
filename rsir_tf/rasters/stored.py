"""One picture file as it is stored: what its header says, and its values without any conversion."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError, why
from rsir_tf.rasters.foreign_files import FIRST_BYTES, name_format

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".jpg", ".jpeg", ".png", ".bmp", ".webp"})
"""File endings, lower case, that readers take for images."""

FORMATS = "TIFF, JPEG, PNG, BMP or WebP"
"""What is read, in words."""

MIN_SIDE = 16
"""Pixels: below one cell of conv5_3 there is nothing to describe."""

MAX_PIXELS = 100_000_000
"""Pixels: a larger picture is refused from its header, before memory is taken for it."""

ORIENTATIONS = {
    2: "mirrored",
    3: "turned by 180°",
    4: "upside down",
    5: "mirrored and turned by 90°",
    6: "turned by 90°",
    7: "mirrored and turned by 270°",
    8: "turned by 270°",
}
"""What an orientation tag (TIFF and EXIF, 274) asks a viewer to show; 1 is as stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An opened picture file.

    Attributes:
        shape: (height, width) in pixels.
        bands: Values a pixel; 1 for a palette.
        dtype: Number type of the values as they are decoded, as NumPy names it.
        bits: Of one value in the file: 1 to 64.
        palette: uint8 [n, 3], RGB of each index; None where there is none.
        white_is_zero: Whether a grey file is to be shown inverted; its values are given as stored.
        alpha: Whether the last band says how opaque a pixel is.
        colour_space: In words, where it is neither grey nor RGB nor a palette: "CMYK", "CIELab".
        orientation: 1 to 8, as TIFF and EXIF count; 1 where there is no such tag. It is never applied.
        pages: How many pictures of full size the file holds; the first is read.
        nodata: The value that the file declares to be none; None where it declares none.
        decode: Gives the values: [H, W] or, of several bands, [H, W, bands]; `InputError` where they are damaged.
    """

    shape: tuple[int, int]
    bands: int
    dtype: str
    bits: int
    palette: NDArray[np.uint8] | None
    white_is_zero: bool
    alpha: bool
    colour_space: str | None
    orientation: int
    pages: int
    nodata: float | None
    decode: Callable[[], NDArray[Any]]


@contextlib.contextmanager
def open_stored(path: str | os.PathLike[str]) -> Iterator[Stored]:
    """Open a picture file and check its header; values are not decoded yet.

    TIFF is read with GDAL, which knows all its kinds; the other formats with Pillow.

    Args:
        path: A TIFF, JPEG, PNG, BMP or WebP file.

    Raises:
        InputError: The file is missing, empty, no picture, its header is damaged, or its sides are shorter than 16
            pixels, or it has more than 100 million pixels.
    """
    name = os.fspath(path)
    first = _first_bytes(Path(path), name)
    found = name_format(first)
    if found in ("JPEG", "PNG", "BMP", "WebP"):
        from rsir_tf.rasters.picture_files import open_picture_file as opener
    elif found == "TIFF":
        from rsir_tf.rasters.tiff_files import open_tiff as opener
    elif found is None:
        raise InputError(f"{name}: is not a picture (begins with {first[:8]!r})", wanted=FORMATS)
    else:
        raise InputError(f"{name}: is {found[0]}, which is not read", wanted=FORMATS, cure=found[1])
    with opener(name) as stored:
        yield stored


def require_size(name: str, height: int, width: int) -> None:
    """Refuse a picture of an impossible size by its header, before anything is decoded.

    Raises:
        InputError: A side is shorter than `MIN_SIDE`, or there are more than `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name}: declares {width}×{height} pixels",
            wanted=f"at most {MAX_PIXELS:,} pixels",
            cure="read it as a scene, which is cut into windows: --tile 256",
        )
    if min(width, height) < MIN_SIDE:
        raise InputError(f"{name}: is {width}×{height} pixels", wanted=f"at least {MIN_SIDE} pixels a side")


def _first_bytes(file: Path, name: str) -> bytes:
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        if file.is_symlink():
            raise InputError(
                f"{name}: is a link to {os.readlink(file)}, which is not there", cure="restore what it links to"
            ) from error
        raise InputError(f"{name}: no such file", cure="check the path") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {why(error)}", cure="check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name}: is a folder", wanted="an image file")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name}: is no ordinary file", wanted="an image file")
    if status.st_size == 0:
        raise InputError(f"{name}: is empty (0 bytes)", wanted="an image file", cure="copy it again from its source")
    try:
        with file.open("rb") as opened:
            return opened.read(FIRST_BYTES)
    except PermissionError as error:
        raise InputError(f"{name}: may not be read", cure="change its permissions") from error
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {why(error)}") from error
