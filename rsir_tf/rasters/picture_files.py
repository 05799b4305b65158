"""JPEG, PNG, BMP and WebP files through Pillow, with their values as they are stored."""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.stored import ORIENTATIONS, Stored, require_size

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

_ORIENTATION = 274  # EXIF tag
SOFTWARE = 305
"""EXIF's tag Software (TIFF 6.0, p. 39)."""

_SPACES = {"CMYK": "CMYK", "LAB": "CIELab", "YCbCr": "YCbCr", "HSV": "HSV"}
_DTYPES = {"I": "int32", "F": "float32", "I;16": "uint16", "I;16B": "uint16", "I;16L": "uint16"}

_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row and steps of the passes of an interlaced PNG (its specification, section 8.2)."""

_opening = threading.Lock()


@contextlib.contextmanager
def open_picture_file(name: str) -> Iterator[Stored]:
    """Open a JPEG, PNG, BMP or WebP file; see `open_stored`.

    Raises:
        InputError: Its header is damaged.
    """
    with _opened(name) as picture:
        require_size(name, picture.height, picture.width)
        bits = _stored_bits(picture)
        bands = picture.getbands()
        with _damage(name):  # Pillow decodes the picture to give its palette.
            palette = picture.getpalette("RGB") if picture.mode == "P" else None

        def decode() -> NDArray[Any]:
            with _damage(name):
                values = np.asarray(picture)
                if picture.format == "PNG" and not values[-1].any():  # Pillow leaves rows that are missing at 0.
                    _require_all_rows(name)
            if picture.mode == "1":
                return values.astype(np.uint8)
            # Pillow stretches grey of 2 and 4 bits to 0..255, which turns id 1 into 85 or 17.
            return values // np.uint8(255 // (2**bits - 1)) if picture.mode == "L" and bits in (2, 4) else values

        yield Stored(
            shape=(picture.height, picture.width),
            bands=len(bands),
            dtype=f"uint{bits}" if bits > 8 and len(bands) > 1 else _DTYPES.get(picture.mode, "uint8"),
            bits=bits,
            palette=None if palette is None else np.asarray(palette, dtype=np.uint8).reshape(-1, 3),
            white_is_zero=False,
            alpha=bands[-1] in ("A", "a") and len(bands) > 1,
            colour_space=_SPACES.get(picture.mode),
            orientation=_orientation(picture),
            pages=int(getattr(picture, "n_frames", 1)),
            nodata=None,
            decode=decode,
        )


@contextlib.contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # OSError, SyntaxError, ValueError, EOFError: each codec has its own.
        raise InputError(f"{name}: is damaged or cut off ({error})", cure="copy it again from its source") from error


def _require_all_rows(name: str) -> None:
    """Count the bytes of a PNG's rows: a file may end as it should and hold fewer rows than its header says.

    Raises:
        ValueError: It does.
    """
    wanted = found = 0
    inflated = zlib.decompressobj()
    with open(name, "rb") as file:
        file.seek(8)
        while head := file.read(8):
            length, kind = struct.unpack(">I4s", head)
            content = file.read(length)
            file.seek(4, 1)  # its checksum
            if kind == b"IHDR":
                width, height, depth, colour, interlaced = struct.unpack(">IIBB2xB", content)
                bits = depth * {2: 3, 4: 2, 6: 4}.get(colour, 1)
                passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
                sides = [(-(-(width - x) // across), -(-(height - y) // down)) for x, y, across, down in passes]
                wanted = sum(rows * (1 + -(-columns * bits // 8)) for columns, rows in sides if min(columns, rows) > 0)
            elif kind == b"IDAT":
                while content and found < wanted:  # no more: what is too much may be gigabytes of zeros
                    found += len(inflated.decompress(content, 1 << 20))
                    content = inflated.unconsumed_tail
    if found < wanted:
        raise ValueError(f"{found:,} of {wanted:,} bytes of its rows")


def software(name: str) -> tuple[str, ...]:
    """The programs that a JPEG, PNG, BMP or WebP file names as its maker: PNG's text and EXIF's tag Software.

    Returns:
        None, one or two names; none too where the file is missing or no such picture.
    """
    try:
        with _opened(name) as picture:
            require_size(name, picture.height, picture.width)  # Pillow decodes a PNG to look for its EXIF.
            named = (picture.info.get("Software"), picture.getexif().get(SOFTWARE))
    except Exception:  # noqa: BLE001 - Pillow's plugins raise many types on damaged headers and EXIF blocks.
        return ()
    return tuple(text for text in named if isinstance(text, str))


def _opened(name: str) -> Image.Image:
    from PIL import Image

    try:
        # Pillow warns or raises on large headers by itself, before ours can name the limit: ours is the only one.
        # Its limit is one variable for all threads, hence the lock.
        with _opening:
            guard, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(name, formats=("JPEG", "PNG", "BMP", "WEBP"))
            finally:
                Image.MAX_IMAGE_PIXELS = guard
    except Exception as error:  # Pillow's plugins raise many types on damaged headers.
        raise InputError(f"{name}: its header is damaged or cut off", cure="copy it again from its source") from error


def _stored_bits(picture: Image.Image) -> int:
    """Bits a value in the file. Pillow's modes hide it: a 16-bit RGB file opens as "RGB", 4-bit grey as 0..255."""
    packing = str(picture.tile[0][3]) if getattr(picture, "tile", None) else ""
    width = re.search(r"\b(?:L|P|RGB|RGBA|LA|I);(\d+)", packing)
    return int(width[1]) if width else {"1": 1, "I;16": 16, "I": 32, "F": 32}.get(picture.mode, 8)


def _orientation(picture: Image.Image) -> int:
    # Pillow decodes a whole PNG to look for EXIF behind its pixels, where next to no program writes it.
    if not {"exif", "Raw profile type exif"} & picture.info.keys():
        return 1
    try:
        orientation = int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - EXIF that cannot be read says nothing.
        return 1
    return orientation if orientation in ORIENTATIONS else 1
