"""TIFF files through GDAL (rasterio), which knows all kinds: sparse tiles, planes, LERC, values of any type."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal, not_utf8, read_palette
from rsir_tf.rasters.stored import ORIENTATIONS, Stored, require_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ORIENTATION, _COMPRESSION, _PHOTOMETRIC = 274, 259, 262  # TIFF tags
_WHITE_IS_ZERO, _PALETTE = 0, 3  # of photometric interpretation
_SHORT = 3  # the type of all three
_ENTRIES = 1000  # more than any directory has
_SPACES = {"CMYK": "CMYK", "CIELAB": "CIELab"}
_COMPRESSIONS = {
    2: "CCITT fax",
    3: "CCITT fax",
    4: "CCITT fax",
    6: "JPEG of the old kind",
    34661: "JBIG",
    34712: "JPEG 2000",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34887: "LERC",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


def _settings() -> dict[str, Any]:
    """No file beside the image is looked for and none is written. The driver for TIFF reads this one local file."""
    return {
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_PAM_ENABLED": "NO",
    }


@contextlib.contextmanager
def open_tiff(name: str) -> Iterator[Stored]:
    """Open a TIFF file; see `open_stored`.

    Raises:
        InputError: Its header is damaged, it is packed in a way that is not known, or its name is not UTF-8.
    """
    rasterio = gdal()
    orientation, compression, photometric = _tags(name)
    packed = _COMPRESSIONS.get(compression, f"compression {compression}")
    with rasterio.Env(**_settings()):
        try:
            opened = rasterio.open(os.path.abspath(name), driver="GTiff")
        except UnicodeEncodeError as error:
            raise not_utf8(name) from error
        except Exception as error:
            raise _unreadable(name, packed, "its header", error) from error
        with opened:
            require_size(name, opened.height, opened.width)

            def decode() -> NDArray[Any]:
                try:
                    return _together(opened.read())
                except Exception as error:
                    raise _unreadable(name, packed, "its data", error) from error

            try:
                stored = _describe(opened, orientation, photometric, decode)
            except Exception as error:
                raise _unreadable(name, packed, "its header", error) from error
            yield stored


def _describe(opened: Any, orientation: int, photometric: int, decode: Callable[[], NDArray[Any]]) -> Stored:
    structure = opened.tags(ns="IMAGE_STRUCTURE")
    return Stored(
        shape=(opened.height, opened.width),
        bands=opened.count,
        dtype=opened.dtypes[0],
        bits=int(opened.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", 0)) or _bits(opened.dtypes[0]),
        # GDAL makes palettes of its own where there is none in the file.
        palette=read_palette(opened) if photometric == _PALETTE and opened.count == 1 else None,
        white_is_zero=photometric == _WHITE_IS_ZERO,
        alpha="alpha" in [band.name for band in opened.colorinterp[1:]],
        colour_space=_SPACES.get(structure.get("SOURCE_COLOR_SPACE", "")),
        orientation=orientation,
        pages=max(1, len(opened.subdatasets)),
        nodata=opened.nodata,
        decode=decode,
    )


def _together(bands: NDArray[Any]) -> NDArray[Any]:
    """[bands, H, W] to [H, W, bands], or [H, W] of one band."""
    if len(bands) == 1:
        return np.asarray(bands[0])
    # Band by band: six times as quick as moving an axis.
    together = np.empty((*bands.shape[1:], len(bands)), bands.dtype)
    for number, band in enumerate(bands):
        together[..., number] = band
    return together


def _bits(dtype: str) -> int:
    return np.dtype(dtype).itemsize * 8 if not dtype.startswith("complex_") else 32


def _tags(name: str) -> tuple[int, int, int]:
    """Orientation, compression and photometric interpretation, which GDAL does not tell; 1 where there is no tag."""
    found = dict.fromkeys((_ORIENTATION, _COMPRESSION, _PHOTOMETRIC), 1)
    try:
        with open(name, "rb") as file:
            head = file.read(16)
            order = "<" if head[:2] == b"II" else ">"
            big = struct.unpack(f"{order}H", head[2:4]) == (43,)
            # Where the first directory lies, how many entries it has, and what an entry begins with: tag, type, count.
            (start,) = struct.unpack(f"{order}{'Q' if big else 'I'}", head[8:16] if big else head[4:8])
            file.seek(start)
            (entries,) = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))
            entry = struct.Struct(f"{order}HH{'Q' if big else 'I'}")
            for _ in range(min(entries, _ENTRIES)):
                content = file.read(20 if big else 12)
                tag, kind, _ = entry.unpack(content[: entry.size])
                if tag in found and kind == _SHORT:
                    (found[tag],) = struct.unpack(f"{order}H", content[entry.size : entry.size + 2])
    except (OSError, struct.error):
        pass  # A damaged header: GDAL says what is wrong with it.
    orientation = found[_ORIENTATION] if found[_ORIENTATION] in ORIENTATIONS else 1
    return orientation, found[_COMPRESSION], found[_PHOTOMETRIC]


def _unreadable(name: str, packed: str, what: str, error: Exception) -> InputError:
    cause = str(error.__cause__ or error).replace(os.path.abspath(name), "").strip(" :,")
    if "codec" in f"{cause} {error}".lower():
        return InputError(
            f"{name}: is packed as {packed} inside TIFF, which cannot be unpacked here ({cause})",
            wanted="TIFF packed with Deflate, LZW, ZSTD, JPEG, WebP or LERC, or not at all",
            cure="convert it, for example with gdal_translate -co COMPRESS=DEFLATE",
        )
    return InputError(
        f"{name}: is damaged or cut off: {what} cannot be read ({cause})", cure="copy it again from its source"
    )
