"""Segmentation figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.segmentation.scoring import confusion_matrix, segmentation_scores


def test_figures_worked_out_by_hand() -> None:
    truth = np.array([[0, 0, 0, 1], [1, 1, 255, 2]], np.uint8)
    prediction = np.array([[0, 0, 1, 1], [1, 0, 0, 1]], np.uint8)
    # Rows true, columns predicted; the void pixel counts nowhere; class 3 occurs nowhere.
    wanted = [[2, 1, 0, 0], [1, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    confusion = confusion_matrix(truth, prediction, 4)
    np.testing.assert_array_equal(confusion, wanted)
    scores = segmentation_scores(confusion)
    assert scores.pixels == 7
    assert scores.pixel_accuracy == pytest.approx(4 / 7)
    assert scores.mean_accuracy == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # IU: 2/(3+3−2), 2/(3+4−2), 0/(1+0−0); class 3 leaves the mean.
    assert scores.class_iu[:3] == pytest.approx((2 / 4, 2 / 5, 0))
    assert np.isnan(scores.class_iu[3])
    assert scores.mean_iu == pytest.approx((0.5 + 0.4 + 0) / 3)
    assert scores.frequency_weighted_iu == pytest.approx((3 * 0.5 + 3 * 0.4 + 1 * 0) / 7)
    content = scores.to_json(("a", "b", "c", "d"))
    assert content["class_iu"]["d"] is None
    assert content["pixel_accuracy"] == pytest.approx(4 / 7)


def test_a_class_that_is_only_predicted_counts_in_mean_iu() -> None:
    scores = segmentation_scores(confusion_matrix(np.zeros(4, np.uint8), np.array([0, 0, 0, 1], np.uint8), 2))
    assert scores.class_iu == pytest.approx((0.75, 0))
    assert scores.mean_iu == pytest.approx(0.375)
    assert scores.mean_accuracy == pytest.approx(0.75)


def test_all_void_has_no_figure() -> None:
    scores = segmentation_scores(confusion_matrix(np.full(4, 255, np.uint8), np.zeros(4, np.uint8), 2))
    assert scores.pixels == 0
    assert all(np.isnan(value) for value in (scores.pixel_accuracy, scores.mean_accuracy, scores.mean_iu))
    assert scores.to_json(("a", "b"))["mean_iu"] is None


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="shape"):
        confusion_matrix(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), 2)
    with pytest.raises(InputError, match="outside"):
        confusion_matrix(np.zeros(2, np.uint8), np.array([0, 2], np.uint8), 2)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 255]), st.integers(0, 2)), min_size=1, max_size=40), st.integers(0, 40)
)
def test_one_matrix_over_the_set_is_the_sum_of_its_parts(pixels: list[tuple[int, int]], cut: int) -> None:
    truth, prediction = (np.array(column, np.uint8) for column in zip(*pixels, strict=True))
    whole = confusion_matrix(truth, prediction, 3)
    parts = confusion_matrix(truth[:cut], prediction[:cut], 3) + confusion_matrix(truth[cut:], prediction[cut:], 3)
    np.testing.assert_array_equal(whole, parts)
    literal = [[sum(t == i and p == j for t, p in pixels) for j in range(3)] for i in range(3)]
    np.testing.assert_array_equal(whole, literal)
