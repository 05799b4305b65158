"""GeoJSON by RFC 7946: longitude and latitude on WGS 84, no `crs` member, outer rings counter-clockwise."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import written_aside

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

DECIMALS = 9
"""Decimal places of a coordinate: a tenth of a millimetre, so that what is read back lies within 1e-9 degrees."""

MARK = "rsir_tf"
"""The member of a collection (RFC 7946, 6.1), or the key of a Parquet file's metadata, that says how it was made."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A thing on a map.

    Attributes:
        geometry: In longitude and latitude, degrees, cut at the antimeridian; None where it is not known.
        properties: What is known about it, JSON types.
    """

    geometry: BaseGeometry | None
    properties: dict[str, Any]


def geometry_json(geometry: BaseGeometry) -> dict[str, Any]:
    """A geometry as GeoJSON: rings are turned by the right-hand rule and numbers rounded to `DECIMALS`.

    Args:
        geometry: In longitude and latitude, degrees, cut at the antimeridian.
    """
    import numpy as np
    import shapely
    from shapely.geometry import mapping

    turned = shapely.orient_polygons(geometry, exterior_cw=False)
    found: dict[str, Any] = mapping(shapely.transform(turned, lambda points: np.round(points, DECIMALS)))
    return found


def lonlat_box(geometry: BaseGeometry) -> tuple[float, float, float, float]:
    """(west, south, east, north) of a geometry in degrees; west exceeds east where it lies across the antimeridian.

    RFC 7946, 5.2: of all boxes that hold the geometry it is the narrowest.

    Args:
        geometry: In longitude and latitude, cut at the antimeridian.
    """
    import shapely

    west, south, east, north = (float(number) for number in geometry.bounds)
    if (west, east) == (-180.0, 180.0):
        reached, widest = west, 0.0
        for left, _, right, _ in sorted(shapely.bounds(shapely.get_parts(geometry)).tolist()):
            if left - reached > widest:
                west, east, widest = left, reached, left - reached
            reached = max(reached, right)
    return west, south, east, north


def feature_json(feature: Feature) -> dict[str, Any]:
    """A feature as GeoJSON."""
    geometry = None if feature.geometry is None else geometry_json(feature.geometry)
    return {"type": "Feature", "geometry": geometry, "properties": feature.properties}


def feature_collection(features: Iterable[Feature], about: dict[str, Any]) -> dict[str, Any]:
    """Features as one GeoJSON object.

    Args:
        features: In the order that they are to have.
        about: How they came to be, JSON types; the member `MARK`.
    """
    return {"type": "FeatureCollection", MARK: about, "features": [feature_json(feature) for feature in features]}


def write_geojson(path: Path, features: Iterable[Feature], about: dict[str, Any]) -> int:
    """Write features into a file, one in each line, whole or not at all; an existing file is replaced.

    Args:
        path: The file; see `check_map_target`.
        features: As for `feature_collection`; they are written as they come.
        about: As for `feature_collection`.

    Returns:
        The number of features.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    count = 0
    with written_aside(path, replace=True) as aside, aside.open("w", encoding="utf-8") as file:
        file.write(f'{{"type": "FeatureCollection", "{MARK}": {_text(about)}, "features": [')
        for count, feature in enumerate(features, start=1):
            file.write(("\n" if count == 1 else ",\n") + _text(feature_json(feature)))
        file.write("\n]}\n")
    return count


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)
