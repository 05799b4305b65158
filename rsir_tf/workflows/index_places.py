"""What an index says of places: scenes and windows, reference systems, extent, metres a pixel."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError
from rsir_tf.rasters import ground_resolution, path_of

if TYPE_CHECKING:
    from rsir_tf.index import StoredIndex

MEASURED = 200
"""Images whose ground resolution is measured, evenly chosen: each takes a millisecond, and windows are much alike."""


def describe_scenes(index: StoredIndex) -> dict[str, int]:
    """Count the scenes of an index and their windows, and the windows that were left out; empty where it has none."""
    cut = {name for name, reading in index.readings.items() if reading.tiling is not None}
    paths = [path for path, archive in zip(index.images.paths, index.images.archives, strict=True) if archive in cut]
    if not cut:
        return {}
    return {"scenes": len(set(map(path_of, paths))), "windows": len(paths), "left_out": len(index.left_out)}


def describe_places(index: StoredIndex) -> dict[str, Any]:
    """Say where the images of an index lie.

    Returns:
        As JSON types; empty where no image has a place. "placed" counts the images with a place; "reference_systems"
        says of each how many images it has; "extent" is [west, south, east, north] in degrees, where west exceeds east
        across the antimeridian; "metres_a_pixel" is [least, most] on the ground, of at most `MEASURED` images.
    """
    import shapely

    from rsir_tf.presentation.maps.geojson import lonlat_box

    places = index.images.places
    placed = [row for row, place in enumerate(places) if place is not None]
    if not placed:
        return {}
    found: dict[str, Any] = {
        "placed": len(placed),
        "reference_systems": dict(Counter(place.crs for place in places if place is not None).most_common()),
    }
    known = [footprint for footprint in index.images.footprints if footprint is not None]
    if known:
        parts = shapely.get_parts(shapely.from_wkb(known))
        found["extent"] = [round(number, 7) for number in lonlat_box(shapely.geometrycollections(parts))]
    metres = [_metres_a_pixel(index, row) for row in placed[:: -(-len(placed) // MEASURED)]]
    measured = [number for number in metres if number is not None]
    if measured:
        found["metres_a_pixel"] = [float(f"{number:.4g}") for number in (min(measured), max(measured))]
    return found


def image_boxes(index: StoredIndex) -> list[list[float] | None]:
    """[west, south, east, north] in degrees of each image, row by row, as in `describe_places`; None where unknown."""
    import shapely

    from rsir_tf.presentation.maps.geojson import lonlat_box

    return [
        None if footprint is None else [round(number, 7) for number in lonlat_box(shapely.from_wkb(footprint))]
        for footprint in index.images.footprints
    ]


def _metres_a_pixel(index: StoredIndex, row: int) -> float | None:
    place = index.images.places[row]
    if place is None:
        return None
    try:
        return ground_resolution(place, (int(index.images.heights[row]), int(index.images.widths[row])))
    except InputError:  # Not on Earth, or in a reference system of its own.
        return None
