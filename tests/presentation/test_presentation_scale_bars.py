"""Scale bars and arrows to the north."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rsir_tf.presentation import Ground, SheetItem, contact_sheet, ground_of
from rsir_tf.presentation.scale_bars import bar_length, draw_ground, length_text
from rsir_tf.rasters import Place


def place(crs: str, x: float, y: float, across: float, down: float, turn: float = 0.0) -> Place:
    """With the origin at the corner of an image of 100×100 pixels; `turn` in degrees, counter-clockwise."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return Place(crs, (across * cos, -down * sin, x, across * sin, down * cos, y))


def test_metres_are_those_on_the_ground() -> None:
    # On the equator a degree of longitude has 2π·6378137 / 360 = 111,319.49 m; at latitude 60° a parallel's radius is
    # a·cos φ / √(1 − e² sin² φ) with e² = 0.00669438, so that a degree has 55,800.00 m.
    for latitude, metres in ((0.0, 111_319.49), (60.0, 55_800.00)):
        found = ground_of(place("EPSG:4326", 9.95, latitude + 0.05, 0.001, -0.001), (100, 100))
        assert found is not None
        assert found.metres == pytest.approx(metres / 1000, rel=1e-5)
        assert found.north == pytest.approx((0, -1), abs=1e-6)
    # Web Mercator is too long by the inverse of the same parallel's radius: 6378137 / 3197104.6 at latitude 60°.
    mercator = ground_of(place("EPSG:3857", 0, 8_399_737.89 + 50, 1, -1), (100, 100))
    assert mercator is not None
    assert mercator.metres == pytest.approx(55_800.00 / 111_319.49, rel=1e-4)


@pytest.mark.parametrize("turn", [0, 30, 104, -90, 180])
def test_the_arrow_turns_with_the_scene(turn: float) -> None:
    # On the central meridian of UTM 32 north is up in the grid; a grid turned counter-clockwise shows it turned so too
    # as seen from the pixels: by −turn from "up", which in pixels (y down) is (−sin, −cos).
    found = ground_of(place("EPSG:32632", 500_000, 5_000_000, 2, -2, turn), (10, 10))
    assert found is not None
    angle = math.radians(turn)
    assert found.north == pytest.approx((math.sin(angle), -math.cos(angle)), abs=1e-4)
    assert found.metres == pytest.approx(2 / 0.9996, rel=1e-4)  # UTM's scale on that meridian


def test_a_south_up_picture_points_down() -> None:
    found = ground_of(place("EPSG:32632", 500_000, 5_000_000, 2, 2), (10, 10))
    assert found is not None
    assert found.north == pytest.approx((0, 1), abs=1e-4)


def test_what_is_not_on_earth_has_none() -> None:
    geostationary = "+proj=geos +h=35785831 +lon_0=-75 +sweep=x +datum=WGS84 +units=m"
    assert ground_of(place(geostationary, 5.4e6, 5.4e6, 1000, -1000), (100, 100)) is None
    assert ground_of(place(geostationary, 0, 0, 1000, -1000), (100, 100)) is not None


@pytest.mark.parametrize(
    ("metres", "width", "length", "text"),
    [
        # A bar takes up to 0.35 of the width: 89.6 pixels of 256.
        (0.3, 256, 20, "20 m"),  # 26.9 m
        (1, 256, 50, "50 m"),
        (30, 256, 2000, "2 km"),  # 2688 m
        (20_055, 542, 2_000_000, "2,000 km"),  # 3804 km
        (0.001, 256, 0.05, "5 cm"),
        (1.4285715, 200, 100, "100 m"),  # 100.0 m, just reached
    ],
)
def test_bars_have_round_lengths(metres: float, width: int, length: float, text: str) -> None:
    assert bar_length(metres, width) == pytest.approx(length)
    assert length_text(length) == text


def test_the_bar_is_as_long_as_it_says() -> None:
    picture = np.full((128, 256, 3), 100, np.uint8)
    drawn = draw_ground(picture, Ground(1.0, (0.0, -1.0)))
    white = (drawn == 255).all(axis=2)
    # 50 m are 50 pixels, from the middle of one end to the middle of the other.
    columns = np.flatnonzero(white[128 - 8 - 1])
    assert columns[-1] - columns[0] == 50
    assert (picture == 100).all()
    # The arrow is drawn at the right of the upper edge, and nothing in the middle.
    assert white[:40, 220:].any()
    assert (drawn[50:90, 60:200] == 100).all()
    small = np.zeros((40, 256, 3), np.uint8)
    assert draw_ground(small, Ground(1.0, (0.0, -1.0))) is small


def test_sheets_show_them_where_places_are_known() -> None:
    image = np.full((512, 512, 3), 100, np.uint8)
    plain = SheetItem("a", image, rank=1, distance=0.0)
    known = SheetItem("a", image, rank=1, distance=0.0, ground=Ground(0.5, (0.0, -1.0)))
    drawn = [contact_sheet(plain, [hit], class_names=(), class_colours=()) for hit in (plain, known)]
    assert drawn[0].shape[0] < drawn[1].shape[0]  # A line below says what the bars are.
    # 512 pixels are drawn with 256, so that a pixel is 1 m; the corner is at (14 + 264 + 14 + 4, 14 + 4).
    white = (drawn[1][18 + 256 - 8 - 1, 296 : 296 + 256] == 255).all(axis=1)
    columns = np.flatnonzero(white)
    assert columns[-1] - columns[0] == 50
    assert not (drawn[0][18 : 18 + 256, 296 : 296 + 256] == 255).all(axis=2).any()
