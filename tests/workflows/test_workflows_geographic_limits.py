"""Limits of hits on the Earth: near a point, in areas, on the query's ground, against geodesics and GEOS."""

from __future__ import annotations

from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.ranking import Candidates
from rsir_tf.workflows.footprints import Footprints, read_areas
from rsir_tf.workflows.geographic_limits import GeographicLimits, both_of

GEOD = pyproj.Geod(ellps="WGS84")


def footprints(*shapes: shapely.Geometry | None) -> Footprints:
    return Footprints([None if shape is None else shapely.to_wkb(shape) for shape in shapes])


def geodesic(shape: shapely.Geometry, lon: float, lat: float) -> float:
    """Metres from a point to a shape's border: the least of many geodesics, to points 0.2% of the side apart."""
    points = shapely.get_coordinates(
        shapely.segmentize(shape, np.ptp(shapely.get_coordinates(shape), axis=0).max() / 500)
    )
    return min(GEOD.inv(np.full(len(points), lon), np.full(len(points), lat), *points.T)[2])


@example(lon=0.0, lat=-2.0, east=-0.03125, north=-1.0, side=0.046875)  # Its upper side is an arc.
@example(lon=0.0, lat=0.0, east=0.0, north=-0.03125, side=0.046875)  # The point lies on a border.
@given(st.floats(-178, 178), st.floats(-84, 84), st.floats(-1, 1), st.floats(-1, 1), st.floats(1e-3, 0.05))
def test_near_agrees_with_geodesics(lon: float, lat: float, east: float, north: float, side: float) -> None:
    shape = shapely.box(lon + east, lat + north, lon + east + side, lat + north + side)
    if shapely.intersects(shape, shapely.Point(lon, lat)):
        assert footprints(shape).near(lon, lat, 0).tolist() == [True]
        return
    metres = geodesic(shape, lon, lat)
    # Between the sampled points a border may be nearer, by less than half a step.
    step = side / 500 * 111_700
    assert footprints(shape).near(lon, lat, metres + 0.02).tolist() == [True]  # A side may be off by 1.3 cm.
    assert footprints(shape).near(lon, lat, 0.9999 * metres - step).tolist() == [False]


def test_near_across_the_antimeridian_and_far_away() -> None:
    across = shapely.MultiPolygon([shapely.box(179.9, 0, 180, 1), shapely.box(-180, 0, -179.9, 1)])
    found = footprints(across, None, shapely.box(0, -1, 1, 0), shapely.Polygon())
    assert found.known.tolist() == [True, False, True, False]
    # From 179.8° and -179.8° on the equator to the nearest side: 0.1° of 111.3 km.
    for lon in (179.8, -179.8):
        assert found.near(lon, 0, 11_140).tolist() == [True, False, False, False]
        assert found.near(lon, 0, 11_120).tolist() == [False] * 4
    # The antipode of 0.5° E, 0.5° S lies in no way near.
    assert not found.near(-179.5, 0.5, 1_000_000).tolist()[2]


@example(west=-170.0, south=-80.0, width=340.0, height=160.0, lon=10.0, lat=5.0)  # Over the point and its antipode.
@example(west=-60.0, south=-50.0, width=120.0, height=100.0, lon=0.0, lat=0.0)
@example(west=-60.0, south=-50.0, width=120.0, height=100.0, lon=179.995, lat=0.003)  # Over the antipode alone.
@example(west=20.0, south=-90.0, width=100.0, height=180.0, lon=-110.0, lat=0.0)
@example(west=-180.0, south=60.0, width=360.0, height=30.0, lon=0.0, lat=-89.0)  # The north of the Earth.
@settings(max_examples=20, deadline=None)
@given(
    st.floats(-180, 0), st.floats(-90, 0), st.floats(60, 180), st.floats(40, 90), st.floats(-180, 180),
    st.floats(-89, 89),
)  # fmt: skip
def test_near_is_right_for_footprints_as_large_as_continents(
    west: float, south: float, width: float, height: float, lon: float, lat: float
) -> None:
    shape = shapely.box(west, south, west + width, south + height)
    found = footprints(shape)
    if shapely.intersects(shape, shapely.Point(lon, lat)):
        assert found.near(lon, lat, 0).tolist() == [True]
        return
    # Points are width / 500 degrees apart, at most 40 km, so that a border is nearer by less than 20 km.
    metres = geodesic(shape, lon, lat)
    assert found.near(lon, lat, metres + 1).tolist() == [True]
    assert found.near(lon, lat, metres - 20_100).tolist() == [False]


def test_near_a_pole_and_on_the_antimeridian() -> None:
    cap, east = shapely.box(-180, 89, 180, 90), shapely.box(179, 0, 180, 1)
    found = footprints(cap, east)
    assert found.near(77, 90, 0).tolist() == [True, False]
    for lon in (-180, 180, 179.5, -180.5, 539.5):
        assert found.near(lon, 0.5, 0).tolist() == [False, True]


def test_within_counts_common_ground_and_no_common_border(tmp_path: Path) -> None:
    inside, astride, beside, apart = (shapely.box(west, 46, west + 1, 47) for west in (7.5, 8.5, 9, 11))
    in_hole = shapely.box(7.2, 46.2, 7.3, 46.3)
    area = shapely.Polygon(shapely.box(7, 45, 9, 48).exterior.coords, [shapely.box(7.1, 46.1, 7.4, 46.4).exterior])
    found = footprints(inside, astride, beside, apart, in_hole, None)
    for name, crs in (("area.geojson", 4326), ("area.gpkg", 4326)):
        geopandas.GeoDataFrame({"name": ["a"]}, geometry=[area], crs=crs).to_file(tmp_path / name)
        assert found.within(read_areas(str(tmp_path / name))).tolist() == [True, True, False, False, False, False]


def test_areas_in_metres_and_across_the_antimeridian(tmp_path: Path) -> None:
    # The point 9° E, 49.65° N is easting 500,000 of zone 32, northing about 5,500,000.
    square = geopandas.GeoSeries([shapely.box(499_000, 5_499_000, 501_000, 5_501_000)], crs="EPSG:32632")
    square.to_file(tmp_path / "metres.gpkg")
    lonlat = square.to_crs(4326).union_all()
    (area,) = read_areas(str(tmp_path / "metres.gpkg"))
    assert shapely.symmetric_difference(area, lonlat).area < 1e-9 * lonlat.area
    # Written past 180°, as many programs do.
    geopandas.GeoSeries([shapely.box(179, -1, 181, 1)], crs=4326).to_file(tmp_path / "pacific.geojson")
    areas = read_areas(str(tmp_path / "pacific.geojson"))
    found = footprints(shapely.box(179.5, 0, 179.6, 0.1), shapely.box(-179.6, 0, -179.5, 0.1), shapely.box(0, 0, 1, 1))
    assert found.within(areas).tolist() == [True, True, False]


def test_areas_around_a_pole_and_projected_ones_across_the_antimeridian(tmp_path: Path) -> None:
    def read(shape: shapely.Geometry, crs: str) -> shapely.Geometry:
        geopandas.GeoSeries([shape], crs=crs).to_file(tmp_path / "area.gpkg")
        return shapely.union_all(read_areas(str(tmp_path / "area.gpkg")))

    hole = shapely.box(1000, 1000, 2000, 2000)
    for shape in (
        shapely.box(-5000, -5000, 5000, 5000),
        shapely.box(0, -5000, 5000, 5000),
        shapely.box(0, 0, 9e3, 9e3),
    ):
        there, back = shape.difference(hole), pyproj.Transformer.from_crs(4326, 3413, always_xy=True)
        found = read(there, "EPSG:3413")
        for lon in range(-175, 180, 10):
            for lat in (89.999, 89.985, 89.98, 89.96, 89.9):
                point = shapely.Point(back.transform(lon, lat))
                if there.boundary.distance(point) > 1:
                    assert found.contains(shapely.Point(lon, lat)) == there.contains(point)
    # Zone 60 ends at the antimeridian; at 10° N that is easting 828,800.
    found = read(shapely.box(800_000, 1_100_000, 900_000, 1_200_000), "EPSG:32660")
    assert found.geom_type == "MultiPolygon"
    # 100 km a side: a degree is 109.6 km to the east and 110.6 km to the north, and the scale is 1 within 0.2%.
    assert found.area == pytest.approx(1e10 / 109_600 / 110_600, rel=0.01)
    holes = [shapely.box(180.2, 0.2, 180.4, 0.4), shapely.box(179.2, 0.2, 179.4, 0.4)]
    assert read(shapely.box(179, 0, 181, 1) - shapely.union_all(holes), "EPSG:4326").area == pytest.approx(2 - 0.08)


def test_an_area_of_several_parts_with_holes_in_metres(tmp_path: Path) -> None:
    # Two squares of 10 km, 20 km apart; the western one has a hole of 4 km. Without the .prj it would be in degrees.
    west = shapely.Polygon(
        shapely.box(500_000, 5_500_000, 510_000, 5_510_000).exterior.coords,
        [shapely.box(503_000, 5_503_000, 507_000, 5_507_000).exterior],
    )
    both = shapely.MultiPolygon([west, shapely.box(530_000, 5_500_000, 540_000, 5_510_000)])
    frame = geopandas.GeoDataFrame({"name": ["a"]}, geometry=[both], crs="EPSG:32632")

    def ground(easting: float, northing: float) -> shapely.Geometry:
        chip = shapely.box(easting, northing, easting + 256, northing + 256)
        return geopandas.GeoSeries([chip], crs="EPSG:32632").to_crs(4326).iloc[0]

    places = [(501_000, 5_501_000), (505_000, 5_505_000), (535_000, 5_505_000), (520_000, 5_505_000)]
    found = footprints(*(ground(*place) for place in places), ground(502_900, 5_505_000))  # the last on the hole's rim
    for name in ("area.shp", "area.gpkg"):
        frame.to_file(tmp_path / name)
        assert found.within(read_areas(str(tmp_path / name))).tolist() == [True, False, True, False, True]


def test_areas_that_are_none(tmp_path: Path) -> None:
    geopandas.GeoSeries([shapely.Point(8, 47)], crs=4326).to_file(tmp_path / "points.geojson")
    with pytest.raises(InputError, match=r"points\.geojson: holds Point; wanted polygons"):
        read_areas(str(tmp_path / "points.geojson"))
    # A bow tie is made valid: two triangles.
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    geopandas.GeoSeries([bow], crs=4326).to_file(tmp_path / "bow.geojson")
    assert shapely.area(read_areas(str(tmp_path / "bow.geojson"))).sum() == pytest.approx(0.5)


def test_common_ground_is_measured_by_the_smaller_footprint() -> None:
    query = shapely.box(0, 0, 4, 4)
    half, less, quarter_of_query, neighbour = (
        shapely.box(2, 0, 6, 4), shapely.box(2.1, 0, 6.1, 4), shapely.box(1, 1, 3, 3), shapely.box(4 - 1e-9, 0, 8, 4),
    )  # fmt: skip
    found = footprints(half, less, quarter_of_query, neighbour, None)
    assert found.sharing(query, 0.5).tolist() == [0, 2]
    assert found.sharing(query, 0.001).tolist() == [0, 1, 2]


def test_limits_that_cannot_be() -> None:
    with pytest.raises(InputError, match="the longitude first"):
        GeographicLimits(near=(47, 108, 1))
    with pytest.raises(InputError, match="-1 km; wanted a number of at least 0"):
        GeographicLimits(near=(8, 47, -1))
    with pytest.raises(InputError, match="wanted one of them"):
        GeographicLimits(same_place=True, elsewhere=True)
    assert not GeographicLimits()


def test_several_limits_leave_what_all_leave() -> None:
    one, other = Candidates(np.array([3, 1, 2]), complete=True), Candidates(np.array([2, 3, 9]), complete=True)
    both = both_of([one, None, other])
    assert both is not None
    assert (both.rows.tolist(), both.complete) == ([2, 3], True)
    assert both_of([None, None]) is None
