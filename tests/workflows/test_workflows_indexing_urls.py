"""Scenes behind a URL, from a server on this machine: known by what the server says of them, and gone on with later."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from test_workflows_indexing_scenes import Stand

from rsir_tf.archives import open_archive
from rsir_tf.contract import Prediction
from rsir_tf.errors import InputError
from rsir_tf.ranking import open_index
from rsir_tf.rasters import RasterSource, Reading, Tiling
from rsir_tf.rasters.remote import forget
from rsir_tf.workflows import index_archive

# The server belongs to the tests of rasters.
sys.path.insert(0, str(Path(__file__).parent.parent / "rasters"))
from range_server import RangeServer, serving

READING = Reading(tiling=Tiling(256))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    """A scene of 1,024 × 2,048 pixels in one-coloured squares of 64: 32 windows of 256."""
    squares = np.random.default_rng(0).integers(1, 255, (3, 32, 16), dtype=np.uint8)
    (tmp_path / "served").mkdir()
    with rasterio.open(
        tmp_path / "served/scene.tif", "w", driver="GTiff", width=1024, height=2048, count=3, dtype="uint8",
        photometric="RGB", tiled=True, crs="EPSG:32632", transform=from_origin(5e5, 5.5e6, 10, 10),
    ) as scene:  # fmt: skip
        scene.write(squares.repeat(64, axis=1).repeat(64, axis=2))
    forget()
    with serving(tmp_path / "served") as running:
        yield running


class Cutting(Stand):
    """Lets the server answer 404 once it has been asked about five images."""

    def __init__(self, server: RangeServer) -> None:
        super().__init__()
        self.server = server

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for prediction in super().predict_stream(images):
            yield prediction
            if len(self.asked) == 5:
                self.server.refusing = 404


def test_a_url_that_dies_halfway_is_gone_on_with(server: RangeServer, tmp_path: Path) -> None:
    model, to, url = Cutting(server), tmp_path / "index", server.url("scene.tif")
    archive = open_archive(url, reading=READING)
    found = index_archive(archive, model, to)
    read, reasons = found.added, found.skipped
    assert 5 <= read < 29
    # Three windows in a row cannot be read, and the rest is not tried: one line stands for them.
    assert len(reasons) == 4
    assert reasons["scene.tif"].startswith(f"{32 - read - 3} more of its windows were not read, after 3 in a row")
    server.refusing = None
    forget()
    found = index_archive(archive, Stand(), to)
    assert (found.unchanged, found.added, found.skipped) == (read, 32 - read, {})
    # What the server says of the file's version tells whether anything is read again.
    before = server.sent
    assert index_archive(archive, Stand(), to).unchanged == 32
    assert server.sent == before
    os.utime(server.folder / "scene.tif", ns=(1, 1))
    forget()
    found = index_archive(archive, Stand(), to)
    assert (found.refreshed, found.added) == (32, 0)
    index = open_index(to)
    index.verify()
    assert (index.roots, index.readings) == ({"": url}, {"": READING})
    assert RasterSource(url, window=(0, 0, 256, 256)).address == index.images.paths[0]
    assert len(set(index.images.footprints)) == 32


def test_another_url_is_another_archive(server: RangeServer, tmp_path: Path) -> None:
    url = server.url("scene.tif")
    index_archive(open_archive(url, reading=READING), Stand(), tmp_path / "index")
    with pytest.raises(InputError, match=f"holds the images of {url} already, without a name; leave --as out"):
        index_archive(open_archive(f"{url}?version=2", reading=READING), Stand(), tmp_path / "index", name="b")
    (server.folder / "other").mkdir()
    (server.folder / "other/scene.tif").write_bytes((server.folder / "scene.tif").read_bytes())
    other = open_archive(server.url("other/scene.tif"), reading=READING)
    with pytest.raises(InputError, match="by --as NAME"):
        index_archive(other, Stand(), tmp_path / "index")
    found = index_archive(other, Stand(), tmp_path / "index", name="other")
    assert (found.reused, found.added, found.images) == (32, 0, 64)
    # A token in a URL's query is no part of what the archive is.
    found = index_archive(open_archive(f"{url}?token=7", reading=READING), Stand(), tmp_path / "index")
    assert (found.refreshed, found.added, found.images) == (32, 0, 64)
