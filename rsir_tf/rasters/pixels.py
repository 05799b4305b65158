"""Images as arrays: which pixels are valid, their content's identity, another size, and the check of an array."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters.source import Source

FILL = (124, 117, 104)
"""Red, green and blue of pixels that are not valid: ImageNet's mean colour, rounded, which VGG-16 takes as about 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """An image, and which of its pixels show something.

    Attributes:
        values: uint8 [H, W, 3], RGB; pixels that are not valid hold `FILL`.
        valid: bool [H, W]; None where every pixel is valid.
    """

    values: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None = None


def read_pixels(source: Source) -> Pixels:
    """Read a source's pixels with their validity.

    Args:
        source: Where it has a method `read_pixels` of its own, that one is asked; of others every pixel is valid.

    Raises:
        InputError: They cannot be read, or are not 8-bit RGB.
    """
    own = getattr(source, "read_pixels", None)
    if own is None:
        return Pixels(source.read())
    pixels: Pixels = own()
    return pixels


def content_hash(pixels: Pixels) -> str:
    """Identity of an image's content: as `pixel_hash` where every pixel is valid, otherwise of colours and validity."""
    if pixels.valid is None:
        return pixel_hash(pixels.values)
    digest = hashlib.blake2b(pixel_hash(pixels.values).encode(), digest_size=16)
    digest.update(np.packbits(pixels.valid).data)
    return digest.hexdigest()


def resize_image(image: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Bring an image to a size: bilinear, and averaging where it shrinks.

    Args:
        image: uint8 [H, W, 3].
        size: (height, width) in pixels; None leaves it as it is.

    Returns:
        uint8 [height, width, 3]; the same array where nothing is to be done.
    """
    if size is None or image.shape[:2] == size:
        return image
    from PIL import Image

    height, width = size
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def resize_pixels(pixels: Pixels, size: tuple[int, int] | None) -> Pixels:
    """Bring an image with its validity to a size, as `resize_image` does; a pixel is valid where its middle was.

    Args:
        pixels: The image.
        size: (height, width) in pixels; None leaves it as it is.
    """
    values = resize_image(pixels.values, size)
    if pixels.valid is None or size is None or pixels.valid.shape == size:
        return Pixels(values, pixels.valid)
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, pixels.valid.shape, strict=True)
    )
    valid = pixels.valid[np.ix_(rows, columns)]
    values[~valid] = FILL
    return Pixels(values, None if valid.all() else valid)


def pixel_hash(image: NDArray[np.uint8]) -> str:
    """Identity of an image's content, whatever file format holds it.

    Args:
        image: uint8 [H, W, 3].

    Returns:
        32 hexadecimal digits (BLAKE2b, 128 bits) of the shape and the pixels.
    """
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def check_image(image: NDArray[np.uint8], name: str) -> None:
    """Refuse what is not a picture.

    Raises:
        InputError: The array is not uint8 [H, W, 3], or has no pixel.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(f"{name} is {image.dtype} {list(image.shape)}", wanted="uint8 [height, width, 3], RGB")
