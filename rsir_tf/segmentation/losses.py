"""Cross-entropy of pixels, with weights that exclude void and can balance the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.archives.labels import VOID
from rsir_tf.archives.report import MEANT_TO_DIFFER, all_void, one_class

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.segmentation.data import PairReader


def pixel_loss() -> keras.losses.Loss:
    """Cross-entropy in nats of logits [B, H, W, K] and classes [B, H, W], for the weights of `weigh_pixels`."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def weigh_pixels(masks: tf.Tensor, class_weights: NDArray[np.float32]) -> tuple[tf.Tensor, tf.Tensor]:
    """Split masks into classes and weights for `pixel_loss`.

    The `ignore_class` of Keras has no class weights, and in Keras 2 gives NaN for a batch that is all void.

    Args:
        masks: int32 [B, H, W], 0..K-1, VOID = 255.
        class_weights: float32 [K].

    Returns:
        Classes int32 [B, H, W], void as class 0, and weights float32 [B, H, W] such that Keras's mean over all pixels
        is Σ w·loss over the labelled pixels / number of labelled pixels; 0 where there are none.
    """
    table = np.zeros(256, np.float32)
    table[: len(class_weights)] = class_weights
    labelled = masks != VOID
    count = tf.maximum(tf.math.count_nonzero(labelled, dtype=tf.float32), 1.0)
    weights = tf.gather(tf.constant(table), masks) * (tf.size(masks, out_type=tf.float32) / count)
    return tf.where(labelled, masks, 0), weights


def count_pixels(reader: PairReader) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the pixels of the classes in an archive's masks.

    Args:
        reader: Reads the masks; all records are read once.

    Returns:
        int64 [K] twice: pixels of each class, and labelled pixels of the images that show the class.
    """
    classes = len(reader.label_set.names)
    pixels, around = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for index in range(len(reader)):
        counts = np.bincount(reader.read(index)[1].ravel(), minlength=VOID + 1)[:classes]
        pixels += counts
        around[counts > 0] += counts.sum()
    return pixels, around


def median_frequency_weights(pixels: NDArray[np.int64], around: NDArray[np.int64]) -> NDArray[np.float32]:
    """Median frequency balancing: w_c = median(f) / f_c with f_c = pixels of c / pixels of the images that show c.

    Eigen and Fergus (ICCV 2015, on semantic labels), as in SegNet; only labelled pixels count.

    Args:
        pixels: int64 [K] from `count_pixels`.
        around: int64 [K] from `count_pixels`.

    Returns:
        float32 [K]. The median is over the classes that occur; other classes get weight 0.
    """
    occurs = pixels > 0
    frequency = pixels[occurs] / around[occurs]
    weights = np.zeros(len(pixels), np.float32)
    weights[occurs] = np.median(frequency) / frequency
    return weights


def require_labels(reader: PairReader) -> None:
    """Check that the masks show something to learn from; usually the first ones tell.

    Raises:
        InputError: No mask has a labelled pixel, or all labelled pixels are of one class of two.
    """
    shown: set[int] = set()
    enough = 2 if len(reader.label_set.names) <= MEANT_TO_DIFFER else 1
    for index in range(len(reader)):
        shown |= set(np.unique(reader.read(index)[1]).tolist()) - {VOID}
        if len(shown) >= enough:
            return
    if shown:
        raise one_class(reader.label_set.names[shown.pop()], "training ")
    raise all_void(len(reader), reader.records[0].mask, "training ")
