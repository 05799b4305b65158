"""The weights of a run: written after each epoch, so that a kill at any moment leaves those of a whole one."""

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
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.resuming import HISTORY
from rsir_tf.segmentation.runs import CHECKPOINTS, Run
from rsir_tf.segmentation.software import software


def load_best(run: Run) -> keras.Model:
    """Build the run's network with its best weights, in float32 whatever it was trained in.

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
    """Bring weights and optimizer to where the last whole epoch left them.

    Args:
        run: With at least one ended epoch.
        model: Built and compiled as when the run began; changed in place.

    Raises:
        ArtifactError: The checkpoint is damaged, or was written by another version of Keras.
    """
    with _damage(run, run.last):
        # Keras skips the state of an optimizer that has no variables yet.
        model.optimizer.build(model.trainable_variables)
        model.load_weights(str(run.last))
        if not int(np.asarray(model.optimizer.iterations)):
            raise ValueError("it holds no state of this optimizer")


def save_epoch(
    run: Run, model: keras.Model, network: keras.Model, history: list[dict[str, Any]], *, best: bool
) -> None:
    """Write the checkpoints of an epoch, then the history that names them, then remove those it no longer names.

    The history is the one pointer that moves: killed at any moment, a run has the checkpoints of the epochs in it.

    Args:
        run: Where to.
        model: What is fitted, with its optimizer, as the epoch left it.
        network: The FCN, which shares its layers with the model or is the model.
        history: With the epoch's own entry.
        best: Whether it is the best so far.

    Raises:
        ArtifactError: The disk is full or read-only; the checkpoints of the epoch before stay.
    """
    folder, number = run.path / CHECKPOINTS, len(history)
    last, kept = folder / f"last-{number:04}.keras", run.best
    with _writing(last) as aside:
        model.save(str(aside))
    if best or kept is None:
        kept = folder / f"best-{number:04}.weights.h5"
        with _writing(kept) as aside:
            # Without its optimizer, whose state Keras would write along.
            keras.Model(network.inputs, network.outputs).save_weights(str(aside))
    content = {"epochs": history, "last": last.name, "best": kept.name, "software": _software_of_epochs(run, number)}
    write_json(run.path / HISTORY, content)
    for file in folder.iterdir():
        if file not in (last, kept) and not is_leftover(file):
            file.unlink()


def _software_of_epochs(run: Run, number: int) -> list[dict[str, Any]]:
    """What ran which epochs: a run may go on with other versions or elsewhere."""
    known, here = list(run.record().get("software", [])), software()
    if known and {**known[-1], "from_epoch": 0} == {"from_epoch": 0, **here}:
        return known
    return [*known, {"from_epoch": number, **here}]


@contextlib.contextmanager
def _writing(file: Path) -> Iterator[Path]:
    """As `written_aside`; what h5py says when the disk is full while it closes a file is no OSError."""
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
