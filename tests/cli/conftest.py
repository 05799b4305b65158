"""An archive, a served toy model and an index of it, for the commands' tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_pictures import picture
from PIL import Image

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
    from rsir_tf.serving.server.embedded import EmbeddedServer

    with EmbeddedServer(toy, port=0) as running:
        yield running.address


@pytest.fixture(scope="session")
def index(archive: Path, server: str, tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    """The archive, indexed with the toy model; not to be changed."""
    to = tmp_path_factory.mktemp("cli") / "index"
    ended = command("index", archive, "--to", to, "--server", server)
    assert ended.code == 0, ended.err
    return to


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of test certificates for `fcn8s.example`; not to be changed."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on PATH")
    folder = tmp_path_factory.mktemp("certificates")
    script = Path(__file__).parents[2] / "serving" / "make_test_certificates.sh"
    subprocess.run(["sh", script, folder, "fcn8s.example"], check=True, timeout=60)
    return folder


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Two scenes that the toy model tells apart, and a pair with equal pixels."""
    for number in range(2):
        picture(tmp_path / f"colours/fire/{number}.png", (200, 10, 10), number)
        picture(tmp_path / f"colours/lake/{number}.png", (10, 10, 200), number)
    shutil.copy(tmp_path / "colours/lake/1.png", tmp_path / "colours/lake/2.png")
    return tmp_path / "colours"


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Pictures with a red left half and another right half; the toy model gives each half a region of its own."""
    for number, colour in enumerate([(10, 10, 200), (10, 200, 10), (10, 10, 190)]):
        path = picture(tmp_path / f"halves/{number}.png", (200, 10, 10), number)
        left = np.asarray(Image.open(path))
        right = np.asarray(Image.open(picture(tmp_path / "right.png", colour, number)))
        Image.fromarray(np.concatenate([left, right], axis=1)).save(path)
    return tmp_path / "halves"


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn where a test only looks at what a comparison says: pictures take most of its time."""
    from rsir_tf.workflows import archive_comparison

    monkeypatch.setattr(archive_comparison, "write_comparison", lambda report, *_, **__: report / "index.html")
