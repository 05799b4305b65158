"""Fit an FCN to an archive's masks, into a run that can be resumed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.splits import Split, select, write_split
from rsir_tf.artifacts import MANIFEST, content_hash, remove_leftovers
from rsir_tf.errors import InputError, RsirError
from rsir_tf.segmentation.augmentation import Augmentation
from rsir_tf.segmentation.data import (
    Crops,
    PairReader,
    plan_epoch,
    training_dataset,
    validation_crops,
    validation_dataset,
)
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk, measure_scales
from rsir_tf.segmentation.runs import SPLIT, Run, create_run, load_last, open_run, require_same, save_epoch
from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores
from rsir_tf.segmentation.settings import TrainingSettings
from rsir_tf.segmentation.weights import apply_head, fits_head, initialise, seed_dropout

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is to do, and a few words."""


class TrainingError(RsirError):
    """Training cannot go on; the last good checkpoint stays."""


def train(
    archive: Archive, split: Split, path: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> Run:
    """Train on the split's training part; after each epoch score windows of a tenth of it that is held out.

    A run that was begun with the same settings, archive and split goes on after the last epoch it finished.

    Args:
        archive: With masks and a label set.
        split: Which images train; the others are not looked at.
        path: The run's folder; made, or resumed.
        settings: See `TrainingSettings`.
        progress: Called after each step.

    Returns:
        The run, with its best checkpoint (highest mean IU on the held-out windows; the last one where none are).

    Raises:
        InputError: The archive has no masks or no label set, or an image or mask cannot be used.
        MismatchError: The folder holds a run of other settings or another archive.
        ArtifactError: The folder cannot be written or is something else.
        TrainingError: The loss is no longer finite.
    """
    if archive.label_set is None:
        raise InputError(f"{archive.root}: has no masks to train on", cure="pass a folder with masks and --labels FILE")
    fitted, held = hold_out(select(archive, split, "train").records, settings.validation, settings.seed)
    reader = PairReader(fitted, archive.label_set, keep=settings.keep_in_memory)
    validation = PairReader(held, archive.label_set, keep=settings.keep_in_memory)
    if not len(reader):
        raise InputError(f"{archive.root}: the split leaves no image to train on", cure="make the test part smaller")
    origin = _origin(archive, archive.label_set, split)
    keras.utils.set_random_seed(settings.seed)
    run = None
    if (path / MANIFEST).exists():
        run = open_run(path)
        require_same(run, settings.to_json(), origin)
    with _failures_of(reader, validation):
        if run is not None and run.last is not None:
            model = load_last(run)
        else:
            model, architecture = _build(archive.label_set, settings, reader, run)
            run = run or create_run(path, architecture, archive.label_set, settings.to_json(), origin)
            write_split(split, path / SPLIT)
        _Loop(run, model, settings, reader, validation, progress or (lambda *_: None)).go()
    return open_run(path)


def hold_out(records: Sequence[Record], fraction: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Hold some of the training images out, to choose the best epoch by.

    Args:
        records: The training part.
        fraction: Of them; rounded, and never all.
        seed: The run's.

    Returns:
        Those to train on and those held out, each in the order given.
    """
    draw = sorted(records, key=lambda record: hashlib.sha256(f"validation {seed}\n{record.id}".encode()).digest())
    count = min(round(fraction * len(records)), len(records) - 1)
    held = {record.id for record in draw[: max(0, count)]}
    return [record for record in records if record.id not in held], [record for record in records if record.id in held]


@contextlib.contextmanager
def _failures_of(*readers: PairReader) -> Iterator[None]:
    """Raise a bad image's or mask's own error instead of what tf.data makes of it."""
    try:
        yield
    except tf.errors.OpError as error:
        for reader in readers:
            if reader.failure is not None:
                raise reader.failure from error
        raise


def _origin(archive: Archive, label_set: LabelSet, split: Split) -> dict[str, Any]:
    return {
        "path": str(archive.root),
        "format": archive.format,
        "images": len(archive),
        "records": content_hash([record.id for record in archive]),
        "label_set": label_set.content_hash(),
        "split": content_hash([list(split.train), list(split.test)]),
    }


def _build(
    label_set: LabelSet, settings: TrainingSettings, reader: PairReader, run: Run | None
) -> tuple[keras.Model, Architecture]:
    """The network as training starts from it; a run that was begun keeps the architecture in its manifest."""
    trunk = build_trunk()
    head = initialise(trunk, settings.weights, seed=settings.seed)
    if run is not None:
        architecture = run.architecture
    else:
        scales = measure_scales(trunk, _sample(reader, settings))
        if fits_head(head, settings.head_width):
            # fc6's own weights want pool5 as VGG-16 gives it.
            scales = replace(scales, pool5=1.0)
        architecture = Architecture(len(label_set.names), settings.stride, settings.head_width, scales)
    model = build_fcn(trunk, architecture, dropout=settings.dropout)
    apply_head(model, head)
    _compile(model, settings, _steps(reader, settings))
    return model, architecture


def _sample(reader: PairReader, settings: TrainingSettings) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Crops of up to 16 images: enough for a root mean square to three digits, little enough for a laptop."""
    crops = Crops(settings.crops.size, min(16, settings.crops.batch * 4), augmentation=Augmentation.none(), per_epoch=1)
    images, _ = next(iter(training_dataset(reader, crops, seed=settings.seed, epoch=0)))
    return np.asarray(images)


def _steps(reader: PairReader, settings: TrainingSettings) -> int:
    return len(plan_epoch(reader.sizes, settings.crops, settings.seed, 0)) // settings.crops.batch


def _compile(model: keras.Model, settings: TrainingSettings, steps: int) -> None:
    frozen = tuple(f"block{block}_" for block in range(1, settings.freeze + 1))
    for layer in model.layers:
        if layer.name.startswith(frozen) and frozen:
            layer.trainable = False
    rate: Any = settings.learning_rate
    if settings.schedule == "cosine":
        total = steps * settings.epochs
        warm_up = max(1, total // 20)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, total - warm_up), warmup_target=settings.learning_rate, warmup_steps=warm_up
        )
    limit = {"global_clipnorm": settings.clip_norm} if settings.clip_norm else {}
    model.compile(
        optimizer=keras.optimizers.Adam(rate, **limit),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=VOID),
        jit_compile=settings.xla,
    )


class _Loop:
    """The epochs of one run."""

    def __init__(
        self,
        run: Run,
        model: keras.Model,
        settings: TrainingSettings,
        reader: PairReader,
        validation: PairReader,
        progress: Progress,
    ) -> None:
        self.run, self.model, self.settings = run, model, settings
        self.reader, self.progress = reader, progress
        self.history = run.history()
        size, batch = settings.crops.size, settings.crops.batch
        cells = validation_crops(validation, size, settings.validation_windows, settings.seed)
        self.windows = validation_dataset(validation, cells, size, batch) if cells else None
        self.steps = _steps(reader, settings)

    def go(self) -> None:
        remove_leftovers(self.run.path)
        for epoch in range(len(self.history), self.settings.epochs):
            seed_dropout(self.model, self.settings.seed, epoch)
            entry = self._epoch(epoch)
            best = max((past["mean_iu"] or 0.0 for past in self.history), default=-1.0)
            self.history.append(entry)
            better = self.windows is None or (entry["mean_iu"] or 0.0) > best
            save_epoch(self.run, self.model, self.history, best=better)
            self._log(entry)

    def _log(self, entry: dict[str, Any]) -> None:
        """TensorBoard comes after the checkpoint: a log that cannot be written costs no epoch."""
        try:
            writer = tf.summary.create_file_writer(str(self.run.path / "tensorboard"))
            with writer.as_default(step=entry["epoch"]):
                for name in ("loss", "mean_iu", "pixel_accuracy", "mean_accuracy", "seconds"):
                    if entry[name] is not None:
                        tf.summary.scalar(name, entry[name])
            writer.close()
        except (tf.errors.OpError, OSError) as error:
            logging.getLogger("rsir_tf").warning("%s: TensorBoard's log cannot be written: %s", self.run.path, error)

    def _epoch(self, epoch: int) -> dict[str, Any]:
        started = time.monotonic()
        dataset = training_dataset(self.reader, self.settings.crops, seed=self.settings.seed, epoch=epoch)
        callback = _Watch(self.progress, epoch, self.settings.epochs, self.steps, self.run.path)
        result = self.model.fit(
            dataset, epochs=epoch + 1, initial_epoch=epoch, verbose=0, shuffle=False, callbacks=[callback]
        )
        trained = time.monotonic() - started
        scores = self._validate()
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(result.history["loss"][-1]),
            "images_per_second": round(self.steps * self.settings.crops.batch / trained, 3),
            "seconds": round(time.monotonic() - started, 1),
        }
        for name in ("pixel_accuracy", "mean_accuracy", "mean_iu"):
            value = getattr(scores, name) if scores else float("nan")
            entry[name] = None if np.isnan(value) else round(value, 5)
        words = f"epoch {epoch + 1}/{self.settings.epochs}  loss {entry['loss']:.4f}  mean IU {entry['mean_iu']}"
        self.progress((epoch + 1) * self.steps, self.settings.epochs * self.steps, words)
        return entry

    def _validate(self) -> SegmentationScores | None:
        if self.windows is None:
            return None
        classes = self.run.architecture.classes
        confusion = np.zeros((classes, classes), np.int64)
        for images, masks in self.windows:
            predicted = np.argmax(self.model.predict_on_batch(images), axis=-1)
            confusion += confusion_matrix(np.asarray(masks), predicted, classes)
        return segmentation_scores(confusion)


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells of progress and stops at a loss that is no number."""

    def __init__(self, progress: Progress, epoch: int, epochs: int, steps: int, path: Path) -> None:
        super().__init__()
        self.told, self.done, self.total = progress, epoch * steps, epochs * steps
        self.words, self.path = f"epoch {epoch + 1}/{epochs}", path

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise TrainingError(
                f"{self.path}: the loss became {loss} at step {batch + 1} of {self.words}",
                cure="the last checkpoint is kept; lower --learning-rate or set --clip-norm",
            )
        self.told(self.done + batch + 1, self.total, f"{self.words}  loss {loss:.4f}")
