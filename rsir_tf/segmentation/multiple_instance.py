"""Tags from score maps: fully convolutional multiple-instance learning, with Keras alone.

An image has a tag if at least one place in it shows the class: the score of the tag is pooled from the map of the class
(Pathak, Shelhamer, Long and Darrell 2014). There are two poolings:

- "scores": the mean of the largest and the average score. The largest alone gives a gradient for one place per image
  only, and the average alone asks every place for every tag. Nothing compares the classes at one place.
- "softmax": classes compete for each place. The probabilities of the places are pooled by log-sum-exp (Pinheiro and
  Collobert 2015), and each place learns that its class is one of the image's tags (`AmongTags`).
"""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

TAGS, DESCRIPTOR_TAGS, LOGITS, DESCRIPTOR = "tags", "descriptor_tags", "logits", "descriptor"
PLACES = "places"
"""The probabilities of the classes at each place of the score map, which `AmongTags` supervises."""

TagPooling = Literal["scores", "softmax"]

SHARPNESS = 5.0
"""r of log-sum-exp, as in Pinheiro and Collobert (2015): 0 is the mean over the places, infinity the maximum."""

# The same functions by the same names; Keras 2 has TensorFlow alone.
_ops: Any = keras.ops if hasattr(keras, "ops") else tf.experimental.numpy


@keras.saving.register_keras_serializable("rsir_tf")
class PooledProbability(keras.layers.Layer):  # type: ignore[misc]
    """Pool probabilities float32 [B, h, w, K] to logits of tags float32 [B, K].

    The probability of a tag is log(mean(exp(r·p))) / r over the places, r being `SHARPNESS`; above 0.5, the tag is
    predicted. A class that fills less than 8% of the places does not reach that, however certain they are.
    """

    def call(self, probabilities: Any) -> Any:
        """See the class."""
        pooled = _ops.log(_ops.mean(_ops.exp(SHARPNESS * probabilities), axis=(1, 2))) / SHARPNESS
        pooled = _ops.clip(pooled, 1e-6, 1 - 1e-6)  # With one class alone, its probability is 1.
        return _ops.log(pooled) - _ops.log(1 - pooled)


@keras.saving.register_keras_serializable("rsir_tf")
class AmongTags(keras.losses.Loss):  # type: ignore[misc]
    """The mean over the places of −log Σ_t p_t, t over the image's tags: what a place shows is one of them.

    Its arguments are the tags, float32 [B, K], 0 or 1, and the probabilities, float32 [B, h, w, K]. Of an image
    without any tag nothing is asked.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each image, float32 [B]."""
        tagged = _ops.sum(y_true, axis=-1) > 0
        among = _ops.sum(y_pred * y_true[:, None, None, :], axis=-1)
        lost = -_ops.mean(_ops.log(_ops.maximum(among, 1e-6)), axis=(1, 2))
        return _ops.where(tagged, lost, 0.0 * lost)


def _probabilities(network: keras.Model) -> Any:
    return keras.layers.Softmax(dtype="float32", name=PLACES)(_score_map(network))


def _score_map(network: keras.Model) -> Any:
    """The score maps at their own resolution: bilinear upsampling would not change the maximum much."""
    return next(layer for layer in network.layers if layer.name.endswith("_to_image")).input


def pooled_scores(network: keras.Model) -> Any:
    """Pool a network's score maps by "scores".

    Args:
        network: From `build_fcn`.

    Returns:
        Symbolic logits float32 [B, K], one per tag.
    """
    layers, scores = keras.layers, _score_map(network)
    highest = layers.GlobalMaxPooling2D(dtype="float32", name="highest_score")(scores)
    average = layers.GlobalAveragePooling2D(dtype="float32", name="average_score")(scores)
    return layers.Average(dtype="float32", name=TAGS)([highest, average])


def descriptor(network: keras.Model) -> Any:
    """The largest value of each channel of conv5_3 over the whole image: ReCNN+ without the upsampling.

    Args:
        network: From `build_fcn`.

    Returns:
        Symbolic float32 [B, 512].
    """
    conv5_3 = network.get_layer("block5_conv3").output
    return keras.layers.GlobalMaxPooling2D(dtype="float32", name=DESCRIPTOR)(conv5_3)


def tagging_model(network: keras.Model, pooling: TagPooling = "scores") -> keras.Model:
    """The model that gives the tags and the descriptor of an image.

    Args:
        network: From `build_fcn`.
        pooling: The one that the network was trained with.

    Returns:
        A model from `images` to a list: tag logits float32 [B, K] and descriptors float32 [B, 512].
    """
    if pooling == "scores":
        tags = pooled_scores(network)
    else:
        tags = PooledProbability(dtype="float32", name=TAGS)(_probabilities(network))
    return keras.Model(network.inputs[0], [tags, descriptor(network)], name="tagging")


def supervised_model(
    network: keras.Model, scale: float, *, dropout: float, masks: bool, pooling: TagPooling = "scores"
) -> keras.Model:
    """The model that is fitted to tags; it shares the network's layers.

    Besides the score maps, a linear layer on the descriptor predicts the tags (deep supervision, Lee et al. 2015): the
    gradient then reaches conv5_3 directly, where ReCNN+ reads it, and not only through fc6 and fc7. This layer is
    dropped when training ends.

    Args:
        network: From `build_fcn`.
        scale: Factor on the descriptor, the reciprocal of its root mean square.
        dropout: Dropout rate of the scaled descriptor.
        masks: Whether masks supervise pixels too.
        pooling: How tags are pooled from the score maps; see the docstring of this module.

    Returns:
        A model from `images` to a mapping: `tags` and `descriptor_tags`, logits float32 [B, K]; with "softmax"
        `places`, probabilities float32 [B, h, w, K]; and with masks `logits` float32 [B, H, W, K].
    """
    layers, classes = keras.layers, network.outputs[0].shape[-1]
    x = layers.Rescaling(scale, dtype="float32", name="scale_descriptor")(descriptor(network))
    x = layers.Dropout(dropout, dtype="float32", name="dropout_descriptor")(x)
    x = layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name=DESCRIPTOR_TAGS)(x)
    outputs = {DESCRIPTOR_TAGS: x}
    if pooling == "scores":
        outputs[TAGS] = pooled_scores(network)
    else:
        outputs[PLACES] = _probabilities(network)
        outputs[TAGS] = PooledProbability(dtype="float32", name=TAGS)(outputs[PLACES])
    if masks:
        outputs[LOGITS] = network.outputs[0]
    return keras.Model(network.inputs[0], outputs, name="supervised")
