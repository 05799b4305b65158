"""A part of a raster as it is stored, on a grid of pixels: masks of scenes, class rasters, without any conversion."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import open_dataset, read_palette
from rsir_tf.rasters.places import place_of
from rsir_tf.rasters.stored import Stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters.decoding import Window
    from rsir_tf.rasters.source import Place


@dataclass(frozen=True, slots=True, eq=False)
class StoredPart:
    """A part of a raster.

    Attributes:
        stored: Its values and what the file says of them.
        inside: bool [H, W]: which pixels lie in the raster, are not masked by it, and do not hold its nodata.
    """

    stored: Stored
    inside: NDArray[np.bool_]


def place_and_shape(path: str | os.PathLike[str]) -> tuple[Place | None, tuple[int, int]]:
    """Where a raster lies, as the file says it, and its (height, width) in pixels.

    Raises:
        InputError: It cannot be opened.
    """
    with open_dataset(path) as dataset:
        return place_of(dataset), (dataset.height, dataset.width)


def read_window(path: str | os.PathLike[str], window: Window, listed: Collection[int] = ()) -> StoredPart:
    """Read a window of a raster in its own pixels.

    Args:
        path: A raster file or URL.
        window: (x, y, width, height); what lies beyond the raster is not inside.
        listed: Values that mean something even where the file declares one of them to be nodata.

    Raises:
        InputError: It cannot be read.
    """
    x, y, width, height = window
    with open_dataset(path) as dataset:
        left, top = max(x, 0), max(y, 0)
        right, bottom = max(left, min(x + width, dataset.width)), max(top, min(y + height, dataset.height))
        values = np.zeros((dataset.count, height, width), dataset.dtypes[0])
        inside = np.zeros((height, width), bool)
        if left < right and top < bottom:
            part = ((top, bottom), (left, right))
            inner = np.s_[top - y : bottom - y, left - x : right - x]
            values[:, inner[0], inner[1]] = dataset.read(window=part)
            masked = "per_dataset" in {flag.name for flag in dataset.mask_flag_enums[0]} and not _has_alpha(dataset)
            inside[inner] = dataset.read_masks(1, window=part) > 0 if masked else True
        return _part(dataset, values, inside, listed)


def read_onto(
    path: str | os.PathLike[str], place: Place, shape: tuple[int, int], listed: Collection[int] = ()
) -> StoredPart:
    """Read a raster onto another grid: each pixel gets the value at its centre, and none is mixed of several.

    Args:
        path: A raster file or URL that has a place.
        place: Where the grid lies, in any reference system.
        shape: (height, width) of the grid in pixels.
        listed: As for `read_window`.

    Raises:
        InputError: It cannot be read.
    """
    with open_dataset(path) as dataset:
        return _part(dataset, *_warped(dataset, place, shape, dataset.indexes), listed)


def read_band(
    path: str | os.PathLike[str], place: Place, shape: tuple[int, int], *, band: int = 1
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read one band of a raster on the grid of an image, such as a class raster under a window of a scene.

    Each pixel gets the value at its centre, and none is mixed of several.

    Args:
        path: A raster file or URL.
        place: Where the image lies.
        shape: Its (height, width) in pixels.
        band: Number of the band, from 1.

    Returns:
        Values [H, W] of the band's own type, and bool [H, W]: which of them are known, neither beyond the raster nor
        masked, nodata, NaN or infinite. Others are 0.

    Raises:
        InputError: The raster cannot be read, or it is not known where it lies.
    """
    with open_dataset(path) as dataset:
        if not 1 <= band <= dataset.count:
            raise InputError(f"{path}: has no band {band}", wanted=f"1 to {dataset.count}")
        if place_of(dataset) is None:
            raise InputError(f"{path}: does not say where it lies", wanted="a raster with a reference system")
        (values,), known = _warped(dataset, place, shape, [band])
        known &= ~_missing(values, dataset.nodatavals[band - 1])
    if values.dtype.kind == "f":
        known &= np.isfinite(values)
    values[~known] = 0
    return values, known


def _warped(
    dataset: Any, place: Place, shape: tuple[int, int], bands: Sequence[int]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values [bands, H, W] at the centres of a grid's pixels, and which of them lie in the raster and are not masked.

    Nodata is a value like others: a label set may list it.
    """
    from rasterio.enums import Resampling
    from rasterio.transform import Affine
    from rasterio.vrt import WarpedVRT

    own = place_of(dataset)
    with WarpedVRT(
        dataset,
        # A picture's may lie beside it, where GDAL does not look.
        src_crs=own.crs if own is not None and dataset.crs is None else None,
        crs=place.crs,
        transform=Affine(*place.transform),
        height=shape[0],
        width=shape[1],
        resampling=Resampling.nearest,
        # By default GDAL may be off by an eighth of a pixel; it takes no 0.
        tolerance=1e-6,
        src_nodata=None,
        nodata=None,
        add_alpha=not _has_alpha(dataset),
    ) as warped:
        values = warped.read([*bands, warped.count])
    return values[:-1], values[-1] > 0


def _missing(values: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    if nodata is None:
        return np.zeros(values.shape, bool)
    return np.asarray(np.isnan(values) if np.isnan(nodata) else values == nodata)


def _has_alpha(dataset: Any) -> bool:
    return "alpha" in [colour.name for colour in dataset.colorinterp]


def _part(dataset: Any, values: NDArray[Any], inside: NDArray[np.bool_], listed: Collection[int]) -> StoredPart:
    """Describe values [bands, H, W]. What is not inside gets a value that occurs, so that it is nothing unknown."""
    nodata = dataset.nodata
    if dataset.count == 1 and nodata not in listed:
        inside &= ~_missing(values[0], nodata)
    if inside.any():
        values[:, ~inside] = values[:, inside][:, :1]
    palette = None
    if dataset.count == 1 and dataset.colorinterp[0].name == "palette":
        palette = read_palette(dataset)
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    stored = Stored(
        shape=inside.shape,
        bands=dataset.count,
        dtype=dataset.dtypes[0],
        bits=int(bits) if bits else np.dtype(dataset.dtypes[0]).itemsize * 8,
        palette=palette,
        white_is_zero=False,
        alpha=_has_alpha(dataset),
        colour_space=None,
        orientation=1,
        pages=1,
        nodata=nodata,
        decode=lambda: np.ascontiguousarray(np.moveaxis(values, 0, -1)) if len(values) > 1 else values[0],
    )
    return StoredPart(stored, inside)
