"""Fit an FCN to an archive's masks, into a run that can be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.records import Archive
from rsir_tf.archives.splits import Split, select, write_split
from rsir_tf.artifacts import MANIFEST, content_hash, disk_errors, write_json
from rsir_tf.errors import ArtifactError, InputError, RsirError
from rsir_tf.segmentation.augmentation import Augmentation
from rsir_tf.segmentation.data import (
    Crops,
    PairReader,
    plan_epoch,
    training_dataset,
    validation_crops,
    validation_dataset,
)
from rsir_tf.segmentation.network import Architecture, Scales, Stride, build_fcn, build_trunk, measure_scales
from rsir_tf.segmentation.runs import (
    HISTORY,
    LAST,
    SPLIT,
    Run,
    create_run,
    open_run,
    require_same,
    save_best,
    save_last,
)
from rsir_tf.segmentation.scoring import SegmentationScores, confusion_matrix, segmentation_scores
from rsir_tf.segmentation.weights import apply_head, fits_head, initialise

Progress = Callable[[int, int, str], None]
"""Called with what is done, what there is to do, and a few words."""


class TrainingError(RsirError):
    """Training cannot go on; the last good checkpoint stays."""


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a run does; everything that changes its result is recorded in its manifest.

    Attributes:
        epochs: Passes over the archive. May be raised later to go on with a constant learning rate.
        weights: "imagenet", "none" or a VGG-16 weights file.
        stride: 8, 16 or 32 (FCN-8s, -16s, -32s).
        head_width: Channels of fc6 and fc7; the paper's is 4096, small machines do with less.
        crops: Crop size, batch size, crops an epoch, augmentation.
        learning_rate: Adam's, at its highest.
        schedule: "cosine" (warm-up over the first 5% of the steps, then down to zero) or "constant".
        freeze: Blocks of VGG-16 that stay as they are, counted from the image (0 to 5).
        dropout: After fc6 and fc7.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        validation_windows: Windows of the crop's size that are scored after each epoch; 0 for all.
        keep_in_memory: Whether decoded images stay in memory.
        xla: Whether the step is compiled with XLA.
        seed: Of crops, augmentation, initial weights and dropout.
    """

    epochs: int = 50
    weights: str = "imagenet"
    stride: Stride = 8
    head_width: int = 4096
    crops: Crops = field(default_factory=Crops)
    learning_rate: float = 1e-4
    schedule: Literal["cosine", "constant"] = "cosine"
    freeze: int = 0
    dropout: float = 0.5
    clip_norm: float = 1.0
    validation_windows: int = 64
    keep_in_memory: bool = False
    xla: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"{self.epochs} epochs", wanted="at least 1")
        if not 0 <= self.freeze <= 5:
            raise InputError(f"freeze = {self.freeze}", wanted="0 to 5 blocks")
        if not self.learning_rate > 0:
            raise InputError(f"learning rate {self.learning_rate}", wanted="a positive number")

    def to_json(self) -> dict[str, Any]:
        """As JSON types: what changes a run's result."""
        content = asdict(self)
        content["crops"] = {**asdict(self.crops), "augmentation": self.crops.augmentation.to_json()}
        if self.weights not in ("imagenet", "none"):
            content["weights"] = Path(self.weights).name
        del content["keep_in_memory"]
        return content


def train(
    archive: Archive, split: Split, path: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> Run:
    """Train on the split's training part; score windows of its test part after each epoch.

    A run that was begun with the same settings and split goes on after the last epoch it finished.

    Args:
        archive: With masks and a label set.
        split: Which images train and which validate.
        path: The run's folder; made, or resumed.
        settings: See `TrainingSettings`.
        progress: Called after each step.

    Returns:
        The run, with its best checkpoint (highest mean IU on the validation windows).

    Raises:
        InputError: The archive has no masks or no label set.
        MismatchError: The folder holds a run of other settings or another archive.
        ArtifactError: The folder cannot be written or is something else.
        TrainingError: The loss is no longer finite.
    """
    if archive.label_set is None:
        raise InputError(f"{archive.root}: has no masks to train on", cure="pass a folder with masks and --labels FILE")
    reader = PairReader(select(archive, split, "train").records, archive.label_set, keep=settings.keep_in_memory)
    validation = PairReader(select(archive, split, "test").records, archive.label_set, keep=settings.keep_in_memory)
    if not len(reader):
        raise InputError(f"{archive.root}: the split leaves no image to train on", cure="make the test part smaller")
    origin = _origin(archive, split)
    keras.utils.set_random_seed(settings.seed)
    if (path / MANIFEST).exists():
        run = open_run(path)
        require_same(run, settings.to_json(), origin)
    else:
        run = None
    if run is not None and (path / LAST).exists():
        model = _resumed(run, settings)
    else:
        architecture, model = _build(archive.label_set, settings, reader)
        run = create_run(path, architecture, archive.label_set, settings.to_json(), origin) if run is None else run
        write_split(split, path / SPLIT)
    _Loop(run, model, settings, reader, validation, progress or (lambda *_: None)).go()
    return run


def _origin(archive: Archive, split: Split) -> dict[str, Any]:
    return {
        "path": str(archive.root),
        "format": archive.format,
        "images": len(archive),
        "records": content_hash([record.id for record in archive]),
        "split": content_hash([list(split.train), list(split.test)]),
    }


def _build(label_set: LabelSet, settings: TrainingSettings, reader: PairReader) -> tuple[Architecture, keras.Model]:
    """The network as training starts from it; the same for the same settings and archive."""
    trunk = build_trunk()
    head = initialise(trunk, settings.weights, seed=settings.seed)
    scales = measure_scales(trunk, _sample(reader, settings))
    if fits_head(head, settings.head_width):
        # fc6's own weights want pool5 as VGG-16 gives it.
        scales = Scales(pool3=scales.pool3, pool4=scales.pool4, pool5=1.0)
    architecture = Architecture(len(label_set.names), settings.stride, settings.head_width, scales)
    model = build_fcn(trunk, architecture, dropout=settings.dropout)
    apply_head(model, head)
    _compile(model, settings, _steps(reader, settings))
    return architecture, model


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


def _resumed(run: Run, settings: TrainingSettings) -> keras.Model:
    file = run.path / LAST
    if settings.schedule != "constant" and settings.epochs != run.settings["epochs"]:
        raise ArtifactError(
            f"{run.path}: was begun for {run.settings['epochs']} epochs, this call has {settings.epochs}",
            cure="use the same number: the learning rate's schedule depends on it",
        )
    try:
        return keras.models.load_model(file)
    except Exception as error:  # zipfile, h5py and Keras raise many types on damaged files.
        raise ArtifactError(f"{file}: cannot be read ({error})", cure="train again into another folder") from error


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
        with disk_errors(self.run.path):
            writer = tf.summary.create_file_writer(str(self.run.path / "tensorboard"))
        for epoch in range(len(self.history), self.settings.epochs):
            entry = self._epoch(epoch)
            best = max((past["mean_iu"] or 0.0 for past in self.history), default=-1.0)
            self.history.append(entry)
            with writer.as_default(step=epoch + 1):
                for name in ("loss", "mean_iu", "pixel_accuracy", "mean_accuracy", "seconds"):
                    if entry[name] is not None:
                        tf.summary.scalar(name, entry[name])
            writer.flush()
            if self.windows is None or (entry["mean_iu"] or 0.0) > best:
                save_best(self.run, self.model)
            # The history comes last: an epoch counts as ended once everything of it is on disk.
            save_last(self.run, self.model)
            write_json(self.run.path / HISTORY, {"epochs": self.history})
        writer.close()

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
