"""Training on several devices: the figures of one device with the same batches, to rounding, on two virtual CPUs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.segmentation.crops import Crops
from rsir_tf.segmentation.devices import choose_devices
from rsir_tf.segmentation.settings import TrainingSettings

TRAIN = """
import contextlib, json, sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = sys.argv[1], str(Path(sys.argv[1]).parent)
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
import numpy as np
from narrow_trunk import narrow_trunk
from training_samples import SETTINGS, KilledError

from rsir_tf.archives import open_archive, stratified_split
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.runs import open_run
from rsir_tf.segmentation.training import train

folder = Path(sys.argv[2])
archive = open_archive(render_archive(folder / "archive", images_per_scene=4, size=64, scenes=["beach", "forest"]))
split = stratified_split(archive, test=0.25)
settings = replace(
    SETTINGS, supervision="mixed", freeze=4, crops=replace(SETTINGS.crops, batch=4, per_epoch=8), weight_decay=0.01,
    average_weights=0.9, trunk_rate=0.5, clip_norm=0.1, class_weights="balanced", schedule="cosine", warm_up=0.3,
)


def stop(done, total, words):
    if done == 3:  # In the middle of the second epoch.
        raise KilledError


found = {}
with narrow_trunk():
    with contextlib.suppress(KilledError):
        train(archive, split, folder / "two", settings, devices="CPU:0,CPU:1", progress=stop)
    assert len(open_run(folder / "two").history()) == 1
    for name in ("one", "two"):
        run = train(archive, split, folder / name, settings)
        found[name] = run.history()
        np.savez(folder / f"{name}.npz", *load_best(run).get_weights())
(folder / "found.json").write_text(json.dumps(found))
"""


def test_two_devices_give_the_figures_of_one(tmp_path: Path) -> None:
    # In a process of its own, whose CPU is divided. Masks and tags supervise; void is spread unevenly over the crops,
    # gradients are clipped by the norm of the whole batch, rates differ by layer, weights are averaged: all of that is
    # of the whole batch. What is left is the order of additions. The second run is stopped in its second epoch,
    # and has that on one device alone: a run may go on with another number of devices.
    line = [sys.executable, "-c", TRAIN, str(Path(__file__).parent), str(tmp_path)]
    ended = subprocess.run(line, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert len(found["one"]) == 2
    for there, here in zip(found["one"], found["two"], strict=True):
        for figure in ("loss", "gradient_norm", "learning_rate"):
            assert here[figure] == pytest.approx(there[figure], rel=1e-4), figure
    with np.load(tmp_path / "one.npz") as there, np.load(tmp_path / "two.npz") as here:
        for name in there.files:
            # Adam divides by the size of a gradient: where that is rounding alone, a step has any direction.
            np.testing.assert_allclose(here[name], there[name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("all", "training on all GPUs; wanted as many as there are: 0"),
        ("2", "training on 2 GPUs; wanted as many as there are: 0"),
        ("GPU:7", "--devices GPU:7; wanted each device once, of CPU:0"),
        ("CPU:0,CPU:0", "wanted each device once"),
    ],
)
def test_devices_that_are_not_there(wanted: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose_devices(wanted, TrainingSettings())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"crops": Crops(64, 3)}, "batches of 3 crops; wanted one device, or others; --batch 4"),
        ({"cached_views": 2, "freeze": 4}, "cached views"),
        ({"precision": "mixed_float16"}, "mixed_float16.*mixed_bfloat16"),
        ({"xla": True}, "XLA"),
    ],
)
def test_what_does_not_go_with_several(monkeypatch: pytest.MonkeyPatch, other: dict, words: str) -> None:
    if "xla" in other and keras.__version__.startswith("2."):
        pytest.skip("Keras 2 refuses XLA itself")
    monkeypatch.setattr("rsir_tf.segmentation.devices._named", lambda wanted: ("GPU:0", "GPU:1"))
    with pytest.raises(InputError, match=f"training on 2 devices with {words}"):
        choose_devices("all", TrainingSettings(**other))


@pytest.mark.skipif(keras.__version__.startswith("2."), reason="Keras 2 has TensorFlow's backend alone")
def test_other_backends_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsir_tf.segmentation.devices._named", lambda wanted: ("GPU:0", "GPU:1"))
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"2 devices with the backend jax.*KERAS_BACKEND=tensorflow"):
        choose_devices("all", TrainingSettings())
