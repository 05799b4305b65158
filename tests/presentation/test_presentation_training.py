"""The report on a training run: curves, examples and tables, without a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rsir_tf.presentation.training_report import example_strips, example_tiles, write_curves, write_training_report


def test_curves_of_nothing_held_out_are_the_loss_alone(tmp_path: Path) -> None:
    fitted = {"epoch": 1, "loss": 0.7, "learning_rate": 1e-3, "seconds": 3.0}
    for history, width in (([fitted, {**fitted, "mean_iu": 0.2}], 1080), ([{**fitted, "mean_iu": None}], 540)):
        write_curves(tmp_path / "curves.png", history)
        with Image.open(tmp_path / "curves.png") as picture:
            assert picture.size == (width, 432)


def test_examples_lie_beside_their_class_maps_cut_to_the_smallest() -> None:
    colours = [(255, 0, 0), (0, 0, 255)]
    rows = [
        [np.full((4, 6, 3), 9, np.uint8), np.zeros((4, 6), np.uint8), np.full((4, 6), 255, np.uint8)],
        [np.full((5, 3, 3), 7, np.uint8), np.ones((5, 3), np.uint8), np.zeros((5, 3), np.uint8)],
    ]
    strips = example_strips(rows, colours)
    assert strips.shape == (2, 4, 3 * 3, 3)
    assert [tuple(strips[0, 0, column].tolist()) for column in (0, 3, 6)] == [(9, 9, 9), (255, 0, 0), (128, 128, 128)]
    assert [tuple(strips[1, 0, column].tolist()) for column in (0, 3, 6)] == [(7, 7, 7), (0, 0, 255), (255, 0, 0)]


def test_class_names_are_no_markup_in_the_report(tmp_path: Path) -> None:
    image, classes = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)
    tiles = example_tiles("a", image, classes, [(1, 2, 3)], tags=("x",), predicted_tags=())
    assert [list(tile.caption) for tile in tiles] == [["a", "tags: x"], ["predicted: none"]]
    epoch = {"epoch": 1, "loss": 0.5, "learning_rate": 1e-3, "images_per_second": 2.5, "seconds": 3.0, "micro_f1": 0.25}
    figures = {"precision": 0.5, "recall": None, "f1": 0.25, "average_precision": 0.75}
    tags = {"micro_f1": 0.25, "macro_f1": None, "tag_map": 0.75, "images": 1, "tags": {"a|<b>": figures}}
    scores = {"tags": tags, "epochs": 1, "checkpoint": "best-0001"}
    write_training_report(tmp_path, scores=scores, history=[epoch], examples=[tiles], legend=[("a|<b>", (1, 2, 3))])
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "| a\\|\\<b> | 0.5000 | – | 0.2500 | 0.7500 |" in text
    assert "| 1 | 0.5000 | 0.2500 | 0.001 | 2.5 | 3.0 |" in text
    assert "![image, prediction](examples.png)" in text
