"""One image file as a source, and as uint8 RGB, or an error that says why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError
from rsir_tf.rasters.picture_files import decode, open_picture, stored_bits
from rsir_tf.rasters.source import MISSING, Fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_SAMPLES_PER_PIXEL = 277  # TIFF tag
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class FileSource:
    """A whole image file; see `Source`.

    Attributes:
        path: A TIFF, JPEG, PNG, BMP or WebP file, as it was named.
    """

    path: Path

    @property
    def address(self) -> str:
        """The file's absolute path; links are not followed."""
        return os.fspath(self.path.absolute())

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels, from the file's header.

        Raises:
            InputError: As for `read_image`, so far as the header shows it.
        """
        with open_picture(self.path) as picture:
            return picture.height, picture.width

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's size in bytes and time of change in nanoseconds; `MISSING` where there is no such file."""
        try:
            status = self.path.stat()
        except OSError:
            return MISSING
        return Fingerprint(status.st_size, status.st_mtime_ns)

    @property
    def place(self) -> None:
        """None: where a picture lies on Earth is not read."""

    def read(self) -> NDArray[np.uint8]:
        """Read the pixels: uint8 [H, W, 3], as `read_image` does."""
        return read_image(self.path)

    def digest(self) -> str | None:
        """First 16 hexadecimal digits of the SHA-256 of the file's bytes; None where they cannot be read."""
        try:
            return file_hash(self.path)[:16]
        except OSError:
            return None

    def __str__(self) -> str:
        return str(self.path)


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Read one 8-bit RGB picture.

    Nothing is converted silently: a grey, palette, 16-bit, RGBA or CMYK picture is refused, because what the model
    would see of it is not what it was trained on.

    Args:
        path: A TIFF, JPEG, PNG, BMP or WebP file.

    Returns:
        uint8 [H, W, 3], RGB, 0..255, as stored in the file (EXIF orientation is not applied: aerial images have none).

    Raises:
        InputError: The file is missing, empty, no picture, cut off, not 8-bit RGB, or smaller than 16 or larger than
            100 million pixels.
    """
    with open_picture(path) as picture:
        name = os.fspath(path)
        other = _other_kind(picture)
        if other is not None:
            found, cure = other
            raise InputError(f"{name}: {found}", wanted="8-bit RGB", cure=cure)
        pixels = decode(picture, path)
    # A copy: what Pillow gives is read-only, and drawing on it would fail far from here.
    return np.array(pixels, dtype=np.uint8, order="C")


def is_tiff(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a TIFF file, whatever its name says; False where there is no such file."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) in _TIFF_SIGNATURES
    except (OSError, ValueError):  # ValueError: no path at all, since it holds a zero byte.
        return False


def _other_kind(picture: Image.Image) -> tuple[str, str] | None:
    """Say what a picture is that is not 8-bit RGB, and the cure; None where it is."""
    bits = stored_bits(picture)
    if bits > 8:
        return f"has {bits} bits a sample", "scale its values to 0..255 and save it as 8-bit RGB first"
    # Pillow drops the fourth and further bands of some TIFFs without a word.
    tags = getattr(picture, "tag_v2", {})
    bands = tags.get(_SAMPLES_PER_PIXEL, len(picture.getbands()))
    if picture.mode == "RGB" and bands == 3:
        return None
    if picture.mode == "RGB":
        return f"has {bands} bands", "save red, green and blue as a file of their own"
    words = {
        "L": "is grey (one band)",
        "LA": "is grey with alpha",
        "1": "is black and white (1 bit)",
        "P": "is a palette picture",
        "RGBA": "is RGBA (four bands)",
        "CMYK": "is CMYK",
    }
    example = "python -c \"from PIL import Image; Image.open('in.tif').convert('RGB').save('out.png')\""
    return words.get(picture.mode, f"has mode {picture.mode}"), f"convert it first (for example: {example})"
