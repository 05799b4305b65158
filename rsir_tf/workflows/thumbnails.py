"""Pictures of an index's own images, whole or small, and only where they are still what was indexed."""

from __future__ import annotations

import io
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation.drawing import scale
from rsir_tf.rasters import content_hash, open_source, read_pixels
from rsir_tf.workflows.hit_pictures import CHANGED, look_up

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index

SIDE = 192
"""Pixels of the longer side of a thumbnail."""

LARGEST_SIDE = 2048
"""Pixels of the longer side of a whole picture: larger ones are made smaller."""

QUALITY = {SIDE: 82, LARGEST_SIDE: 92}

CACHE_BYTES = 1_000_000_000
"""About 100,000 thumbnails."""


class PictureMissingError(InputError):
    """The picture of an indexed image is gone, or is not what was indexed."""


def indexed_pixels(index: Index, row: int) -> NDArray[np.uint8]:
    """Read the picture of an image of an index, uint8 [H, W, 3].

    Raises:
        PictureMissingError: Its file is gone, cannot be read, or shows something else than was indexed.
    """
    address = index.address_of(row)
    image = index.images.ids[row]
    try:
        pixels = read_pixels(open_source(address))
    except InputError as error:
        raise PictureMissingError(f"{image}: its picture {look_up(index, row).problem or 'cannot be read'}") from error
    if content_hash(pixels) != index.facts_of(row).content_hash:
        raise PictureMissingError(f"{image}: its picture {CHANGED}", cure="index the archive again")
    return pixels.values


def jpeg(image: NDArray[np.uint8], side: int) -> bytes:
    """A picture as JPEG, made smaller where its longer side exceeds `side` pixels.

    Args:
        image: uint8 [H, W, 3].
        side: `SIDE` or `LARGEST_SIDE`.
    """
    from PIL import Image

    small = scale(image, side) if max(image.shape[:2]) > side else image
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, format="JPEG", quality=QUALITY.get(side, 90), subsampling=0)
    return buffer.getvalue()


def cache_folder() -> Path:
    """The user's folder for what can be made again: XDG_CACHE_HOME, or what the system uses in its place."""
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "rsir_tf"


class ThumbnailCache:
    """Thumbnails in one file, by the content of their pictures: what was made once is not made again.

    Several processes may use the file at once. Where it grows beyond its bound, those that were made first go.

    Args:
        path: The file; its folder is made, for this user alone.
        limit: Bytes of thumbnails that are kept.

    Raises:
        ArtifactError: The file cannot be written, or is not such a cache.
    """

    def __init__(self, path: Path, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=OFF")  # What a power cut takes is made again.
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS thumbnails (content TEXT PRIMARY KEY, picture BLOB, made REAL)"
            )
            self._bytes = self._measure()
        except (sqlite3.Error, OSError) as error:
            raise ArtifactError(
                f"{path}: thumbnails cannot be kept here ({error})", cure="name another --cache"
            ) from error

    def of(self, index: Index, row: int) -> bytes:
        """The thumbnail of an image of an index, JPEG.

        Raises:
            PictureMissingError: Its picture is not what was indexed.
        """
        content = index.facts_of(row).content_hash
        problem = look_up(index, row).problem
        if problem is not None:
            raise PictureMissingError(f"{index.images.ids[row]}: its picture {problem}")
        with (
            self._lock,
            closing(self._database.execute("SELECT picture FROM thumbnails WHERE content = ?", (content,))) as rows,
        ):
            kept = rows.fetchone()
        if kept is not None:
            return bytes(kept[0])
        made = jpeg(indexed_pixels(index, row), SIDE)
        with self._lock:
            self._keep(content, made)
        return made

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def _keep(self, content: str, picture: bytes) -> None:
        try:
            self._database.execute(
                "INSERT OR REPLACE INTO thumbnails VALUES (?, ?, ?)", (content, picture, time.time())
            )
            self._bytes += len(picture)
            if self._bytes > self._limit:
                self._database.execute(
                    "DELETE FROM thumbnails WHERE content IN (SELECT content FROM thumbnails ORDER BY made LIMIT "
                    "(SELECT COUNT(*) / 4 + 1 FROM thumbnails))"
                )
                self._bytes = self._measure()
        except sqlite3.Error:  # The disk is full, say: the picture is shown all the same.
            return

    def _measure(self) -> int:
        with closing(self._database.execute("SELECT COALESCE(SUM(LENGTH(picture)), 0) FROM thumbnails")) as rows:
            return int(rows.fetchone()[0])
