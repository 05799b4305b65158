"""A trained network on whole images of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAD_MULTIPLE = 32
"""VGG-16 halves an image five times."""


def padded(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mirror an image at the right and the bottom up to multiples of 32.

    Args:
        image: uint8 [H, W, 3], sides ≥ 16.

    Returns:
        float32 [⌈H/32⌉·32, ⌈W/32⌉·32, 3], 0..255.
    """
    height, width = image.shape[:2]
    margins = ((0, -height % PAD_MULTIPLE), (0, -width % PAD_MULTIPLE), (0, 0))
    return np.pad(image, margins, mode="symmetric").astype(np.float32)


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
    logits = np.asarray(model.predict_on_batch(padded(image)[None]))[0, :height, :width]
    segmentation: NDArray[np.uint8] = np.argmax(logits, axis=-1).astype(np.uint8)
    return segmentation
