"""A model that stands in for a network, for tests of indexing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np

from rsir_tf.contract import ModelDescription, Prediction


class Stand:
    """Stands in for a model: the class of a pixel is its strongest colour.

    Args:
        model_id: Its identity.
        drift: What it adds to a feature with each image, as answers of real models may depend on the other images of
            their batch in their last bits.
        seconds: How long it takes for an image.
    """

    def __init__(self, model_id: str = "stand-in", drift: float = 0.0, seconds: float = 0.0) -> None:
        self.model_id, self.drift, self.seconds, self.asked = model_id, drift, seconds, 0

    def describe(self) -> ModelDescription:
        return ModelDescription(self.model_id, ("red", "green", "blue"))

    def predict_stream(self, images: Iterable[np.ndarray], layers: Iterable[str] = ()) -> Iterator[Prediction]:
        for image in images:
            self.asked += 1
            time.sleep(self.seconds)
            features = np.zeros((1, 1, 512), np.float32)
            features[0, 0, :3] = image.mean(axis=(0, 1))
            features[0, 0, 3] = self.asked * self.drift
            yield Prediction(image.argmax(axis=-1).astype(np.uint8), features)
