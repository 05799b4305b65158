"""Pooling where pixels show nothing: what stands in void cells and under void pixels must not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_regions_pooling import literal_upsampling, random_features

from rsir_tf.errors import InputError
from rsir_tf.regions import CONVENTIONS, pool_image, pool_regions, pool_valid, without_void_cells


def random_validity(seed: int, height: int, width: int) -> np.ndarray:
    """A slanted border, as scenes have it, with holes."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((height, width))
    slope, start = rng.uniform(-1, 1), rng.uniform(-0.5, 0.8) * width
    return (x > start + slope * y) & (rng.random((height, width)) > rng.choice([0, 0.02, 0.5]))


@settings(max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(CONVENTIONS), st.integers(0, 2**16))
def test_equals_the_literal_formula_over_valid_pixels(height: int, width: int, convention: str, seed: int) -> None:
    valid = random_validity(seed, height, width)
    features = np.abs(random_features(seed, height, width, channels=3, stride=16))
    expected = features.copy()
    for row in range(features.shape[0]):
        for column in range(features.shape[1]):
            if not valid[16 * row : 16 * row + 16, 16 * column : 16 * column + 16].any():
                expected[row, column] = 0
    found = without_void_cells(features, valid)
    np.testing.assert_array_equal(found, expected)
    pooled = pool_valid(found, valid, convention)
    if valid.any():
        literal = literal_upsampling(expected, (height, width), 16, convention)[valid].max(axis=0)
        np.testing.assert_allclose(pooled, literal, rtol=0, atol=2e-6)
    else:
        assert pooled.tolist() == [0, 0, 0]


@settings(max_examples=40)
@given(st.integers(0, 2**16), st.floats(0, 1e6, width=32))
def test_the_values_of_void_cells_do_not_matter(seed: int, value: float) -> None:
    valid = random_validity(seed, 64, 80)
    features = np.abs(random_features(seed, 64, 80, channels=3, stride=16))
    shown = valid.reshape(4, 16, 5, 16).any(axis=(1, 3))
    other = np.where(shown[..., None], features, np.float32(value))
    for pooled in (pool_valid, lambda *these: pool_regions(these[0], these[1].astype(np.int32))):
        one, two = (pooled(without_void_cells(each, valid), valid) for each in (features, other))
        np.testing.assert_array_equal(one, two)


def test_a_void_cell_lowers_its_neighbour_and_never_raises_it() -> None:
    # Two cells of one row: the left one shows something and holds 1, the right one is void and holds 9.
    features = np.float32([[[1], [9]]])
    valid = np.zeros((16, 32), bool)
    valid[:, :16] = True
    # By half pixels, pixels up to 7 sample the left cell alone: the maximum is 1. With the 9, pixel 15 would have 4.75.
    assert pool_valid(without_void_cells(features, valid), valid).tolist() == [1]
    assert pool_valid(features, valid).tolist() == [4.75]
    assert features[0, 1, 0] == 9


def test_where_every_pixel_is_valid_nothing_changes() -> None:
    features = random_features(1, 50, 70, channels=5, stride=16)
    valid = np.ones((50, 70), bool)
    assert without_void_cells(features, valid) is features
    np.testing.assert_array_equal(pool_valid(features, valid), pool_image(features, (50, 70)))


def test_validity_of_another_image_is_refused() -> None:
    with pytest.raises(InputError, match="a map of 2 × 2 cells for 16 × 32 pixels; wanted 1 × 2 cells"):
        without_void_cells(np.zeros((2, 2, 3), np.float32), np.ones((16, 32), bool))
