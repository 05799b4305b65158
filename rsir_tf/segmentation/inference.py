"""A trained network on whole images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAD_MULTIPLE = 32
"""VGG-16 halves an image five times."""

PAD_MODE: Literal["symmetric"] = "symmetric"
"""Beyond the border, the image is mirrored, including its outermost pixels."""

MIRRORED = tuple((slice(None, None, down), slice(None, None, right)) for down in (1, -1) for right in (1, -1))
"""Indices that give an image itself and its three mirror images; each, applied twice, changes nothing."""

TIE = 1e-4
"""What each class gets more than the next one, in logits."""


def tie_breaks(classes: int) -> NDArray[np.float32]:
    """Numbers to add to logits before the largest is chosen, so that rounding does not choose between equal ones.

    Two tags that always occur together (in UC Merced, each dock with a ship) get almost exactly equal logits. Without
    this, their regions would be hundreds of single pixels per image.

    Args:
        classes: K.

    Returns:
        float32 [K], 0 for the first class and decreasing: of equally likely classes, the first is chosen.
    """
    return -TIE * np.arange(classes, dtype=np.float32)


def most_likely(logits: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Choose the most likely class of each pixel; of classes that are equal up to rounding, the first.

    Args:
        logits: float [..., K].

    Returns:
        uint8 [...], class indices.
    """
    return np.asarray(np.argmax(logits + tie_breaks(logits.shape[-1]), axis=-1).astype(np.uint8))


def margins(height: Any, width: Any) -> list[list[Any]]:
    """How images are padded, here and inside exports: after their last row and column, to multiples of 32.

    Args:
        height: Pixels; an int, or a scalar tensor of TensorFlow.
        width: The same.

    Returns:
        What is added before and after each axis of [H, W, 3], for `numpy.pad` and `tensorflow.pad` with `PAD_MODE`.
    """
    return [[0, -height % PAD_MULTIPLE], [0, -width % PAD_MULTIPLE], [0, 0]]


def padded(images: NDArray[Any]) -> NDArray[np.float32]:
    """Mirror images at the right and the bottom up to multiples of 32.

    Args:
        images: uint8 or float [..., H, W, 3], 0..255, sides ≥ 16.

    Returns:
        float32 [..., ⌈H/32⌉·32, ⌈W/32⌉·32, 3], 0..255.
    """
    leading = [[0, 0]] * (images.ndim - 3)
    return np.pad(images, leading + margins(*images.shape[-3:-1]), mode=PAD_MODE).astype(np.float32)


def segment(
    model: keras.Model, image: NDArray[np.uint8], *, flips: bool = False, scales: Sequence[float] = (1.0,)
) -> NDArray[np.uint8]:
    """Segment one image.

    With several answers, their probabilities (softmax of the logits) are averaged. The time and, with scales above 1,
    the memory grow with the number of pixels that are looked at.

    Args:
        model: From `build_fcn`.
        image: uint8 [H, W, 3], RGB, sides ≥ 16.
        flips: Whether to ask for the image's three mirror images too: left to right, top to bottom, and both.
        scales: The magnifications at which to ask; 1 is the image as it is. Images and answers are resized bilinearly.

    Returns:
        uint8 [H, W], class indices. The image is mirrored at the right and the bottom up to multiples of 32, and the
        result is cropped to the image.

    Raises:
        InputError: There is no scale, or one is not positive, or makes a side smaller than 16 pixels.
    """
    height, width = image.shape[:2]
    if not scales or not all(0 < scale < float("inf") and round(min(height, width) * scale) >= 16 for scale in scales):
        raise InputError(
            f"scales {', '.join(map(str, scales)) or 'none'} for an image of {width}×{height} pixels",
            wanted="one or more positive numbers, and sides of at least 16 pixels",
        )

    def logits(picture: NDArray[Any]) -> NDArray[np.float32]:
        rows, columns = picture.shape[:2]
        return np.asarray(model.predict_on_batch(padded(picture)[None]))[0, :rows, :columns]

    if not flips and tuple(scales) == (1.0,):
        return most_likely(logits(image))
    likely: Any = 0.0
    for scale in scales:
        picture = _resized(image, round(height * scale), round(width * scale))
        answers = (softmax(logits(picture[step])[step], axis=-1) for step in (MIRRORED if flips else MIRRORED[:1]))
        likely += _resized(sum(answers), height, width)
    # The logarithm, because `most_likely` breaks ties of logits.
    return most_likely(np.log(np.maximum(likely, np.finfo(np.float32).tiny)))


def _resized(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Bilinearly, half-pixel centres, with antialiasing where it becomes smaller."""
    if values.shape[:2] == (height, width):
        return values
    return np.asarray(tf.image.resize(values, (height, width), antialias=True))
