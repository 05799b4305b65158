"""What a model answers, served or in this process: names of signatures and tensors, and plain data types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

SERVING_DEFAULT = "serving_default"
FEATURES = "features"
DESCRIBE = "describe"
IDENTIFY = "identify"
"""Like `describe`, but with images as input and one answer per image: a batching server needs inputs in a request."""

IMAGES = "images"
SEGMENTATION = "segmentation"
CONV5_3 = "conv5_3"
CONV4_3 = "conv4_3"
CLASS_NAMES = "class_names"
MODEL_ID = "model_id"

STRIDE = 16
"""Image pixels per cell of conv5_3, along each axis."""

CHANNELS = 512
"""Channels of conv5_3, and of conv4_3."""

FURTHER_LAYERS = {CONV4_3: 8}
"""Layers of which a model gives features only if it was exported with them, and if they are asked for; and their
stride, in image pixels per cell."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model predicts for one image.

    Attributes:
        segmentation: uint8 [H, W], class indices from 0.
        conv5_3: float32 [⌈H/16⌉, ⌈W/16⌉, 512], VGG-16's last convolution after ReLU (≥ 0).
        conv4_3: float32 [⌈H/8⌉, ⌈W/8⌉, 512], the last convolution of its block 4 after ReLU (≥ 0); None where it was
            not asked for.
    """

    segmentation: NDArray[np.uint8]
    conv5_3: NDArray[np.float32]
    conv4_3: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Identity and properties of a model.

    Attributes:
        model_id: Hash of the exported weights and label set; two models with equal ids give equal answers.
        class_names: One per class index.
        channels: Channels of conv5_3, and of further layers.
        layers: Further layers of which it gives features if asked: "conv4_3", if it was exported with it.
    """

    model_id: str
    class_names: tuple[str, ...]
    channels: int = CHANNELS
    layers: tuple[str, ...] = ()


class Model(Protocol):
    """A model in this process (`rsir_tf.load`) or behind a server (`rsir_tf.connect`)."""

    def describe(self) -> ModelDescription:
        """Ask for the identity of the model.

        Raises:
            ModelError: There is no such model, it lacks the `describe` or `features` signature, or no server answers.
            MismatchError: Servers hold different models, or another one than before.
        """

    def predict(self, images: Sequence[NDArray[np.uint8]], layers: Sequence[str] = ()) -> list[Prediction]:
        """Segment images and return their conv5_3 features.

        Args:
            images: uint8 [H, W, 3], RGB; sizes may differ, sides ≥ 16.
            layers: Further layers whose features are wanted, of those that `describe` names.

        Returns:
            One prediction per image, in order.

        Raises:
            InputError: An array has another dtype or shape.
            ModelError: The model or the server refused, or does not answer; or the model lacks a layer.
            MismatchError: The server holds another model than before.
        """

    def predict_stream(self, images: Iterable[NDArray[np.uint8]], layers: Sequence[str] = ()) -> Iterator[Prediction]:
        """Like `predict`, for any number of images: they are read as needed, a few ahead; results are in order."""

    def segment_stream(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        """Like `predict_stream`, but for the segmentations alone, uint8 [H, W] each.

        Meant for large images: a server does not send conv5_3, and at most two requests are under way.
        """

    def close(self) -> None:
        """Release connections and memory; later calls fail."""

    def __enter__(self) -> Model: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
