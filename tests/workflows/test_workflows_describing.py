"""Regions and descriptors of images in which some pixels show nothing."""

from __future__ import annotations

import numpy as np
import pytest

from rsir_tf.contract import Prediction
from rsir_tf.errors import InputError
from rsir_tf.index import IndexSettings
from rsir_tf.workflows import describe_prediction

SETTINGS = IndexSettings("made", ("sea", "land"), channels=2)


def halves() -> tuple[Prediction, np.ndarray]:
    """16 × 48 pixels: sea, land, and sea again that is not valid; of the last cell the model says 9."""
    segmentation = np.zeros((16, 48), np.uint8)
    segmentation[:, 16:32] = 1
    features = np.float32([[[1, 0], [3, 0], [9, 9]]])
    valid = np.ones((16, 48), bool)
    valid[:, 32:] = False
    return Prediction(segmentation, features), valid


def test_void_pixels_are_in_no_region_and_win_no_maximum() -> None:
    prediction, valid = halves()
    whole = describe_prediction(prediction, SETTINGS)
    assert whole.regions.classes.tolist() == [0, 1, 0]
    assert whole.recnn_plus.tolist() == [9, 9]
    seen = describe_prediction(prediction, SETTINGS, valid)
    assert seen.regions.boxes.tolist() == [[0, 0, 16, 16], [0, 16, 16, 32]]
    # The centre of the second cell lies between pixels 23 and 24, which are 1/32 of a cell away from it. Pixel 23 has
    # 1/32 of the first cell's 1 and 31/32 of 3; pixel 24 would have 1/32 of the void cell, which counts as 0.
    assert seen.recnn[1].tolist() == [3 - 2 / 32, 0]
    assert seen.recnn_plus.tolist() == [3 - 2 / 32, 0]
    assert (prediction.segmentation[:, 32:] == 0).all()
    assert prediction.conv5_3[0, 2, 0] == 9


def test_an_image_without_a_valid_pixel_has_no_region_and_a_vector_of_zeros() -> None:
    prediction, valid = halves()
    described = describe_prediction(prediction, SETTINGS, np.zeros_like(valid))
    assert (len(described.regions), described.recnn.shape) == (0, (0, 2))
    assert described.recnn_plus.tolist() == [0, 0]


def test_an_image_that_is_valid_everywhere_is_described_as_without_validity() -> None:
    prediction, valid = halves()
    one, two = (describe_prediction(prediction, SETTINGS, each) for each in (None, np.ones_like(valid)))
    np.testing.assert_array_equal(one.recnn, two.recnn)
    np.testing.assert_array_equal(one.recnn_plus, two.recnn_plus)


def test_validity_of_another_shape_is_refused() -> None:
    prediction, valid = halves()
    with pytest.raises(InputError, match=r"validity of \[16, 47\] pixels for a segmentation of \[16, 48\]"):
        describe_prediction(prediction, SETTINGS, valid[:, :47])
