"""Images that somebody hands in from elsewhere: uploaded bytes, and typed paths. Neither is trusted."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource, Fingerprint, read_pixels
from rsir_tf.workflows.hit_pictures import look_up
from rsir_tf.workflows.query_windows import query_reading, query_source
from rsir_tf.workflows.thumbnails import PictureMissingError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Pixels, Place
    from rsir_tf.workflows.browsing import Browsed

UPLOAD_PIXELS = 4_194_304
"""Pixels of an uploaded image at most, 2048 × 2048: the model sees all of them at once."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldImage:
    """An image in memory as a source; see `rsir_tf.rasters.Source`.

    Attributes:
        name: What it is called, for people; nothing is opened by it.
        pixels: Its pixels.
        place: Where it lies on Earth; None where that is not known.
    """

    name: str
    pixels: Pixels
    place: Place | None = None

    @property
    def address(self) -> str:
        """Its name: it cannot be opened again."""
        return self.name

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.pixels.values.shape[:2]
        return height, width

    @property
    def fingerprint(self) -> Fingerprint:
        """Always the same: it does not change."""
        return Fingerprint(self.pixels.values.nbytes, 0)

    def read(self) -> NDArray[np.uint8]:
        """The pixels, uint8 [H, W, 3]."""
        pixels: NDArray[np.uint8] = self.pixels.values.copy()
        return pixels

    def read_pixels(self) -> Pixels:
        """The pixels with their validity."""
        return self.pixels

    def digest(self) -> str | None:
        """None: no file holds it."""

    def __str__(self) -> str:
        return self.name


def read_upload(content: bytes, name: str, index: Index, *, most_pixels: int = UPLOAD_PIXELS) -> HeldImage:
    """Read an image that was uploaded, as queries of an index are read.

    The bytes are on disk only while they are decoded, in a folder of this user's alone and never under their own name.
    The format is told by the first bytes, not by the name, and the size by the header, before anything is decoded.

    Args:
        content: Of a TIFF, JPEG, PNG, BMP or WebP file.
        name: What it is called, for people.
        index: That will be asked.
        most_pixels: A larger image is refused.

    Raises:
        InputError: It is no such image, or too large.
    """
    with tempfile.TemporaryDirectory(prefix="rsir_tf-") as folder:
        file = Path(folder) / "upload"
        file.write_bytes(content)
        try:
            height, width = FileSource(file).shape
            if height * width > most_pixels:
                raise InputError(f"{file}: is {width}×{height} pixels", wanted=f"at most {most_pixels:,} pixels")
            source = query_source(file, query_reading(index))
            return HeldImage(name, read_pixels(source), source.place)
        except InputError as error:
            parts = (text and text.replace(str(file), name) for text in (error.found, error.wanted, error.cure))
            found, wanted, cure = parts
            raise InputError(found or name, wanted=wanted, cure=cure) from error


def own_file(path: str, browsed: Browsed) -> str:
    """Check that a path which somebody typed is of a file of the index: an image that it holds, or a scene.

    The file system is not touched, so that nothing can be learnt about other files.

    Args:
        path: Absolute, or relative to the folder of an archive.
        browsed: The index.

    Returns:
        The file's path, as the index has it.

    Raises:
        InputError: The index has no image of such a file.
        PictureMissingError: The file is gone, or is not what was indexed.
    """
    for folder in ("", *browsed.index.roots.values()):
        file = os.path.normpath(os.path.join(folder, path)) if path else ""
        if file in browsed.files:
            row = browsed.files[file]
            problem = look_up(browsed.index, row).problem
            if problem is not None:
                raise PictureMissingError(f"{path}: {problem}")
            return file
    raise InputError(f"{path}: is no file of this index", cure="choose one of its images, or upload an image")
