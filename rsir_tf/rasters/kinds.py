"""The kinds of sources, and the way from an address to a source."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

from rsir_tf.errors import InputError
from rsir_tf.rasters.files import FileSource
from rsir_tf.rasters.recipe import Recipe
from rsir_tf.rasters.scenes import KIND, RasterSource
from rsir_tf.rasters.source import Source

SOURCE_KINDS: dict[str, Callable[[str], Source]] = {
    KIND: RasterSource.from_address,
    "http": lambda rest: RasterSource(f"http:{rest}"),
    "https": lambda rest: RasterSource(f"https:{rest}"),
    "s3": lambda rest: RasterSource(f"s3:{rest}"),
}
"""Name of a kind → what makes a source of the rest of its address. The address is "NAME:REST".

A name has two or more letters, since one letter is a drive on Windows. An address that begins with no such name is the
path of a file.
"""


@overload
def open_source(address: str | os.PathLike[str] | Source) -> Source: ...
@overload
def open_source(
    address: str | os.PathLike[str],
    *,
    bands: Sequence[int] | None = None,
    stretch: Sequence[float] | Sequence[Sequence[float]] | None = None,
    nodata: float | None = None,
    resolution: float | None = None,
) -> RasterSource: ...
def open_source(
    address: str | os.PathLike[str] | Source,
    *,
    bands: Sequence[int] | None = None,
    stretch: Sequence[float] | Sequence[Sequence[float]] | None = None,
    nodata: float | None = None,
    resolution: float | None = None,
) -> Source:
    """Open what an address names; no pixel is read.

    With any of the options a file is read as a scene, by GDAL: a `RasterSource`. A URL always is.

    Args:
        address: A source's address, such as an index holds; or the path of an image file; or a source, which is given
            back. A file whose relative path begins like an address of another kind is named as `./NAME:REST`.
        bands: Numbers of the bands for red, green and blue, from 1.
        stretch: The value that becomes 0 and the one that becomes 255: (low, high), or one such pair for each band.
        nodata: The value of pixels that show nothing.
        resolution: Metres a pixel on the ground, to which the scene is resampled.

    Returns:
        The source. Whether there is anything at its address shows when it is read.

    Raises:
        InputError: An option is impossible, or is given for what is no file or URL.
    """
    options = (bands, stretch, nodata, resolution)
    if any(option is not None for option in options):
        return _scene(address, bands, stretch, nodata, resolution)
    if not isinstance(address, str | os.PathLike):
        return address
    text = os.fspath(address)
    kind, colon, rest = text.partition(":")
    return SOURCE_KINDS[kind](rest) if colon and kind in SOURCE_KINDS else FileSource(Path(text))


def _scene(
    address: str | os.PathLike[str] | Source,
    bands: Sequence[int] | None,
    stretch: Sequence[float] | Sequence[Sequence[float]] | None,
    nodata: float | None,
    resolution: float | None,
) -> RasterSource:
    source = open_source(address)
    plain = source.path if isinstance(source, RasterSource) and source == RasterSource(source.path) else None
    path = os.fspath(source.path) if isinstance(source, FileSource) else plain
    if path is None:
        raise InputError(f"{source}: has a reading of its own", wanted="a file or a URL where bands are named")
    ranges: Any = stretch
    if stretch is not None and not isinstance(stretch[0], Sequence):
        ranges = (tuple(stretch),)
    numbers: Any = bands  # Recipe checks how many there are.
    return RasterSource(path, Recipe(numbers, ranges, nodata, resolution))
