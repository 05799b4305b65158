"""The report on a training run: curves, examples and tables, without a network."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from rsir_tf.presentation.training_report import write_curves


def test_curves_of_nothing_held_out_are_the_loss_alone(tmp_path: Path) -> None:
    fitted = {"epoch": 1, "loss": 0.7, "learning_rate": 1e-3, "seconds": 3.0}
    for history, width in (([fitted, {**fitted, "mean_iu": 0.2}], 1080), ([{**fitted, "mean_iu": None}], 540)):
        write_curves(tmp_path / "curves.png", history)
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.size == (width, 432)
