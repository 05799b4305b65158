"""Recipes, tilings and readings: what they refuse, and JSON and back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.rasters import Reading, Recipe, Tiling

numbers = st.floats(-1e6, 1e6)
ranges = st.tuples(numbers, numbers).map(sorted).filter(lambda pair: pair[0] < pair[1]).map(tuple)
recipes = st.builds(
    Recipe,
    st.none() | st.tuples(*[st.integers(1, 300)] * 3),
    st.none() | st.tuples(ranges) | st.tuples(ranges, ranges, ranges),
    st.none() | numbers | st.just(math.nan),
    st.none() | st.floats(0.01, 1e5),
)


@st.composite
def readings(draw: Any) -> Reading:
    recipe = draw(recipes)
    tile = draw(st.integers(32, 2000))
    grid = recipe.resolution is not None and draw(st.booleans())
    tiling = Tiling(tile, draw(st.integers(0, tile - 1)), draw(st.floats(0, 1)), grid)
    return Reading(recipe, draw(st.none() | st.just(tiling)), draw(st.none() | st.just("{z}/{x}/{y}.png")))


@given(readings())
def test_a_reading_survives_json(reading: Reading) -> None:
    assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


def test_what_is_left_as_it_is_has_no_entry() -> None:
    assert Reading().to_json() == {}
    assert Reading.from_json({}) == Reading()
    assert Reading().describe() == "as they are"
    reading = Reading(Recipe((4, 3, 2), ((0, 3000),)), Tiling(256, overlap=64))
    assert reading.to_json() == {
        "recipe": {"bands": [4, 3, 2], "stretch": [[0.0, 3000.0]]},
        "tiling": {"tile": 256, "overlap": 64},
    }
    assert reading.describe() == "windows of 256 pixels that overlap by 64; bands 4 3 2, stretched from 0..3000"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Recipe(bands=(1, 2)), "three band numbers"),
        (lambda: Recipe(bands=(0, 1, 2)), "counted from 1"),
        (lambda: Recipe(stretch=((5, 5),)), "lower one first"),
        (lambda: Recipe(stretch=((0, math.inf),)), "lower one first"),
        (lambda: Recipe(stretch=((0, 1), (0, 1))), "one range for all bands, or three"),
        (lambda: Recipe(stretch=(3,)), "pairs of numbers"),
        (lambda: Recipe(nodata="none"), "a number, or nan"),
        (lambda: Recipe(resolution=0), "more than 0"),
        (lambda: Recipe(resolution=math.nan), "more than 0"),
        (lambda: Tiling(31), "at least 32"),
        (lambda: Tiling(256.0), "a whole number"),
        (lambda: Tiling(256, overlap=256), "0 to 255"),
        (lambda: Tiling(256, min_valid=1.1), "0 to 1"),
        (lambda: Reading(tiling=Tiling(256, grid=True)), "--resolution"),
        (lambda: Reading(tile_names="{z}/{x}.png"), "once each"),
        (lambda: Reading(tile_names="{z}/{x}/{y}/{y}.png"), "once each"),
        (lambda: Recipe.from_json({"colour": 1}), "newer rsir_tf"),
        (lambda: Reading.from_json({"tiling": 256}), "an object of JSON"),
    ],
)
def test_impossible_values_are_refused(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
