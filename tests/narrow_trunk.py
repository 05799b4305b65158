"""VGG-16's layers with few channels, for tests that are not about VGG-16: runs and checkpoints are then small."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

CHANNELS = 8


def narrow_convolutions(images: Any) -> Any:
    """Stand in for `network.convolutions`: layers of the same names and geometry.

    conv4_3 and conv5_3 alone keep their 512 channels: descriptors are made of them.
    """
    import keras

    x = images
    for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for number in range(1, convolutions + 1):
            name = f"block{block}_conv{number}"
            channels = 512 if name in ("block4_conv3", "block5_conv3") else CHANNELS
            x = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)
        x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    return keras.Model(keras.utils.get_source_inputs(images), x)


@contextlib.contextmanager
def narrow_trunk() -> Iterator[None]:
    """Let every trunk that is built meanwhile have few channels; runs that were trained so are loaded so too."""
    from rsir_tf.segmentation import network

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "convolutions", narrow_convolutions)
        yield
