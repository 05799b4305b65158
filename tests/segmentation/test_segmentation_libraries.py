"""Segmentation figures against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.segmentation.scoring import confusion_matrix, segmentation_scores

AGREE = 1e-9


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_segmentation_figures_are_scikit_learns(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Class 3 is only predicted, class 4 nowhere; 255 is void and counts nowhere.
    truth = generator.choice(np.array([0, 1, 2, 255], np.uint8), 400, p=[0.5, 0.3, 0.1, 0.1])
    prediction = np.where(generator.random(400) < 0.6, truth, generator.integers(0, 4, 400)).astype(np.uint8)
    prediction[truth == 255] = 0
    truth[:3], prediction[:4], truth[3] = [0, 1, 2], [0, 1, 2, 3], 0
    confusion = confusion_matrix(truth.reshape(20, 20), prediction.reshape(20, 20), 5)
    counted = truth != 255
    true, said = truth[counted], prediction[counted]
    np.testing.assert_array_equal(confusion, sklearn.metrics.confusion_matrix(true, said, labels=range(5)))
    scores = segmentation_scores(confusion)
    assert scores.pixel_accuracy == pytest.approx(sklearn.metrics.accuracy_score(true, said), abs=AGREE)
    # The mean recall of the classes that are there.
    recalls = sklearn.metrics.recall_score(true, said, labels=[0, 1, 2], average="macro")
    assert scores.mean_accuracy == pytest.approx(recalls, abs=AGREE)
    index = sklearn.metrics.jaccard_score(true, said, labels=[0, 1, 2, 3], average=None)
    assert scores.class_iu[:4] == pytest.approx(index, abs=AGREE)
    assert np.isnan(scores.class_iu[4])
    assert scores.mean_iu == pytest.approx(index.mean(), abs=AGREE)
    weighted = sklearn.metrics.jaccard_score(true, said, average="weighted")
    assert scores.frequency_weighted_iu == pytest.approx(weighted, abs=AGREE)
