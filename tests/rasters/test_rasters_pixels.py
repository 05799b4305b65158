"""Another size for images with a validity."""

from __future__ import annotations

import numpy as np

from rsir_tf.rasters import FILL, Pixels, resize_image, resize_pixels


def test_validity_is_resized_with_the_colours() -> None:
    values = np.full((64, 64, 3), 200, np.uint8)
    valid = np.ones((64, 64), bool)
    valid[:, 40:] = False
    found = resize_pixels(Pixels(values, valid), (16, 32))
    assert found.valid is not None
    assert found.values.shape == (16, 32, 3)
    # Column c of 32 has its middle at 2c + 1 of 64: the last valid one is 19.
    np.testing.assert_array_equal(found.valid, np.broadcast_to(np.arange(32) < 20, (16, 32)))
    assert (found.values[:, 20:] == FILL).all()
    np.testing.assert_array_equal(found.values[:, :18], 200)


def test_what_is_valid_everywhere_or_stays_as_it_is_is_that_of_the_colours_alone() -> None:
    values = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    found = resize_pixels(Pixels(values), (32, 32))
    np.testing.assert_array_equal(found.values, resize_image(values, (32, 32)))
    assert found.valid is None
    valid = np.zeros((48, 64), bool)
    same = resize_pixels(Pixels(values, valid), None)
    assert same.values is values
    assert same.valid is valid
