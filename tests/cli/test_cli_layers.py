"""`index --layers conv4_3`: further vectors, from the model to the schemes that compare them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving_fake import FakeService, running
from serving_toy import random_image, toy_conv4_3

from rsir_tf.ranking import open_index


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(random_image(48, 64, seed=number)).save(folder / f"{number}.png")
    return folder


def asked_for(service: FakeService) -> list[str]:
    return list(service.features()[-1].output_filter)


def test_vectors_of_conv4_3_are_kept_and_compared(images: Path, tmp_path: Path, command) -> None:
    service, to = FakeService(), tmp_path / "index"
    service.conv4 = True
    with running(service) as address:
        ended = command("index", images, "--to", to, "--server", address, "--layers", "conv4_3")
        assert ended.code == 0, ended.err
        assert asked_for(service) == []  # everything
        index = open_index(to)
        assert index.settings.layers == ("conv5_3", "conv4_3")
        vector = index.entry(0).recnn_plus_conv4_3
        # Pixels sample the map between centres of cells, at most 1/16 of a cell beside one: a little below its maximum.
        largest = toy_conv4_3(random_image(48, 64, seed=0)).max(axis=(0, 1))
        assert (vector <= largest + 1e-6).all()
        assert (vector >= 0.8 * largest - 1e-6).all()
        for scheme in ("multiscale", "multiscale+"):
            found = command("query", images / "2.png", "--index", to, "--server", address, "--scheme", scheme, "--json")
            assert found.code == 0, found.err
            answer = json.loads(found.out)
            assert (answer["scheme"], answer["scheme_options"]["weight"]) == (scheme, 0.7)
            assert answer["hits"][0]["id"] == "2.png"
            assert answer["hits"][0]["distance"] == pytest.approx(0, abs=1e-9)
        command("query", images / "2.png", "--index", to, "--server", address)
        assert asked_for(service) == ["segmentation", "conv5_3", "model_id"]  # what its scheme reads
        again = command("index", images, "--to", to, "--server", address)
        assert "vectors of conv5_3; wanted conv5_3 and conv4_3, with which the index was made" in again.err
        both = ("--expand", 2, "--expand-both", "--top", 3)
        ended = command("query", images / "2.png", "--index", to, "--server", address, "--metric", "cosine", *both)
        assert ended.code == 0, ended.err
        assert command("evaluate", to, "--expand-both").code == 2
    assert json.loads(command("info", to, "--json").out)["settings"]["layers"] == ["conv5_3", "conv4_3"]
    np.testing.assert_array_equal(index.vectors.segments[0].further["recnn_plus_conv4_3"][0], vector)


def test_what_lacks_them_is_refused_with_what_makes_them(images: Path, tmp_path: Path, command) -> None:
    with running(FakeService()) as address:
        ended = command("index", images, "--to", tmp_path / "none", "--server", address, "--layers", "conv4_3")
        assert ended.code == 1
        assert "gives no features of conv4_3" in ended.err
        assert "rsir-tf export --conv4" in ended.err
        assert not (tmp_path / "none").exists()
        assert command("index", images, "--to", tmp_path / "plain", "--server", address).code == 0
        asked = ("query", images / "2.png", "--index", tmp_path / "plain", "--server", address)
        ended = command(*asked, "--scheme", "multiscale")
        assert ended.code == 1
        assert "keeps no vectors of conv4_3, which scheme multiscale compares" in ended.err
        assert "rsir-tf index … --layers conv4_3" in ended.err
