"""Places: against rasterio, there and back, and outlines that cross longitude 180° or hold a pole."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rasterio.warp import transform

from rsir_tf.errors import InputError
from rsir_tf.rasters import (
    FileSource,
    Place,
    footprint,
    ground_resolution,
    lonlat_to_pixel,
    pixel_to_lonlat,
    web_tile_place,
)
from rsir_tf.rasters.places import pixel_areas

# Pixels of 10 m, turned by 30° clockwise, in UTM zone 33.
TURNED = Place("EPSG:32633", (8.660254, -5.0, 500000.0, -5.0, -8.660254, 5000000.0))
PLACES = [
    Place("EPSG:32633", (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0)),
    Place("EPSG:4326", (0.001, 0.0, 12.0, 0.0, -0.001, 50.0)),
    Place("EPSG:3857", (1.2, 0.0, 1.5e6, 0.0, -1.2, 6e6)),
    Place("EPSG:27700", (10.0, 0.0, 257070.0, 0.0, -10.0, 285728.0)),
    TURNED,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_footprints_corners_are_rasterios(place: Place) -> None:
    height, width = 300, 400
    # Upper left, lower left, lower right, upper right: counter-clockwise where rows run south.
    a, b, c, d, e, f = place.transform
    pixels = [(0, 0), (0, height), (width, height), (width, 0)]
    corners = [(a * column + b * row + c, d * column + e * row + f) for column, row in pixels]
    lon, lat = transform(place.crs, "EPSG:4326", *zip(*corners, strict=True))
    outline = footprint(place, (height, width))
    assert outline.geom_type == "Polygon"
    assert outline.exterior.is_ccw
    points = np.asarray(outline.exterior.coords)
    for corner in zip(lon, lat, strict=True):
        assert np.abs(points - corner).max(axis=1).min() < 1e-9


@given(st.sampled_from(PLACES), st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_there_and_back_is_the_same_pixel(place: Place, column: float, row: float) -> None:
    found = lonlat_to_pixel(place, *pixel_to_lonlat(place, column, row))
    np.testing.assert_allclose(found, (column, row), atol=1e-4)


def test_longitude_comes_first_whatever_the_authority_says() -> None:
    # EPSG:4326 has latitude first; a picture from 12° east, 50° north has longitude as its x all the same.
    lon, lat = pixel_to_lonlat(Place("EPSG:4326", (0.01, 0.0, 12.0, 0.0, -0.01, 50.0)), 100, 100)
    assert (float(lon), float(lat)) == pytest.approx((13, 49))


def test_an_edge_that_the_projection_bends_has_more_points() -> None:
    # A parallel in UTM is a curve: over 3° at latitude 60° it leaves its chord by some 0.01°.
    place = Place("EPSG:32633", (1000.0, 0.0, 300000.0, 0.0, -1000.0, 6700000.0))
    outline = footprint(place, (300, 300))
    assert len(outline.exterior.coords) > 5
    lon, lat = pixel_to_lonlat(place, np.linspace(0, 300, 500), np.zeros(500))
    # Points of the upper edge lie on the outline to a tenth of a pixel: 100 m are about 0.0018° of longitude here.
    assert shapely.distance(outline.exterior, shapely.points(lon, lat)).max() < 0.0018
    assert len(footprint(PLACES[0], (256, 256)).exterior.coords) == 5


def test_a_footprint_is_cut_at_longitude_180() -> None:
    # 300 km wide at latitude 62° in UTM zone 1, whose west edge is longitude 180°; it begins west of it.
    outline = footprint(Place("EPSG:32601", (100.0, 0.0, 200000.0, 0.0, -100.0, 7000000.0)), (2000, 3000))
    assert outline.geom_type == "MultiPolygon"
    assert outline.is_valid
    west, east = sorted(outline.geoms, key=lambda part: part.bounds[0])
    assert (west.bounds[0], east.bounds[2]) == (-180, 180)
    assert all(part.exterior.is_ccw for part in outline.geoms)
    # As large as the same scene in a zone where it crosses nothing.
    elsewhere = footprint(Place("EPSG:32633", (100.0, 0.0, 200000.0, 0.0, -100.0, 7000000.0)), (2000, 3000))
    assert outline.area == pytest.approx(elsewhere.area, rel=1e-6)


def test_a_box_of_degrees_is_cut_along_its_parallels() -> None:
    outline = footprint(Place("EPSG:4326", (0.1, 0.0, 179.5, 0.0, -0.1, 10.0)), (20, 20))
    assert outline.equals(shapely.union(shapely.box(179.5, 8, 180, 10), shapely.box(-180, 8, -178.5, 10)))


@pytest.mark.parametrize(("west", "east"), [(170, 190), (-190, -170), (0, 360), (-180, 180), (10, 350), (-170, 170)])
def test_degrees_may_go_on_beyond_180(west: int, east: int) -> None:
    shape = (20, 100)
    place = Place("EPSG:4326", ((east - west) / 100, 0.0, west, 0.0, -1.0, 10.0))
    columns = np.arange(100) + 0.5
    lon, lat = pixel_to_lonlat(place, columns, 10)
    x = west + columns * (east - west) / 100
    assert (np.abs(lon) <= 180).all()
    np.testing.assert_allclose(np.cos(np.radians(lon - x)), 1)
    for turn in (-360, 0, 360):
        found, rows = lonlat_to_pixel(place, lon + turn, lat, shape)
        np.testing.assert_allclose(found, columns, atol=1e-6)
        np.testing.assert_allclose(rows, 10, atol=1e-6)
    outline = footprint(place, shape)
    assert outline.area == pytest.approx((east - west) * 20)
    assert shapely.contains_xy(outline, lon, lat).all()


def test_beyond_180_a_longitude_is_found_without_a_shape() -> None:
    # 181.5 is 11.5 degrees from the left edge, 115 columns.
    column, _ = lonlat_to_pixel(Place("EPSG:4326", (0.1, 0.0, 170.0, 0.0, -0.1, 10.0)), -178.5, 5)
    assert float(column) == pytest.approx(115)
    # What lies left of a scene stays there, and what lies far right of its corner too.
    world = Place("EPSG:4326", (1.0, 0.0, -180.0, 0.0, -1.0, 90.0))
    np.testing.assert_allclose(lonlat_to_pixel(world, [-180, 0, 179, 180], [0] * 4)[0], [0, 180, 359, 360])
    # NTF (Paris) counts grads from Paris, 2.337° east of Greenwich: half of the Earth is 200.
    paris = Place("EPSG:4807", (1.0, 0.0, 190.0, 0.0, -1.0, 10.0))
    lon, lat = pixel_to_lonlat(paris, 20, 5)
    assert float(lon) == pytest.approx(210 * 0.9 + 2.3372 - 360, abs=1e-3)
    assert float(lonlat_to_pixel(paris, lon, lat)[0]) == pytest.approx(20)


def test_metres_that_are_called_degrees_lie_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    place = Place("EPSG:4326", (10.0, 0.0, 500000.0, 0.0, -10.0, 5000000.0))
    assert np.isinf(pixel_to_lonlat(place, 3, 4)).all()
    assert footprint(place, (64, 64)).is_empty
    with pytest.raises(InputError, match="is not on Earth"):
        ground_resolution(place, (64, 64))
    # The corner of a grid of 1°, whose first centre is the pole.
    assert float(pixel_to_lonlat(Place("EPSG:4326", (1.0, 0.0, 0.0, 0.0, -1.0, 90.5)), 0, 0)[1]) == 90
    with pytest.raises(InputError, match="is not known"):
        footprint(Place("+proj=aeqd +lat_0=100", place.transform), (64, 64))
    assert capfd.readouterr() == ("", "")


def test_a_scene_over_the_pole_has_the_pole_in_its_footprint() -> None:
    outline = footprint(Place("EPSG:3031", (1000.0, 0.0, -500000.0, 0.0, -1000.0, 500000.0)), (1000, 1000))
    assert outline.is_valid
    assert outline.bounds[:3] == (-180, -90, 180)


def test_what_is_not_on_earth_has_no_footprint() -> None:
    crs = "+proj=geos +h=35785831 +lon_0=-75 +sweep=x +ellps=GRS80"  # The corners of a full disk show space.
    place = Place(rasterio.crs.CRS.from_string(crs).to_wkt(), (20000.0, 0.0, -5.4e6, 0.0, -20000.0, 5.4e6))
    assert footprint(place, (540, 540)).is_empty
    assert not footprint(Place(place.crs, (20000.0, 0.0, -1e6, 0.0, -20000.0, 1e6)), (100, 100)).is_empty


def test_metres_a_pixel_are_those_of_the_ground() -> None:
    # UTM's scale on its middle meridian is 0.9996: 10 m of the map are 10 / 0.9996 m of the ground.
    assert ground_resolution(PLACES[0], (2, 2)) == pytest.approx(10 / 0.9996, rel=1e-6)
    assert ground_resolution(TURNED, (2, 2)) == pytest.approx(10 / 0.9996, rel=1e-6)
    # Web Mercator stretches by 1 / cos(60°) = 2, but for the Earth's flattening (below 0.4%).
    y = math.log(math.tan(math.radians(75))) * 6378137
    assert ground_resolution(Place("EPSG:3857", (10.0, 0.0, 0.0, 0.0, -10.0, y)), (2, 2)) == pytest.approx(5, rel=4e-3)


def test_a_reference_system_that_is_not_on_earth_is_refused() -> None:
    local = rasterio.crs.CRS.from_wkt('LOCAL_CS["yard",UNIT["metre",1]]').to_wkt()
    with pytest.raises(InputError, match="there is no way from"):
        footprint(Place(local, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)), (10, 10))
    with pytest.raises(InputError, match="is not known"):
        footprint(Place("EPSG:999999", (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)), (10, 10))


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("data/1/1/0.png", "{z}/{x}/{y}.png"),
        ("OAM-1-0-1.tif", "OAM-{x}-{y}-{z}.tif"),
        ("tms/1/1/1.png", "{z}/{x}/{-y}.png"),
    ],
)
def test_web_tiles_lie_where_their_names_say(path: str, pattern: str) -> None:
    # Zoom 1 has four tiles; column 1, row 0 is the north-eastern one: from (0, 0) to the corner of the world.
    half = math.pi * 6378137
    place = web_tile_place(path, pattern, (256, 512))
    assert place is not None
    assert place.crs == "EPSG:3857"
    assert place.transform == pytest.approx((half / 512, 0, 0, 0, -half / 256, half), abs=1e-3)


def test_names_that_are_no_tiles() -> None:
    with pytest.raises(InputError, match="nothing tells where one number ends"):
        web_tile_place("19386690220241.png", "{z}{x}{y}.png", (256, 256))
    assert web_tile_place("a.tif", "OAM-{x}-{y}-{z}.tif", (512, 512)) is None
    with pytest.raises(InputError, match="outside the world; check the order"):
        web_tile_place("OAM-1-5-1.tif", "OAM-{x}-{y}-{z}.tif", (512, 512))


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32632", (10, 0, 500_000, 0, -10, 5_500_000)),
        ("EPSG:3857", (100, 0, 20_037_400, 0, -100, 8_000_000)),  # Its middle is beyond longitude 180.
        ("EPSG:4326", (0.1, 0.02, 30, 0.03, -0.1, 60)),
        ("EPSG:3413", (25_000, 0, -1_250_000, 0, -25_000, 1_250_000)),  # Around the pole.
        ("+proj=geos +h=35785831 +lon_0=-75 +sweep=y", (20_000, 0, -1_000_000, 0, -20_000, 5_000_000)),
    ],
)
def test_pixels_cover_what_their_outlines_do(crs: str, transform: tuple[float, ...]) -> None:
    # Against the area of the geodesic polygon with 32 points; geodesics and lines of the grid differ by less than 1e-4.
    place = Place(crs, transform)
    sides = np.linspace(0, 1, 8, endpoint=False)
    for column, row in ((0, 0), (40, 20), (49, 49), (50, 49), (70, 30)):
        x, y = (
            np.concatenate([sides, 0 * sides + 1, 1 - sides, 0 * sides]),
            np.concatenate([0 * sides, sides, 0 * sides + 1, 1 - sides]),
        )
        lon, lat = pixel_to_lonlat(place, column + x, row + y)
        wanted = abs(pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])
        assert pixel_areas(place, column + 0.5, row + 0.5) == pytest.approx(wanted, rel=1e-3)
    assert np.isnan(pixel_areas(Place("EPSG:4326", (1, 0, 0, 0, -1, 100)), 0.5, 0.5))


def test_a_world_file_and_a_reference_system_beside_a_picture_place_it(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file)
    source = FileSource(file)
    assert source.place is None
    # A world file has the centre of the first pixel: half a pixel right of and below its corner.
    file.with_suffix(".pgw").write_text("10\n0\n0\n-10\n500005\n4999995\n")
    assert source.place is None  # On which plane it does not say.
    file.with_suffix(".prj").write_text(rasterio.crs.CRS.from_epsg(32633).to_wkt(version="WKT1_ESRI"))
    assert source.place is not None
    assert rasterio.crs.CRS.from_user_input(source.place.crs).to_epsg(confidence_threshold=20) == 32633
    assert source.place.transform == (10, 0, 500000, 0, -10, 5000000)


def test_gdals_own_file_beside_a_picture_places_it(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file)
    (tmp_path / "a.jpg.aux.xml").write_text(
        f"<PAMDataset><SRS>{rasterio.crs.CRS.from_epsg(32633).to_wkt()}</SRS>"
        "<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform></PAMDataset>"
    )
    assert FileSource(file).place == Place("EPSG:32633", (10, 0, 500000, 0, -10, 5000000))
