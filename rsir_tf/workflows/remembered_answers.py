"""A model that many ask at once: few requests run at a time, and its last answers are remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rsir_tf.errors import ServerUnavailableError
from rsir_tf.rasters.pixels import pixel_hash

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.contract import Model, ModelDescription, Prediction

REMEMBERED_BYTES = 256_000_000
"""Bytes of answers that are kept: those for some 400 images of 256 pixels a side."""

AT_ONCE = 2
"""Requests to the model at a time: it uses all cores for each."""

PATIENCE = 120.0
"""Seconds that a request waits for its turn."""


class RememberingModel:
    """A model whose answers are kept, the last used ones, so that clicking through an image's regions asks only once.

    Args:
        model: That answers; it is closed by its owner.
        limit: Bytes of answers to keep.
        at_once: Requests that run at the same time; others wait.
    """

    def __init__(self, model: Model, *, limit: int = REMEMBERED_BYTES, at_once: int = AT_ONCE) -> None:
        self._model, self._limit = model, limit
        self._turn = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Prediction] = OrderedDict()
        self._bytes = 0

    def describe(self) -> ModelDescription:
        return self._model.describe()

    def predict(self, images: Sequence[NDArray[np.uint8]], layers: Sequence[str] = ()) -> list[Prediction]:
        names = [f"{pixel_hash(image)} {' '.join(layers)}" for image in images]
        found = self._recall(names)
        if len(found) < len(set(names)):
            if not self._turn.acquire(timeout=PATIENCE):
                raise ServerUnavailableError("the model is busy with other requests", cure="try again in a while")
            try:
                found |= self._recall(names)  # Another one may have asked the same while this one waited.
                missing = {name: image for name, image in zip(names, images, strict=True) if name not in found}
                answers = self._model.predict(list(missing.values()), *([layers] if layers else [])) if missing else []
            finally:
                self._turn.release()
            made = dict(zip(missing, answers, strict=True))
            self._keep(made)
            found |= made
        return [found[name] for name in names]

    def predict_stream(self, images: Iterable[NDArray[np.uint8]], layers: Sequence[str] = ()) -> Iterator[Prediction]:
        return (self.predict([image], layers)[0] for image in images)

    def segment_stream(self, images: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
        return (prediction.segmentation for prediction in self.predict_stream(images))

    def close(self) -> None:
        """Forget the answers."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def __enter__(self) -> RememberingModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recall(self, names: Sequence[str]) -> dict[str, Prediction]:
        with self._lock:
            known = {name: self._kept[name] for name in names if name in self._kept}
            for name in known:
                self._kept.move_to_end(name)
            return known

    def _keep(self, made: dict[str, Prediction]) -> None:
        with self._lock:
            for name, prediction in made.items():
                if name not in self._kept:
                    self._kept[name] = prediction
                    self._bytes += _size(prediction)
            while self._bytes > self._limit and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= _size(oldest)


def _size(prediction: Prediction) -> int:
    arrays = (prediction.segmentation, prediction.conv5_3, prediction.conv4_3)
    return sum(array.nbytes for array in arrays if array is not None)
