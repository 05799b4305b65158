"""Retrieval figures while training, against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives.records import Record
from rsir_tf.rasters import FileSource
from rsir_tf.workflows.training import watch_retrieval


def records(*scenes: str | None) -> list[Record]:
    return [Record(f"{i}.png", FileSource(Path(f"{i}.png")), scene=scene) for i, scene in enumerate(scenes)]


def test_figures_of_four_images_on_a_line() -> None:
    # a at 0 and 4, b at 1 and 10. The query is first; its fellow is third, but fourth for the b at 1.
    descriptors = np.array([[0], [4], [1], [10]], np.float32)
    figures = watch_retrieval(descriptors, records("a", "a", "b", "b"))
    # NG = 2, K = 4: NMRR = (mean rank − 1.5) / (1.25 · 4 − 1.5), mean ranks 2, 2, 2.5 and 2.
    assert figures["anmrr"] == pytest.approx((3 * 0.5 + 1.0) / 4 / 3.5)
    # Average precision (1 + 2/3) / 2, and (1 + 2/4) / 2 for the b at 1.
    assert figures["map"] == pytest.approx((3 * 5 / 6 + 3 / 4) / 4)


def test_without_scenes_there_is_no_figure() -> None:
    assert watch_retrieval(np.zeros((2, 3), np.float32), records("a", None)) == {"anmrr": None, "map": None}
