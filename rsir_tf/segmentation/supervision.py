"""What a training loop asks of the kind of supervision: masks are one, tags another."""

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
    """How a network does on what was held out.

    Attributes:
        figures: By name, fractions of 1; None where nothing counts. The names are the same after each epoch.
        examples: Some of the images, each with class maps of its size: image uint8 [H, W, 3], RGB, then uint8 [H, W].
    """

    figures: dict[str, float | None]
    examples: Sequence[Sequence[NDArray[np.uint8]]] = ()


class Supervision(Protocol):
    """All of a run that depends on what its images are labelled with.

    Attributes:
        record: For the run's manifest, JSON types: `kind`, `figure`, and what was measured once and is wanted again
            when the run is resumed.
        figure: Name of the figure, the higher the better, that the best epoch is chosen by.
        steps: Steps of an epoch.
    """

    record: dict[str, Any]
    figure: str
    steps: int

    def sample(self) -> NDArray[np.float32]:
        """A few training images, float32 [N, S, S, 3], RGB 0..255: the branches' scales are measured on them."""
        ...

    def model(self, network: keras.Model, architecture: Architecture) -> keras.Model:
        """Make what is fitted: the network itself, or a model that shares its layers."""
        ...

    def loss(self) -> Any:
        """The model's loss, or one for each of its outputs, as Keras takes them."""
        ...

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """The batches of an epoch (from 0) as `fit` takes them; the same for the same epoch."""
        ...

    def evaluate(self, network: keras.Model) -> HeldOutScores:
        """Score the network on what was held out."""
        ...

    def failures(self) -> contextlib.AbstractContextManager[None]:
        """Within this block a file that cannot be used raises its own error, not what tf.data makes of it."""
        ...
