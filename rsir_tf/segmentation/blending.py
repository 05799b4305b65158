"""Descriptors from weights between those that training started from and the trained ones (Wortsman et al. 2022).

A network that learned one archive's classes has forgotten some of what ImageNet taught it. Weights on the way between
the two retrieve nearly as well on the archive that was learned, and better on others. conv5_3, the layer that
descriptors are read from, can have a smaller share of the trained weights than the layers before it. The score layers
were trained on the trained features, so these stay beside the blended ones: only the descriptors change, the
segmentation does not. From the first layer that training changed on, both are computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.segmentation.network import VGG_LAYERS, build_trunk
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.weights import initialise

DESCRIBING = "describing_"
"""How the names of the layers begin that only the descriptors are computed with."""


@dataclass(frozen=True, slots=True)
class Blend:
    """How much of the trained weights is in those that descriptors are computed with; the rest are the starting ones.

    Attributes:
        share: 0 (the starting weights) to 1 (the trained ones), in all layers but conv5_3.
        last: The same in conv5_3.

    Raises:
        InputError: A share is not from 0 to 1.
    """

    share: float
    last: float

    def __post_init__(self) -> None:
        for share in (self.share, self.last):
            if not 0 <= share <= 1:
                raise InputError(f"a share of {share} of the trained weights", wanted="0 to 1")

    @property
    def as_trained(self) -> bool:
        """Whether descriptors are computed with the trained weights alone."""
        return self.share == self.last == 1

    def of(self, layer: str) -> float:
        """The share in one layer of VGG-16, by its name in Keras."""
        return self.last if layer == "block5_conv3" else self.share

    def to_json(self) -> float | dict[str, float]:
        """One number if both are the same."""
        return self.share if self.share == self.last else {"share": self.share, "last": self.last}


AS_TRAINED = Blend(1, 1)


def blended(network: keras.Model, start: keras.Model, blend: Blend) -> keras.Model:
    """Let a network compute its descriptors with share × trained + (1 − share) × starting weights.

    Args:
        network: From `build_fcn`, trained. It is not changed, and its layers are shared.
        start: A trunk from `build_trunk` with the weights that training started from.
        blend: The shares; with `AS_TRAINED` the network itself is returned.

    Returns:
        A model from `images` to logits and conv5_3. Its layers with weights of their own are named `DESCRIBING` and
        what they are in VGG-16; `describing_layer` finds them.
    """
    if blend.as_trained:
        return network
    before, x = network.get_layer("preprocess").output, None
    for name in _in_order():
        layer = network.get_layer(name)
        pair = list(zip(layer.get_weights(), start.get_layer(name).get_weights(), strict=True))
        if x is None and all(np.array_equal(trained, begun) for trained, begun in pair):
            before = layer.output
            continue
        own = type(layer).from_config({**layer.get_config(), "name": DESCRIBING + name, "trainable": False})
        x = own(before if x is None else x)
        share = blend.of(name)
        own.set_weights([share * trained + (1 - share) * begun for trained, begun in pair])
    return network if x is None else keras.Model(network.inputs, [network.outputs[0], x], name=network.name)


def describing_layer(network: keras.Model, name: str) -> Any:
    """The layer of VGG-16 that descriptors come from: the blended one, if there is one, else the trained one.

    Args:
        network: From `blended` or `build_fcn`.
        name: For example "block5_conv3".
    """
    names = {layer.name for layer in network.layers}
    return network.get_layer(DESCRIBING + name if DESCRIBING + name in names else name)


def starting_trunk(run: Run, file: Path | None) -> keras.Model:
    """Build the trunk with the weights that a run started from.

    Args:
        run: Its manifest says which weights these were, and where they lay.
        file: Where the weights file is now; None for where it was.

    Raises:
        InputError: The run started from random weights, or the file is not there.
        MismatchError: The file holds other weights.
    """
    said = str(run.settings["weights"])
    cure = "give the file with --weights, or export the trained weights alone with --blend 1"
    if said == "none":
        raise InputError(
            f"{run.path}: started from random weights, which are of no use to descriptors",
            cure="export the trained weights alone: --blend 1",
        )
    source = said
    if said != "imagenet":
        known = run.manifest.get("starting_weights") or {}
        place = file or (Path(known["path"]) if known else None)
        if place is None or not place.is_file():
            there = "the run does not say where that was" if place is None else f"there is no file {place}"
            raise InputError(f"{run.path}: training started from {said}, and {there}", wanted="this file", cure=cure)
        digest = file_hash(place)
        if digest[:16] not in said:
            raise MismatchError(
                f"{run.path}: training started from {said}; {place} has SHA-256 {digest[:16]}", cure=cure
            )
        source = str(place)
    trunk = build_trunk()
    initialise(trunk, source)
    return trunk


def _in_order() -> list[str]:
    """VGG-16's convolutions and pools up to conv5_3, from the image on."""
    names: list[str] = []
    for name in VGG_LAYERS:
        if names and name.endswith("_conv1"):
            names.append(f"{names[-1].partition('_')[0]}_pool")
        names.append(name)
    return names
