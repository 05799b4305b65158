"""Class maps, overlays and outlines on images; scaling and writing them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.rasters import check_image

Colour = tuple[int, int, int]

VOID = 255
"""Class index of a pixel without a class."""

VOID_COLOUR: Colour = (128, 128, 128)
"""Mid grey, for void pixels."""


def colour_map(segmentation: NDArray[np.uint8], colours: Sequence[Colour]) -> NDArray[np.uint8]:
    """Paint each class in its colour.

    Args:
        segmentation: uint8 [H, W], class indices from 0; 255 (void) becomes mid grey.
        colours: RGB of each class, 0..255.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: The segmentation is not uint8 [H, W], or holds a class without a colour.
    """
    if segmentation.ndim != 2 or segmentation.dtype != np.uint8:
        raise InputError(
            f"segmentation is {segmentation.dtype} {list(segmentation.shape)}", wanted="uint8 [height, width]"
        )
    table = np.full((256, 3), VOID_COLOUR, dtype=np.uint8)
    table[: len(colours)] = np.asarray(colours, dtype=np.uint8).reshape(-1, 3)[:256]
    table[VOID] = VOID_COLOUR
    classes = segmentation[segmentation != VOID]
    if classes.size and int(classes.max()) >= len(colours):
        raise InputError(
            f"segmentation holds class {int(classes.max())}", wanted=f"classes below {len(colours)}, one per colour"
        )
    return np.asarray(table[segmentation])


def blend(image: NDArray[np.uint8], overlay: NDArray[np.uint8], alpha: float = 0.5) -> NDArray[np.uint8]:
    """Lay one picture over another.

    Args:
        image: uint8 [H, W, 3].
        overlay: uint8 [H, W, 3], for example from `colour_map`.
        alpha: Weight of the overlay: 0 shows the image alone, 1 the overlay alone.

    Returns:
        uint8 [H, W, 3], rounded to nearest.

    Raises:
        InputError: The shapes differ, or `alpha` is outside 0..1.
    """
    check_image(image, "image")
    check_image(overlay, "overlay")
    if image.shape != overlay.shape:
        raise InputError(f"image is {list(image.shape)}, overlay is {list(overlay.shape)}", wanted="equal shapes")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is {alpha}", wanted="0 to 1")
    mixed = image.astype(np.float32) * (1 - alpha) + overlay.astype(np.float32) * alpha
    return np.asarray(np.rint(mixed).astype(np.uint8))


def outline(
    image: NDArray[np.uint8], labels: NDArray[Any], colours: Colour | ArrayLike, width: int = 1
) -> NDArray[np.uint8]:
    """Draw the borders of regions, each inside its own region; the edge of the image is not a border.

    Args:
        image: uint8 [H, W, 3]; not changed.
        labels: int [H, W], 0 for no region (not painted), otherwise 1..m.
        colours: One RGB for all, or [m, 3], where row i belongs to region i + 1.
        width: Pixels on each side of a border.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: The sizes differ, or a region has no colour.
    """
    check_image(image, "image")
    if labels.shape != image.shape[:2] or labels.dtype.kind not in "iu":
        raise InputError(
            f"labels are {labels.dtype} {list(labels.shape)}", wanted=f"whole numbers {list(image.shape[:2])}"
        )
    regions = int(labels.max(initial=0))
    single = np.shape(colours) == (3,)
    table = np.asarray(colours, dtype=np.uint8).reshape(-1, 3)
    if not single and len(table) < regions:
        raise InputError(f"{len(table)} colours for {regions} regions", wanted="one colour per region, or one for all")
    border = np.zeros(labels.shape, dtype=np.bool_)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= down
    border[:-1] |= down
    for _ in range(width - 1):
        grown = border.copy()
        grown[:, 1:] |= border[:, :-1]
        grown[:, :-1] |= border[:, 1:]
        grown[1:] |= border[:-1]
        grown[:-1] |= border[1:]
        border = grown
    border &= labels > 0
    painted: NDArray[np.uint8] = image.copy()
    painted[border] = table[0] if single else table[labels[border] - 1]
    return painted


def scaled_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Largest (height, width) with the image's proportions that fits into a square of `side` pixels; at least 1."""
    height, width = shape[:2]
    factor = side / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def scale(image: NDArray[np.uint8], side: int, *, smooth: bool = True) -> NDArray[np.uint8]:
    """Scale a picture to fit into a square, with its proportions.

    Args:
        image: uint8 [H, W, 3].
        side: Pixels of the longer side of the result.
        smooth: True interpolates; False takes the nearest pixel.

    Returns:
        uint8 [height, width, 3]; the longer side has `side` pixels.
    """
    from PIL import Image

    height, width = scaled_size(image.shape, side)
    if (height, width) == image.shape[:2]:
        return image
    method = Image.Resampling.LANCZOS if smooth else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(image).resize((width, height), method), dtype=np.uint8)


def save_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a picture as PNG, completely or not at all; an existing file is replaced.

    Args:
        path: The file.
        image: uint8 [H, W, 3], RGB.

    Raises:
        InputError: The array is no such picture.
        ArtifactError: The disk is full or read-only.
    """
    content = png_bytes(image)
    with written_aside(path, replace=True) as aside:
        aside.write_bytes(content)


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """A picture, uint8 [H, W, 3], as the bytes of a PNG file.

    Raises:
        InputError: The array is no such picture.
    """
    from PIL import Image

    check_image(image, "picture")
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
