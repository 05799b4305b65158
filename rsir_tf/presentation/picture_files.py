"""Pictures in files that a user names: in the format of the ending, and never over a file that is another's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.presentation.targets import check_target
from rsir_tf.rasters import check_image
from rsir_tf.rasters.picture_files import SOFTWARE, software

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

LARGEST_SIDE = {"JPEG": 65_535, "WEBP": 16_383}
"""Pixels a side that a format can hold; PNG has no such bound in practice."""

MARK = "rsir_tf contact sheet"
"""What stands as the software in a picture that this program wrote: PNG's text "Software", EXIF's tag Software."""


def check_picture_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where a picture must not be written; call it before the work.

    An existing file may be replaced where it is a picture that carries `MARK`: a photograph that was named by mistake
    does not.

    Args:
        path: The file that the picture will have.
        force: Whether any existing file may be replaced.

    Raises:
        InputError: The ending is that of no format that can be written.
        ArtifactError: Its folder does not exist, it is a folder, or it is a file that this program did not make.
    """
    check_target(path, FORMATS, is_own_picture, what="a picture", force=force)


def is_own_picture(path: Path) -> bool:
    """Whether a file is a picture that `save_picture` wrote."""
    return MARK in software(str(path))


def save_picture(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture in the format of the file's ending, whole or not at all; an existing file is replaced.

    Args:
        path: The file; see `check_picture_target`.
        image: uint8 [H, W, 3], RGB.

    Raises:
        InputError: The ending is that of no format that can be written, or the picture is too large for the format.
        ArtifactError: The disk is full or read-only.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    check_image(image, "picture")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: the ending is {path.suffix or 'missing'}", wanted=", ".join(FORMATS))
    height, width = image.shape[:2]
    if max(height, width) > LARGEST_SIDE.get(kind, max(height, width)):
        raise InputError(
            f"{path}: the picture is {width}×{height} pixels",
            wanted=f"at most {LARGEST_SIDE[kind]:,} pixels a side in {kind}",
            cure="choose the ending .png",
        )
    options: dict[str, Any]
    if kind == "PNG":
        options = {"optimize": True, "pnginfo": PngInfo()}
        options["pnginfo"].add_text("Software", MARK)
    else:
        exif = Image.Exif()
        exif[SOFTWARE] = MARK
        # Lines of one pixel and small letters: colour is kept at full resolution.
        options = {"exif": exif, "quality": 92, **({"subsampling": 0} if kind == "JPEG" else {})}
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format=kind, **options)
    with written_aside(path, replace=True) as aside:
        aside.write_bytes(buffer.getvalue())
