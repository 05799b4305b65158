"""A run on disk: what is trained on what, and how far it came."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsir_tf.archives.labels import LabelSet
from rsir_tf.artifacts import (
    MANIFEST,
    RUN_VERSION,
    disk_errors,
    is_leftover,
    manifest,
    read_json,
    read_manifest,
    write_json,
)
from rsir_tf.errors import ArtifactError
from rsir_tf.locks import WriterLock
from rsir_tf.segmentation.network import Architecture
from rsir_tf.segmentation.resuming import CHECKPOINTS, FILES, HISTORY
from rsir_tf.segmentation.software import software

SPLIT = "split.json"
LOCK = "writer.lock"


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
        return list(self.record()["epochs"])

    @property
    def last(self) -> Path | None:
        """Checkpoint of network and optimizer after the last whole epoch; None before the first has ended."""
        return self._checkpoint("last")

    @property
    def best(self) -> Path | None:
        """Weights of the best epoch; None before the first has ended."""
        return self._checkpoint("best")

    def record(self) -> dict[str, Any]:
        """What `history.json` holds: the epochs, the names of their checkpoints, and the software that ran them.

        Raises:
            ArtifactError: It is missing beside checkpoints, or damaged.
        """
        file = self.path / HISTORY
        if file.exists():
            return dict(read_json(file))
        # The first epoch's checkpoints are written before the first history; later ones never without it.
        names = [checkpoint.name for checkpoint in (self.path / CHECKPOINTS).glob("[!.]*")]
        lost = sorted(name for name in names if "-0001." not in name)
        if lost:
            raise ArtifactError(
                f"{file}: is missing, beside {lost[0]}", cure="restore it from a copy, or train into another folder"
            )
        return {"epochs": [], "last": None, "best": None, "software": []}

    def _checkpoint(self, which: str) -> Path | None:
        name = self.record().get(which)
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
    starting_weights: dict[str, str] | None = None,
) -> Run:
    """Begin a run.

    Args:
        path: A folder that does not exist yet, or is empty.
        architecture: What is trained.
        label_set: What its classes mean.
        settings: Everything that changes the result, JSON types.
        archive: What it is trained on: path, format, hash, counts.
        supervision: Its kind, the figure that the best epoch is chosen by, and what was measured for it.
        starting_weights: Path and SHA-256 of the file that it starts from, if there is one, and the name of the run
            that this is of, if it is of one.

    Raises:
        ArtifactError: The folder holds something else, or cannot be written.
    """
    if path.exists() and any(entry.name != LOCK and not is_leftover(entry) for entry in path.iterdir()):
        raise _no_run(path)
    content = manifest(
        "run",
        RUN_VERSION,
        architecture=architecture.to_json(),
        label_set=label_set.to_json(),
        settings=settings,
        archive=archive,
        supervision=supervision,
        software=software(),
        **({"starting_weights": starting_weights} if starting_weights else {}),
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


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other processes from training in a folder; where no run was begun in it, it is left as it was.

    Args:
        path: The run's folder; made where it is not.

    Raises:
        ArtifactError: Another process trains in it, or it cannot be written.
    """
    if path.exists() and not path.is_dir():
        raise _no_run(path)
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(path / LOCK)
    try:
        yield
    finally:
        if not (path / MANIFEST).exists():
            # While it is held: whoever opens the name now is refused or makes a new one, and there is no run to harm.
            (path / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # It holds something else.
                path.rmdir()
        lock.release()


def forget(run: Run) -> None:
    """Take away a run that no epoch has ended in, so that another may begin in its folder."""
    for name in ("tensorboard", CHECKPOINTS):
        shutil.rmtree(run.path / name, ignore_errors=True)
    for name in (SPLIT, FILES, MANIFEST):
        (run.path / name).unlink(missing_ok=True)


def _no_run(path: Path) -> ArtifactError:
    return ArtifactError(f"{path}: exists and is not a run", cure="choose another --run folder or remove it")


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
