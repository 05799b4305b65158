"""Rings on an image's grid as polygons in longitude and latitude: across the antimeridian, around poles, through poles.

A ring's longitudes are followed from vertex to vertex, so that neighbours must be near each other. Of a ring whose
longitudes end a whole turn from where they began, a pole lies within; in longitude and latitude a pole is a side of the
map, and such a ring is closed along it. Each ring is laid flat and cut by itself, and holes are taken from their shell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters import Place

_FARTHEST = 5e5  # metres between neighbouring vertices: more, and sides cross where projections bend them most
_RADIUS = 6_371_000.0  # of the Earth, metres
_SAME = 1e-6  # pixels
_BESIDE = 2.0  # pixels from a pole, within which longitudes turn by any angle from one vertex to the next
_DIGITS = 9  # 1e-9 degrees are a tenth of a millimetre


@dataclass(frozen=True)
class Pole:
    """A pole that is a point on an image's grid.

    Attributes:
        latitude: 90 or -90.
        pixel: (column, row), as for `pixel_to_lonlat`.
    """

    latitude: float
    pixel: tuple[float, float]

    def apart(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Pixels from points [n, 2] (column, row) to the pole, [n]."""
        return np.asarray(np.hypot(points[:, 0] - self.pixel[0], points[:, 1] - self.pixel[1]))


def poles_of(place: Place) -> list[Pole]:
    """The poles that are points where an image lies. In degrees and on cylinders a pole is a line, or nowhere."""
    from rasterio.crs import CRS

    from rsir_tf.rasters.places import lonlat_to_pixel

    found = []
    for latitude in (90.0, -90.0):
        with np.errstate(invalid="ignore"):
            column, row = lonlat_to_pixel(place, np.array([0.0, 100.0, -130.0]), latitude)
        if CRS.from_user_input(place.crs).is_geographic:
            continue
        if np.isfinite([column, row]).all() and max(np.ptp(column), np.ptp(row)) < _SAME:
            # An image's grid often has a pole at one of its points, or in the middle between two.
            near = np.round(np.array([column[0], row[0]]) * 2) / 2
            exact = np.where(np.abs(near - (column[0], row[0])) < _SAME, near, (column[0], row[0]))
            found.append(Pole(latitude, (float(exact[0]), float(exact[1]))))
    return found


def spacing(place: Place, poles: list[Pole], points: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """How many pixels apart vertices must be on a straight side, so that it stays one in longitude and latitude.

    Args:
        place: The image's place.
        poles: Those of the place.
        points: Of the grid, int [n, 2] (column, row).
        most: Pixels; a power of two.

    Returns:
        Powers of two, int [n].
    """
    from rasterio.crs import CRS

    system = CRS.from_user_input(place.crs)
    a, b, _, d, e, _ = place.transform
    pixel = max(np.hypot(a, d), np.hypot(b, e)) * system.units_factor[1] * (_RADIUS if system.is_geographic else 1)
    widest = np.full(len(points), min(float(most), _FARTHEST / pixel))
    for pole in poles:
        # Parallels are circles around a pole, from which a chord of n pixels is n² / (8 · radius) away: a tenth of one.
        widest = np.minimum(widest, np.sqrt(0.8 * pole.apart(points)))
    return np.asarray(2 ** np.floor(np.log2(np.maximum(widest, 1))), np.int64)


def earth_polygons(
    points: NDArray[np.float64],
    ring_of_point: NDArray[np.int64],
    owner: NDArray[np.int64],
    place: Place,
    poles: list[Pole],
) -> NDArray[np.object_]:
    """Make polygons in longitude and latitude from rings on a grid.

    Args:
        points: Vertices, float [n, 2] (column, row); the last of a ring is its first.
        ring_of_point: int [n], ascending.
        owner: The polygon of each ring, int [rings], ascending; the first ring of each is its shell, others are holes.
        place: Of the grid.
        poles: Those of the place.

    Returns:
        shapely Polygons and, where the antimeridian cuts one, MultiPolygons; coordinates have nine decimal places.
        Exteriors are counter-clockwise. A polygon is empty that is partly not on Earth as the projection shows it, that
        goes around both poles, or that crosses a cut of the projection itself, where longitudes jump.
    """
    import shapely

    from rsir_tf.rasters import pixel_to_lonlat

    for pole in poles:
        points, ring_of_point = _with_vertex(points, ring_of_point, pole.pixel)
    lon, lat = pixel_to_lonlat(place, points[:, 0], points[:, 1])
    at, beside = np.zeros(len(points)), np.zeros(len(points), np.bool_)
    for pole in poles:
        apart = pole.apart(points)
        at[apart < _SAME] = pole.latitude
        beside |= apart < _BESIDE
    lon, lat = np.where(at != 0, 0.0, lon), np.where(at != 0, at, lat)
    absent = owner[ring_of_point[~(np.isfinite(lon) & np.isfinite(lat))]]
    lon, lat = (np.nan_to_num(each, posinf=0.0, neginf=0.0).round(_DIGITS) for each in (lon, lat))
    polygons = closed(lon, lat, ring_of_point, owner)
    ends = np.append(np.flatnonzero(np.diff(ring_of_point)) + 1, len(points))
    begins = np.insert(ends[:-1], 0, 0)
    within = [_holds(points, begins, ends, pole) for pole in poles]
    jumps = np.append((np.diff(ring_of_point) == 0) & (np.abs(np.diff(lon)) > 180), False)
    special = np.bitwise_or.reduceat(jumps | (at != 0), begins)
    for each in within:
        special |= each
    for index in np.setdiff1d(owner[special], absent):
        flat = []
        for ring in np.flatnonzero(owner == index):
            part = slice(begins[ring], ends[ring] - 1)
            inside = [pole.latitude for pole, each in zip(poles, within, strict=True) if each[ring]]
            flat.append(_flat(lon[part], lat[part], at[part], beside[part], inside))
        polygons[index] = _without(flat)
    polygons[absent] = shapely.Polygon()
    return polygons


def closed(
    x: NDArray[np.float64], y: NDArray[np.float64], ring_of_point: NDArray[np.int64], owner: NDArray[np.int64]
) -> NDArray[np.object_]:
    """Polygons of rings as they are; see `earth_polygons`."""
    import shapely

    lines = shapely.linearrings(np.column_stack([x, y]), indices=ring_of_point)
    return np.asarray(shapely.orient_polygons(shapely.polygons(lines, indices=owner), exterior_cw=False), np.object_)


def _with_vertex(
    points: NDArray[np.float64], ring_of_point: NDArray[np.int64], point: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give the rings on whose sides a point lies a vertex there."""
    sides, way = np.diff(points, axis=0), np.array(point) - points[:-1]
    lengths = np.maximum(np.hypot(*sides.T), _SAME)
    along = (sides * way).sum(axis=1) / lengths
    off = np.abs(sides[:, 0] * way[:, 1] - sides[:, 1] * way[:, 0]) / lengths
    on = (off < _SAME) & (along > 0) & (along < lengths) & (np.diff(ring_of_point) == 0)
    ends = np.minimum(*(np.hypot(*(each - point).T) for each in (points[:-1], points[1:])))
    places = np.flatnonzero(on & (ends >= _SAME)) + 1
    return np.insert(points, places, point, axis=0), np.insert(ring_of_point, places, ring_of_point[places - 1])


def _holds(
    points: NDArray[np.float64], begins: NDArray[np.int64], ends: NDArray[np.int64], pole: Pole
) -> NDArray[np.bool_]:
    """Whether a pole lies within rings and not on them, bool [rings]."""
    import shapely

    low, high = np.minimum.reduceat(points, begins, axis=0), np.maximum.reduceat(points, begins, axis=0)
    found = np.asarray(((low < pole.pixel) & (pole.pixel < high)).all(axis=1))
    for ring in np.flatnonzero(found):
        outline = shapely.Polygon(points[begins[ring] : ends[ring]])
        near = shapely.dwithin(outline.exterior, shapely.Point(pole.pixel), _SAME)
        found[ring] = not near and shapely.contains_xy(outline, *pole.pixel)
    return found


def _flat(
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    at: NDArray[np.float64],
    beside: NDArray[np.bool_],
    inside: list[float],
) -> Any:
    """What a ring encloses, cut at the antimeridian; None where that cannot be told.

    Args:
        lon: Degrees; the first vertex is not given once more at the end.
        lat: Degrees.
        at: The latitude of the pole that a vertex is; otherwise 0.
        beside: Whether a vertex is beside a pole.
        inside: Latitudes of the poles within it.
    """
    import shapely

    touched = np.flatnonzero(at)
    if len(touched) + len(inside) > 1:
        return None
    closing = [*at[touched], *inside]
    # The vertex that is nearest to the pole: from there a meridian leads to it without meeting the ring.
    first = touched[0] if len(touched) else int(np.argmax(lat * closing[0])) if inside else 0
    order = np.roll(np.arange(len(lon)), -first)
    # A pole has every longitude: that of the vertex before it and that of the one after it.
    order = order[1:] if len(touched) else np.append(order, order[0])
    lon, lat, beside = lon[order], lat[order], beside[order]
    steps = np.abs((np.diff(lon) + 180) % 360 - 180)
    if (steps[~(beside[1:] | beside[:-1])] > 90).any():
        return None
    lon, lat = _with_crossings(lon, lat)
    lon = lon - 360 * np.concatenate([[0], np.cumsum(np.round(np.diff(lon) / 360))])
    if not len(touched) and round(abs(lon[-1] - lon[0]) / 360) != len(inside):
        return None
    if closing:
        lon, lat = np.append(lon, [lon[-1], lon[0]]), np.append(lat, [closing[0]] * 2)
    polygon = shapely.Polygon(np.column_stack([lon, lat]))
    return cut(polygon) if polygon.is_valid else None


def _with_crossings(
    lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give a line a vertex wherever it crosses the antimeridian; it is the same whichever way the line leads."""
    jumps = np.flatnonzero(np.abs(np.diff(lon)) > 180)
    jumps = jumps[(np.abs(lon[jumps]) < 180) & (np.abs(lon[jumps + 1]) < 180)]
    west, east = np.where(lon[jumps] > 0, [jumps, jumps + 1], [jumps + 1, jumps])
    before, after = 180 - lon[west], 180 + lon[east]
    crossing = (lat[west] + (lat[east] - lat[west]) * before / (before + after)).round(_DIGITS)
    return np.insert(lon, jumps + 1, np.copysign(180, lon[jumps])), np.insert(lat, jumps + 1, crossing)


def cut(polygon: Any) -> Any:
    """Cut a polygon whose longitudes go on beyond 180 or -180.

    The package antimeridian would do it, but not where vertices lie at 180 itself, as those of images in degrees do.
    """
    import shapely

    west, _, east, _ = polygon.bounds
    pieces = []
    for turn in range(int((west + 180) // 360), int(-((-east - 180) // 360))):
        piece = shapely.intersection(polygon, shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90))
        pieces.append(shapely.transform(piece, lambda degrees, turn=turn: (degrees - (360 * turn, 0)).round(_DIGITS)))
    # Where only a side or a corner lies at 180, there are lines, too.
    parts = shapely.get_parts(shapely.get_parts(np.array(pieces, np.object_)))
    return shapely.union_all(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def _without(flat: list[Any]) -> Any:
    """A shell without its holes; empty where one of them is not known."""
    import shapely

    if any(each is None for each in flat):
        return shapely.Polygon()
    return shapely.orient_polygons(shapely.difference(flat[0], shapely.union_all(flat[1:])), exterior_cw=False)
