"""`rsir-tf compare` with BoVW: which images visual words are learned from, and what is said where none can be."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from compared_archive import coloured_scenes

from rsir_tf.archives import open_archive, stratified_split
from rsir_tf.baselines import libraries
from rsir_tf.presentation import save_png
from rsir_tf.rasters import files, read_image


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return coloured_scenes(tmp_path / "archive")


@pytest.fixture
def textured(tmp_path: Path) -> Path:
    """Two scenes of four images with keypoints."""
    generator = np.random.default_rng(0)
    for number in range(8):
        image = cv2.resize(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8), (96, 96), interpolation=2)
        save_png(tmp_path / "textured" / "ab"[number % 2] / f"{number}.png", image)
    return tmp_path / "textured"


WORDS = ("--descriptor", "bovw", "--set", "bovw.words=12", "--processes", 1)


@pytest.mark.usefixtures("no_report")
def test_words_are_learned_from_the_training_part_alone(
    command: Callable, textured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(files, "read_image", lambda path: (read.append(path), read_image(path))[1])
    drawn = stratified_split(open_archive(textured), 0.5, 3)
    line = ("compare", textured, "--to", tmp_path / "out", *WORDS, "--test", 0.5, "--seed", 3, "--json")
    ended = command(*line)
    assert ended.code == 0, ended.err
    names = [path.relative_to(textured).as_posix() for path in read]
    learned_from, described = names[: len(drawn.train)], names[len(drawn.train) :]
    assert learned_from == list(drawn.train)
    assert set(described) == set(drawn.test)
    found = json.loads(ended.out)
    assert found["schemes"]["bovw"]["costs"]["bytes_per_image"] == 48
    assert found["queries"] == 4
    origin = found["details"]["bovw_parameters"]
    assert (origin["words"], origin["training_images"], len(origin["learned_from"])) == (12, 4, 64)
    assert list(origin["learned_with"]) == ["numpy", "opencv", "pillow", "rasterio", "scikit-learn", "scipy"]
    assert len(list((tmp_path / "out" / "descriptors").glob("bovw-*/*.npz"))) == 1
    read.clear()
    assert command(*line).code == 0
    assert not {path.relative_to(textured).as_posix() for path in read} & set(drawn.train)  # What was learned is kept.
    monkeypatch.setattr(libraries, "version", lambda name: "99.0" if name == "scikit-learn" else version(name))
    read.clear()
    newer = json.loads(command(*line).out)["details"]["bovw_parameters"]
    names = [path.relative_to(textured).as_posix() for path in read]
    assert names[: len(drawn.train)] == list(drawn.train)  # Another k-means may find other words.
    assert newer["learned_with"] == {**origin["learned_with"], "scikit-learn": "99.0"}


@pytest.mark.usefixtures("no_report")
def test_training_images_that_cannot_be_read_are_named(command: Callable, textured: Path, tmp_path: Path) -> None:
    first = stratified_split(open_archive(textured), 0.5).train[0]
    (textured / first).write_bytes(b"no picture")
    for _ in range(2):  # The second time words come from the cache.
        ended = command("compare", textured, "--to", tmp_path / "out", *WORDS, "--test", 0.5)
        assert ended.code == 0, ended.err
        assert "BoVW learned without 1 of 4 training images, which could not be read; the first:" in ended.err
        assert first in ended.err


def test_no_words_to_learn(command: Callable, archive: Path, tmp_path: Path) -> None:
    line = ("compare", archive, "--descriptor", "bovw", "--processes", 1)
    ended = command(*line, "--to", tmp_path / "all", "--all")
    assert ended.code == 1
    assert "nothing to compare. BoVW is left out: there is no training part" in ended.err
    ended = command(*line, "--descriptor", "color", "--to", tmp_path / "part")
    assert ended.code == 0, ended.err
    assert "BoVW is left out" in ended.err  # Nine images of noise have fewer keypoints than the 1,000 words asked for.
    assert "- BoVW is left out" in (tmp_path / "part" / "report" / "report.md").read_text("utf-8")
