"""A rendered archive, its split, and tiny runs on its masks that many tests look at, or go on with copies of."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tensorflow as tf
from narrow_trunk import narrow_trunk
from training_samples import SETTINGS

from rsir_tf.archives import Archive, open_archive, stratified_split
from rsir_tf.archives.splits import Split
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.presentation import training_report
from rsir_tf.segmentation.runs import Run, open_run
from rsir_tf.segmentation.training import train


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    root = tmp_path_factory.mktemp("data") / "archive"
    return open_archive(render_archive(root, images_per_scene=4, size=64, scenes=["beach", "forest"]))


@pytest.fixture(scope="session")
def split(archive: Archive) -> Split:
    return stratified_split(archive, test=0.25)


@pytest.fixture(autouse=True)
def trunk_of_few_channels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test is not marked `full_width`."""
    if request.node.get_closest_marker("full_width"):
        yield
        return
    with narrow_trunk():
        yield


@pytest.fixture
def eager() -> Iterator[None]:
    """Steps run as they stand: compiling them takes longer than the few steps of a run that is about files."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def run(archive: Archive, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A complete run of two epochs; not to be changed."""
    with narrow_trunk():
        return train(archive, split, tmp_path_factory.mktemp("runs") / "run", SETTINGS, drawing=training_report)


@pytest.fixture(scope="session")
def first_epoch(archive: Archive, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with narrow_trunk():
        return train(archive, split, tmp_path_factory.mktemp("runs") / "begun", replace(SETTINGS, epochs=1)).path


@pytest.fixture
def begun(first_epoch: Path, tmp_path: Path) -> Run:
    """A run of the same settings whose first epoch has ended."""
    return open_run(Path(shutil.copytree(first_epoch, tmp_path / "run")))
