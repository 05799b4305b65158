"""The class of a pixel: the likeliest, and the first of those that only rounding tells apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rsir_tf.segmentation.export import export_network, loaded_as_server
from rsir_tf.segmentation.inference import TIE, most_likely, segment, tie_breaks
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk
from rsir_tf.segmentation.weights import initialise


def test_by_hand() -> None:
    # The second is ahead of the first by 0.00005, by less than a tie's 0.0001; in the second row by 0.1.
    logits = np.array([[0.5, 0.50005, 0.2], [0.5, 0.6, 0.2], [-3.0, -3.0, -3.0]], np.float32)
    assert most_likely(logits).tolist() == [0, 1, 0]
    assert most_likely(logits).dtype == np.uint8


class Columns:
    """Stands for a network of two classes; its logits tell where in the picture it sees a pixel, and its brightness."""

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        red, column = images[..., 0], np.arange(images.shape[2], dtype=np.float32)
        return np.stack([np.where(red > 0, 1.0, 0.0), np.where(column == 0, 4.0, 0.5 * np.ones_like(red))], axis=-1)


def test_mirror_images_are_averaged_as_probabilities_where_they_lie() -> None:
    # The second class is said wherever a pixel lies in the first column (logit 4) and where red is 0 (0.5 > 0). With
    # mirror images, half of the answers for both outer columns are from the first column: there, with red,
    # p₂ = ½·σ(4 − 1) + ½·σ(0.5 − 1) = ½·0.953 + ½·0.378 > ½. The mean of the inner columns is as without flips.
    image = np.zeros((16, 18, 3), np.uint8)
    image[3:5] = 200
    plain, averaged = segment(Columns(), image), segment(Columns(), image, flips=True)
    assert plain[:, 0].all()
    np.testing.assert_array_equal(plain[:, -1] == 0, image[:, -1, 0] > 0)
    assert averaged[:, [0, -1]].all()
    np.testing.assert_array_equal(averaged[:, 1:-1], plain[:, 1:-1])


@settings(max_examples=50)
@given(arrays.arrays(np.float32, (4, 6), elements=st.floats(-50, 50, width=32)))
def test_what_is_ahead_by_more_is_what_argmax_says(logits: np.ndarray) -> None:
    ordered = np.sort(logits.astype(np.float64), axis=-1)
    # Five classes further, a tie's advantage is five times as large; half as much again for rounding.
    clear = ordered[:, -1] - ordered[:, -2] > 5.5 * TIE
    np.testing.assert_array_equal(most_likely(logits)[clear], np.argmax(logits, axis=-1)[clear])


def test_ties_go_to_the_first_of_any_number_of_classes() -> None:
    for classes in (2, 17, 255):
        assert tie_breaks(classes)[0] == 0
        assert (np.diff(tie_breaks(classes)) < 0).all()
        assert most_likely(np.full((1, classes), 7.5, np.float32)).tolist() == [0]


def test_classes_that_are_learned_alike_do_not_speckle(tmp_path: Path) -> None:
    trunk = build_trunk()
    initialise(trunk, "none")
    network = build_fcn(trunk, Architecture(2, 32, 8))
    layer, random = network.get_layer("score_fc7"), np.random.default_rng(0)
    image = random.integers(0, 256, (96, 96, 3), dtype=np.uint8)
    # As two tags that always come together end up: the same but for the last digits.
    kernel = random.normal(size=(1, 1, 8, 1)) * (1 + 1e-6 * random.normal(size=(1, 1, 8, 2)))
    layer.set_weights([kernel, np.zeros(2)])
    logits = np.asarray(network.predict_on_batch(image[None].astype(np.float32)))[0]
    kernel /= np.abs(logits).max()
    layer.set_weights([kernel, np.zeros(2)])
    logits = np.asarray(network.predict_on_batch(image[None].astype(np.float32)))[0]
    assert np.argmax(logits, axis=-1).any(), "the last digits would choose the second"
    assert not segment(network, image).any()
    export_network(network, ("dock", "ship"), tmp_path / "1", card={})
    with loaded_as_server(tmp_path / "1") as answer:
        for signature in ("serving_default", "features"):
            assert not answer(signature, image[None])["segmentation"].any()
    # A score of its own counts as before: the second class has 1 more everywhere.
    layer.set_weights([kernel, np.array([0.0, 1.0])])
    assert segment(network, image)[16:-16, 16:-16].all()
