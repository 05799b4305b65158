"""Archives in miniature: files of a few hundred bytes in the layouts that the readers know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import load_label_set

SIZE = (20, 24)  # height, width of every picture unless a test says otherwise


@pytest.fixture
def draw_image(tmp_path: Path) -> Callable[..., Path]:
    """Write an RGB picture of one colour below tmp_path."""

    def draw(relative: str, *, shape: tuple[int, int] = SIZE, value: int = 90) -> Path:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*shape, 3), value, np.uint8)).save(path)
        return path

    return draw


@pytest.fixture
def draw_mask(tmp_path: Path) -> Callable[..., Path]:
    """Write a PNG with one id in every pixel, or with the given values, below tmp_path; grey, or in DLRSD's palette."""

    def draw(
        relative: str, values: int | np.ndarray = 1, *, shape: tuple[int, int] = SIZE, dlrsd: bool = False
    ) -> Path:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        array = np.full(shape, values, np.uint8) if isinstance(values, int) else values
        picture = Image.fromarray(array)
        if dlrsd:
            picture.putpalette([0, 0, 0, *(band for colour in load_label_set("dlrsd").colours for band in colour)])
        picture.save(path)
        return path

    return draw
