"""The bag of visual words: learning, counting, keeping the dictionary."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans

from rsir_tf.baselines import BagOfVisualWords, bovw, parameters, read_dictionary, write_dictionary
from rsir_tf.errors import ArtifactError, InputError


def textured(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def fitted() -> BagOfVisualWords:
    return BagOfVisualWords(words=12).fit(textured(seed) for seed in range(4))


def test_counts_are_of_the_nearest_words(fitted: BagOfVisualWords) -> None:
    image = textured(9)
    # OpenCV's own matcher of keypoints, and SciPy's distances.
    _, own = cv2.SIFT.create().detectAndCompute(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None)
    assert len(own) > 10
    counts = np.bincount(cdist(own, fitted.dictionary).argmin(axis=1), minlength=12)
    np.testing.assert_allclose(fitted.describe(image), counts / np.sqrt((counts**2).sum()), atol=1e-6)


def test_learning_finds_the_centres() -> None:
    bag = BagOfVisualWords(words=12).fit(textured(seed) for seed in range(4))
    again = BagOfVisualWords(words=12).fit(textured(seed) for seed in range(4))
    np.testing.assert_array_equal(bag.dictionary, again.dictionary)  # Seeded.
    assert bag.dictionary.shape == (12, 128)
    stacked = np.concatenate([bag.local_descriptors(textured(seed)) for seed in range(4)])

    def left(words: np.ndarray) -> float:
        return float(np.square(cdist(stacked, words).min(axis=1)).sum())

    generator = np.random.default_rng(0)
    drawn = [left(stacked[generator.choice(len(stacked), 12, replace=False)]) for _ in range(50)]
    assert left(bag.dictionary) < 0.95 * min(drawn)  # Better than the best of fifty draws of twelve descriptors,
    whole = KMeans(12, n_init=5, random_state=0).fit(stacked)
    assert left(bag.dictionary) < 1.1 * whole.inertia_  # and near what whole batches and five starts come to.


def test_an_image_without_keypoints_is_all_zero(fitted: BagOfVisualWords) -> None:
    np.testing.assert_array_equal(fitted.describe(np.full((64, 64, 3), 90, np.uint8)), np.zeros(12))


def test_too_little_to_learn_from() -> None:
    with pytest.raises(InputError, match="0 SIFT descriptors in 1 training images; wanted at least 1000"):
        BagOfVisualWords().fit([np.full((64, 64, 3), 90, np.uint8)])
    with pytest.raises(InputError, match="no dictionary; call fit"):
        BagOfVisualWords().describe(textured(0))


def test_the_dictionary_is_kept(fitted: BagOfVisualWords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "words.npz"
    empty = BagOfVisualWords(words=12)
    assert read_dictionary(file, empty, "these images") is None
    write_dictionary(file, fitted, "these images")
    kept, unread = read_dictionary(file, empty, "these images")
    np.testing.assert_array_equal(kept.dictionary, fitted.dictionary)
    assert unread == ()
    write_dictionary(file, fitted, "these images", ["one.png: is not a picture"])
    assert read_dictionary(file, empty, "these images")[1] == ("one.png: is not a picture",)
    assert read_dictionary(file, empty, "other images") is None
    assert read_dictionary(file, BagOfVisualWords(words=12, seed=1), "these images") is None
    assert "dictionary" not in parameters(fitted)
    with np.load(file, allow_pickle=False) as content:
        assert set(content) == {"dictionary", "identity", "unread"}
    with monkeypatch.context() as later:
        later.setattr(bovw, "LEARNING_VERSION", bovw.LEARNING_VERSION + 1)
        assert read_dictionary(file, empty, "these images") is None  # Another way of learning: learned anew.
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ArtifactError, match="is damaged"):
        read_dictionary(file, empty, "these images")


def test_parameters_out_of_range() -> None:
    for change in ({"words": 1}, {"sample": 0}):
        with pytest.raises(InputError, match="wanted"):
            BagOfVisualWords(**change)
    with pytest.raises(InputError, match="finite numbers"):
        BagOfVisualWords(words=2).with_dictionary(np.full((2, 128), np.nan, np.float32))
