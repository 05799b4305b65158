"""A trained network on whole images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
from scipy.special import softmax

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


def padded(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mirror images at the right and the bottom up to multiples of 32.

    Args:
        images: uint8 [..., H, W, 3], sides ≥ 16.

    Returns:
        float32 [..., ⌈H/32⌉·32, ⌈W/32⌉·32, 3], 0..255.
    """
    leading = [[0, 0]] * (images.ndim - 3)
    return np.pad(images, leading + margins(*images.shape[-3:-1]), mode=PAD_MODE).astype(np.float32)


def segment(model: keras.Model, image: NDArray[np.uint8], *, flips: bool = False) -> NDArray[np.uint8]:
    """Segment one image.

    Args:
        model: From `build_fcn`.
        image: uint8 [H, W, 3], RGB, sides ≥ 16.
        flips: Whether the probabilities (softmax of the logits) are averaged over the image and its three mirror
            images: left to right, top to bottom, and both. This takes four times as long.

    Returns:
        uint8 [H, W], class indices. The image is mirrored at the right and the bottom up to multiples of 32, and the
        result is cropped to the image.
    """
    height, width = image.shape[:2]

    def logits(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.predict_on_batch(padded(picture)[None]))[0, :height, :width]

    if not flips:
        return most_likely(logits(image))
    likely = sum(softmax(logits(image[step])[step], axis=-1) for step in MIRRORED)
    # The logarithm, because `most_likely` breaks ties of logits.
    return most_likely(np.log(np.maximum(likely, np.finfo(np.float32).tiny)))
