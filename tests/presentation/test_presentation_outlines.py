"""Polygons of labels: at every pixel they say what the label says, and neighbours share their borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsir_tf.errors import InputError
from rsir_tf.presentation.maps import outlines as maps
from rsir_tf.presentation.maps.outlines import outlines
from rsir_tf.rasters import Place, pixel_to_lonlat

shapely = pytest.importorskip("shapely")

UTM = Place("EPSG:32632", (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_000_000.0))
ROTATED = Place("EPSG:32759", (0.3, 0.4, 300_000.0, 0.4, -0.3, 7_800_000.0))
LABELS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(0, 3))
)


@given(LABELS)
def test_a_pixel_and_the_polygon_at_its_place_agree(labels: np.ndarray) -> None:
    found = outlines(labels)
    assert len(found) == labels.max()
    rows, columns = np.indices(labels.shape)
    for label, outline in enumerate(found, start=1):
        inside = shapely.contains_xy(outline, columns + 0.5, rows + 0.5)
        assert np.array_equal(inside, labels == label)
        assert outline.area == np.count_nonzero(labels == label)
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)


@pytest.mark.parametrize("place", [UTM, ROTATED], ids=["north up", "rotated"])
@settings(max_examples=20)
@given(labels=LABELS)
def test_neighbours_share_their_borders_in_every_coordinate_system(place: Place, labels: np.ndarray) -> None:
    for lonlat in (False, True):
        found = outlines(labels, place, lonlat=lonlat)
        assert shapely.is_valid(found).all()
        assert shapely.coverage_is_valid(found)
        rings = shapely.get_exterior_ring(shapely.get_parts(found[~shapely.is_empty(found)]))
        assert shapely.is_ccw(rings).all()


def test_an_area_in_two_parts_with_a_hole() -> None:
    labels = np.array([[1, 1, 1, 2], [1, 0, 1, 2], [1, 1, 1, 1], [2, 2, 2, 0]])
    one, two = outlines(labels)
    # 1: a block of 3 by 3 without its middle, and one pixel beside its last row. All along sides: one part.
    assert one.equals(shapely.box(0, 0, 3, 3).difference(shapely.box(1, 1, 2, 2)).union(shapely.box(3, 2, 4, 3)))
    assert two.geom_type == "MultiPolygon"
    assert two.equals(shapely.union_all([shapely.box(3, 0, 4, 2), shapely.box(0, 3, 3, 4)]))


def test_corners_alone_do_not_connect_and_absent_labels_are_empty() -> None:
    one, two, three = outlines(np.array([[1, 3], [3, 1]]))
    assert [len(outline.geoms) for outline in (one, three)] == [2, 2]
    assert two.is_empty


def test_borders_are_followed_so_many_pixels_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # 16 squares, each with a border of 4 × 64 pixels and only 5 points.
    labels = np.arange(1, 17).reshape(4, 4).repeat(64, axis=0).repeat(64, axis=1)
    whole, followed, polygons = outlines(labels, UTM, lonlat=True), [], maps._polygons

    def follow(rings: list[np.ndarray], *more: object) -> np.ndarray:
        followed.append(len(rings))
        return polygons(rings, *more)

    monkeypatch.setattr(maps, "_polygons", follow)
    monkeypatch.setattr(maps, "_BATCH", 3 * 256)
    assert shapely.equals_exact(outlines(labels, UTM, lonlat=True), whole).all()
    assert followed == [3, 3, 3, 3, 3, 1]


def test_places_are_those_of_the_pixels_corners() -> None:
    (outline,) = outlines(np.array([[0, 1]]), UTM)
    assert outline.equals(shapely.box(500_000.5, 4_999_999.5, 500_001, 5_000_000))
    (outline,) = outlines(np.array([[1]]), ROTATED)
    # Corner (1, 1): x = 300,000 + 0.3 + 0.4, y = 7,800,000 + 0.4 − 0.3
    assert (300_000.7, 7_800_000.1) in outline.exterior.coords


def test_lonlat_is_gdals_own_and_follows_arcs() -> None:
    from rasterio.warp import transform

    (outline,) = outlines(np.ones((100, 1000), np.int8), Place("EPSG:32632", (30, 0, 3e5, 0, -30, 7e6)), lonlat=True)
    points = shapely.get_coordinates(outline)
    # Every 64 pixels and at the corners: 2 · (16 + 2) − 2 − 2 points along the level sides, and so on.
    assert len(points) == 1 + 4 + 2 * 15 + 2 * 1
    x, y = transform("EPSG:32632", "EPSG:4326", [3e5 + 30 * 64], [7e6])
    assert np.abs(points - (x[0], y[0])).sum(axis=1).min() < 1e-8


@pytest.mark.parametrize(
    "place",
    [
        Place("EPSG:4326", (0.1, 0.0, 175.0, 0.0, -0.1, 10.0)),  # in degrees, beyond 180
        Place("EPSG:32701", (1000.0, 0.0, 130_000.0, 0.0, -1000.0, 8e6)),
    ],
    ids=["degrees", "UTM"],
)
def test_areas_across_the_antimeridian_are_cut_there(place: Place) -> None:
    labels = np.ones((10, 100), np.int32)
    labels[:, 60:] = 2
    labels[2:5, 30:70] = 3
    found = outlines(labels, place, lonlat=True)
    assert found[0].geom_type == "MultiPolygon"
    bounds = shapely.bounds(shapely.get_parts(found))
    assert (bounds[:, 2] - bounds[:, 0] < 60).all()
    assert bounds[:, 0].min() == -180
    assert bounds[:, 2].max() == 180
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)


def test_a_hole_beyond_the_antimeridian_is_a_hole() -> None:
    # Pixels of a thousandth of a degree from 179.95 on: column 50 begins at the antimeridian.
    labels = np.ones((100, 100), np.int32)
    labels[40:50, 70:80], labels[40:50, 20:30], labels[60:65, 45:60] = 2, 3, 4
    found = outlines(labels, Place("EPSG:4326", (0.001, 0, 179.95, 0, -0.001, 10.0)), lonlat=True)
    counts = [10_000 - 275, 100, 100, 75]
    assert shapely.area(found) * 1e6 == pytest.approx(counts)
    assert shapely.coverage_is_valid(found)


WORLD = Place("EPSG:4326", (20.0, 0.0, -180.0, 0.0, -20.0, 90.0))
AROUND = {
    "degrees": Place("EPSG:4326", (40.0, 0.0, -180.0, 0.0, -20.0, 90.0)),
    "degrees from 0": Place("EPSG:4326", (40.0, 0.0, 0.0, 0.0, -20.0, 90.0)),
    "degrees, one side beyond": Place("EPSG:4326", (35.0, 0.0, 90.0, 0.0, -10.0, 60.0)),
    "Mercator": Place("EPSG:3857", (40 * 111_319.49079327357, 0.0, -20_037_508.342789244, 0.0, -4e6, 18e6)),
    "pole between pixels": Place("EPSG:3413", (10.0, 0.0, -40.0, 0.0, -10.0, 50.0)),
    "pole in a pixel": Place("EPSG:3413", (10.0, 0.0, -45.0, 0.0, -10.0, 43.0)),
    "pole on a side": Place("EPSG:3031", (10.0, 0.0, -42.0, 0.0, -10.0, 50.0)),
    "pole at the border": Place("EPSG:3031", (25_000.0, 0.0, -50_000.0, 0.0, -25_000.0, 0.0)),
    "pole at a corner, rotated": Place("EPSG:3413", (3.0, 4.0, 0.0, 4.0, -3.0, 0.0)),
    "pole of UTM": Place("EPSG:32632", (1000.0, 0.0, 495_500.0, 0.0, -1000.0, 10_002_000.0)),
}


@pytest.mark.parametrize("place", AROUND.values(), ids=AROUND)
@settings(max_examples=15, deadline=None)
@given(labels=arrays(np.int32, (9, 9), elements=st.integers(1, 3)))
def test_around_a_pole_and_around_the_earth_areas_cover_the_whole_once(place: Place, labels: np.ndarray) -> None:
    found = outlines(labels, place, lonlat=True)
    found = found[~shapely.is_empty(found)]
    assert shapely.is_valid(found).all()
    if place is not AROUND["degrees from 0"]:  # There, both sides of the image meet, and each has vertices of its own.
        assert shapely.coverage_is_valid(found)
    # All pixels together, each an area of its own, so that their borders have vertices at the same places.
    pixels = outlines(np.arange(1, 82, dtype=np.int32).reshape(9, 9), place, lonlat=True)
    whole = shapely.union_all(pixels)
    assert shapely.union_all(found).symmetric_difference(whole).area < 0.02 * whole.area  # outer sides are chords
    assert shapely.area(found).sum() == pytest.approx(shapely.union_all(found).area, rel=1e-6)
    lon, lat = pixel_to_lonlat(place, *(each + 0.5 for each in np.indices((9, 9))[::-1]))
    for label, x, y in zip(labels.ravel(), lon.ravel(), lat.ravel(), strict=True):
        shown = [shapely.intersects_xy(found[row], x, y) for row in range(len(found))]
        if abs(y) < 89.999999:  # The pole itself may be the middle of a pixel, and has every longitude.
            assert shown[np.unique(labels).tolist().index(label)]


def test_an_image_of_the_whole_earth_has_the_areas_of_its_pixels() -> None:
    labels = np.ones((9, 18), np.int32)
    labels[2:3, 4:5], labels[2:3, 13:14], labels[5:6, 1:17] = 2, 3, 4  # the last from -160 to 160, not the rest
    found = outlines(labels, WORLD, lonlat=True)
    assert shapely.area(found).tolist() == [400 * (162 - 18), 400, 400, 400 * 16]
    assert found[3].equals(shapely.box(-160, -30, 160, -10))


def test_a_cap_reaches_to_the_pole() -> None:
    from rasterio.warp import transform

    (outline,) = outlines(np.ones((4, 4), np.int8), Place("EPSG:3413", (10.0, 0, -20.0, 0, -10.0, 20.0)), lonlat=True)
    # Corners are 20 · √2 m from the pole, the middles of sides 20 m.
    lat = transform("EPSG:3413", "EPSG:4326", [20, 20], [20, 0])[1]
    assert outline.bounds == pytest.approx((-180, lat[0], 180, 90), abs=1e-9)
    assert outline.covers(shapely.box(-180, lat[1] + 1e-9, 180, 90))


@pytest.mark.parametrize("middle", [0, 180])
def test_an_area_around_both_poles_has_no_outline(middle: int) -> None:
    # Poles are a quarter of the way around the Earth from the middle, 10,000 km; sides are 11,000 km away.
    place = Place(f"+proj=aeqd +lat_0=0 +lon_0={middle}", (1e6, 0.0, -11e6, 0.0, -1e6, 11e6))
    labels = np.ones((22, 22), np.int32)
    labels[11, 11] = 2
    around, small = outlines(labels, place, lonlat=True)
    assert around.is_empty
    assert small.area > 0


def test_what_has_no_outline_is_refused() -> None:
    with pytest.raises(InputError, match="no longitude"):
        outlines(np.ones((2, 2), np.int32), lonlat=True)
    with pytest.raises(InputError, match="the reference system 'nonsense' is not known"):
        outlines(np.ones((2, 2), np.int32), Place("nonsense", UTM.transform), lonlat=True)
    for labels in (np.ones((2, 2)), np.full((2, 2), -1), np.ones(4, np.int32), np.ones((0, 2), np.int32)):
        with pytest.raises(InputError, match="labels are"):
            outlines(labels)


def test_no_label_has_no_outline() -> None:
    assert len(outlines(np.zeros((3, 3), np.uint8))) == 0
