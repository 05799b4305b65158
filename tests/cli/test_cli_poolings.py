"""`index --pooling`: how features are pooled, recorded in the index and kept by its queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_fake import FakeService, running
from serving_toy import random_image, toy_conv5_3

from rsir_tf.ranking import open_index


@pytest.fixture
def asked() -> Iterator[tuple[str, str]]:
    with running(FakeService()) as address:
        yield "--server", address


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(random_image(48, 64, seed=number)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("pooling", ["gem", "mean"])
def test_an_index_keeps_its_pooling(images: Path, tmp_path: Path, asked, command, pooling: str) -> None:
    to = tmp_path / "index"
    ended = command("index", images, "--to", to, *asked, "--pooling", pooling)
    assert ended.code == 0, ended.err
    index = open_index(to)
    assert index.settings.pooling == pooling
    # Bilinear sampling is symmetric about each cell here, but at the borders: the mean lies between those of cells.
    cells = toy_conv5_3(random_image(48, 64, seed=0))
    assert (index.recnn_plus[0] <= cells.max(axis=(0, 1)) + 1e-6).all()
    if pooling == "mean":
        # Pixels beyond the middle of an outer cell have that cell's value: it weighs 8 + Σ (15.5 … 0.5)/16 of its 16.
        down, across = (np.full(sides, 16.0) for sides in (3, 4))
        np.testing.assert_allclose(
            index.recnn_plus[0], np.einsum("y,x,yxc->c", down, across, cells) / (48 * 64), rtol=1e-5, atol=1e-6
        )
    found = json.loads(command("query", images / "1.png", "--index", to, *asked, "--json").out)
    assert (found["hits"][0]["id"], found["hits"][0]["distance"]) == ("1.png", 0)
    assert json.loads(command("info", to, "--json").out)["settings"]["pooling"] == pooling
    again = command("index", images, "--to", to, *asked)
    assert again.code == 1
    assert f"pooling 'max'; wanted '{pooling}', with which the index was made" in again.err
    refused = command("query", images / "1.png", "--index", to, *asked, "--pooling", "max")
    assert refused.code == 1
    assert f"the query has pooling 'max'; wanted '{pooling}'" in refused.err
