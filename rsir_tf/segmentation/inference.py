"""A trained network on whole images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAD_MULTIPLE = 32
"""VGG-16 halves an image five times."""

PAD_MODE: Literal["symmetric"] = "symmetric"
"""The pixels beyond the border are the image's own, mirrored; the outermost ones are repeated."""

TIE = 1e-4
"""Advantage, in logits, of each class over the next."""


def tie_breaks(classes: int) -> NDArray[np.float32]:
    """What is added to logits before the largest is taken, so that rounding does not choose between equal ones.

    Tags that always come together (each dock of UC Merced with a ship) are learned alike to the last digits. Without
    this their regions would be speckles of one pixel, hundreds to an image.

    Args:
        classes: K.

    Returns:
        float32 [K], 0 for the first class and falling: of classes that are equally likely the first is taken.
    """
    return -TIE * np.arange(classes, dtype=np.float32)


def most_likely(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Choose the class of each pixel; of those that are equal up to rounding the first.

    Args:
        logits: float [..., K].

    Returns:
        uint8 [...], class indices.
    """
    return np.asarray(np.argmax(logits + tie_breaks(logits.shape[-1]), axis=-1).astype(np.uint8))


def margins(height: Any, width: Any) -> list[list[Any]]:
    """The rule by which images are padded, here and inside exports: behind their last row and column, to 32.

    Args:
        height: Pixels; an int, or a scalar tensor of TensorFlow.
        width: Likewise.

    Returns:
        What is added before and after each axis of [H, W, 3], for `numpy.pad` and `tensorflow.pad` with `PAD_MODE`.
    """
    return [[0, -height % PAD_MULTIPLE], [0, -width % PAD_MULTIPLE], [0, 0]]


def padded(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mirror images at the right and the bottom up to multiples of 32.

    Args:
        images: uint8 [..., H, W, 3], sides ≥ 16.

    Returns:
        float32 [..., ⌈H/32⌉·32, ⌈W/32⌉·32, 3], 0..255.
    """
    leading = [[0, 0]] * (images.ndim - 3)
    return np.pad(images, leading + margins(*images.shape[-3:-1]), mode=PAD_MODE).astype(np.float32)


def segment(model: keras.Model, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Segment one image.

    Args:
        model: From `build_fcn`.
        image: uint8 [H, W, 3], RGB, sides ≥ 16.

    Returns:
        uint8 [H, W], class indices. The image is mirrored at the right and the bottom up to multiples of 32, and the
        result cut back.
    """
    height, width = image.shape[:2]
    return most_likely(np.asarray(model.predict_on_batch(padded(image)[None]))[0, :height, :width])
