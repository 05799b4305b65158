"""Contact sheets: frames, numbers on regions, and what does not fit together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.presentation import (
    SheetItem,
    contact_sheet,
)
from rsir_tf.presentation.badges import BADGE_COLOURS, draw_badges, inner_point, largest_regions
from rsir_tf.presentation.contact_sheets import OTHER_SCENE, QUERY, SAME_SCENE
from rsir_tf.rasters import read_image

NAMES = ("grass", "water")
COLOURS = ((0, 200, 0), (0, 0, 200))


def item(name, scene=None, **more):
    """A 32×48 grey picture: left half grass (region 1), right half water (region 2)."""
    segmentation = np.zeros((32, 48), dtype=np.uint8)
    segmentation[:, 24:] = 1
    labels = segmentation.astype(np.int32) + 1
    return SheetItem(name, np.full((32, 48, 3), 100, np.uint8), segmentation, labels, scene=scene, **more)


def draw(query, hits, **more):
    return contact_sheet(query, hits, class_names=NAMES, class_colours=COLOURS, side=96, **more)


def count(picture, colour):
    return int((picture == np.array(colour, dtype=np.uint8)).all(axis=2).sum())


def test_frames_tell_the_scene():
    hits = [item("a", "lake", rank=1, distance=0.0), item("b", "forest", rank=2, distance=3.5), item("c", rank=3)]
    picture = draw(item("q", "lake"), hits)
    # A frame of 4 pixels around 96×64 pixels: 2·4·(96 + 64 + 2·4).
    frame = 2 * 4 * (96 + 64 + 8)
    assert count(picture, QUERY) == frame
    assert count(picture, SAME_SCENE) == frame
    assert count(picture, OTHER_SCENE) == frame
    # Tiles are 104 wide, 14 apart, and the 64 rows of pixels stand in the middle of their place.
    assert [tuple(picture[14 + 52, 14 + n * 118].tolist()) for n in range(3)] == [QUERY, SAME_SCENE, OTHER_SCENE]
    unknown = draw(item("q"), hits)
    assert count(unknown, SAME_SCENE) == 0
    assert count(unknown, OTHER_SCENE) == 0


def test_matched_regions_carry_the_numbers_of_the_query():
    # Both query regions match region 1 (0 as a row) of the hit: both numbers stand in its left half.
    hit = item("a", rank=1, distance=1.0, matches=[(0, 0, 0.5), (1, 0, 1.5)])
    picture = draw(item("q"), [hit])
    for colour in BADGE_COLOURS[:2]:
        columns = np.flatnonzero((picture == np.array(colour, np.uint8)).all(axis=2).any(axis=0))
        # Query tile from x = 14, hit tile from 14 + 104 + 14: its left half ends at 132 + 4 + 48.
        assert columns.min() < 14 + 104
        assert 132 < columns.max() < 132 + 4 + 48
    assert count(picture, BADGE_COLOURS[2]) == 0


def test_only_so_many_regions_are_numbered():
    hit = item("a", rank=1, distance=1.0, matches=[(0, 0, 0.5), (1, 1, 1.5)])
    picture = draw(item("q"), [hit], numbered=1)
    assert count(picture, BADGE_COLOURS[0]) > 0
    assert count(picture, BADGE_COLOURS[1]) == 0
    plain = draw(item("q"), [dataclasses.replace(hit, matches=())])
    assert count(plain, BADGE_COLOURS[0]) == 0


def test_outlines_have_their_class_colours():
    picture = draw(item("q"), [])
    # One border, 64 pixels high, a line on each side; the legend's swatches have 11×11 pixels inside their outline.
    assert count(picture, COLOURS[0]) == count(picture, COLOURS[1]) == 64 + 11 * 11


def test_rows_hold_so_many_hits():
    hits = [item(str(n), rank=n, distance=n * 1.0) for n in range(1, 6)]
    wide, narrow = draw(item("q"), hits, columns=5), draw(item("q"), hits, columns=2)
    tile, margin = 96 + 8, 14
    assert wide.shape[1] == 6 * tile + 7 * margin
    assert narrow.shape[1] == 3 * tile + 4 * margin
    assert narrow.shape[0] > 2 * tile


def test_plain_images_void_and_endless_distances_are_shown():
    plain = SheetItem("x", np.full((20, 20, 3), 7, np.uint8), rank=1, distance=float("inf"), tags=())
    void = dataclasses.replace(item("v"), segmentation=np.full((32, 48), 255, np.uint8), labels=None)
    picture = draw(void, [plain])
    assert count(picture, (7, 7, 7)) == 96 * 96
    assert count(picture, (128, 128, 128)) >= 11 * 11


def test_what_does_not_fit_together_is_refused():
    query = item("q")
    for bad in (
        dataclasses.replace(query, segmentation=np.zeros((5, 5), np.uint8)),
        dataclasses.replace(query, labels=np.zeros((5, 5), np.int32)),
        dataclasses.replace(query, segmentation=np.full((32, 48), 2, np.uint8)),
    ):
        with pytest.raises(InputError, match="q: "):
            draw(query, [bad])
    for match in ((2, 0, 1.0), (0, 2, 1.0)):
        with pytest.raises(InputError, match="matches region 2"):
            draw(query, [item("a", matches=[match])])
    with pytest.raises(InputError, match="columns"):
        draw(query, [], columns=0)


def test_inner_point_lies_inside_where_the_centroid_does_not():
    # A frame around the whole picture, thickest on the right: its centroid is in the hole.
    inside = np.zeros((30, 40), dtype=bool)
    inside[:3] = inside[-3:] = inside[:, :3] = inside[:, 31:] = True
    row, column = inner_point(inside)
    assert inside[row, column]
    assert column in (35, 36)  # The middle of columns 31 to 39.


def test_largest_regions_by_area_then_number():
    labels = np.array([[1, 1, 2, 2, 3, 3, 3, 0, 0, 0, 0, 5]], dtype=np.int32)
    assert largest_regions(labels, 3) == [3, 1, 2]
    assert largest_regions(labels, 9) == [3, 1, 2, 5]
    assert largest_regions(np.zeros((2, 2), np.int32), 3) == []


def test_badges_do_not_cover_each_other_and_stay_inside():
    image = np.full((80, 80, 3), 90, np.uint8)
    labels = np.zeros((80, 80), np.int32)
    labels[0:6, 0:6], labels[0:6, 6:12], labels[6:12, 0:6] = 1, 2, 3
    drawn = draw_badges(image, labels, {1: (1,), 2: (2,), 3: (3,), 4: (4,)})
    assert (image == 90).all()
    areas = [count(drawn, colour) for colour in BADGE_COLOURS[:3]]
    # A disc of radius 9 has 254 pixels; outline and digit take some, and by their shape not equally many.
    assert min(areas) > 120
    assert count(drawn, BADGE_COLOURS[3]) == 0  # There is no region 4.


def test_a_real_image_is_drawn(real_data):
    file = sorted(real_data("data/ucmerced/Images/harbor").iterdir())[0]
    image = read_image(file)
    segmentation = (image.mean(axis=2) > 110).astype(np.uint8)
    one = SheetItem(file.name, image, segmentation, segmentation.astype(np.int32) + 1, scene="harbor")
    picture = contact_sheet(one, [one, one], class_names=NAMES, class_colours=COLOURS)
    assert picture.shape[1] == 3 * 264 + 4 * 14
    # The image shows through: under a light tint, light stays light.
    shown = picture[18:274, 18:274].mean(axis=2)
    assert np.corrcoef(shown.ravel(), image.mean(axis=2).ravel())[0, 1] > 0.8
