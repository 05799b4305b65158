"""A rendered archive, its split, and one tiny run on its masks that many tests look at."""

from __future__ import annotations

import pytest
from training_samples import SETTINGS

from rsir_tf.archives import Archive, open_archive, stratified_split
from rsir_tf.archives.splits import Split
from rsir_tf.archives.synthetic import render_archive
from rsir_tf.presentation import training_report
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.training import train


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    root = tmp_path_factory.mktemp("data") / "archive"
    return open_archive(render_archive(root, images_per_scene=4, size=64, scenes=["beach", "forest"]))


@pytest.fixture(scope="session")
def split(archive: Archive) -> Split:
    return stratified_split(archive, test=0.25)


@pytest.fixture(scope="session")
def run(archive: Archive, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(archive, split, tmp_path_factory.mktemp("runs") / "run", SETTINGS, drawing=training_report)
