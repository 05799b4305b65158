"""Settings of the tiny runs that tests train, and what stands for a kill."""

from __future__ import annotations

from rsir_tf.segmentation.crops import Augmentation, Crops
from rsir_tf.segmentation.settings import TrainingSettings

SETTINGS = TrainingSettings(
    epochs=2,
    weights="none",
    head_width=8,
    crops=Crops(64, 2, 4, Augmentation.none()),
    learning_rate=1e-3,
    schedule="constant",
    warm_up=0.0,
    freeze=5,
    dropout=0.0,
    validation=1 / 3,
    validation_windows=2,
)


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""
