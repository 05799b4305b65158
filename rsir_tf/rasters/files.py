"""One image file as a source, and as uint8 RGB, or an error that says why not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError
from rsir_tf.rasters.layouts import layout_of
from rsir_tf.rasters.places import file_place
from rsir_tf.rasters.recipe import Recipe
from rsir_tf.rasters.source import MISSING, Fingerprint, Place
from rsir_tf.rasters.stored import ORIENTATIONS, Stored, open_stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters.scenes import RasterSource

_NUMBERS = {
    "uint": "whole numbers",
    "int": "signed whole numbers",
    "float": "floating-point numbers",
    "complex": "complex numbers",
}
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class Examined:
    """An image file's pixels and what is worth telling of the file.

    Attributes:
        pixels: uint8 [H, W, 3], RGB.
        orientation: The file's tag, 1 to 8; it is not applied.
        notes: In words, each after the file's name: what was not needed of it.
    """

    pixels: NDArray[np.uint8]
    orientation: int = 1
    notes: tuple[str, ...] = ()


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
        with open_stored(self.path) as stored:
            return stored.shape

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's size in bytes and time of change in nanoseconds; `MISSING` where there is no such file."""
        try:
            status = self.path.stat()
        except OSError:
            return MISSING
        return Fingerprint(status.st_size, status.st_mtime_ns)

    @property
    def place(self) -> Place | None:
        """Where the picture lies: from the tags of a TIFF, or a world file or `.aux.xml` beside it; None without."""
        return file_place(self.path)

    def read(self) -> NDArray[np.uint8]:
        """Read the pixels: uint8 [H, W, 3], as `read_image` does."""
        return read_image(self.path)

    def examine(self) -> Examined:
        """Read the pixels as `read` does, with what is worth telling of the file."""
        return examine(self.path)

    def windows(self, tile: int, overlap: int = 0, min_valid: float = 0.5, grid: bool = False) -> list[RasterSource]:
        """Cut the file, read as a scene, into windows; see `RasterSource.windows`."""
        from rsir_tf.rasters.scenes import RasterSource

        return RasterSource(os.fspath(self.path)).windows(tile, overlap, min_valid, grid)

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

    Nothing is converted silently: a grey, palette, 16-bit or CMYK picture, one of other bands or one that is
    transparent somewhere is refused, because what the model would see of it is not what it was trained on. RGBA that is
    opaque everywhere is RGB, and three bands of a TIFF are red, green and blue even where its header does not say so.

    Args:
        path: A TIFF, JPEG, PNG, BMP or WebP file.

    Returns:
        uint8 [H, W, 3], RGB, 0..255, as stored in the file: an orientation tag (EXIF, TIFF) turns nothing.

    Raises:
        InputError: The file is missing, empty, no picture, cut off, not 8-bit RGB, or smaller than 16 or larger than
            100 million pixels.
    """
    return examine(path).pixels


def examine(path: str | os.PathLike[str]) -> Examined:
    """Read a picture as `read_image` does, and say what is worth knowing of it."""
    with open_stored(path) as stored:
        name = os.fspath(path)
        other = _other_kind(stored)
        if other is not None:
            unknown = stored.colour_space or stored.dtype.startswith("complex")
            cure = other[1] if unknown else _by_recipe(name) or other[1]
            raise InputError(f"{name}: {other[0]}", wanted="8-bit RGB", cure=cure)
        values = stored.decode()
        notes = []
        if stored.alpha:
            see_through = int(np.count_nonzero(values[..., 3] != 255))
            if see_through:
                raise InputError(
                    f"{name}: is RGBA, and {see_through} of its pixels are not opaque",
                    wanted="8-bit RGB",
                    cure="save red, green and blue alone (the fourth band may be near infrared that is called alpha), "
                    "or put the picture on a background, or say --bands 1 2 3, with which these pixels are not valid",
                )
            notes.append("is RGBA and opaque everywhere: read as RGB")
        if stored.pages > 1:
            notes.append(f"holds {stored.pages} pages: the first is read")
        if stored.orientation != 1:
            notes.append(
                f"has the orientation tag {stored.orientation} (to be shown {ORIENTATIONS[stored.orientation]}): it is "
                "not applied, pixels are taken as they are stored"
            )
        # What Pillow gives is read-only, and drawing on it would fail far from here.
        pixels = np.require(values[..., :3], np.uint8, ["C", "W"])
        return Examined(pixels, stored.orientation, tuple(notes))


def is_tiff(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a TIFF file, whatever its name says; False where there is no such file."""
    try:
        with Path(path).open("rb") as file:
            return file.read(4) in _TIFF_SIGNATURES
    except (OSError, ValueError):  # ValueError: no path at all, since it holds a zero byte.
        return False


def _by_recipe(name: str) -> str | None:
    """The options that make RGB of a TIFF file, as it is refused without them; None of others."""
    if is_tiff(name):
        try:
            layout_of(name, Recipe())
        except InputError as error:
            return error.cure
    return None


def _other_kind(stored: Stored) -> tuple[str, str] | None:
    """Say what a picture is that is not 8-bit RGB, and the cure; None where it is, opaque alpha left aside."""
    if stored.dtype != "uint8" or (stored.bits != 8 and stored.bands > 1):
        bands = "one band" if stored.bands == 1 else f"{stored.bands} bands"
        numbers = next((words for name, words in _NUMBERS.items() if stored.dtype.startswith(name)), "values")
        kind = f"{stored.bits}-bit {numbers}"
        scale = "scale its values to 0..255 and save it as 8-bit RGB first"
        choose = "save red, green and blue, scaled to 0..255, as a file of their own"
        return f"has {bands} of {kind} ({stored.dtype})", choose if stored.bands > 3 else scale
    if stored.colour_space is None and (stored.bands, stored.alpha) in {(3, False), (4, True)}:
        return None
    example = "python -c \"from PIL import Image; Image.open('in.tif').convert('RGB').save('out.png')\""
    cure = f"convert it first (for example: {example})"
    kinds = {
        1: "is grey (one band)",
        2: "is grey with alpha" if stored.alpha else "has two bands",
        3: "has two bands and alpha",
    }
    kind = kinds.get(stored.bands, f"has {stored.bands} bands")
    if stored.colour_space:
        kind = f"is {stored.colour_space}"
    elif stored.palette is not None:
        kind = "is a palette picture"
    elif stored.bits == 1:
        kind = "is black and white (1 bit)"
    elif stored.bands > 3:
        cure = "save red, green and blue as a file of their own"
    return kind, cure
