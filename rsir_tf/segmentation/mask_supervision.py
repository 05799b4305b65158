"""Supervision by masks: every labelled pixel has a class."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.segmentation.data import (
    PairReader,
    failures_of,
    plan_epoch,
    sample_images,
    training_dataset,
    validation_crops,
    validation_dataset,
)
from rsir_tf.segmentation.inference import most_likely
from rsir_tf.segmentation.losses import (
    count_pixels,
    median_frequency_weights,
    pixel_loss,
    require_labels,
    weigh_pixels,
)
from rsir_tf.segmentation.scoring import confusion_matrix, segmentation_scores
from rsir_tf.segmentation.supervision import HeldOutScores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Record
    from rsir_tf.segmentation.network import Architecture
    from rsir_tf.segmentation.settings import TrainingSettings

SHOWN = 4
"""Number of windows that TensorBoard shows after each epoch."""


class MaskSupervision:
    """See `Supervision`.

    Args:
        label_set: Meaning of the values in masks.
        fitted: Images to train on, with masks.
        held: Held-out images with masks, which choose the best epoch; may be empty.
        settings: The settings of the run.
        record: From the manifest of a run that is resumed.

    Raises:
        InputError: An image has no mask or cannot be used, or no mask has a labelled pixel.
    """

    figure = "mean_iu"

    def __init__(
        self,
        label_set: LabelSet,
        fitted: Sequence[Record],
        held: Sequence[Record],
        settings: TrainingSettings,
        record: dict[str, Any] | None = None,
    ) -> None:
        self.settings, self.label_set = settings, label_set
        self.reader = PairReader(fitted, label_set, keep=settings.keep_in_memory)
        self.validation = PairReader(held, label_set, keep=settings.keep_in_memory)
        size, batch = settings.crops.size, settings.crops.batch
        self.cells = validation_crops(self.validation, size, settings.validation_windows, settings.seed)
        self.windows = validation_dataset(self.validation, self.cells, size, batch) if self.cells else None
        self.steps = len(plan_epoch(self.reader.crops(size), settings.crops, settings.seed, 0)) // batch
        if record is None:
            require_labels(self.reader)
            record = {"kind": "masks", "figure": self.figure, "class_weights": self._balance()}
        self.record = record
        weights = record["class_weights"] or {}
        self.class_weights = np.array([weights.get(name, 1.0) for name in label_set.names], np.float32)

    def _balance(self) -> dict[str, float] | None:
        if self.settings.class_weights == "none":
            return None
        pixels, around = count_pixels(self.reader)
        names = self.label_set.names
        absent = [name for name, count in zip(names, pixels, strict=True) if not count]
        if absent:
            logging.getLogger("rsir_tf").warning("no training mask shows %s: its class weight is 0", ", ".join(absent))
        weights = median_frequency_weights(pixels, around)
        if self.settings.class_weights == "root":
            weights = np.sqrt(weights)
        return {name: float(f"{weight:.6g}") for name, weight in zip(names, weights, strict=True)}

    def sample(self) -> NDArray[np.float32]:
        return sample_images(self.reader, self.settings.crops, self.settings.seed)

    def model(self, network: keras.Model, architecture: Architecture) -> keras.Model:
        return network

    def loss(self) -> keras.losses.Loss:
        return pixel_loss()

    def dataset(self, epoch: int) -> tf.data.Dataset:
        """Batches of images float32 [B, S, S, 3], classes int32 [B, S, S] and weights float32 [B, S, S]."""
        crops, seed = self.settings.crops, self.settings.seed
        dataset = training_dataset(self.reader, crops, seed=seed, epoch=epoch)
        weighed = dataset.map(
            lambda images, masks: (images, *weigh_pixels(masks, self.class_weights)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return weighed.prefetch(tf.data.AUTOTUNE)

    def evaluate(self, network: keras.Model) -> HeldOutScores:
        """Pixel accuracy, mean accuracy and mean IU over the windows; examples are image, prediction and truth."""
        names = ("pixel_accuracy", "mean_accuracy", "mean_iu")
        if self.windows is None:
            return HeldOutScores(dict.fromkeys(names))
        classes = len(self.label_set.names)
        confusion, examples, seen = np.zeros((classes, classes), np.int64), [], 0
        shown = set(np.linspace(0, len(self.cells) - 1, SHOWN).round().astype(int).tolist())
        for images, masks in self.windows.as_numpy_iterator():
            predicted = most_likely(np.asarray(network.predict_on_batch(images)))
            confusion += confusion_matrix(masks, predicted, classes)
            for number, (image, prediction, truth) in enumerate(zip(images, predicted, masks, strict=True), seen):
                if number in shown:
                    examples.append([part.astype(np.uint8) for part in (image, prediction, truth)])
            seen += len(images)
        scores = segmentation_scores(confusion).to_json(self.label_set.names)
        return HeldOutScores({name: scores[name] for name in names}, examples)

    def failures(self) -> contextlib.AbstractContextManager[None]:
        return failures_of(self.reader, self.validation)
