"""Initial weights of a network: from ImageNet, from a VGG-16 weights file, or random."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.segmentation.network import VGG_LAYERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pair = tuple["NDArray[np.float32]", "NDArray[np.float32]"]


def initialise(trunk: keras.Model, weights: str, *, seed: int = 0) -> dict[str, Pair]:
    """Fill a trunk with the weights that training starts from.

    Args:
        trunk: From `build_trunk`; changed in place.
        weights: "imagenet" (downloaded by Keras, with the fully connected layers), "none" (He's normal initialisation:
            VGG-16 has no normalisation layers, and with Keras's default the signal becomes too small), or the path of a
            VGG-16 weights file (`.h5`, TensorFlow's axis order), with or without the fully connected layers.
        seed: Random seed for "none".

    Returns:
        The fully connected layers as convolutions, {"fc6": (kernel [7, 7, 512, 4096], bias), "fc7": …}, if the source
        has them; otherwise {}.

    Raises:
        InputError: The file is missing or not a VGG-16 weights file, or the download failed.
    """
    if weights == "none":
        for i, name in enumerate(VGG_LAYERS):
            layer = trunk.get_layer(name)
            initial = keras.initializers.HeNormal(seed=seed * len(VGG_LAYERS) + i)
            # He's variance is for inputs of about 1, but pixels minus their mean are about 64: without this, every
            # activation is that large, and biases, which change by the learning rate per step, have no effect.
            layer.kernel.assign(initial(tuple(layer.kernel.shape)) / (64 if i == 0 else 1))
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))
        return {}
    source = _imagenet() if weights == "imagenet" else _file(Path(weights))
    for name in VGG_LAYERS:
        trunk.get_layer(name).set_weights(source.get_layer(name).get_weights())
    names = {layer.name for layer in source.layers}
    return _as_convolutions(source) if {"fc1", "fc2"} <= names else {}


def apply_head(model: keras.Model, head: dict[str, Pair]) -> None:
    """Set fc6 and fc7 from the result of `initialise`, if their shapes agree; a narrower head stays random.

    Args:
        model: From `build_fcn`; changed in place.
        head: From `initialise`.
    """
    for name, pair in head.items():
        layer = model.get_layer(name)
        if tuple(layer.kernel.shape) == pair[0].shape:
            layer.set_weights(list(pair))


def fits_head(head: dict[str, Pair], width: int) -> bool:
    """Whether `apply_head` would use these weights on a head of this width."""
    return bool(head) and head["fc6"][0].shape[-1] == width


def _imagenet() -> keras.Model:
    try:
        return keras.applications.VGG16(include_top=True, weights="imagenet")
    except Exception as error:  # Keras raises bare Exception where a download fails.
        raise InputError(
            f"VGG-16's ImageNet weights could not be downloaded ({error})",
            cure="pass --weights FILE (Keras's vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5) or --weights none",
        ) from error


def _file(path: Path) -> keras.Model:
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such weights file", wanted="'imagenet', 'none' or a VGG-16 .h5 file")
    try:
        with h5py.File(path, "r") as file:
            groups = set(file.get("model_weights", file))
        top = {"fc1", "fc2", "predictions"} <= groups
        return keras.applications.VGG16(include_top=top, weights=str(path))
    except Exception as error:  # h5py and Keras raise OSError, KeyError, ValueError and others on foreign files.
        raise InputError(
            f"{path}: is not a VGG-16 weights file ({error})",
            wanted="Keras's vgg16_weights_tf_dim_ordering_tf_kernels(_notop).h5",
        ) from error


def _as_convolutions(vgg: keras.Model) -> dict[str, Pair]:
    """Dense layers as convolutions (paper, II.A): Keras flattens [7, 7, 512] in this order."""
    (kernel6, bias6), (kernel7, bias7) = vgg.get_layer("fc1").get_weights(), vgg.get_layer("fc2").get_weights()
    return {"fc6": (kernel6.reshape(7, 7, 512, -1), bias6), "fc7": (kernel7.reshape(1, 1, *kernel7.shape), bias7)}


def seed_dropout(model: keras.Model, seed: int, epoch: int) -> None:
    """Make the dropout of an epoch depend on seed and epoch only, so that a resumed run draws the same.

    Args:
        model: Changed in place. In Keras 2, whose dropout has no state that can be set, nothing happens.
        seed: The seed of the run.
        epoch: From 0.
    """
    for number, layer in enumerate(model.layers):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            # Keras increases the second number at each draw: there is room for a million steps before the next epoch's
            # numbers.
            generator.state.assign(np.array([seed + number, (epoch << 20) % 2**32], np.uint32))
