"""Vector files (GeoPackage, GeoJSON, shapefile): geometries and attributes, in another CRS, and on a grid of pixels."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import gdal
from rsir_tf.rasters.source import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = "GeoPackage (.gpkg), GeoJSON (.geojson) or shapefile (.shp)"
"""What is read, in words. GDAL opens others too, which are not tried in tests."""


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The features of one layer of a vector file, in the order of the file.

    Attributes:
        geometries: Shapely geometries [N] in two dimensions; None for a feature without one. x comes before y, and
            longitude before latitude, whatever the reference system says.
        columns: Name of an attribute → its values, one for each feature; None where a feature has none.
        crs: The reference system of the coordinates: "EPSG:25832", or WKT.
    """

    geometries: NDArray[np.object_]
    columns: dict[str, list[Any]]
    crs: str

    def to_crs(self, crs: str) -> Vectors:
        """The same features in another reference system; see `transformed`."""
        return replace(self, geometries=transformed(self.geometries, self.crs, crs), crs=crs)


def read_vectors(
    path: str | os.PathLike[str], layer: str | None = None, *, columns: Sequence[str] | None = None
) -> Vectors:
    """Read a layer of a vector file.

    Args:
        path: GeoPackage, GeoJSON or shapefile.
        layer: Its name; needed where the file holds several with geometries.
        columns: Attributes to read; None reads all of them.

    Raises:
        InputError: The file is missing or damaged, or is no vector file; it has several layers and none is named, or
            not the one that is named; it lacks an attribute; or nothing says which reference system it is in.
    """
    import pyogrio
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

    name = os.fspath(path)
    if not Path(path).exists():
        cure = "a layer is named as FILE|layername=LAYER" if "|" in name else "check the path"
        raise InputError(f"{name}: no such file", wanted=FORMATS, cure=cure)
    try:
        layer = _layer(name, pyogrio.list_layers(path).tolist(), layer)
        known = [str(field) for field in pyogrio.read_info(path, layer=layer)["fields"]]
        for column in columns or ():
            if column not in known:
                wanted = (
                    f"one of its fields: {', '.join(known)}" if known else "the name of a field, and the file has none"
                )
                raise InputError(f"{name}: has no field {column!r}", wanted=wanted)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module="pyogrio")
            meta, _, encoded, values = pyogrio.raw.read(path, layer=layer, columns=columns, force_2d=True)
        if encoded is None:
            raise InputError(f"{name}: holds a table without geometries", wanted=FORMATS)
        geometries = shapely.from_wkb(encoded)
    except (DataSourceError, DataLayerError, FeatureError, GeometryError, shapely.errors.ShapelyError) as error:
        raise _unreadable(name, error) from error
    except (ValueError, UnicodeDecodeError) as error:  # pyogrio's words for values that it does not understand.
        raise _unreadable(name, error) from error
    if meta["crs"] is None:
        raise InputError(
            f"{name}: does not say which coordinate reference system (CRS) its coordinates are in",
            wanted="a CRS in the file, or the .prj file beside a shapefile",
            cure="name it, for example with ogr2ogr -a_srs EPSG:25832 new.gpkg old.shp",
        )
    found = {str(field): _values(column) for field, column in zip(meta["fields"], values, strict=True)}
    return Vectors(geometries, found, str(meta["crs"]))


def _unreadable(name: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split("; ")[0].replace(f"'{name}'", "it").replace(name, "it").split())
    if "not recognized as being in a supported file format" in reason:
        return InputError(f"{name}: cannot be read as a vector file (it is none, or is damaged)", wanted=FORMATS)
    return InputError(
        f"{name}: cannot be read as a vector file ({reason})", wanted=FORMATS, cure="copy it again from its source"
    )


def _layer(name: str, layers: list[list[str | None]], wanted: str | None) -> str:
    """The layer to read: the one that is named, or the only one with geometries."""
    spatial = [str(layer) for layer, kind in layers if kind is not None]
    if wanted is not None:
        if wanted not in spatial:
            raise InputError(
                f"{name}: has no layer {wanted!r} with geometries", wanted=f"one of {', '.join(spatial) or 'none'}"
            )
        return wanted
    if len(spatial) != 1:
        raise InputError(
            f"{name}: holds {len(spatial)} layers with geometries" + (f" ({', '.join(spatial)})" if spatial else ""),
            wanted="one",
            cure=f"name it as FILE|layername=LAYER, for example '{name}|layername={spatial[0]}'" if spatial else None,
        )
    return spatial[0]


def _values(column: NDArray[Any]) -> list[Any]:
    """A column as Python values. A column of whole numbers with gaps comes as floats, NaN where nothing is."""
    return [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN


def transformed(geometries: NDArray[np.object_], crs: str, to: str) -> NDArray[np.object_]:
    """Transform geometries from one reference system to another, vertex by vertex, with GDAL's transformations.

    Args:
        geometries: Shapely geometries [N], x before y; None stays None.
        crs: The reference system that they are in.
        to: The one that they are to be in.

    Returns:
        Shapely geometries [N].

    Raises:
        InputError: A reference system is not known, or a vertex has no place in the other one (a pole in Web Mercator).
    """
    import shapely

    with _between(crs, to) as (source, target):
        if source == target or not len(geometries):
            return geometries
        from rasterio.warp import transform

        def move(points: NDArray[np.float64]) -> NDArray[np.float64]:
            moved = np.column_stack(transform(source, target, points[:, 0], points[:, 1])[:2])
            if not np.isfinite(moved).all():
                raise ValueError("a vertex has no place there")
            return moved

        return np.asarray(shapely.transform(geometries, move))


def bounds_in(crs: str, place: Place, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box around a grid, in another reference system.

    Args:
        crs: The other reference system.
        place: Where the grid lies; it may be rotated.
        shape: (height, width) of the grid in pixels.

    Returns:
        (left, bottom, right, top). Where longitudes jump from 180 to −180 in between, left is larger than right.

    Raises:
        InputError: A reference system is not known, or the grid has no place in the other one.
    """
    a, b, c, d, e, f = place.transform
    columns, rows = np.array([0, shape[1]] * 2), np.array([0, 0, shape[0], shape[0]])
    x, y = a * columns + b * rows + c, d * columns + e * rows + f
    with _between(place.crs, crs) as (source, target):
        from rasterio.warp import transform_bounds

        left, bottom, right, top = transform_bounds(source, target, x.min(), y.min(), x.max(), y.max())
    return float(left), float(bottom), float(right), float(top)


@contextlib.contextmanager
def _between(crs: str, to: str) -> Iterator[tuple[Any, Any]]:
    """Two reference systems as rasterio has them; what goes wrong with a transformation raises our own error."""
    from rasterio.crs import CRS

    try:
        with gdal().Env():
            yield CRS.from_user_input(crs), CRS.from_user_input(to)
    except Exception as error:
        # GDAL's own errors have no base class that rasterio makes public.
        if not (isinstance(error, ValueError) or type(error).__name__.startswith(("CPLE_", "Rasterio"))):
            raise
        raise InputError(
            f"coordinates cannot be transformed from {_short(crs)} to {_short(to)} ({error})",
            wanted="coordinates that lie in both",
        ) from error


def _short(crs: str) -> str:
    """A reference system in a few words: WKT would fill a page."""
    return crs if len(crs) < 40 else crs[: crs.find(",")].replace('"', "")


def rasterise(
    geometries: Sequence[Any], values: Sequence[int], place: Place, shape: tuple[int, int], *, outside: int
) -> NDArray[np.uint8]:
    """Burn polygons into a grid: a pixel gets the value of the last polygon in which its centre lies.

    Args:
        geometries: Polygons in the reference system of the grid.
        values: One for each, 0..255.
        place: Where the grid lies; it may be rotated.
        shape: (height, width) of the grid in pixels.
        outside: The value of a pixel whose centre lies in no polygon, 0..255.

    Returns:
        uint8 [H, W].
    """
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    shapes = [(geometry, value) for geometry, value in zip(geometries, values, strict=True) if not geometry.is_empty]
    if not shapes:
        return np.full(shape, outside, np.uint8)
    burnt = rasterize(
        shapes,
        out_shape=shape,
        fill=outside,
        transform=Affine(*place.transform),
        dtype="uint8",
    )
    return np.asarray(burnt, np.uint8)
