"""Tags from score maps: fully convolutional multiple-instance learning, from Keras layers alone.

An image has a tag if at least one place in it shows the class: the score of the tag is pooled from the score map of the
class (Pathak, Shelhamer, Long and Darrell 2014). It is the mean of the largest and the average score: the largest alone
gives a gradient for one place per image only, and the average alone asks every place for every tag.
"""

from __future__ import annotations

from typing import Any

import keras

TAGS, DESCRIPTOR_TAGS, LOGITS, DESCRIPTOR = "tags", "descriptor_tags", "logits", "descriptor"


def pooled_scores(network: keras.Model) -> Any:
    """Pool a network's score maps, at their own resolution: bilinear upsampling would not change the maximum much.

    Args:
        network: From `build_fcn`.

    Returns:
        Symbolic logits float32 [B, K], one per tag.
    """
    layers = keras.layers
    final = next(layer for layer in network.layers if layer.name.endswith("_to_image"))
    scores = final.input
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


def tagging_model(network: keras.Model) -> keras.Model:
    """The model that gives the tags and the descriptor of an image.

    Args:
        network: From `build_fcn`.

    Returns:
        A model from `images` to a list: tag logits float32 [B, K] and descriptors float32 [B, 512].
    """
    return keras.Model(network.inputs[0], [pooled_scores(network), descriptor(network)], name="tagging")


def supervised_model(network: keras.Model, scale: float, *, dropout: float, masks: bool) -> keras.Model:
    """The model that is fitted to tags; it shares the network's layers.

    Besides the score maps, a linear layer on the descriptor predicts the tags (deep supervision, Lee et al. 2015): the
    gradient then reaches conv5_3 directly, where ReCNN+ reads it, and not only through fc6 and fc7. This layer is
    dropped when training ends.

    Args:
        network: From `build_fcn`.
        scale: Factor on the descriptor, the reciprocal of its root mean square.
        dropout: Dropout rate of the scaled descriptor.
        masks: Whether masks supervise pixels too.

    Returns:
        A model from `images` to a mapping: `tags` and `descriptor_tags`, logits float32 [B, K], and with masks `logits`
        float32 [B, H, W, K].
    """
    layers, classes = keras.layers, network.outputs[0].shape[-1]
    x = layers.Rescaling(scale, dtype="float32", name="scale_descriptor")(descriptor(network))
    x = layers.Dropout(dropout, dtype="float32", name="dropout_descriptor")(x)
    x = layers.Dense(classes, kernel_initializer="zeros", dtype="float32", name=DESCRIPTOR_TAGS)(x)
    outputs = {TAGS: pooled_scores(network), DESCRIPTOR_TAGS: x}
    if masks:
        outputs[LOGITS] = network.outputs[0]
    return keras.Model(network.inputs[0], outputs, name="supervised")
