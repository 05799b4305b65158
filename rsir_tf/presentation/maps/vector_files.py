"""The areas of a class raster as polygons in a file: GeoPackage in the raster's own reference system, or GeoJSON."""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.presentation.maps.geojson import MARK, Feature, write_geojson
from rsir_tf.presentation.maps.outlines import areas, find_nodes
from rsir_tf.presentation.maps.targets import GEOJSON_ENDINGS, is_own_geojson
from rsir_tf.presentation.targets import check_target
from rsir_tf.rasters import Place
from rsir_tf.rasters.datasets import gdal

GEOPACKAGE_ENDINGS = (".gpkg",)

LAYER = "classes"
"""Name of the layer of a GeoPackage."""

_ROWS = 256  # of the raster in memory at a time
_FEATURES = 20_000  # written at a time


def check_polygon_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where polygons must not be written; see `check_target`."""
    check_target(path, (*GEOPACKAGE_ENDINGS, *GEOJSON_ENDINGS), _is_own, what="a file of polygons", force=force)


def check_areas(path: Path, place: Place | None) -> None:
    """Refuse GeoJSON of an image without a place; call it before the work.

    Raises:
        InputError: It has no longitude and latitude.
    """
    if place is None and path.suffix.lower() in GEOJSON_ENDINGS:
        raise InputError(
            f"{path}: GeoJSON is in longitude and latitude, and the image has no place",
            cure="choose the ending .gpkg, whose coordinates are pixels then",
        )


def write_areas(
    path: Path, raster: Path, place: Place | None, names: Sequence[str], *, nothing: int, about: dict[str, Any]
) -> tuple[int, int]:
    """Write the areas of a class raster: pixels of one class that are connected along their sides.

    Neighbours share their borders without gaps and overlaps. Each area has its class's name (`class`) and index
    (`index`).

    Args:
        path: The ending .gpkg writes a GeoPackage in the raster's own reference system, as its WKT where it has no
            EPSG code; .geojson and .json write GeoJSON in longitude and latitude (RFC 7946). An existing file is
            replaced.
        raster: A TIFF, uint8, without a place of its own: GDAL gives its borders in pixels then.
        place: Where it lies. Without one a GeoPackage is in pixels: x to the right from the upper left corner, y
            downwards and negative, which is where QGIS shows such a raster.
        names: Of the classes, by index.
        nothing: The value of pixels that belong to no area.
        about: How it came to be, JSON types.

    Returns:
        The number of areas in the file, and the number of those that are not, since they have no outline in longitude
        and latitude (see `outlines`).

    Raises:
        InputError: GeoJSON is asked for of a raster without a place.
        ArtifactError: The disk is full or read-only.
    """
    check_areas(path, place)
    lonlat = path.suffix.lower() in GEOJSON_ENDINGS
    with gdal().open(raster) as dataset:
        height, width = dataset.shape
        grid = place or Place("", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
        strips = (
            dataset.read(1, window=((row, min(row + _ROWS, height)), (0, width))) for row in range(0, height, _ROWS)
        )
        nodes = find_nodes(strips, height, width)
        found = areas(gdal().band(dataset, 1), nodes, grid, nothing=nothing, lonlat=lonlat)
        if lonlat:
            left_out = 0

            def features() -> Iterator[Feature]:
                nonlocal left_out
                for value, area in found:
                    if area.is_empty:
                        left_out += 1
                    else:
                        yield Feature(area, {"class": names[value], "index": value})

            return write_geojson(path, features(), about), left_out
        return _write_geopackage(path, found, None if place is None else place.crs, names, about), 0


def _write_geopackage(
    path: Path, found: Iterator[tuple[int, Any]], crs: str | None, names: Sequence[str], about: dict[str, Any]
) -> int:
    import pyogrio.raw
    import shapely

    count, more = 0, True
    with written_aside(path, replace=True) as aside, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="'crs' was not provided")  # It is not known, and the file says so.
        while more:
            part = list(itertools.islice(found, _FEATURES))
            more = len(part) == _FEATURES
            pyogrio.raw.write(
                aside,
                shapely.to_wkb(np.array([area for _, area in part], np.object_)),
                [np.array([names[value] for value, _ in part], np.object_), np.array([v for v, _ in part], np.int32)],
                ["class", "index"],
                layer=LAYER,
                driver="GPKG",
                geometry_type="Polygon",
                crs=crs,
                append=count > 0,
                dataset_options={"VERSION": "1.2"} if count == 0 else None,  # QGIS 3.22 warns of newer ones
                layer_metadata={MARK: json.dumps(about, ensure_ascii=False)} if count == 0 else None,
            )
            count += len(part)
    return count


def _is_own(path: Path) -> bool:
    """Whether a file of polygons is one that `write_areas` wrote."""
    if path.suffix.lower() in GEOJSON_ENDINGS:
        return is_own_geojson(path)
    import pyogrio

    try:
        return MARK in (pyogrio.read_info(path, layer=LAYER).get("layer_metadata") or {})
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError):
        return False
