"""What a raster file holds and how a recipe reads it: its bands for red, green and blue, and what masks its pixels."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal_errors, open_dataset, read_palette, stamp_of
from rsir_tf.rasters.places import footprint, ground_resolution, place_of
from rsir_tf.rasters.recipe import Recipe
from rsir_tf.rasters.source import Place
from rsir_tf.rasters.tile_names import web_tile_place

if TYPE_CHECKING:
    from numpy.typing import NDArray

GLANCE = 512
"""Pixels a side, at most, of the reduced picture that tells what values a file holds."""

_ALPHA_SHARE = 0.5
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """How one raster file is read by a recipe.

    Attributes:
        shape: (height, width) in pixels.
        stamp: Size and time of change of the file that was looked at; None of a URL.
        bands: Numbers of the bands that are read for red, green and blue, from 1; one for all where they are equal.
        dtype: NumPy's name of their type.
        block: (height, width) of the blocks in which the file is packed.
        ranges: The value of each colour that becomes 0 and the one that becomes 255; None takes values as they are.
        palette: uint8 [n, 3] colours of a one-band file that is expanded; None otherwise.
        masked: Whether the file's mask or alpha band says which pixels are valid.
        nodata: The value of pixels that are not; None where there is none.
        place: Where the file lies; None where that is not known.
        notes: In words, each to follow the file's name: what is worth telling.
        plain: Whether the bands hold red, green and blue as they are, each pixel of which is valid.
    """

    shape: tuple[int, int]
    stamp: tuple[int, int] | None
    bands: tuple[int, int, int]
    dtype: str
    block: tuple[int, int]
    ranges: tuple[tuple[float, float], ...] | None
    palette: Any
    masked: bool
    nodata: float | None
    place: Place | None
    notes: tuple[str, ...]
    plain: bool = False


_layouts: OrderedDict[tuple[Any, ...], Layout] = OrderedDict()


def layout_of(path: str, recipe: Recipe, tile_names: str | None = None) -> Layout:
    """Find how a recipe reads a file, and refuse a file that needs another one.

    Args:
        path: A raster file or URL.
        recipe: How its values become RGB.
        tile_names: Pattern of the names of web tiles, which gives the place.

    Raises:
        InputError: The file cannot be opened, or needs bands or a stretch that the recipe does not say. The message
            proposes them.
    """
    warped = recipe.resolution is not None
    stamp = stamp_of(path)
    key = (path, stamp, recipe.bands, recipe.stretch, repr(recipe.nodata), tile_names, warped)
    found = _layouts.get(key)
    if found is None:
        with open_dataset(path, stamp=stamp) as dataset:
            found = _look(dataset, path, stamp, recipe, tile_names)
        _layouts[key] = found
        while len(_layouts) > _KEPT:
            _layouts.popitem(last=False)
    return found


def glance(dataset: Any, bands: tuple[int, ...]) -> NDArray[Any]:
    """Read a reduced picture of some bands, from overviews where the file has them: [bands, at most 512, at most 512].

    Values are picked, not averaged.
    """
    scale = max(1.0, max(dataset.shape) / GLANCE)
    shape = (len(bands), max(1, round(dataset.height / scale)), max(1, round(dataset.width / scale)))
    return np.asarray(dataset.read(list(bands), out_shape=shape))


def _look(dataset: Any, path: str, stamp: tuple[int, int] | None, recipe: Recipe, tile_names: str | None) -> Layout:
    notes: list[str] = []
    alpha = _alpha(dataset, notes)
    bands = _choose_bands(dataset, path, recipe, alpha)
    palette = None
    if dataset.count == 1 and max(bands) > 1:
        colours = read_palette(dataset)[:, [band - 1 for band in bands]]
        # Values that have no colour are black.
        palette, bands = np.pad(colours, ((0, max(0, 256 - len(colours))), (0, 0))), (1, 1, 1)
    dtype = _dtype(dataset, path, bands)
    if recipe.stretch is None and dtype != "uint8":
        raise _needs_choice(dataset, path, alpha, bands)
    flags = {flag.name for flag in dataset.mask_flag_enums[bands[0] - 1]}
    masked = ("per_dataset" in flags and "alpha" not in flags) or alpha is not None
    nodata = recipe.nodata if recipe.nodata is not None else (None if masked else dataset.nodatavals[bands[0] - 1])
    if nodata is not None and not _fits(nodata, np.dtype(dtype)):
        if recipe.nodata is not None and not math.isnan(nodata):
            notes.append(f"holds {dtype}, which has no value {nodata:g}: by this nodata none of its pixels is left out")
        nodata = None
    own = place_of(dataset)
    place = (_named_place(path, tile_names, dataset.shape, own) if tile_names else None) or own
    points = bool(dataset.gcps[0] or dataset.rpcs)
    if place is None and points and recipe.resolution is not None:
        if not dataset.gcps[0]:
            notes.append(
                f"is placed by RPCs as if all its ground were {dataset.rpcs.height_off:g} m high (their HEIGHT_OFF): "
                "no terrain model is used, and what is higher or lower is displaced"
            )
    elif place is None:
        why = _why_no_place(dataset, points)
        notes.append(f"does not have a name as in {tile_names}, and {why}" if tile_names else why)
    nodata = None if nodata is not None and math.isnan(nodata) else nodata
    is_plain = dtype == "uint8" and recipe.stretch is None and palette is None and not masked and nodata is None
    return Layout(
        shape=(dataset.height, dataset.width),
        stamp=stamp,
        bands=bands,
        dtype=dtype,
        block=dataset.block_shapes[bands[0] - 1],
        ranges=None if recipe.stretch is None else recipe.stretch * (3 // len(recipe.stretch)),
        palette=palette,
        masked=masked,
        nodata=nodata,
        place=place,
        notes=tuple(notes),
        plain=is_plain and bands[0] < bands[1] < bands[2],
    )


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a type of numbers has a value; NaN, which is never equal to anything, is none."""
    if dtype.kind == "f":
        return not math.isnan(value)
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and limits.min <= value <= limits.max


def _named_place(path: str, tile_names: str, shape: tuple[int, int], own: Place | None) -> Place | None:
    """The place in a web tile's name, which is not far from the one that the file says itself, if it says one."""
    place = web_tile_place(path, tile_names, shape)
    if place is not None and own is not None:
        import shapely

        named, said = footprint(place, shape), footprint(own, shape)
        if not said.is_empty and not shapely.intersects(named, said):
            raise InputError(
                f"{path}: lies elsewhere by its own reference system than by its name as in {tile_names}",
                cure="leave --tile-names out, or check the order of {z}, {x} and {y} in it",
            )
    return place


def _alpha(dataset: Any, notes: list[str]) -> int | None:
    """The band that masks pixels; None too where one is called alpha and its values say that it is something else."""
    named = [number for number, colour in enumerate(dataset.colorinterp, 1) if colour.name == "alpha"]
    if not named:
        return None
    band = named[-1]
    values = glance(dataset, (band,))
    full = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    share = float(np.mean((values == 0) | (values == full)))
    if share >= _ALPHA_SHARE:
        return band
    notes.append(
        f"calls band {band} alpha, but {1 - share:.0%} of its values are neither 0 nor {full}: it is not taken for a "
        "mask (near infrared is often called so)"
    )
    return None


def _choose_bands(dataset: Any, path: str, recipe: Recipe, alpha: int | None) -> tuple[int, int, int]:
    names = [colour.name for colour in dataset.colorinterp]
    if recipe.bands is not None:
        count = 3 if dataset.count == 1 and names[0] == "palette" else dataset.count
        beyond = [band for band in recipe.bands if band > count]
        if beyond:
            raise InputError(
                f"{path}: has no band {beyond[0]}",
                wanted=f"bands from 1 to {count}" if count > 1 else "band 1, the only one",
                cure=None if dataset.count > 2 else _one_band_cure(path),
            )
        return recipe.bands
    if all(names.count(colour) == 1 for colour in ("red", "green", "blue")):
        red, green, blue = (names.index(colour) + 1 for colour in ("red", "green", "blue"))
        return red, green, blue
    colours = [band for band in range(1, dataset.count + 1) if band != alpha]
    if len(colours) == 3:
        return colours[0], colours[1], colours[2]
    raise _needs_choice(dataset, path, alpha)


def _dtype(dataset: Any, path: str, bands: tuple[int, int, int]) -> str:
    dtypes = {dataset.dtypes[band - 1] for band in bands}
    if len(dtypes) > 1 or next(iter(dtypes)).startswith("complex"):
        raise InputError(
            f"{path}: bands {' '.join(map(str, bands))} hold {' and '.join(sorted(dtypes))}",
            wanted="bands of one real type",
            cure="choose others with --bands",
        )
    return str(dtypes.pop())


def _needs_choice(dataset: Any, path: str, alpha: int | None, bands: tuple[int, int, int] | None = None) -> InputError:
    """Say what a file holds, and propose the options that make RGB of it."""
    colours = tuple(band for band in range(1, dataset.count + 1) if band != alpha)
    dtype = dataset.dtypes[0]
    if dataset.colorinterp[0].name == "palette" and dataset.count == 1:
        return InputError(
            f"{path}: is a palette raster", cure="say --bands 1 2 3 to read the red, green and blue of its palette"
        )
    count = "one band" if dataset.count == 1 else f"{dataset.count} bands"
    known = _value_range(dataset, bands or colours)
    low, high = known or (0.0, 1.0)
    ranged = f"values {_plain(low, ',')} to {_plain(high, ',')}" if known else "no valid values"
    names = [f"{band} = {text}" for band, text in enumerate(dataset.descriptions, 1) if text]
    found = f"{path}: has {count} of {dtype}, {ranged}" + (f" ({', '.join(names[:13])})" if names else "")
    options = [] if bands else ["--bands R G B"]
    proposal = [] if bands else ["--bands 1 1 1" if len(colours) == 1 else f"--bands {_likely_bands(dataset)}"]
    if dtype != "uint8":
        options.append("--stretch LOW HIGH")
        high = max(high, low + 1)
        # What fits into eight bits has been 8-bit before.
        is_8_bit = np.dtype(dtype).kind in "ui" and low >= 0 and high <= 255
        proposal.append("--stretch 0 255" if is_8_bit else f"--stretch {_plain(low)} {_plain(high)}")
        if is_8_bit:
            found += ", which are those of an 8-bit picture"
    cure = f"say {' and '.join(options)} (for example {' '.join(proposal)})"
    return InputError(found, cure=f"{cure}, or {_one_band_cure(path)}" if dataset.count == 1 else cure)


def _likely_bands(dataset: Any) -> str:
    """Bands for an example: red, green and blue by their names (also as Sentinel-2 has them), else the first three."""
    names = [(text or "").lower() for text in dataset.descriptions]
    for wanted in (("red", "green", "blue"), ("b04", "b03", "b02")):
        if all(names.count(name) == 1 for name in wanted):
            return " ".join(str(names.index(name) + 1) for name in wanted)
    return "1 2 3"


def _one_band_cure(path: str) -> str:
    return (
        "where other files hold the other bands of this scene, make one of them that names all three: "
        "`gdalbuildvrt -separate scene.vrt RED.tif GREEN.tif BLUE.tif`, or `rio stack RED.tif GREEN.tif BLUE.tif -o "
        "scene.tif`, which comes with rasterio"
    )


def _value_range(dataset: Any, bands: tuple[int, ...]) -> tuple[float, float] | None:
    values = glance(dataset, bands).astype(np.float64)
    for number, band in enumerate(bands):
        nodata = dataset.nodatavals[band - 1]
        if nodata is not None:
            values[number][values[number] == nodata] = np.nan
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else None


def _plain(value: float, thousands: str = "") -> str:
    return f"{value:{thousands}.0f}" if value == int(value) else f"{value:.6g}"


def _why_no_place(dataset: Any, points: bool) -> str:
    if points:
        named = f"{len(dataset.gcps[0])} ground control points" if dataset.gcps[0] else "RPCs"
        about = _about_metres(dataset)
        fine = "" if about is None else f" (its pixels are about {float(f'{about:.1g}'):g} m)"
        return f"has {named} and no transform: without --resolution{fine} it is read as a picture without a place"
    if dataset.crs is not None:
        return "has a reference system and no transform: it is read as a picture without a place"
    return "has no reference system: it is read as a picture without a place"


def _about_metres(dataset: Any) -> float | None:
    """About how large the pixels of a file are that points or RPCs place, in metres; None where that is not known."""
    from rasterio.warp import calculate_default_transform

    points, crs = dataset.gcps
    placed = {"gcps": points} if points else {"rpcs": dataset.rpcs, "RPC_HEIGHT": dataset.rpcs.height_off}
    lonlat = "EPSG:4326"
    try:
        transform, width, height = calculate_default_transform(
            crs or lonlat, lonlat, dataset.width, dataset.height, **placed
        )
        if transform.a * width > 180:  # Across the antimeridian.
            return None
        return ground_resolution(Place(lonlat, tuple(transform)[:6]), (height, width))
    except InputError:
        return None
    except gdal_errors():
        return None
