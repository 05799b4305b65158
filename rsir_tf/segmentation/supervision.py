"""The protocol between the training loop and a kind of supervision: by masks, or by tags."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import keras
import tensorflow as tf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.segmentation.network import Architecture


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Scores of a network on held-out images.

    Attributes:
        figures: Name → figure, 0..1; None where nothing counts. The names are the same after each epoch.
        examples: Some of the images, each with class maps of its size: image uint8 [H, W, 3], RGB, then uint8 [H, W].
    """

    figures: dict[str, float | None]
    examples: Sequence[Sequence[NDArray[np.uint8]]] = ()


class Supervision(Protocol):
    """The parts of training that depend on the labels of the images.

    Attributes:
        record: For the manifest of the run, JSON types: `kind`, `figure`, and what was measured once and is needed
            again when the run is resumed.
        figure: Name of the figure that chooses the best epoch; higher is better.
        steps: Number of steps of an epoch.
    """

    record: dict[str, Any]
    figure: str
    steps: int

    def sample(self) -> NDArray[np.float32]:
        """A few training images, float32 [N, S, S, 3], RGB 0..255: the branches' scales are measured on them."""
        ...

    def model(self, network: keras.Model, architecture: Architecture) -> keras.Model:
        """Make the model that is fitted: the network itself, or a model that shares its layers."""
        ...

    def loss(self) -> Any:
        """The loss of the model, or one for each of its outputs, as for Keras's `compile`."""
        ...

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch (from 0) as `fit` takes them; the same for the same epoch."""
        ...

    def evaluate(self, network: keras.Model) -> HeldOutScores:
        """Score the network on held-out images."""
        ...

    def failures(self) -> contextlib.AbstractContextManager[None]:
        """Within this block, a file that cannot be used raises its own error instead of that of tf.data."""
        ...
