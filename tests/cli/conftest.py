"""An archive, a served toy model and an index of it, for the commands' tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The toy model belongs to the serving tests.
sys.path.insert(0, str(Path(__file__).parent.parent / "serving"))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes of two images, 64 pixels a side, with masks and tags."""
    from rsir_tf.archives.synthetic import render_archive

    to = tmp_path_factory.mktemp("cli") / "archive"
    return render_archive(to, images_per_scene=2, size=64, scenes=["beach", "forest", "harbor"])


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`saved_models/fcn8s` with version 1: three classes, the strongest colour of each pixel."""
    from serving_toy import export_toy

    base = tmp_path_factory.mktemp("cli") / "saved_models" / "fcn8s"
    base.mkdir(parents=True)
    export_toy(base)
    return base


@pytest.fixture(scope="session")
def server(toy: Path) -> Iterator[str]:
    """HOST:PORT of a server with the toy model, under the default name."""
    from rsir_tf.serving.embedded import serve_embedded

    with serve_embedded(toy, port=0) as running:
        yield running.address


@pytest.fixture(scope="session")
def index(archive: Path, server: str, tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    """The archive, indexed with the toy model; not to be changed."""
    to = tmp_path_factory.mktemp("cli") / "index"
    ended = command("index", archive, "--to", to, "--server", server)
    assert ended.code == 0, ended.err
    return to
