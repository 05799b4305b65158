"""The one place where rasters are opened with GDAL: files of any format, and URLs."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

URL_PREFIXES = ("http://", "https://", "s3://")
"""How the addresses begin that GDAL reads over a network."""

_OPEN_AT_ONCE = 8
_CACHE = 16 << 20
"""Bytes of decoded blocks that GDAL keeps, for all files of the process; `blocks` has those of scenes. Without a bound
it takes a twentieth of the machine's memory."""

_FILE_SETTINGS: dict[str, Any] = {"GDAL_DISABLE_READDIR_ON_OPEN": "FALSE"}
_URL_SETTINGS: dict[str, Any] = {
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    # Bytes that are fetched at least: blocks of a COG are a few ten thousand, and a part of each chunk is thrown away.
    "CPL_VSIL_CURL_CHUNK_SIZE": 4096,
    # A server's folder is not listed, and no side-car is asked for: a request each, answered by 404.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # What was read of a URL is forgotten when it is closed, so that a server that was away is asked again.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/",
}
_local = threading.local()


def _forget() -> None:
    """Drop the open files of a parent, with whom the child of a fork would share their positions."""
    _local.__dict__.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@lru_cache(maxsize=1)
def gdal() -> Any:
    """Import rasterio, once and late: it takes a third of a second."""
    # GDAL tells of what it finds odd through Python's log, which prints where nobody has set it up.
    logging.getLogger("rasterio").addHandler(logging.NullHandler())
    import rasterio

    # A picture without a place is an ordinary picture here.
    warnings.filterwarnings("ignore", message="Dataset has no geotransform", category=UserWarning)
    # Where no `Env` is entered, GDAL writes its errors into this file, by default to stderr; they are raised as well.
    # It is said by the environment, because rasterio's settings hold for one thread where that is not the main one.
    os.environ.setdefault("CPL_LOG", os.devnull)
    if "GDAL_CACHEMAX" not in os.environ:
        rasterio.env.set_gdal_config("GDAL_CACHEMAX", _CACHE)
    return rasterio


def gdal_errors() -> tuple[type[Exception], ...]:
    """What rasterio raises where GDAL fails: its own errors, and GDAL's that it passes on."""
    from rasterio._err import CPLE_BaseError

    return gdal().errors.RasterioError, CPLE_BaseError


def is_url(path: str) -> bool:
    """Whether a path is a URL that GDAL reads over a network."""
    return path.startswith(URL_PREFIXES)


@contextlib.contextmanager
def gdal_settings(path: str) -> Iterator[None]:
    """GDAL's settings while a file or URL is opened or read.

    Variables of the environment that have these names count before them: `GDAL_HTTP_TIMEOUT=300` waits longer.
    """
    settings = _URL_SETTINGS if is_url(path) else _FILE_SETTINGS
    with gdal().Env(**{name: value for name, value in settings.items() if name not in os.environ}):
        yield


@contextlib.contextmanager
def open_dataset(
    path: str | os.PathLike[str], document: str | None = None, stamp: tuple[int, int] | None = None
) -> Iterator[Any]:
    """Open a raster file or URL for reading.

    Side-car files count (`.aux.xml`, world files, `.ovr`, `.msk`), and a VRT may name other files: use this for scenes
    that the user named as such, and `open_stored` for pictures. Each thread keeps the last few datasets open.

    Args:
        path: Anything that GDAL reads as a raster: a path, or a URL that begins with http://, https:// or s3://.
        document: A GDAL virtual raster (VRT) of the file, which is opened in its place.
        stamp: What `stamp_of` has just said of the file, where the caller asked: it is not asked twice for one window.

    Yields:
        A `rasterio.DatasetReader`. Do not close it, and do not hand it to another thread.

    Raises:
        InputError: There is nothing at the path or URL, it is no raster, its name is not UTF-8, or it is damaged; also
            where reading inside the `with` block fails.
    """
    name = os.fspath(path)
    key = (name, document)
    cache: OrderedDict[tuple[str, str | None], tuple[Any, Any]] = _local.__dict__.setdefault("datasets", OrderedDict())
    stamp = stamp or stamp_of(name)
    held = cache.pop(key, None)
    if held is not None and held[0] != stamp:
        held[1].close()
        held = None
    # What an open file is read with was settled when it was opened, and to settle it again takes a tenth of the time
    # of a block.
    with contextlib.nullcontext() if held is not None and not is_url(name) else gdal_settings(name):
        dataset = _open(name, document) if held is None else held[1]
        try:
            yield dataset
        except gdal_errors() as error:
            dataset.close()
            raise _unreadable(name, error) from error
        except BaseException:
            dataset.close()
            raise
        cache[key] = (stamp, dataset)
        while len(cache) > _OPEN_AT_ONCE:
            cache.popitem(last=False)[1][1].close()


def already_open(name: str, stamp: tuple[int, int] | None) -> Any:
    """The dataset of a file that this thread has open, to be read at once; None where there is none with this stamp.

    It is for the one place where `open_dataset` takes too long. Where reading fails, that one says why.
    """
    held = _local.__dict__.get("datasets", {}).get((name, None))
    return None if held is None or stamp is None or held[0] != stamp else held[1]


def stamp_of(name: str) -> tuple[int, int] | None:
    """A file's size and time of change, which tell whether it is still the one that was opened; None of a URL.

    Raises:
        InputError: There is no such file.
    """
    if is_url(name):
        return None
    try:
        status = os.stat(name)
    except OSError as error:
        raise InputError(f"{name}: no such file", cure="check the path") from error
    return status.st_size, status.st_mtime_ns


def not_utf8(name: str) -> InputError:
    """The error of a file whose name is bytes that are no UTF-8."""
    return InputError(f"{os.fsencode(name).decode('utf-8', 'backslashreplace')}: its name is not UTF-8: rename it")


def read_palette(dataset: Any) -> NDArray[np.uint8]:
    """The colours of an open dataset's first band: uint8 [n, 3], RGB of each index that the file lists."""
    entries = dataset.colormap(1)
    palette = np.zeros((max(entries) + 1, 3), np.uint8)
    for index, colour in entries.items():
        palette[index] = colour[:3]
    return palette


def _open(name: str, document: str | None) -> Any:
    if is_url(name):
        from rsir_tf.rasters.remote import refuse_remote

        refuse_remote(name)
    try:
        return gdal().open(document or name)
    except UnicodeEncodeError as error:  # Bytes that are no UTF-8, which rasterio does not hand to GDAL.
        raise not_utf8(name) from error
    except gdal_errors() as error:
        if os.path.isdir(name):
            raise InputError(f"{name}: is a folder", wanted="a raster file") from error
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> InputError:
    cause = str(error.__cause__ or error).replace(os.path.abspath(name), "").replace(name, "").strip(" :,'")
    if is_url(name):
        return _unreachable(name, cause)
    if "not recognized" in cause:
        return InputError(f"{name}: is no raster that GDAL reads", wanted="GeoTIFF, JPEG 2000, VRT or the like")
    return InputError(f"{name}: cannot be read as a raster ({cause})", cure="copy it again from its source")


def _unreachable(url: str, cause: str) -> InputError:
    from rsir_tf.rasters.remote import ask, forget

    forget()
    answer = ask(url)
    if answer.failure:
        cure = "check the credentials in the environment" if answer.denied else "try again when the server answers"
        return InputError(f"{url}: cannot be read, {answer.failure}", cure=cure)
    if "not recognized" in cause:
        return InputError(f"{url}: is no raster that GDAL reads", wanted="a cloud-optimised GeoTIFF or another raster")
    cause = cause.removeprefix("/vsicurl/").removeprefix("/vsis3/").strip("' :,")
    return InputError(
        f"{url}: the server did not send all of it, or it is damaged or cut off ({cause})",
        cure="try again, and if that does not help, copy the file to its server again",
    )
