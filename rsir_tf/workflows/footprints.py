"""The ground that the images of an index show: which lie near a point, in areas, or on another image's ground."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters import Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index

LONLAT = "EPSG:4326"
EARTH = 6_371_000.0
"""Metres from the Earth's centre, for a first choice; distances themselves are those on WGS 84."""

QUARTER = 1e7
"""Metres: about a quarter of the way around the Earth."""

_UNITS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # of a place whose pixels are the units of its reference system
_STEPS = 512  # of an area's longest side


class Footprints:
    """Footprints in longitude and latitude, row by row.

    Args:
        encoded: WKB of each, cut at the antimeridian; None where a place is not known.

    Attributes:
        geometries: Shapely's, [N]; None where a place is not known.
        known: bool [N].
    """

    def __init__(self, encoded: Sequence[bytes | None]) -> None:
        import shapely

        wkb = np.empty(len(encoded), dtype=object)
        wkb[:] = encoded
        self.geometries: NDArray[np.object_] = np.asarray(shapely.from_wkb(wkb), dtype=object)
        # Of an image that is only partly on Earth the outline is empty.
        self.known: NDArray[np.bool_] = ~(shapely.is_missing(self.geometries) | shapely.is_empty(self.geometries))

    @cached_property
    def _tree(self) -> Any:
        import shapely

        return shapely.STRtree(self.geometries)  # Rows keep their numbers: what is missing is never found.

    def near(self, lon: float, lat: float, metres: float) -> NDArray[np.bool_]:
        """Which footprints come as near to a point as this: bool [N].

        The distance is that on WGS 84 from the point to the nearest spot of the footprint, and 0 within it.

        Args:
            lon: Degrees.
            lat: Degrees.
            metres: The largest distance.
        """
        import shapely

        found = self._shows(lon, lat)
        rows = np.flatnonzero(self._may_reach(lon, lat, metres) & ~found)
        if len(rows):
            # The outline, since around a point's antipode inside and outside of a projected polygon change places.
            outlines, owners = shapely.get_parts(shapely.boundary(self.geometries[rows]), return_index=True)
            nearest = np.full(len(rows), np.inf)
            np.minimum.at(nearest, owners, _distances(lon, lat, outlines))
            found[rows] = nearest <= metres + 1e-3  # Rounding moves a border away from a point that lies on it.
        return found

    def _shows(self, lon: float, lat: float) -> NDArray[np.bool_]:
        """Which footprints a point lies in, or on the border of: bool [N]."""
        import shapely

        lon = (lon + 180) % 360 - 180
        if abs(lat) == 90:
            same: Any = [shapely.LineString([(-180, lat), (180, lat)])]  # A pole has every longitude.
        else:
            same = shapely.points([(lon, lat), (180 if lon == -180 else lon, lat)])
        found = np.zeros(len(self.geometries), dtype=bool)
        found[self._tree.query(same, predicate="intersects")[1]] = True
        return found

    def at(self, lon: float, lat: float) -> int | None:
        """The row of the footprint that shows a place: of several, the one whose middle is nearest to it; or None.

        Args:
            lon: Degrees.
            lat: Degrees.
        """
        import shapely

        point = shapely.Point(lon, lat)
        rows = np.sort(self._tree.query(point, predicate="intersects"))
        if not len(rows):
            return None
        middles = shapely.centroid(self.geometries[rows])
        return int(rows[np.argmin(shapely.distance(middles, point))])

    def within(self, areas: NDArray[np.object_]) -> NDArray[np.bool_]:
        """Which footprints share ground with an area: bool [N]. A common border alone is no common ground.

        Args:
            areas: Polygons in longitude and latitude, cut at the antimeridian.
        """
        import shapely

        shapely.prepare(areas)
        meeting, rows = self._tree.query(areas, predicate="intersects")
        found = np.zeros(len(self.geometries), dtype=bool)
        found[rows[~shapely.touches(areas[meeting], self.geometries[rows])]] = True
        return found

    def sharing(self, ground: Any, least: float) -> NDArray[np.int64]:
        """Rows of the footprints that share ground with another footprint, ascending.

        Args:
            ground: The other footprint.
            least: How much of the smaller of the two must be common, a fraction above 0.
        """
        import shapely

        rows = np.sort(self._tree.query(ground, predicate="intersects"))
        others = self.geometries[rows]
        smaller = np.minimum(shapely.area(others), shapely.area(ground))
        common = shapely.area(shapely.intersection(others, ground))
        return np.asarray(rows[(common >= least * smaller) & (common > 0)], dtype=np.int64)

    def _may_reach(self, lon: float, lat: float, metres: float) -> NDArray[np.bool_]:
        """A first, quick choice of outlines that can come so near to a point; it leaves out none that does."""
        import shapely

        points, rows = shapely.get_coordinates(self.geometries, return_index=True)
        apart = np.full(len(self.geometries), np.inf)
        np.minimum.at(apart, rows, _angle(points, np.array([[lon, lat]])))
        west, south, east, north = shapely.bounds(self.geometries).T
        size = np.radians(np.hypot(np.minimum(east - west, 360.0), north - south))
        # No spot of an outline is farther from the nearest corner than the footprint's own size.
        return np.asarray(self.known & (apart <= 1.01 * metres / EARTH + size))


def _distances(lon: float, lat: float, lines: NDArray[np.object_]) -> NDArray[np.float64]:
    """Metres from a point to lines, on WGS 84: [n], of LineStrings in longitude and latitude."""
    import shapely

    from rsir_tf.rasters.vectors import transformed

    # Around its centre this projection keeps distances on the ellipsoid. Sides are straight in degrees, and in it
    # only nearly so: those of a hundredth of a degree are off by 1.3 cm at most.
    around = f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m"
    points, owners = shapely.get_coordinates(
        transformed(shapely.segmentize(lines, 0.01), LONLAT, around), return_index=True
    )
    begins, sides = points[:-1], np.diff(points, axis=0)
    squares = np.maximum((sides**2).sum(axis=1), 1e-12)
    along = np.clip(-(begins * sides).sum(axis=1) / squares, 0, 1)
    apart = np.hypot(*points.T)
    # Beyond a quarter of the way around the Earth an end of a side is its nearest spot, and a side beside the point's
    # antipode, which is a circle there, may lead through the whole projection. Nor is there a side between two lines.
    along[(apart[:-1] > QUARTER) | (np.diff(owners) != 0)] = 0
    found = np.full(len(lines), np.inf)
    np.minimum.at(found, owners, apart)
    np.minimum.at(found, owners[:-1], np.hypot(*(begins + along[:, None] * sides).T))
    return found


def _angle(points: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between directions from the Earth's centre, radians; (lon, lat) in degrees, [k, 2]."""
    first, second = (np.radians(each).T for each in (points, other))
    halves = np.sin((first - second) / 2) ** 2
    return np.asarray(
        2 * np.arcsin(np.sqrt(np.clip(halves[1] + np.cos(first[1]) * np.cos(second[1]) * halves[0], 0, 1)))
    )


def image_at(index: Index, lon: float, lat: float) -> int:
    """The row of the image of an index that shows a place: of several, the one whose middle is nearest to it.

    Args:
        index: Whose images have places.
        lon: Degrees.
        lat: Degrees.

    Raises:
        InputError: No image shows it.
    """
    import shapely

    footprints = Footprints(index.images.footprints)
    row = footprints.at(lon, lat)
    if row is None:
        known = footprints.geometries[footprints.known]
        sides = " ".join(f"{side:.6f}" for side in shapely.total_bounds(known)) if len(known) else "nothing"
        raise InputError(
            f"{index.path}: none of its images shows longitude {lon}, latitude {lat}",
            wanted=f"a place within what they show, {sides} (west south east north)",
        )
    return row


def read_areas(path: str) -> NDArray[np.object_]:
    """Read the areas of a vector file as polygons in longitude and latitude, cut at the antimeridian.

    Args:
        path: GeoJSON, GeoPackage or shapefile, in any reference system that it names.

    Raises:
        InputError: It cannot be read, has no reference system, holds no polygon, or one without an outline in longitude
            and latitude: partly not on Earth, or around both poles.
    """
    import shapely

    from rsir_tf.presentation.maps.earth_rings import cut
    from rsir_tf.rasters.vectors import read_vectors, transformed

    vectors = read_vectors(path)
    own = _polygons(vectors.geometries)
    if not len(own):
        kinds = ", ".join(sorted({shape.geom_type for shape in vectors.geometries.tolist() if shape is not None}))
        raise InputError(f"{path}: holds {kinds or 'nothing'}", wanted="polygons")
    torn = _torn(own, vectors.crs)
    areas = _polygons(transformed(own[~torn], vectors.crs, LONLAT))
    followed = _followed(own[torn], vectors.crs)
    if shapely.is_empty(followed).any():
        raise InputError(
            f"{path}: holds an area that has no outline in longitude and latitude",
            wanted="areas on Earth that do not reach around both poles",
            cure="give the area in parts",
        )
    west, _, east, _ = shapely.bounds(areas).T
    beyond = (west < -180) | (east > 180)
    more = np.array([cut(area) for area in areas[beyond].tolist()], dtype=object)
    return np.concatenate([areas[~beyond], shapely.get_parts(more), shapely.get_parts(followed)])


def _polygons(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    """The polygons of shapes, made valid."""
    import shapely

    sound = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    parts = shapely.get_parts(sound[~shapely.is_missing(sound)])
    kept = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    return np.asarray(parts[kept], dtype=object)


def _torn(polygons: NDArray[np.object_], crs: str) -> NDArray[np.bool_]:
    """Which polygons hold a pole or cross the antimeridian, where their longitudes jump: bool [n]."""
    import shapely
    from rasterio.crs import CRS

    from rsir_tf.presentation.maps.earth_rings import poles_of
    from rsir_tf.rasters.vectors import transformed

    found = np.zeros(len(polygons), dtype=bool)
    if CRS.from_user_input(crs).is_geographic:  # They go on beyond 180.
        return found
    for pole in poles_of(Place(crs, _UNITS)):
        found |= shapely.dwithin(polygons, shapely.Point(pole.pixel), 1e-3)
    rest = np.flatnonzero(~found)
    points, rows = shapely.get_coordinates(transformed(polygons[rest], crs, LONLAT), return_index=True)
    found[rest[rows[1:][(np.abs(np.diff(points[:, 0])) > 180) & (np.diff(rows) == 0)]]] = True
    return found


def _followed(polygons: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """Polygons in longitude and latitude, their sides followed in many steps; see `earth_polygons`."""
    import shapely

    from rsir_tf.presentation.maps.earth_rings import earth_polygons, poles_of

    if not len(polygons):
        return polygons
    plane = Place(crs, _UNITS)
    west, south, east, north = shapely.bounds(polygons).T
    sides = shapely.segmentize(polygons, np.maximum(east - west, north - south) / _STEPS)
    rings, owners = shapely.get_rings(sides, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    return earth_polygons(points, ring_of_point, owners, plane, poles_of(plane))
