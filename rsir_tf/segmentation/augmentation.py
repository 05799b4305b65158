"""What training varies: place, scale, flips, quarter turns and colour; image and mask always together."""

from __future__ import annotations

import tensorflow as tf

from rsir_tf.segmentation.crops import Augmentation


def augment(
    image: tf.Tensor, mask: tf.Tensor, size: int, augmentation: Augmentation, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Resize one crop and vary it; the same seed gives the same result.

    Args:
        image: uint8 [h, w, 3], RGB.
        mask: uint8 [h, w], class indices, VOID = 255.
        size: Side of the result in pixels.
        augmentation: Which variations (scale and place have been chosen with the crop).
        seed: int64 scalar.

    Returns:
        float32 [size, size, 3], RGB 0..255, and int32 [size, size]. The image is resized bilinearly, the mask by
        nearest neighbour, because class indices must not be mixed.
    """
    draws = tf.random.stateless_uniform([6], tf.stack([tf.cast(seed, tf.int64), tf.constant(0, tf.int64)]))
    image = tf.image.resize(image, (size, size))
    mask = tf.image.resize(mask[..., None], (size, size), method="nearest")
    if augmentation.flips:
        mirrored = draws[0] < 0.5
        image = tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
        mask = tf.cond(mirrored, lambda: tf.reverse(mask, [1]), lambda: mask)
    if augmentation.turns:
        quarters = tf.cast(draws[1] * 4, tf.int32)
        image, mask = tf.image.rot90(image, quarters), tf.image.rot90(mask, quarters)
    image = _vary_colour(image, augmentation, draws[2:5] * 2 - 1)
    return tf.ensure_shape(image, (size, size, 3)), tf.ensure_shape(tf.cast(mask[..., 0], tf.int32), (size, size))


def _vary_colour(image: tf.Tensor, augmentation: Augmentation, draws: tf.Tensor) -> tf.Tensor:
    """Saturation, contrast, brightness, in this order; `draws` are three numbers in [-1, 1)."""
    if augmentation.saturation:
        grey = tf.reduce_mean(image, axis=-1, keepdims=True)
        image = grey + (image - grey) * (1 + augmentation.saturation * draws[0])
    if augmentation.contrast:
        mean = tf.reduce_mean(image)
        image = mean + (image - mean) * (1 + augmentation.contrast * draws[1])
    if augmentation.brightness:
        image = image + 255 * augmentation.brightness * draws[2]
    return tf.clip_by_value(image, 0.0, 255.0)
