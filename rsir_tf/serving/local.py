"""A SavedModel in this process."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.contract import (
    CLASS_NAMES,
    CONV5_3,
    DESCRIBE,
    FEATURES,
    IMAGES,
    MODEL_ID,
    SEGMENTATION,
    ModelDescription,
    Prediction,
)
from rsir_tf.errors import ArtifactError, MismatchError, ModelError
from rsir_tf.serving.checks import at, check_image, check_layers, grouped, split_answer
from rsir_tf.serving.exports import EXPORT_CURE, conv5_3_channels, find_export, further_layers, read_signatures

if TYPE_CHECKING:
    from types import TracebackType


def load(saved_model: str | os.PathLike[str], *, batch_size: int = 4) -> LoadedModel:
    """Load an exported model into this process.

    Args:
        saved_model: `saved_models/NAME` (its newest version) or `saved_models/NAME/N`.
        batch_size: The largest number of images that are computed at once.

    Returns:
        The model; close it, or use it in a `with` block.

    Raises:
        ArtifactError: There is no model at this path, or it is damaged.
        ModelError: It lacks a signature that `rsir-tf export` writes.
    """
    return LoadedModel(saved_model, batch_size=batch_size)


class LoadedModel:
    """A model in this process; `contract.Model` describes its methods."""

    def __init__(self, saved_model: str | os.PathLike[str], *, batch_size: int = 4) -> None:
        folder = find_export(saved_model)
        import tensorflow as tf

        self._where = os.fspath(folder)
        self._batch_size = max(1, batch_size)
        try:
            loaded = tf.saved_model.load(self._where)
        except Exception as error:  # TensorFlow raises many types on damaged files
            first_line = str(error).strip().partition("\n")[0]
            raise ArtifactError(f"{folder}: cannot be loaded ({first_line})", cure=EXPORT_CURE) from error
        signatures = read_signatures(folder)
        self._channels, self._layers = conv5_3_channels(signatures, self._where), further_layers(signatures)
        # The loaded object owns the variables: signatures do not keep them alive.
        self._loaded: Any = loaded
        self._description: ModelDescription | None = None

    def describe(self) -> ModelDescription:
        if self._description is None:
            answer = self._run(DESCRIBE, (MODEL_ID, CLASS_NAMES))
            self._description = ModelDescription(
                model_id=_texts(answer[MODEL_ID])[0],
                class_names=tuple(_texts(answer[CLASS_NAMES])),
                channels=self._channels,
                layers=self._layers,
            )
        return self._description

    def predict(self, images: Sequence[NDArray[np.uint8]], layers: Sequence[str] = ()) -> list[Prediction]:
        for position, image in enumerate(images):
            check_image(image, position)
        return list(self.predict_stream(images, layers))

    def predict_stream(self, images: Iterable[NDArray[np.uint8]], layers: Sequence[str] = ()) -> Iterator[Prediction]:
        check_layers(layers, self.describe())
        return self._stream(images, (SEGMENTATION, CONV5_3, *layers, MODEL_ID))

    def segment_stream(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        return (prediction.segmentation for prediction in self._stream(images, (SEGMENTATION, MODEL_ID)))

    def close(self) -> None:
        self._loaded = None
        self._description = None

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stream(self, images: Iterable[NDArray[np.uint8]], wanted: Sequence[str]) -> Iterator[Prediction]:
        description = self.describe()
        return (
            prediction
            for group in grouped(images, lambda: self._batch_size)
            for prediction in self._predict_group(group, wanted, description)
        )

    def _predict_group(
        self, group: Sequence[NDArray[np.uint8]], wanted: Sequence[str], description: ModelDescription
    ) -> list[Prediction]:
        images = np.stack(group)
        answer = self._run(FEATURES, wanted, **{IMAGES: images})
        try:
            own = [description.model_id] * len(group)  # answers of older exports have no model id
            model_ids = _texts(answer[MODEL_ID]) if MODEL_ID in answer else own
            maps = {name: array for name, array in answer.items() if name not in (SEGMENTATION, MODEL_ID)}
            return split_answer(answer[SEGMENTATION], maps, model_ids, images.shape, description)
        except (ModelError, MismatchError) as error:
            raise at(f"{self._where}, signature {FEATURES!r}", error) from error

    def _run(self, signature: str, wanted: Sequence[str], **inputs: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Compute; of the wanted outputs, those that the signature has."""
        import tensorflow as tf

        loaded = self._loaded
        if loaded is None:
            raise ModelError(f"{self._where}: the model has been closed", cure="load it again")
        try:
            answer = loaded.signatures[signature](**{name: tf.constant(array) for name, array in inputs.items()})
        except (tf.errors.OpError, TypeError, ValueError) as error:
            first_line = str(error).strip().partition("\n")[0]
            raise ModelError(f"{self._where}: signature {signature!r} failed ({first_line})") from error
        return {name: to_array(answer[name]) for name in wanted if name in answer}


def _texts(array: NDArray[Any]) -> list[str]:
    return [value.decode("utf-8") for value in array.ravel().tolist()]


def to_array(tensor: Any) -> NDArray[Any]:
    """Return the values of an eager tensor; strings, also a scalar one, become an array of bytes objects."""
    value = tensor.numpy()
    return (
        value if isinstance(value, np.ndarray) else np.array(value, dtype=object if isinstance(value, bytes) else None)
    )
