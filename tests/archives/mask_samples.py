"""Label sets and a picture of classes that the tests of masks share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from rsir_tf.archives import VOID, LabelSet

IDS = LabelSet("ids", ("a", "b", "c"), (5, 1, 9), ignore_ids=(0, 255))

COLOURS = LabelSet(
    "colours",
    ("a", "b", "c"),
    None,
    ((132, 41, 246), (226, 169, 41), (255, 255, 255)),
    ignore_colours=((155, 155, 155), (0, 0, 0)),
)

BOTH = LabelSet("both", ("a", "b"), (1, 2), ((10, 20, 30), (40, 50, 60)), (0,), ((0, 0, 0),))


def drawn_classes() -> np.ndarray:
    """(20, 24) uint8: the three classes and void, a quarter of the pixels each."""
    drawn = np.random.default_rng(0).integers(0, 4, (20, 24)).astype(np.uint8)
    return np.where(drawn == 3, VOID, drawn).astype(np.uint8)


def save(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path
