"""URLs through a server on loopback that answers range requests, counts bytes and fails on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from range_server import RangeServer, serving
from scene_files import noise, write_scene

from rsir_tf.errors import InputError
from rsir_tf.rasters import MISSING, RasterSource, blocks, datasets, layouts, open_source, remote

WINDOWS = [(600, 600, 256, 256), (1000, 1000, 256, 256), (0, 0, 512, 512)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    forget()
    folder = tmp_path / "www"
    folder.mkdir()
    with serving(folder) as running:
        yield running
    forget()


def forget() -> None:
    """Nothing of what has been read is known any more, as in a new process."""
    remote.forget()
    layouts._layouts.clear()
    blocks._forget()
    for _, dataset in datasets._local.__dict__.pop("datasets", {}).values():
        dataset.close()


def cog(server: RangeServer, compress: str) -> str:
    """Write a cloud-optimised GeoTIFF of 2048² pixels with blocks of 512 into the server's folder."""
    rows, columns = np.mgrid[:2048, :2048]
    values = np.stack([rows // 8, columns // 8, (rows + columns) // 16]).astype(np.uint8)
    values += noise(3, 2048, 2048, low=0, high=20)  # Ramps alone would be packed into next to nothing.
    plain = write_scene(server.folder.parent / "plain.tif", values)
    rasterio.shutil.copy(plain, server.folder / "cog.tif", driver="COG", compress=compress, blocksize=512)
    return "cog.tif"


def bytes_of_blocks(path: Path, window: tuple[int, int, int, int]) -> int:
    """Packed bytes of the blocks that a window touches."""
    x, y, width, height = window
    with rasterio.open(path) as file:
        return sum(
            file.block_size(1, row, column)
            for row in range(y // 512, (y + height - 1) // 512 + 1)
            for column in range(x // 512, (x + width - 1) // 512 + 1)
        )


@pytest.mark.parametrize("compress", ["deflate", "jpeg"])
@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_of_a_cog_fetches_little_more_than_its_blocks(
    server: RangeServer, compress: str, window: tuple[int, int, int, int]
) -> None:
    name = cog(server, compress)
    expected = RasterSource(str(server.folder / name), window=window).read()
    source = RasterSource(server.url(name), window=window)
    forget()
    np.testing.assert_array_equal(source.read(), expected)
    # The header counts as well.
    assert server.sent <= 2 * bytes_of_blocks(server.folder / name, window)
    sent = server.sent
    np.testing.assert_array_equal(source.read(), expected)
    assert server.sent == sent  # Decoded blocks are kept.


def test_one_band_of_several_is_fetched_alone(server: RangeServer) -> None:
    values = noise(8, 1024, 1024)
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"}
    write_scene(server.folder / "cog.tif", values, **options)
    found = open_source(server.url("cog.tif"), bands=(7, 7, 7)).read()
    np.testing.assert_array_equal(found[..., 0], values[6])
    # One band of eight, and the header.
    assert server.sent < (server.folder / "cog.tif").stat().st_size / 6


def test_a_url_that_breaks_off_says_so_and_works_when_it_is_back(server: RangeServer) -> None:
    name = cog(server, "deflate")
    url = server.url(name)
    first, second = (RasterSource(url, window=window) for window in WINDOWS[:2])
    first.read()
    server.breaking = True
    with pytest.raises(InputError, match=r"cog\.tif: the server did not send all of it.*try again"):
        second.read()
    server.breaking = False
    np.testing.assert_array_equal(second.read(), RasterSource(str(server.folder / name), window=WINDOWS[1]).read())
    server.refusing = 503
    with pytest.raises(InputError, match=r"answers 503 \(Service Unavailable\); try again when the server answers"):
        RasterSource(url, window=WINDOWS[2]).read()
    server.refusing = None
    assert RasterSource(url, window=WINDOWS[2]).read().shape == (512, 512, 3)


def test_failures_have_their_names(server: RangeServer) -> None:
    (server.folder / "page.tif").write_text("<html>Not what you wanted</html>" * 100)
    with pytest.raises(InputError, match=r"page\.tif: is no raster that GDAL reads"):
        RasterSource(server.url("page.tif")).read()
    with pytest.raises(InputError, match=r"gone\.tif: the server answers 404 \(Not Found\); check the URL"):
        RasterSource(server.url("gone.tif")).read()
    server.refusing = 403
    with pytest.raises(InputError, match=r"403 \(Forbidden\); check the credentials"):
        RasterSource(server.url("page.tif")).read()
    with serving(server.folder) as other:
        away = other.url("page.tif")
    with pytest.raises(InputError, match="the server cannot be reached"):
        RasterSource(away).read()


def test_a_file_that_is_no_cog_is_read_all_the_same(server: RangeServer) -> None:
    values = noise(3, 200, 300)
    write_scene(server.folder / "strips.tif", values)
    np.testing.assert_array_equal(RasterSource(server.url("strips.tif")).read(), np.moveaxis(values, 0, 2))


def test_a_server_without_ranges_is_named(server: RangeServer) -> None:
    write_scene(server.folder / "strips.tif", noise(3, 200, 300))
    server.ranges = False
    with pytest.raises(InputError, match=r"ignores range requests.*download the file first"):
        RasterSource(server.url("strips.tif")).read()


def test_a_url_has_a_fingerprint_and_a_digest(server: RangeServer) -> None:
    write_scene(server.folder / "a.tif", noise(3, 64, 64))
    source = RasterSource(server.url("a.tif"), window=(0, 0, 32, 32))
    fingerprint, digest = source.fingerprint, source.digest()
    assert fingerprint.size == (server.folder / "a.tif").stat().st_size
    asked = len(server.requests)
    assert RasterSource(server.url("a.tif"), window=(32, 0, 32, 32)).fingerprint == fingerprint
    assert len(server.requests) == asked  # Once for all windows.
    assert RasterSource(server.url("a.tif"), window=(32, 0, 32, 32)).digest() != digest
    write_scene(server.folder / "a.tif", noise(3, 64, 65))
    remote.forget()
    assert source.fingerprint != fingerprint
    assert source.digest() != digest
    assert RasterSource(server.url("gone.tif")).fingerprint == MISSING
    # A server that is away has not lost the file.
    server.refusing = 503
    remote.forget()
    assert source.fingerprint == remote.UNKNOWN
    assert source.digest() is None


KEY, SECRET = "AKIAEXAMPLE", "none/of/anybody"


@pytest.mark.parametrize("key", [None, KEY])
def test_a_bucket_is_read_with_the_credentials_of_the_environment(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    signing = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET} if key else {"AWS_NO_SIGN_REQUEST": "YES"}
    server.key = key
    (server.folder / "bucket").mkdir()
    values = noise(3, 64, 64)
    write_scene(server.folder / "bucket" / "a.tif", values)
    for name, value in {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.server_port}",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_REGION": "us-east-1",
        **signing,
    }.items():
        monkeypatch.setenv(name, value)
    source = RasterSource("s3://bucket/a.tif")
    np.testing.assert_array_equal(source.read(), np.moveaxis(values, 0, 2))
    assert source.fingerprint.size == (server.folder / "bucket" / "a.tif").stat().st_size
    with pytest.raises(InputError, match="no such object"):
        RasterSource("s3://bucket/gone.tif").read()


def test_a_bucket_that_refuses_says_what_to_check(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{server.server_port}",
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_ACCESS_KEY_ID": "AKIAOTHER",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    server.key = KEY
    (server.folder / "bucket").mkdir()
    write_scene(server.folder / "bucket" / "a.tif", noise(3, 64, 64))
    source = RasterSource("s3://bucket/a.tif")
    with pytest.raises(InputError, match="check the credentials in the environment"):
        source.read()
    assert source.fingerprint == remote.UNKNOWN  # It may be there.
