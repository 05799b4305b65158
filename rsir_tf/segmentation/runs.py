"""A run on disk: what was trained on what, how far it came, and its weights."""

from __future__ import annotations

import contextlib
import importlib
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rsir_tf.archives.labels import LabelSet
from rsir_tf.artifacts import (
    MANIFEST,
    RUN_VERSION,
    is_leftover,
    manifest,
    read_json,
    read_manifest,
    write_json,
    written_aside,
)
from rsir_tf.errors import ArtifactError, MismatchError
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk
from rsir_tf.segmentation.precision import computing_in

HISTORY = "history.json"
SPLIT = "split.json"
CHECKPOINTS = "checkpoints"
VIEWS = "views"


@dataclass(frozen=True, slots=True)
class Run:
    """An opened run.

    Attributes:
        path: Its folder.
        architecture: What was trained.
        label_set: What its classes mean.
        settings: The training's settings, JSON types.
        manifest: All of `manifest.json`.
    """

    path: Path
    architecture: Architecture
    label_set: LabelSet
    settings: dict[str, Any]
    manifest: dict[str, Any]

    def history(self) -> list[dict[str, Any]]:
        """One entry an epoch that has ended."""
        return list(self._progress()["epochs"])

    @property
    def last(self) -> Path | None:
        """Checkpoint of network and optimizer after the last whole epoch; None before the first has ended."""
        return self._checkpoint("last")

    @property
    def best(self) -> Path | None:
        """Weights of the best epoch; None before the first has ended."""
        return self._checkpoint("best")

    def _progress(self) -> dict[str, Any]:
        file = self.path / HISTORY
        return dict(read_json(file)) if file.exists() else {"epochs": [], "last": None, "best": None}

    def _checkpoint(self, which: str) -> Path | None:
        name = self._progress().get(which)
        return None if name is None else self.path / CHECKPOINTS / name

    def scores(self) -> dict[str, Any] | None:
        """The report's scores; None where there is no report, or one of an earlier epoch."""
        file = self.path / "report" / "scores.json"
        content = dict(read_json(file)) if file.exists() else {}
        return content if content.get("epochs") == len(self.history()) else None


def create_run(
    path: Path,
    architecture: Architecture,
    label_set: LabelSet,
    settings: dict[str, Any],
    archive: dict[str, Any],
    supervision: dict[str, Any],
) -> Run:
    """Begin a run.

    Args:
        path: A folder that does not exist yet, or is empty.
        architecture: What is trained.
        label_set: What its classes mean.
        settings: Everything that changes the result, JSON types.
        archive: What it is trained on: path, format, hash, counts.
        supervision: Its kind, the figure that the best epoch is chosen by, and what was measured for it.

    Raises:
        ArtifactError: The folder holds something else, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(not is_leftover(entry) for entry in path.iterdir())):
        raise ArtifactError(f"{path}: exists and is no run", cure="choose another --run folder or remove it")
    content = manifest(
        "run",
        RUN_VERSION,
        architecture=architecture.to_json(),
        label_set=label_set.to_json(),
        settings=settings,
        archive=archive,
        supervision=supervision,
        software=software(),
    )
    write_json(path / MANIFEST, content)
    return open_run(path)


def open_run(path: Path) -> Run:
    """Open a run and check its manifest.

    Raises:
        ArtifactError: There is none, or it is damaged or of a newer version.
    """
    content = read_manifest(path, "run", RUN_VERSION)
    try:
        architecture = Architecture.from_json(content["architecture"])
        label_set = LabelSet.from_json(content["label_set"])
        return Run(path, architecture, label_set, dict(content["settings"]), content)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path / MANIFEST}: is damaged ({error!r})", cure="train into a new folder") from error


def forget(run: Run) -> None:
    """Take away a run that no epoch has ended in, so that another may begin in its folder."""
    for name in (VIEWS, "tensorboard", CHECKPOINTS):
        shutil.rmtree(run.path / name, ignore_errors=True)
    for name in (SPLIT, MANIFEST):
        (run.path / name).unlink(missing_ok=True)


def require_same(run: Run, settings: dict[str, Any], archive: dict[str, Any]) -> None:
    """Refuse to go on with a run under other settings or on another archive.

    What only decides when a run ends may change: its patience, and its epochs where the learning rate does not depend
    on how many are to come.

    Raises:
        MismatchError: Names the first entry that differs, with both values.
    """
    version = run.manifest["format_version"]
    if version < RUN_VERSION:
        raise MismatchError(
            f"{run.path}: was begun in format {version}, this program goes on with format {RUN_VERSION}",
            cure="it can still be exported; train into another --run folder",
        )
    for what, here, there in (("", settings, run.settings), ("archive's ", archive, run.manifest["archive"])):
        for key in sorted(here.keys() | there.keys()):
            free = key in ("path", "patience") or (key == "epochs" and settings["schedule"] == "constant")
            if not free and here.get(key) != there.get(key):
                raise MismatchError(
                    f"{run.path}: was begun with {what}{key} = {there.get(key)!r}, this call has {here.get(key)!r}",
                    cure="use the same values to resume, or another --run folder",
                )


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


def best_epoch(history: list[dict[str, Any]], figure: str) -> int:
    """Position of the epoch with the highest figure, the first of equals; of the last one where none has the figure.

    Args:
        history: Of at least one epoch.
        figure: Its name.
    """
    values = [entry[figure] for entry in history]
    if all(value is None for value in values):
        return len(values) - 1
    return max(range(len(values)), key=lambda i: -1.0 if values[i] is None else values[i])


def why_complete(run: Run, epochs: int, patience: int) -> str | None:
    """Say why a run has ended, or None if it has not.

    Args:
        run: With any number of epochs.
        epochs: That it is to have.
        patience: Epochs without a better figure after which it stops; 0 for none.
    """
    history, figure = run.history(), run.manifest["supervision"]["figure"]
    if len(history) >= epochs:
        return f"complete, {len(history)} of {epochs} epochs"
    if history and patience and len(history) - 1 - best_epoch(history, figure) >= patience:
        best = best_epoch(history, figure) + 1
        return f"stopped after epoch {len(history)}: no better {figure} for {patience} epochs, epoch {best} is the best"
    return None


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
    write_json(run.path / HISTORY, {"epochs": history, "last": last.name, "best": kept.name})
    for file in folder.iterdir():
        if file not in (last, kept) and not is_leftover(file):
            file.unlink()


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


def software() -> dict[str, str]:
    """Versions and machine, for manifests."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
        "platform": platform.platform(),
        "device": ", ".join(_accelerators(tf)) or "CPU",
    }


def _accelerators(tf: Any) -> list[str]:
    """Names of the accelerators that Keras' backend computes on."""
    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if keras.backend.backend() == "torch":
        torch: Any = importlib.import_module("torch")  # In no environment that types are checked in.
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(each).get("device_name", each.name) for each in devices]
