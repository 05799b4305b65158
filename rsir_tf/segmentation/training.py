"""Fit an FCN to an archive, into a run that can be resumed."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from rsir_tf.archives.labels import LabelSet
from rsir_tf.archives.records import Archive, Record
from rsir_tf.archives.splits import Split, select, write_split
from rsir_tf.archives.tag_labels import tag_label_set, tag_table
from rsir_tf.artifacts import MANIFEST, remove_leftovers, write_json
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.progress import Progress, silent
from rsir_tf.segmentation.checkpoints import load_last, save_epoch
from rsir_tf.segmentation.devices import Devices, choose_devices
from rsir_tf.segmentation.mask_supervision import MaskSupervision
from rsir_tf.segmentation.monitoring import Drawing, TrainingError, Watch, log_to_tensorboard, require_finite
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk, measure_scales
from rsir_tf.segmentation.optimizers import averaged, build_optimizer, gradient_norm, learning_rate_at
from rsir_tf.segmentation.origin import Digests, describe_origin, digest_files
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.resuming import FILES, VIEWS, require_same
from rsir_tf.segmentation.runs import (
    SPLIT,
    Run,
    best_epoch,
    create_run,
    forget,
    open_run,
    sole_writer,
    why_complete,
)
from rsir_tf.segmentation.settings import TrainingSettings
from rsir_tf.segmentation.supervision import Supervision
from rsir_tf.segmentation.tag_supervision import TagSupervision, Watched
from rsir_tf.segmentation.trained_windows import records_to_train_on
from rsir_tf.segmentation.views import CachedViews
from rsir_tf.segmentation.weights import Head, apply_head, initialise, seed_dropout


def train(
    archive: Archive,
    split: Split,
    path: Path,
    settings: TrainingSettings,
    *,
    progress: Progress = silent,
    watch: Watched | None = None,
    drawing: Drawing | None = None,
    devices: str | None = None,
) -> Run:
    """Train on the split's training part; after each epoch score what is held out.

    A run that was begun with the same settings, archive and split goes on after the last epoch it finished; one that is
    complete (`why_complete`) is left as it is.

    Args:
        archive: With masks and a label set, or tags, as `settings.supervision` says.
        split: Which images train, and which choose the best epoch (`settings.validation` of the former, where the split
            has no such part); the others are not looked at.
        path: The run's folder; made, or resumed.
        settings: See `TrainingSettings`.
        progress: Called after each step, and while the archive's files are read.
        watch: Gives further figures of the held-out images' descriptors after each epoch, where tags supervise.
        drawing: Draws curves into the run's `report/`, and examples for TensorBoard, after each epoch.
        devices: On which devices of this machine; see `choose_devices`. It changes the result by rounding alone, and
            may change when a run is resumed.

    Returns:
        The run, with its best checkpoint: the highest `settings.figure` on the held-out images (mean IU on windows of
        them, F1 of their tags, or mAP); the last one where none are held out.

    Raises:
        InputError: The archive lacks masks, tags, a label set, or images that the split names; a tag is no class; no
            mask has a labelled pixel; an image or mask cannot be used; the weights cannot be had; the split leaves
            nothing to train on; or nothing is held out to be patient by, or to have the figure that is to choose.
        MismatchError: The folder holds a run of other settings or another archive, in which something was computed.
        ArtifactError: The folder cannot be written, is something else, or another process trains in it.
        TrainingError: The loss is no longer finite, or memory does not suffice.
    """
    label_set = _label_set(archive, settings)
    digests = digest_files(archive, progress)
    origin = describe_origin(archive, label_set, split, digests, tagged=settings.supervision != "masks")
    with sole_writer(path):
        run = None
        if (path / MANIFEST).exists():
            run = _resumed(open_run(path), settings, origin, digests)
        if run and why_complete(run, settings.epochs, settings.patience):
            _tidy(run, drawing)  # It may have been killed between its last checkpoint and this.
            return run
        supervision = _supervise(archive, label_set, split, settings, run, watch, progress)
        _leave_accelerators_to_the_backend()
        placed = choose_devices(devices, settings)
        keras.utils.set_random_seed(settings.seed)
        with supervision.failures(), _memory(settings):
            with placed.scope():
                network, architecture = _build(label_set, settings, supervision, run)
            if run is None:
                run = create_run(
                    path,
                    architecture,
                    label_set,
                    settings.to_json(),
                    origin,
                    supervision.record,
                    settings.starting_weights(),
                )
                write_json(path / FILES, digests)
            write_split(split, path / SPLIT)
            _fit(run, network, settings, supervision, progress, drawing, placed)
    return open_run(path)


def _resumed(run: Run, settings: TrainingSettings, origin: dict[str, Any], digests: Digests) -> Run | None:
    """The run to go on with; None where it differs, but nothing has been computed in it that could be lost."""
    try:
        require_same(run.path, run.manifest, settings.to_json(), origin, digests)
    except MismatchError as error:
        if run.last is not None or (run.path / VIEWS).exists():
            raise
        logging.getLogger("rsir_tf").warning("%s; no epoch had ended in it: it begins anew", error)
        forget(run)
        return None
    return run


def _supervise(
    archive: Archive,
    label_set: LabelSet,
    split: Split,
    settings: TrainingSettings,
    run: Run | None,
    watch: Watched | None,
    progress: Progress,
) -> Supervision:
    if settings.supervision != "masks":
        tag_table(archive.records, label_set)  # A tag that is no class is told now, not when the test part is scored.
        if archive.orphan_tags:
            logging.getLogger("rsir_tf").warning(
                "%d lines of the tags file name no image (the first: %s); `rsir-tf check` says which are meant",
                len(archive.orphan_tags),
                archive.orphan_tags[0],
            )
    fitted, held = _parts(archive, label_set, split, settings, progress)
    if not fitted:
        raise InputError(f"{archive.root}: the split leaves no image to train on", cure="make the test part smaller")
    if settings.patience and not held:
        raise InputError(
            f"patience is {settings.patience} and no image is held out",
            wanted="held-out images to see whether an epoch is better",
            cure="leave --patience out, set --validation, or split with a part to validate on",
        )
    record = run.manifest["supervision"] if run else None
    if settings.supervision == "masks":
        return MaskSupervision(label_set, fitted, held, settings, record)
    return TagSupervision(label_set, fitted, held, settings, record, watch)


def _leave_accelerators_to_the_backend() -> None:
    """TensorFlow, which reads the data, would take nearly all of a GPU's memory from JAX or Torch."""
    if keras.backend.backend() != "tensorflow":
        with contextlib.suppress(RuntimeError):  # Too late: it has taken it, or there is none.
            tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def _memory(settings: TrainingSettings) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # TensorFlow's type, Torch's, and what JAX writes into an error of many meanings.
        full = ("ResourceExhaustedError", "OutOfMemoryError")
        if type(error).__name__ not in full and not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        reason = str(error).partition("\n")[0][:200]
        raise TrainingError(
            f"out of memory with batches of {settings.crops.batch} crops of {settings.crops.size} pixels: {reason}",
            cure="lower --batch or --crop, train with --precision mixed_float16, or narrow --head-width",
        ) from error


def _parts(
    archive: Archive, label_set: LabelSet, split: Split, settings: TrainingSettings, progress: Progress
) -> tuple[list[Record], list[Record]]:
    """Images to train on and images to choose the best epoch by; a split that names the latter decides."""

    def part(name: Literal["train", "validation"]) -> list[Record]:
        chosen = select(archive, split, name)
        return records_to_train_on(chosen, label_set, progress, masks=settings.supervision == "masks")

    fitted = part("train")
    if split.validation:
        return fitted, part("validation")
    return hold_out(fitted, settings.validation, settings.seed)


def hold_out(records: Sequence[Record], fraction: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Hold some of the training images out, to choose the best epoch by.

    Whole groups where all images have one: an image cut from the same tile as a training image tells little.

    Args:
        records: The training part.
        fraction: Of them; rounded, up to whole groups, and never all.
        seed: The run's.

    Returns:
        Those to train on and those held out, each in the order given.
    """

    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"validation {seed}\n{name}".encode()).digest()

    count = max(0, min(round(fraction * len(records)), len(records) - 1))
    groups = {record.group for record in records}
    held: set[str] = set()
    if None not in groups and len(groups) > 1:
        order = sorted((group for group in groups if group is not None), key=drawn)
        for group in order[: len(order) - 1]:
            if len(held) >= count:
                break
            held |= {record.id for record in records if record.group == group}
    else:
        held = set(sorted((record.id for record in records), key=drawn)[:count])
    return [record for record in records if record.id not in held], [record for record in records if record.id in held]


def _label_set(archive: Archive, settings: TrainingSettings) -> LabelSet:
    if settings.supervision == "tags":
        return tag_label_set(archive)
    if archive.label_set is None:
        raise InputError(
            f"{archive.root}: has no masks to train on",
            cure="pass a folder with masks and --labels FILE, or train on tags (--supervision tags)",
        )
    return archive.label_set


def _build(
    label_set: LabelSet, settings: TrainingSettings, supervision: Supervision, run: Run | None
) -> tuple[keras.Model, Architecture]:
    """The network as training starts from it; a run that was begun keeps the architecture in its manifest."""
    with computing_in(settings.precision):
        trunk = build_trunk()
        # The checkpoint of a run on cached views lacks the frozen blocks.
        begun = run is not None and run.last is not None and not settings.cached_views
        head = Head() if begun else initialise(trunk, settings.weights, seed=settings.seed)
        if run is not None:
            architecture = run.architecture
        else:
            scales = measure_scales(trunk, supervision.sample())
            if head.fits(settings.head_width):
                # fc6's own weights want pool5 as VGG-16 gives it, and a run's weights the scales that it had.
                scales = head.scales or replace(scales, pool5=1.0)
            elif head.scales is not None:
                logging.getLogger("rsir_tf").warning(
                    "%s: has %d channels in fc6 and fc7, not %d as here: only the layers of VGG-16 are taken from it",
                    settings.weights,
                    len(head.fully_connected["fc6"][1]),
                    settings.head_width,
                )
            architecture = Architecture(len(label_set.names), settings.stride, settings.head_width, scales)
        network = build_fcn(trunk, architecture, dropout=settings.dropout)
    apply_head(network, head, label_set.names)
    frozen = tuple(f"block{block}_" for block in range(1, settings.freeze + 1))
    for layer in network.layers:
        if frozen and layer.name.startswith(frozen):
            layer.trainable = False
    return network, architecture


def _tidy(run: Run, drawing: Drawing | None) -> None:
    """Leave a complete run as it is to be: with the curves of all its epochs, without cached views."""
    _draw_curves(run, drawing)
    shutil.rmtree(run.path / VIEWS, ignore_errors=True)


def _draw_curves(run: Run, drawing: Drawing | None) -> None:
    if drawing is not None:
        drawing.write_curves(run.path / "report" / "curves.png", run.history())


def _fit(
    run: Run,
    network: keras.Model,
    settings: TrainingSettings,
    supervision: Supervision,
    progress: Progress,
    drawing: Drawing | None,
    devices: Devices,
) -> None:
    """Go through the epochs that are left, with a checkpoint after each."""
    steps = supervision.steps
    # The schedule is laid over the epochs that the run was begun with: those may have been raised since.
    planned = steps * run.settings["epochs"]
    # JAX without compilation would be no use; elsewhere compiling costs minutes, and is asked for.
    compiled = settings.xla or keras.backend.backend() == "jax"
    views, scored = None, devices.alone(network)
    with devices.scope():
        model = supervision.model(network, run.architecture)
        if settings.cached_views:
            views = CachedViews(run.path / VIEWS, model, settings.freeze, supervision, settings.cached_views, progress)
            model = views.rest
        model.compile(optimizer=build_optimizer(settings, planned), loss=supervision.loss(), jit_compile=compiled)
        # Otherwise the first step is traced twice, and Keras skips the optimizer's state when it loads a checkpoint.
        model.optimizer.build(model.trainable_variables)
        if run.last is not None:
            load_last(run, model)
    remove_leftovers(run.path)
    history = run.history()
    while not (reason := why_complete(run, settings.epochs, settings.patience)):
        epoch, started = len(history), time.monotonic()
        batches = (views or supervision).dataset(epoch)
        fitting = time.monotonic()
        seed_dropout(model, settings.seed, epoch)
        watch = Watch(progress, epoch, settings.epochs, steps, run.path)
        result = model.fit(
            batches,
            epochs=epoch + 1,
            initial_epoch=epoch,
            verbose=0,
            shuffle=False,
            callbacks=[watch],
        )
        trained, norm = time.monotonic() - fitting, gradient_norm(model.optimizer)
        # Loss was finite before the last step, weights may not be after it.
        require_finite(norm, f"{run.path}: the gradients' norm became {norm} at the end of epoch {epoch + 1}")
        with averaged(model):
            held_out = supervision.evaluate(scored)
        figures = {name: None if value is None else round(value, 5) for name, value in held_out.figures.items()}
        entry: dict[str, Any] = {
            "epoch": epoch + 1,
            "loss": float(result.history["loss"][-1]),
            "learning_rate": float(f"{learning_rate_at(settings, planned, (epoch + 1) * steps - 1):.6g}"),
            "gradient_norm": float(f"{norm:.6g}"),
            "images_per_second": round(steps * settings.crops.batch / trained, 3),
            "seconds": round(time.monotonic() - started, 1),
            **figures,
        }
        history.append(entry)
        words = f"epoch {epoch + 1}/{settings.epochs}  loss {entry['loss']:.4f}  "
        words += f"{supervision.figure.replace('_', ' ')} {figures[supervision.figure]}"
        progress((epoch + 1) * steps, settings.epochs * steps, words)
        save_epoch(run, model, network, history, best=best_epoch(history, supervision.figure) == epoch)
        pictures = (
            drawing.example_strips(held_out.examples, run.label_set.colours) if drawing and held_out.examples else None
        )
        log_to_tensorboard(run.path, entry, pictures)
        _draw_curves(run, drawing)
    _tidy(run, drawing)
    progress(len(history) * steps, settings.epochs * steps, reason)
