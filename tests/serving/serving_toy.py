"""A tiny model with the contract's signatures, and what it must answer, in plain numpy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

CLASSES = ("red", "green", "blue")
CHANNELS = 512


def toy_weights(channels: int = CHANNELS, scale: float = 1.0) -> np.ndarray:
    """float32 [3, channels], both signs."""
    return (scale * np.sin(np.arange(3 * channels, dtype=np.float32))).reshape(3, channels)


def toy_segmentation(image: np.ndarray) -> np.ndarray:
    """The strongest colour of each pixel; the first of equals."""
    return np.argmax(image, axis=-1).astype(np.uint8)


def toy_conv5_3(image: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Mean colour of each 16×16 cell (zeros beyond the border), times the weights, negatives cut off."""
    return _toy_map(image, 16, scale)


def toy_conv4_3(image: np.ndarray) -> np.ndarray:
    """The same of each 8×8 cell, doubled."""
    return _toy_map(image, 8, 2)


def _toy_map(image: np.ndarray, stride: int, scale: float) -> np.ndarray:
    height, width, _ = image.shape
    rows, columns = -(-height // stride), -(-width // stride)
    padded = np.zeros((rows * stride, columns * stride, 3), np.float32)
    padded[:height, :width] = image
    means = padded.reshape(rows, stride, columns, stride, 3).mean(axis=(1, 3)) / 255
    return np.maximum(means @ toy_weights(scale=scale), 0)


def export_toy(
    base: Path,
    version: int = 1,
    *,
    model_id: str = "toy-1",
    scale: float = 1.0,
    signatures: tuple[str, ...] = ("serving_default", "features", "describe", "identify"),
    features: str = "right",
) -> Path:
    """Write the toy model to `base/version`, by rename, as a publisher must.

    `features` is "right", "older" (without model id), "conv4" (with conv4_3), or how the answer is wrong: "nan", "half"
    (float16), "small" (a cell short), "class" (9), "another" (of two images the second is by another model).
    """
    import tensorflow as tf

    class Toy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(toy_weights(scale=scale))

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
        def segment(self, images):
            return {"segmentation": tf.cast(tf.argmax(images, axis=-1), tf.uint8)}

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
        def features(self, images):
            shape = tf.shape(images)
            below, right = -shape[1] % 16, -shape[2] % 16
            padded = tf.pad(tf.cast(images, tf.float32), [[0, 0], [0, below], [0, right], [0, 0]])
            means = tf.nn.avg_pool2d(padded, 16, 16, "VALID") / 255.0
            conv5_3 = tf.nn.relu(tf.tensordot(means, self.weights, 1))
            segmentation = self.segment(images)["segmentation"]
            if features == "nan":
                conv5_3 = tf.math.log(conv5_3 - 1e9)
            elif features == "half":
                conv5_3 = tf.cast(conv5_3, tf.float16)
            elif features == "small":
                conv5_3 = conv5_3[:, 1:]
            elif features == "class":
                segmentation = segmentation * 0 + 9
            answer = {"segmentation": segmentation, "conv5_3": conv5_3}
            if features == "conv4":
                below, right = -shape[1] % 8, -shape[2] % 8
                finer = tf.pad(tf.cast(images, tf.float32), [[0, 0], [0, below], [0, right], [0, 0]])
                finer = tf.nn.avg_pool2d(finer, 8, 8, "VALID") / 255.0
                answer["conv4_3"] = 2 * tf.nn.relu(tf.tensordot(finer, self.weights, 1))
            if features == "older":
                return answer
            model_ids = tf.fill(shape[:1], model_id)
            if features == "another":
                model_ids = tf.concat([model_ids[:1], tf.fill([shape[0] - 1], "toy-9")], 0)
            return {**answer, "model_id": model_ids}

        @tf.function(input_signature=[])
        def describe(self):
            return {"class_names": tf.constant(CLASSES), "model_id": tf.constant(model_id)}

        @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
        def identify(self, images):
            count = tf.shape(images)[0]
            return {"class_names": tf.tile([CLASSES], [count, 1]), "model_id": tf.fill([count], model_id)}

    toy = Toy()
    known = {
        "serving_default": toy.segment,
        "features": toy.features,
        "describe": toy.describe,
        "identify": toy.identify,
    }
    aside = base / f"writing-{version}"
    tf.saved_model.save(toy, str(aside), signatures={name: known[name] for name in signatures})
    target = base / str(version)
    os.rename(aside, target)
    return target


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((height, width, seed)).integers(0, 256, (height, width, 3), dtype=np.uint8)
