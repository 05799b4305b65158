"""A run on disk: what was trained on what, how far it came, and its weights."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from rsir_tf.archives.labels import LabelSet
from rsir_tf.artifacts import MANIFEST, manifest, read_json, read_manifest, write_json, written_aside
from rsir_tf.errors import ArtifactError, MismatchError
from rsir_tf.segmentation.network import Architecture, build_fcn, build_trunk

RUN_VERSION = 1
HISTORY = "history.json"
SPLIT = "split.json"
BEST = "checkpoints/best.weights.h5"
LAST = "checkpoints/last.keras"


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
        file = self.path / HISTORY
        return list(read_json(file)["epochs"]) if file.exists() else []

    def scores(self) -> dict[str, Any] | None:
        """The report's scores, None before training has ended."""
        file = self.path / "report" / "scores.json"
        return dict(read_json(file)) if file.exists() else None


def create_run(
    path: Path, architecture: Architecture, label_set: LabelSet, settings: dict[str, Any], archive: dict[str, Any]
) -> Run:
    """Begin a run.

    Args:
        path: A folder that does not exist yet, or is empty.
        architecture: What is trained.
        label_set: What its classes mean.
        settings: Everything that changes the result, JSON types.
        archive: What it is trained on: path, format, hash, counts.

    Raises:
        ArtifactError: The folder holds something else, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ArtifactError(f"{path}: exists and is no run", cure="choose another --run folder or remove it")
    content = manifest(
        "run",
        RUN_VERSION,
        architecture=architecture.to_json(),
        label_set=label_set.to_json(),
        settings=settings,
        archive=archive,
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


def require_same(run: Run, settings: dict[str, Any], archive: dict[str, Any]) -> None:
    """Refuse to go on with a run under other settings or on another archive.

    Raises:
        MismatchError: Names the first settings that differ, with both values.
    """
    for what, here, there in (("setting", settings, run.settings), ("archive's", archive, run.manifest["archive"])):
        for key in sorted(here.keys() | there.keys()):
            if key not in ("path", "epochs") and here.get(key) != there.get(key):
                raise MismatchError(
                    f"{run.path}: was begun with {what} {key} = {there.get(key)!r}, this call has {here.get(key)!r}",
                    cure="use the same values to resume, or another --run folder",
                )


def load_best(run: Run) -> keras.Model:
    """Build the run's network with its best weights.

    Raises:
        ArtifactError: There is no checkpoint yet, or it is damaged.
    """
    file = run.path / BEST
    if not file.exists():
        raise ArtifactError(f"{run.path}: has no checkpoint yet", cure="let `rsir-tf train` end at least one epoch")
    model = build_fcn(build_trunk(), run.architecture)
    try:
        model.load_weights(str(file))
    except Exception as error:  # h5py and Keras raise OSError, KeyError, ValueError and others on damaged files.
        raise ArtifactError(
            f"{file}: cannot be read ({error})", cure="train again, or restore it from a copy"
        ) from error
    return model


def save_best(run: Run, model: keras.Model) -> None:
    """Write the weights aside and rename: the last good checkpoint survives a full disk or a kill."""
    with written_aside(run.path / BEST, replace=True) as aside:
        model.save_weights(str(aside))


def save_last(run: Run, model: keras.Model) -> None:
    """Write model and optimizer, so that training can go on from here."""
    with written_aside(run.path / LAST, replace=True) as aside:
        model.save(str(aside))


def software() -> dict[str, str]:
    """Versions and machine, for manifests."""
    import tensorflow as tf

    devices = ", ".join(device.name for device in tf.config.list_physical_devices("GPU")) or "CPU"
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "platform": platform.platform(),
        "device": devices,
    }
