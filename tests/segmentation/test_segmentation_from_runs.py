"""A run that starts from the network of another."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from training_samples import SETTINGS

from rsir_tf.archives import Archive
from rsir_tf.archives.splits import Split
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.segmentation.blending import AS_TRAINED, starting_trunk
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.export import BLEND, usual_blend
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk
from rsir_tf.segmentation.runs import Run, open_run
from rsir_tf.segmentation.training import train
from rsir_tf.segmentation.weights import apply_head, initialise

IMAGES = np.random.default_rng(3).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)


def started_from(run: Run, names: tuple[str, ...], *, width: int = 8, stride: int = 8) -> keras.Model:
    trunk = build_trunk()
    head = initialise(trunk, str(run.path))
    model = build_fcn(trunk, Architecture(len(names), stride, width, run.architecture.scales))
    apply_head(model, head, names)
    return model


def test_classes_go_on_by_their_names_and_new_ones_start_at_zero(run: Run) -> None:
    learned = load_best(run).predict_on_batch(IMAGES)
    assert np.ptp(learned) > 0.01
    names = run.label_set.names
    others = (names[2], "a new class", *names[:2])
    logits = started_from(run, others).predict_on_batch(IMAGES)
    # Kernels of upsampling are larger with more or fewer classes, but each class is upsampled alone.
    np.testing.assert_allclose(logits[..., [0, 2, 3]], learned[..., [2, 0, 1]], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(logits[..., 1], 0)


def test_another_width_takes_the_trunk_and_another_stride_what_it_has(run: Run) -> None:
    names = run.label_set.names
    narrower = started_from(run, names, width=4)
    np.testing.assert_array_equal(narrower.predict_on_batch(IMAGES), 0)
    source = load_best(run)
    for model in (narrower, started_from(run, names, stride=32)):
        for wanted, found in zip(
            source.get_layer("block5_conv3").get_weights(), model.get_layer("block5_conv3").get_weights(), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(model.get_layer("fc7").get_weights()[0], source.get_layer("fc7").get_weights()[0])
    np.testing.assert_array_equal(
        model.get_layer("score_fc7").get_weights()[0], source.get_layer("score_fc7").get_weights()[0]
    )


@pytest.mark.usefixtures("eager")
def test_a_run_goes_on_from_another_and_knows_it(run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    source = open_run(Path(shutil.copytree(run.path, tmp_path / "source")))
    settings = replace(SETTINGS, epochs=1, weights=str(source.path), learning_rate=1e-9)
    made = train(archive, split, tmp_path / "made", settings)
    np.testing.assert_allclose(
        load_best(made).predict_on_batch(IMAGES), load_best(source).predict_on_batch(IMAGES), rtol=1e-4, atol=1e-4
    )
    assert made.architecture == source.architecture  # with the scales that its weights were learned with
    assert made.manifest["starting_weights"]["run"] == "source"
    assert made.manifest["starting_weights"]["path"] == str(source.best)
    assert made.settings["weights"].startswith(f"{source.best.name} (SHA-256 ")
    # Half of VGG-16's weights in the descriptors was measured for tags, and for what began with VGG-16.
    tagged = replace(made, settings={**made.settings, "supervision": "tags"})
    assert usual_blend(tagged) == AS_TRAINED
    assert usual_blend(replace(tagged, manifest={**made.manifest, "starting_weights": {}})) == BLEND
    begun = starting_trunk(made, None)
    for name in ("block1_conv1", "block5_conv3"):
        np.testing.assert_array_equal(
            begun.get_layer(name).get_weights()[0], load_best(source).get_layer(name).get_weights()[0]
        )
    # Where the other run has gone on since, this one is not what it would be.
    source.best.write_bytes(source.best.read_bytes() + b"more")
    with pytest.raises(MismatchError, match=r"made: was begun with weights = 'best-.*, this call has 'best-"):
        train(archive, split, tmp_path / "made", settings)


def test_what_is_no_trained_run_is_refused(run: Run, archive: Archive, split: Split, tmp_path: Path) -> None:
    def refused(weights: Path) -> str:
        with pytest.raises((ArtifactError, InputError)) as error:
            train(archive, split, tmp_path / "made", replace(SETTINGS, weights=str(weights)))
        assert not (tmp_path / "made").exists()
        return str(error.value)

    assert "no run here" in refused(archive.root)
    assert "no such file or run" in refused(tmp_path / "absent")
    assert "is not the best checkpoint of its run" in refused(run.last)
    untrained = Path(shutil.copytree(run.path, tmp_path / "untrained"))
    shutil.rmtree(untrained / "checkpoints")
    (untrained / "history.json").unlink()
    assert "untrained: has no checkpoint yet" in refused(untrained)
