"""A small archive, its index by a toy model, and the program that shows it, without a network."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from web_samples import Canned, make_archive

from rsir_tf.web.access import Access
from rsir_tf.web.guard import Guard
from rsir_tf.web.house import House
from rsir_tf.web.limits import Limits
from rsir_tf.web.serving import make_app
from rsir_tf.workflows.browsing import WatchedIndex
from rsir_tf.workflows.thumbnails import ThumbnailCache


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("nicegui") is None:
        for item in items:
            if item.path.parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason="the extra `web` is not installed"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive and its index, not to be changed."""
    return make_archive(tmp_path_factory.mktemp("web") / "archive")


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    """A folder with `images/` and its index, `index/`; a test may change both."""
    return Path(shutil.copytree(made, tmp_path / "archive"))


@pytest.fixture
def model() -> Canned:
    return Canned()


@pytest.fixture
def house(archive: Path, model: Canned, tmp_path: Path) -> Iterator[House]:
    cache = ThumbnailCache(tmp_path / "cache" / "thumbnails.sqlite")
    made = House(
        WatchedIndex(archive / "index", {"": archive / "images"}),
        model,
        cache,
        upload_bytes=200_000,
        upload_pixels=128 * 128,
    )
    yield made
    made.close()


@pytest.fixture
def client(house: House) -> Callable[..., object]:
    """Make a client of the routes, by its address, for a kind of access."""
    from fastapi.testclient import TestClient

    def make(
        access: Access | None = None,
        *,
        host: str = "localhost:8080",
        limits: Limits | None = None,
        **options: object,
    ) -> TestClient:
        app: Guard = make_app(house, access or Access(None, loopback=True), limits or Limits(0), page=False)
        return TestClient(app, base_url=f"http://{host}", **options)

    return make
