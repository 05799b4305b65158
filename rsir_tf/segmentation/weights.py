"""Initial weights of a network: from ImageNet, from a VGG-16 weights file, from another run, or random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.network import VGG_LAYERS, Scales
from rsir_tf.segmentation.resuming import best_weights
from rsir_tf.segmentation.runs import open_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

Pair = tuple["NDArray[np.float32]", "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class Head:
    """Weights that the layers after a trunk can start from.

    Attributes:
        fully_connected: Kernel and bias of "fc6" [7, 7, 512, W] and "fc7" [1, 1, W, W]; empty where there are none.
        scores: The same of the score layers of a run, [1, 1, C, K].
        class_names: The K classes of these.
        scales: Those of a run; None of VGG-16, whose fc6 wants pool5 as VGG-16 gives it.
    """

    fully_connected: Mapping[str, Pair] = field(default_factory=dict)
    scores: Mapping[str, Pair] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    scales: Scales | None = None

    def fits(self, width: int) -> bool:
        """Whether there are weights for a head of this width."""
        return bool(self.fully_connected) and self.fully_connected["fc6"][0].shape[-1] == width


def initialise(trunk: keras.Model, weights: str, *, seed: int = 0) -> Head:
    """Fill a trunk with the weights that training starts from.

    Args:
        trunk: From `build_trunk`; changed in place.
        weights: "imagenet" (downloaded by Keras, with the fully connected layers), "none" (He's normal initialisation:
            VGG-16 has no normalisation layers, and with Keras's default the signal becomes too small), the path of a
            VGG-16 weights file (`.h5`, TensorFlow's axis order), with or without the fully connected layers, or that of
            a run, or of a checkpoint of weights in one.
        seed: Random seed for "none".

    Returns:
        What the source has for the layers after the trunk: a run all of them, VGG-16 perhaps its fully connected
        layers, as convolutions.

    Raises:
        InputError: The file is missing or not a VGG-16 weights file, or the download failed.
        ArtifactError: A folder is no run, or one without a checkpoint, or its checkpoint is damaged.
    """
    if weights == "none":
        for i, name in enumerate(VGG_LAYERS):
            layer = trunk.get_layer(name)
            initial = keras.initializers.HeNormal(seed=seed * len(VGG_LAYERS) + i)
            # He's variance is for inputs of about 1, but pixels minus their mean are about 64: without this, every
            # activation is that large, and biases, which change by the learning rate per step, have no effect.
            layer.kernel.assign(initial(tuple(layer.kernel.shape)) / (64 if i == 0 else 1))
            layer.bias.assign(np.zeros(layer.bias.shape, np.float32))
        return Head()
    best = None if weights == "imagenet" else best_weights(Path(weights))
    run = None if best is None else open_run(best.parent.parent)
    source = load_best(run) if run else _imagenet() if weights == "imagenet" else _file(Path(weights))
    for name in VGG_LAYERS:
        trunk.get_layer(name).set_weights(source.get_layer(name).get_weights())
    names = {layer.name for layer in source.layers}
    if run is None:
        return Head(_as_convolutions(source)) if {"fc1", "fc2"} <= names else Head()
    pairs = {name: tuple(source.get_layer(name).get_weights()) for name in names if name.startswith(("fc", "score_"))}
    fully_connected = {name: pairs.pop(name) for name in ("fc6", "fc7")}
    return Head(fully_connected, pairs, run.label_set.names, run.architecture.scales)


def apply_head(model: keras.Model, head: Head, class_names: Sequence[str] = ()) -> None:
    """Set the layers after the trunk, if fc6 has the same width; a head of another width starts anew.

    Args:
        model: From `build_fcn`; changed in place.
        head: From `initialise`.
        class_names: Those of the model. A class of the same name goes on with its scores, the others start at zero.
    """
    if not head.fits(model.get_layer("fc6").kernel.shape[-1]):
        return
    for name, pair in head.fully_connected.items():
        model.get_layer(name).set_weights(list(pair))
    known = {name: at for at, name in enumerate(head.class_names)}
    here = [at for at, name in enumerate(class_names) if name in known]
    there = [known[class_names[at]] for at in here]
    for layer in model.layers:
        if layer.name in head.scores:
            weights = layer.get_weights()
            for own, learned in zip(weights, head.scores[layer.name], strict=True):
                own[..., here] = learned[..., there]
            layer.set_weights(weights)


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
        raise InputError(
            f"{path}: no such file or run", wanted="'imagenet', 'none', a VGG-16 .h5 file or a trained run"
        )
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
