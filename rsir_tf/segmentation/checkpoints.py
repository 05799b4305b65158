"""The weights of a run: written after each epoch, so that a killed run keeps those of its last complete epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rsir_tf.artifacts import is_leftover, write_json, written_aside
from rsir_tf.errors import ArtifactError
from rsir_tf.segmentation.network import build_fcn, build_trunk
from rsir_tf.segmentation.optimizers import averaged
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.resuming import CHECKPOINTS, HISTORY
from rsir_tf.segmentation.runs import Run
from rsir_tf.segmentation.software import software


def load_best(run: Run) -> keras.Model:
    """Build the run's network with its best weights, in float32 for every training precision.

    Raises:
        ArtifactError: There is no checkpoint yet, or it is damaged.
    """
    if run.best is None:
        raise ArtifactError(f"{run.path}: has no checkpoint yet", cure="let `rsir-tf train` end at least one epoch")
    with computing_in("float32"):
        model = build_fcn(build_trunk(), run.architecture)
    with _damage(run, run.best):
        model.load_weights(str(run.best))
    return model


def load_last(run: Run, model: keras.Model) -> None:
    """Set weights and optimizer to their state after the last complete epoch.

    Args:
        run: A run with at least one complete epoch.
        model: Built and compiled as at the start of the run, with a built optimizer; changed in place.

    Raises:
        ArtifactError: The checkpoint is damaged, or was written by another version of Keras.
    """
    with _damage(run, run.last):
        model.load_weights(str(run.last))
        if not int(np.asarray(model.optimizer.iterations)):
            raise ValueError("it holds no state of this optimizer")


def save_epoch(
    run: Run, model: keras.Model, network: keras.Model, history: list[dict[str, Any]], *, best: bool
) -> None:
    """Write the checkpoints of an epoch, then the history that names them, then remove those it no longer names.

    The history alone decides which checkpoints count: a run that is killed at any moment has those that it names.

    Args:
        run: The run.
        model: The fitted model with its optimizer, after the epoch.
        network: The FCN, which shares its layers with the model or is the model.
        history: The history, including this epoch.
        best: Whether this epoch is the best so far. Of weights that are averaged, the best checkpoint has the averages.

    Raises:
        ArtifactError: The disk is full or read-only; the checkpoints of the epoch before stay.
    """
    folder, number = run.path / CHECKPOINTS, len(history)
    last, kept = folder / f"last-{number:04}.keras", run.best
    with _writing(last) as aside:
        model.save(str(aside))
    if best or kept is None:
        kept = folder / f"best-{number:04}.weights.h5"
        with _writing(kept) as aside, averaged(model):
            # Without the optimizer: Keras would write its state too.
            keras.Model(network.inputs, network.outputs).save_weights(str(aside))
    content = {"epochs": history, "last": last.name, "best": kept.name, "software": _software_of_epochs(run, number)}
    write_json(run.path / HISTORY, content)
    for file in folder.iterdir():
        if file not in (last, kept) and not is_leftover(file):
            file.unlink()


def _software_of_epochs(run: Run, number: int) -> list[dict[str, Any]]:
    """The software of each range of epochs: a run can continue with other versions or on another machine."""
    known, here = list(run.record().get("software", [])), software()
    if known and {**known[-1], "from_epoch": 0} == {"from_epoch": 0, **here}:
        return known
    return [*known, {"from_epoch": number, **here}]


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[Path]:
    """Like `written_aside`, but also for h5py, whose error is not an OSError if the disk is full when a file closes."""
    try:
        with written_aside(file, replace=True) as aside:
            yield aside
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ArtifactError(
            f"{file}: cannot be written: {reason}", cure="free space or choose another place"
        ) from error


@contextlib.contextmanager
def _damage(run: Run, file: Path | None) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # zipfile, h5py and Keras raise many types on damaged files.
        made = run.manifest.get("software", {}).get("keras")
        other = (
            f" (the run was made with Keras {made}, this is {keras.__version__})" if made != keras.__version__ else ""
        )
        reason = str(error).partition("\n")[0]
        raise ArtifactError(
            f"{file}: cannot be read{other}: {reason}", cure="restore it from a copy, or train into another folder"
        ) from error
