"""The same run under another Keras backend: its weights and its state are TensorFlow's too."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from rsir_tf.archives import open_archive, stratified_split
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.crops import Augmentation, Crops
from rsir_tf.segmentation.export import export_run
from rsir_tf.segmentation.runs import open_run
from rsir_tf.segmentation.settings import TrainingSettings
from rsir_tf.segmentation.training import train

EPOCH_ELSEWHERE = """
import sys
from pathlib import Path

sys.path[:0] = sys.argv[1], str(Path(sys.argv[1]).parent)
from narrow_trunk import narrow_trunk
from test_segmentation_backends import IMAGE, start

with narrow_trunk():
    network = start(Path(sys.argv[2]), epochs=1)
import keras, numpy as np

assert keras.backend.backend() == sys.argv[3]
np.save(Path(sys.argv[2]) / "logits.npy", np.asarray(network.predict_on_batch(IMAGE)))
"""

IMAGE = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)


def start(folder: Path, epochs: int) -> keras.Model:
    """Train in `folder` up to a number of epochs; returns the best network."""
    archive = open_archive(folder / "archive")
    settings = TrainingSettings(
        epochs=epochs,
        weights="none",
        head_width=4,
        crops=Crops(64, 2, 4, Augmentation.none()),
        learning_rate=1e-3,
        schedule="constant",
        trunk_rate=0.5,
        weight_decay=0.01,
        freeze=4,
        validation=0.0,
    )
    return load_best(train(archive, stratified_split(archive, test=0.25), folder / "run", settings))


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_run_of_another_backend_goes_on_and_is_exported_under_tensorflow(backend: str, tmp_path: Path) -> None:
    if keras.__version__.startswith("2.") or importlib.util.find_spec(backend) is None:
        pytest.skip(f"Keras 3 with {backend} is not installed")
    render_archive(tmp_path / "archive", images_per_scene=4, size=64, scenes=["beach", "forest"])
    command = [sys.executable, "-c", EPOCH_ELSEWHERE, str(Path(__file__).parent), str(tmp_path), backend]
    # Two steps are not worth XLA's optimisation.
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    subprocess.run(command, env=environment, check=True)
    run = open_run(tmp_path / "run")
    assert run.manifest["software"]["backend"] == backend
    logits = np.load(tmp_path / "logits.npy")
    assert np.ptp(logits) > 1e-3
    np.testing.assert_allclose(load_best(run).predict_on_batch(IMAGE), logits, rtol=1e-4, atol=1e-4)
    start(tmp_path, epochs=2)
    history = open_run(tmp_path / "run").history()
    # With the state of Adam that the other backend left, the loss goes on falling.
    assert len(history) == 2
    assert history[1]["loss"] < history[0]["loss"]
    assert (export_run(open_run(tmp_path / "run"), tmp_path / "model") / "saved_model.pb").exists()
