"""Monitoring of a run: progress, a check that the loss is finite, and the log for TensorBoard."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from rsir_tf.errors import RsirError
from rsir_tf.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Drawing(Protocol):
    """Draws pictures of a run; `rsir_tf.presentation.training_report` implements it."""

    def write_curves(self, path: Path, history: Sequence[dict[str, Any]]) -> None:
        """Draw loss and held-out figures by epoch into a PNG file."""
        ...

    def example_strips(
        self, rows: Sequence[Sequence[NDArray[np.uint8]]], colours: Sequence[tuple[int, int, int]]
    ) -> NDArray[np.uint8]:
        """Draw each row, an image and its class maps, as one picture: uint8 [rows, H, W, 3]."""
        ...


class TrainingError(RsirError):
    """Training cannot continue; the last good checkpoint is kept."""


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports progress, and stops at a loss that is not finite.

    Args:
        progress: Called after each step.
        epoch: From 0.
        epochs: Number of epochs of the run.
        steps: Number of steps of an epoch.
        path: The folder of the run.
    """

    def __init__(self, progress: Progress, epoch: int, epochs: int, steps: int, path: Path) -> None:
        super().__init__()
        self.told, self.done, self.total = progress, epoch * steps, epochs * steps
        self.words, self.path = f"epoch {epoch + 1}/{epochs}", path

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        parts = ", ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items() if name != "loss")
        found = f"{self.path}: the loss became {loss} at step {batch + 1} of {self.words}"
        require_finite(loss, f"{found} ({parts})" if parts else found)
        self.told(self.done + batch + 1, self.total, f"{self.words}  loss {loss:.4f}")


def require_finite(value: float, found: str) -> None:
    """Stop if a number is not finite.

    Raises:
        TrainingError: The value is NaN or infinite; its text begins with `found`.
    """
    if not np.isfinite(value):
        raise TrainingError(
            found,
            cure="the last checkpoint is kept; train into another --run with a lower --learning-rate or --clip-norm",
        )


def log_to_tensorboard(path: Path, entry: dict[str, Any], pictures: NDArray[np.uint8] | None) -> None:
    """Append an epoch to the run's TensorBoard log; if it cannot be written, a warning says so and training continues.

    Args:
        path: The run's folder.
        entry: The entry of the epoch in the history; its numbers become scalars.
        pictures: uint8 [N, H, W, 3], RGB.
    """
    try:
        writer = tf.summary.create_file_writer(str(path / "tensorboard"))
        with writer.as_default(step=entry["epoch"]):
            for name, value in entry.items():
                if name != "epoch" and value is not None:
                    tf.summary.scalar(name, value)
            if pictures is not None:
                tf.summary.image("validation", pictures, max_outputs=len(pictures))
        writer.close()
    except (tf.errors.OpError, OSError) as error:
        logging.getLogger("rsir_tf").warning("%s: the TensorBoard log cannot be written: %s", path, error)
