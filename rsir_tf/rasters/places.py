"""Places: from pixels to longitude and latitude and back, footprints, and metres a pixel, by GDAL's transformations."""

from __future__ import annotations

import math
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal, gdal_errors, open_dataset
from rsir_tf.rasters.source import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONLAT = "EPSG:4326"  # rasterio gives and takes longitude first, whatever the authority's order of axes is.
_MOST_POINTS = 64  # an edge of a footprint
_BEND = 0.1  # pixels that an edge of a footprint may be off
_EQUATOR, _SQUASHED = 6_378_137.0, 0.0066943799901413165  # WGS 84: metres, and its squared eccentricity
_HIGHEST = 91.0  # degrees of latitude: where the first pixel's centre is the pole, its corner lies beyond it


def place_of(dataset: Any) -> Place | None:
    """Where an open dataset lies by its own transform; None without a reference system or without a transform."""
    if dataset.transform.is_identity:
        return None
    crs = dataset.crs or _crs_beside(Path(dataset.name))
    return None if crs is None else Place(crs_text(crs), tuple(dataset.transform)[:6])


def _crs_beside(path: Path) -> Any:
    """The reference system in a `.prj` file, which lies beside pictures with a world file; GDAL does not read it."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        return CRS.from_wkt(path.with_suffix(".prj").read_text("utf-8"), morph_from_esri_dialect=True)
    except (OSError, ValueError, CRSError):  # ValueError: no name of a file, or no text.
        return None


def file_place(path: Path) -> Place | None:
    """Where a picture file lies, by its tags or the files beside it; None where neither says so, or there is none.

    Pictures other than TIFF are not opened where no file lies beside them that could say it.
    """
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff") and not any(beside.is_file() for beside in _side_cars(path)):
        return None
    try:
        with open_dataset(path) as dataset:
            return place_of(dataset)
    except InputError:
        return None


def _side_cars(path: Path) -> list[Path]:
    """World files and GDAL's own file beside a picture: for a.png a.pgw, a.pngw, a.wld and a.png.aux.xml."""
    end = path.suffix[1:]
    names = [f"{end[:1]}{end[-1:]}w", f"{end}w", "wld"]
    return [*(path.with_suffix(f".{name}") for name in names), path.with_name(f"{path.name}.aux.xml")]


def crs_text(crs: Any) -> str:
    """Name a rasterio CRS: "EPSG:32632" where it is exactly that one, else its WKT."""
    code = crs.to_epsg(confidence_threshold=100)
    return f"EPSG:{code}" if code is not None else crs.to_wkt()


def moved(place: Place, column: float, row: float) -> Place:
    """The place of a part of an image that begins at a pixel's corner."""
    a, b, c, d, e, f = place.transform
    return Place(place.crs, (a, b, a * column + b * row + c, d, e, d * column + e * row + f))


def pixel_to_lonlat(
    place: Place, column: float | NDArray[Any], row: float | NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find where pixels lie.

    Args:
        place: The image's place.
        column: From the left edge of the image; the centre of the first pixel is at 0.5.
        row: From the upper edge.

    Returns:
        Longitudes (−180 to 180) and latitudes in degrees (WGS 84), shaped like the arguments; infinite where a point
        lies outside the Earth as its projection shows it.
    """
    a, b, c, d, e, f = place.transform
    columns, rows = np.broadcast_arrays(np.asarray(column, np.float64), np.asarray(row, np.float64))
    lon, lat = _transformed(place.crs, _LONLAT, a * columns + b * rows + c, d * columns + e * rows + f)
    on_earth = np.isfinite(lon) & (np.abs(lat) <= _HIGHEST)
    with np.errstate(invalid="ignore"):
        lon = np.where(np.abs(lon) > 180, (lon + 180) % 360 - 180, lon)
    return np.where(on_earth, lon, np.inf), np.where(on_earth, np.clip(lat, -90, 90), np.inf)


def lonlat_to_pixel(
    place: Place, lon: float | NDArray[Any], lat: float | NDArray[Any], shape: tuple[int, ...] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the pixels at longitudes and latitudes (degrees, WGS 84): columns and rows as `pixel_to_lonlat` takes them.

    An image in degrees may go on beyond longitude 180, where −178.5 is written 181.5.

    Args:
        place: The image's place.
        lon: Longitudes; those that differ by 360 are the same.
        lat: Latitudes.
        shape: (height, width) of the image in pixels. With it, any longitude that lies in an image in degrees is found
            there. Without it, so is one that lies at most half of the Earth to the right of the image's left edge.

    Raises:
        InputError: The place's transform cannot be inverted.
    """
    lons, lats = np.broadcast_arrays(np.asarray(lon, np.float64), np.asarray(lat, np.float64))
    x, y = _transformed(_LONLAT, place.crs, lons, lats)
    a, b, c, d, e, f = place.transform
    turn = _turn(place.crs)
    if turn is not None:
        # Without a shape, what lies to the left of the image by less than half of the Earth stays there.
        middle, most = (c + turn / 4, 3 / 4) if shape is None else (c + (a * shape[1] + b * shape[0]) / 2, 1 / 2 + 1e-9)
        turns = (x - middle) / turn
        x = np.where(np.abs(turns) > most, x - np.round(turns) * turn, x)
    area = a * e - b * d
    if area == 0:
        raise InputError(f"the transform {place.transform} has no area", wanted="one that can be inverted")
    return (e * (x - c) - b * (y - f)) / area, (a * (y - f) - d * (x - c)) / area


def footprint(place: Place, shape: tuple[int, int]) -> Any:
    """Outline an image on the ground.

    Args:
        place: The image's place.
        shape: (height, width) in pixels.

    Returns:
        A shapely Polygon in longitude and latitude by RFC 7946: the exterior runs counter-clockwise, and a
        MultiPolygon lies on both sides of the antimeridian. Edges have more points where the projection bends them by
        more than a tenth of a pixel. Empty where a part of the outline is not on Earth.
    """
    import shapely
    from antimeridian import fix_polygon

    height, width = shape
    corners = np.array([(0, 0), (0, height), (width, height), (width, 0)], np.float64)
    steps = np.linspace(0, 1, _MOST_POINTS, endpoint=False)
    edges = corners[:, None] + (np.roll(corners, -1, axis=0) - corners)[:, None] * steps[None, :, None]
    lon, lat = pixel_to_lonlat(place, edges[..., 0], edges[..., 1])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return shapely.Polygon()
    turned = np.unwrap(lon.reshape(-1), period=360).reshape(lon.shape)
    kept = _fewest(np.stack([turned, lat], axis=-1), max(height, width))
    outline = shapely.Polygon(np.stack([lon, lat], axis=-1)[:, ::kept].reshape(-1, 2))
    return shapely.orient_polygons(fix_polygon(outline, fix_winding=True, great_circle=False))


def ground_steps(place: Place, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Metres that one pixel means on the ground, in the middle of an image, measured on the Earth's ellipsoid.

    A pixel of Web Mercator at latitude 60° is half of what its numbers say, and one of degrees is narrower than high.

    Returns:
        float64 [2, 2]: (east, north) of a step to the next column, and of a step to the next row.

    Raises:
        InputError: The middle is not on Earth.
    """
    column, row = shape[1] / 2, shape[0] / 2
    lon, lat = pixel_to_lonlat(place, column, row)
    if not (np.isfinite(lon) and np.isfinite(lat)):
        raise InputError(f"the middle of an image of {place.crs[:60]} is not on Earth", wanted="a place on Earth")
    # A plane that touches the ellipsoid there has true lengths there.
    plane = f"+proj=aeqd +lat_0={float(lat)!r} +lon_0={float(lon)!r} +datum=WGS84 +units=m"
    columns, rows = np.array([-0.5, 0.5, 0, 0]) + column, np.array([0, 0, -0.5, 0.5]) + row
    points = np.stack(_transformed(_LONLAT, plane, *pixel_to_lonlat(place, columns, rows)), axis=1)
    return np.asarray(points[[1, 3]] - points[[0, 2]])


def ground_resolution(place: Place, shape: tuple[int, int]) -> float:
    """Metres a pixel on the ground, in the middle of an image: the side of a square as large as that pixel.

    Raises:
        InputError: The middle is not on Earth.
    """
    return math.sqrt(abs(float(np.linalg.det(ground_steps(place, shape)))))


def pixel_areas(place: Place, column: float | NDArray[Any], row: float | NDArray[Any]) -> NDArray[np.float64]:
    """Square metres that pixels cover on the Earth's ellipsoid (WGS 84).

    Args:
        place: The image's place.
        column: Of the pixels' middles, as `pixel_to_lonlat` takes it.
        row: Of the pixels' middles.

    Returns:
        Shaped like the arguments; NaN of a pixel that is partly not on Earth.
    """
    columns, rows = np.broadcast_arrays(np.asarray(column, np.float64), np.asarray(row, np.float64))
    sides = np.array([(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)])
    lon, lat = pixel_to_lonlat(place, columns[..., None] + sides[:, 0], rows[..., None] + sides[:, 1])
    with np.errstate(invalid="ignore"):  # Infinite where it is not on Earth.
        lon, lat = np.radians(lon), np.radians(lat)
        # In space around the Earth's centre neither a pole nor longitude 180 is a special case.
        normal = _EQUATOR / np.sqrt(1 - _SQUASHED * np.sin(lat) ** 2)
        ground = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), (1 - _SQUASHED) * np.sin(lat)
        points = normal[..., None] * np.stack(ground, axis=-1)
        across, down = points[..., 1, :] - points[..., 0, :], points[..., 3, :] - points[..., 2, :]
        return np.asarray(np.linalg.norm(np.cross(across, down), axis=-1))


def _fewest(outline: NDArray[np.float64], pixels: int) -> int:
    """The largest step through an outline's points at which no left-out point is off by more than `_BEND` pixels."""
    ring = outline.reshape(-1, 2)
    step = _MOST_POINTS
    pixel = np.ptp(ring, axis=0).max() / pixels
    while step > 1:
        left = ring[::step]
        right = np.roll(left, -1, axis=0)
        share = (np.arange(step) / step)[None, :, None]
        straight = left[:, None] + (right - left)[:, None] * share
        # Of two points that are half of the Earth apart, nothing tells which way the edge goes.
        short = np.abs(right - left)[:, 0].max() < 180
        if short and np.abs(straight - ring.reshape(-1, step, 2)).max() <= _BEND * pixel:
            break
        step //= 2
    return step


def _transformed(
    source: str, target: str, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from rasterio.warp import transform

    systems = _crs(source), _crs(target)
    old_x, old_y = x.reshape(-1), y.reshape(-1)
    with gdal().Env():
        try:
            new_x, new_y = transform(*systems, old_x, old_y)
        except gdal_errors() as error:
            if not all(system.is_geographic or system.is_projected for system in systems):
                raise InputError(f"there is no way from {source[:80]!r} to {target[:80]!r}") from error
            # A point outside what a projection shows spoils the others that are asked for with it.
            if len(old_x) == 1:
                return np.full(x.shape, np.inf), np.full(x.shape, np.inf)
            half = len(old_x) // 2
            parts = [_transformed(source, target, old_x[part], old_y[part]) for part in (np.s_[:half], np.s_[half:])]
            new_x, new_y = (np.concatenate(both) for both in zip(*parts, strict=True))
    return np.asarray(new_x, np.float64).reshape(x.shape), np.asarray(new_y, np.float64).reshape(y.shape)


@lru_cache(maxsize=64)
def _turn(crs: str) -> float | None:
    """What a whole turn around the Earth is in the unit of a geographic system (360 of degrees); None of others."""
    system = _crs(crs)
    return round(2 * math.pi / system.units_factor[1], 9) if system.is_geographic else None


def _crs(text: str) -> Any:
    return _crs_of(text, threading.get_ident())


@lru_cache(maxsize=256)
def _crs_of(text: str, thread: int) -> Any:
    """To parse one takes ten times as long as to transform a point; each thread has its own."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        with gdal().Env():
            return CRS.from_user_input(text)
    except CRSError as error:
        raise InputError(f"the reference system {text[:80]!r} is not known ({error})") from error
