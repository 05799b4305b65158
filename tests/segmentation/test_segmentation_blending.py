"""Descriptors between starting and trained weights: against a network that holds the mean of both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from rsir_tf.errors import InputError, MismatchError
from rsir_tf.segmentation import blending
from rsir_tf.segmentation.blending import AS_TRAINED, DESCRIBING, Blend, blended, describing_layer, starting_trunk
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.export import export_run, identity, loaded_as_server
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.weights import initialise

IMAGE = np.random.default_rng(3).integers(0, 256, (1, 64, 96, 3)).astype(np.float32)


def trunk(seed: int) -> keras.Model:
    made = build_trunk()
    initialise(made, "none", seed=seed)
    return made


def retrained(start: keras.Model, first: str) -> keras.Model:
    """A network whose layers from `first` on have other weights than `start`."""
    network = build_fcn(trunk(1), Architecture(2, 32, 4))
    for layer in network.layers:
        if layer.name.startswith("block") and layer.name < first:
            layer.set_weights(start.get_layer(layer.name).get_weights())
    network.get_layer("score_fc7").set_weights([np.ones((1, 1, 4, 2)), np.array([0.0, 1.0])])
    return network


def conv5_3(model: keras.Model) -> np.ndarray:
    return np.asarray(keras.Model(model.inputs, model.get_layer("block5_conv3").output).predict_on_batch(IMAGE))


@pytest.mark.parametrize(("first", "own"), [("block5_conv1", 3), ("block4_conv2", 6), ("block1_conv1", 17)])
def test_descriptors_are_of_the_weights_between_and_the_logits_stay(first: str, own: int) -> None:
    start = trunk(0)
    network = retrained(start, first)
    model = blended(network, start, Blend(0.25, 0.75))
    logits, described = model.predict_on_batch(IMAGE)
    np.testing.assert_allclose(logits, network.predict_on_batch(IMAGE), rtol=1e-5, atol=1e-5)
    between = trunk(0)
    for layer in between.layers:
        pairs = zip(network.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True)
        share = 0.75 if layer.name == "block5_conv3" else 0.25
        layer.set_weights([share * trained + (1 - share) * begun for trained, begun in pairs])
    np.testing.assert_allclose(described, conv5_3(between), rtol=1e-4, atol=1e-4 * conv5_3(between).max())
    # Convolutions and pools from the first changed one on: what training left alone is computed once.
    assert sum(layer.name.startswith(DESCRIBING) for layer in model.layers) == own
    assert describing_layer(model, "block5_conv3").name == DESCRIBING + "block5_conv3"
    assert identity(model, ("a", "b")) != identity(network, ("a", "b"))
    assert identity(model, ("a", "b")) != identity(blended(network, start, Blend(0.25, 0.5)), ("a", "b"))


def test_the_trained_weights_alone_are_the_network_itself() -> None:
    start = trunk(0)
    network = retrained(start, "block5_conv1")
    assert blended(network, start, AS_TRAINED) is network
    assert blended(network, network, Blend(0.5, 0.5)) is network  # Nothing was learned in the trunk.
    with pytest.raises(InputError, match=r"a share of 1\.5 of the trained weights; wanted 0 to 1"):
        Blend(0.5, 1.5)


def test_a_blended_export_is_served_and_says_what_it_is(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "vgg16.h5"
    file.write_bytes(b"weights")
    digest = blending.file_hash(file)
    begun = {**run.manifest, "starting_weights": {"path": str(file), "sha256": digest}}
    settings = {**run.settings, "supervision": "tags", "weights": f"vgg16.h5 (SHA-256 {digest[:16]})"}
    other = replace(run, manifest=begun, settings=settings)
    monkeypatch.setattr(blending, "initialise", lambda made, source: initialise(made, "none", seed=7))
    version, plain = export_run(other, tmp_path / "m"), export_run(other, tmp_path / "m", blend=AS_TRAINED)
    cards = [json.loads((path / "assets.extra" / "model_card.json").read_text()) for path in (version, plain)]
    assert [card["blend"] for card in cards] == [{"share": 0.5, "last": 0.2}, 1]
    assert cards[0]["model_id"] != cards[1]["model_id"] == identity(load_best(run), run.label_set.names)
    image = IMAGE.astype(np.uint8)
    with loaded_as_server(version) as answer, loaded_as_server(plain) as alone:
        ours, theirs = answer("features", image), alone("features", image)
    np.testing.assert_array_equal(ours["segmentation"], theirs["segmentation"])
    assert not np.allclose(ours["conv5_3"], theirs["conv5_3"])
    file.rename(tmp_path / "moved.h5")
    with pytest.raises(InputError, match=r"started from vgg16\.h5 \(SHA-256 .*there is no file .*with --weights"):
        export_run(other, tmp_path / "m")
    assert starting_trunk(other, tmp_path / "moved.h5").name == "trunk"
    (tmp_path / "wrong.h5").write_bytes(b"others")
    with pytest.raises(MismatchError, match=r"wrong\.h5 has SHA-256"):
        starting_trunk(other, tmp_path / "wrong.h5")


def test_random_weights_are_not_blended_with(run: Run, tmp_path: Path) -> None:
    card = json.loads((export_run(run, tmp_path / "m") / "assets.extra" / "model_card.json").read_text())
    assert card["blend"] == 1
    with pytest.raises(InputError, match=r"started from random weights, .*--blend 1"):
        export_run(run, tmp_path / "m", blend=Blend(0.5, 0.5))
