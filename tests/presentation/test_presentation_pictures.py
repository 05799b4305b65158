"""Class maps, outlines, wrapped text and sheets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation import (
    VOID_COLOUR,
    Tile,
    blend,
    colour_map,
    legend,
    outline,
    save_png,
    scale,
    sheet,
)
from rsir_tf.presentation.text import font, wrap

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def count(picture, colour):
    return int((picture == np.array(colour, dtype=np.uint8)).all(axis=2).sum())


def test_colour_map_paints_each_class_and_void():
    painted = colour_map(np.array([[0, 1], [255, 0]], np.uint8), [RED, GREEN])
    assert painted.tolist() == [[list(RED), list(GREEN)], [list(VOID_COLOUR), list(RED)]]
    with pytest.raises(InputError, match="class 2"):
        colour_map(np.array([[2]], np.uint8), [RED, GREEN])
    with pytest.raises(InputError, match="int64"):
        colour_map(np.array([[0]]), [RED])


def test_blend_weighs_and_rounds():
    black, light = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 201, np.uint8)
    assert blend(black, light, 0.25)[0, 0].tolist() == [50] * 3  # 50.25
    assert blend(light, black, 0.25)[0, 0].tolist() == [151] * 3  # 150.75: rounded, not cut.
    assert (blend(black, light, 0) == black).all()
    assert (blend(black, light, 1) == light).all()
    with pytest.raises(InputError, match="alpha"):
        blend(black, light, 1.5)
    with pytest.raises(InputError, match="equal"):
        blend(black, np.zeros((2, 1, 3), np.uint8))


def test_outline_follows_both_sides_of_a_border():
    image = np.zeros((1, 8, 3), np.uint8)
    labels = np.array([[1, 1, 1, 2, 2, 2, 0, 0]], np.int32)
    drawn = outline(image, labels, [RED, GREEN])
    painted = ["r" if p == list(RED) else "g" if p == list(GREEN) else "." for p in drawn[0].tolist()]
    # The border 1|2 is painted on both sides, 2|0 on the region's side only, and the picture's edge is none.
    assert "".join(painted) == "..rg.g.."
    wide = outline(image, labels, BLUE, width=2)
    assert "".join("b" if p == list(BLUE) else "." for p in wide[0].tolist()) == ".bbbbb.."
    assert (image == 0).all()


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_outline_paints_what_lies_within_reach_of_another_label(seed, width):
    labels = np.random.default_rng(seed).integers(0, 3, (7, 9)).astype(np.int32).repeat(3, 0).repeat(3, 1)
    drawn = outline(np.zeros((*labels.shape, 3), np.uint8), labels, RED, width)
    # A border pixel has another label beside it; the line reaches width − 1 steps (up, down, left, right) further.
    rows, columns = np.indices(labels.shape)
    border = np.array(
        [
            [
                any(
                    labels[r, c] != labels[y, x]
                    for y, x in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1))
                    if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
                )
                for c in range(labels.shape[1])
            ]
            for r in range(labels.shape[0])
        ]
    )
    reach = np.full(labels.shape, 99)
    for r, c in np.argwhere(border):
        reach = np.minimum(reach, abs(rows - r) + abs(columns - c))
    np.testing.assert_array_equal((drawn[..., 0] == 255), (reach < width) & (labels > 0))


def test_outline_refuses_what_does_not_fit():
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(InputError, match="labels"):
        outline(image, np.zeros((3, 2), np.int32), RED)
    with pytest.raises(InputError, match="1 colours for 2 regions"):
        outline(image, np.array([[1, 2], [1, 2]]), [RED])
    # Three regions, three colours: not one colour of three channels.
    three = outline(image, np.array([[1, 2], [1, 3]]), np.array([RED, GREEN, BLUE]))
    assert three.tolist() == [[list(RED), list(GREEN)], [list(RED), list(BLUE)]]
    assert (outline(image, np.zeros((2, 2), np.int32), []) == image).all()


def test_scale_keeps_proportions_and_class_colours():
    assert scale(np.zeros((10, 40, 3), np.uint8), 80).shape == (20, 80, 3)
    assert scale(np.zeros((1, 1000, 3), np.uint8), 50).shape == (1, 50, 3)
    classes = colour_map(np.random.default_rng(0).integers(0, 2, (9, 9)).astype(np.uint8), [RED, BLUE])
    large = scale(classes, 31, smooth=False)
    assert count(large, RED) + count(large, BLUE) == 31 * 31


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=60)


@settings(max_examples=100)
@given(WORDS, st.integers(40, 300), st.integers(1, 4))
def test_wrapped_lines_fit_and_keep_the_text(text, width, most):
    face = font(13)
    lines = wrap(text, face, width, most)
    assert len(lines) <= most
    assert all(face.getlength(line) <= width for line in lines)
    kept = "".join("".join(lines).split())
    whole = "".join(text.split())
    if wrap(text, face, width, 1000) == lines:
        assert kept == whole
    else:
        assert lines[-1].endswith("…")
        assert whole.startswith(kept[:-1])


def test_wrap_breaks_where_a_reader_would():
    face = font(13)
    assert wrap("mediumresidential/mediumresidential02.tif", face, 200, 3) == [
        "mediumresidential/",
        "mediumresidential02.tif",
    ]
    assert wrap("two\nlines", face, 200, 3) == ["two lines"]
    assert wrap("", face, 200, 3) == []


def test_sheet_places_tiles_and_frames():
    tiles = [
        [Tile(np.full((10, 20, 3), RED, np.uint8), frame=BLUE), None],
        [Tile(np.full((20, 20, 3), GREEN, np.uint8))] * 2,
    ]
    page = sheet(tiles, side=40)
    # Two cells of 40 + 2·4, three margins of 14.
    assert page.shape[1] == 2 * 48 + 3 * 14
    assert count(page, RED) == 20 * 40
    assert count(page, BLUE) == 2 * 4 * (20 + 40 + 2 * 4)
    assert count(page, GREEN) == 2 * 40 * 40
    # The first row is as high as its one tile: 20 + 2·4.
    assert page.shape[0] == 14 + (28 + 4 + 14) + (48 + 4 + 14)
    assert (page[14 + 4 : 14 + 4 + 20, 14 + 4 : 14 + 4 + 40] == RED).all()
    assert (page[:, 14 + 48 : 14 + 48 + 14] == 255).all()  # Nothing between the columns.


@settings(max_examples=15)
@given(st.lists(st.text(min_size=0, max_size=400), min_size=0, max_size=5), st.text(max_size=300))
def test_text_never_leaves_its_place(caption, title):
    side = 60
    tile = Tile(np.zeros((8, 8, 3), np.uint8), caption)
    page = sheet([[tile, tile]], title=title, legend=[(title, RED)], footer=[title], side=side)
    # Beyond the margins there is nothing (2 pixels for letters that lean out of their advance width).
    assert (page[:, :11] == 255).all()
    assert (page[:, -11:] == 255).all()
    assert (page[-2:] == 255).all()


def test_captions_of_neighbours_do_not_touch():
    long = Tile(np.zeros((8, 8, 3), np.uint8), ["W" * 200, "W W W " * 40])
    page = sheet([[long, long]], side=100)
    between = page[:, 14 + 108 + 2 : 14 + 108 + 14 - 2]
    assert (between == 255).all()
    short = sheet([[Tile(long.image, ["a"])] * 2], side=100)
    assert page.shape[0] > short.shape[0]


def test_legend_shows_every_colour_and_grows_downwards():
    colours = [(10 * n, 0, 200) for n in range(20)]
    wide = legend([f"class number {n}" for n in range(20)], colours, width=900)
    narrow = legend([f"class number {n}" for n in range(20)], colours, width=200)
    for picture, width in ((wide, 900), (narrow, 200)):
        assert picture.shape[1] == width
        for colour in colours:
            assert count(picture, colour) == 11 * 11  # 13 pixels with an outline of 1.
    assert narrow.shape[0] > wide.shape[0]
    for width in range(60, 200, 7):  # No name is cut at the edge.
        assert (legend(["bare soil", "chaparral", "W" * 40], [RED, GREEN, BLUE], width=width)[:, -1] == 255).all()
    with pytest.raises(InputError):
        legend(["a"], [])


def test_sheets_without_tiles_or_with_other_arrays_are_refused():
    for tiles in ([], [[]], [[None]]):
        with pytest.raises(InputError, match="without tiles"):
            sheet(tiles)
    with pytest.raises(InputError, match="float64"):
        sheet([[Tile(np.zeros((4, 4, 3)))]])


def test_png_round_trip_and_replacement(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    path = tmp_path / "new folder" / "a.png"
    save_png(path, np.zeros_like(image))
    save_png(path, image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
    with pytest.raises(InputError, match="float"):
        save_png(path, image.astype(float))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError):
        save_png(tmp_path / "file" / "b.png", image)
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]
