"""The optimizer of a run: Adam with decoupled weight decay, a slower trunk, clipped gradients, and a schedule."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.segmentation.settings import TrainingSettings


def build_optimizer(settings: TrainingSettings, steps: int) -> keras.optimizers.Optimizer:
    """Make the optimizer that the settings of a run describe; its variable `gradient_norm` holds the last norm.

    It has to be built when the weights are those that training starts from: `decay_to_start` and `average_weights` copy
    them into variables of the optimizer, which are saved and restored with it.

    This is AdamW of Loshchilov and Hutter (ICLR 2019): each step decreases a weight w by learning rate · weight decay ·
    w in addition to Adam's update; biases do not decay. For VGG-16's layers, the learning rate is multiplied by
    `trunk_rate` in both. With `decay_to_start`, these layers, also their biases, decay towards their starting weights
    instead of towards zero (L2-SP of Li, Grandvalet and Davoine, ICML 2018, decoupled like the rest). In Keras 3 this
    is a subclass of Keras's Adam, for every backend. In Keras 2 it is Keras's AdamW, one for each rate, combined by
    TensorFlow Addons' MultiOptimizer. "mixed_float16" adds loss scaling here, because Keras adds it only to models that
    were made in that precision, not to those for tags or cached views.

    Args:
        settings: The settings of the run.
        steps: Number of steps of the whole run, for the schedule.

    Raises:
        InputError: The trunk has another rate, and Keras 2 is used without TensorFlow Addons.
    """
    options = {
        "weight_decay": settings.weight_decay,
        "trunk_rate": settings.trunk_rate,
        "clip_norm": settings.clip_norm,
        "decay_to_start": settings.decay_to_start,
        "average": settings.average_weights,
    }
    if keras.__version__.startswith("2."):
        from rsir_tf.segmentation.optimizer_keras2 import LayerwiseAdamW as LayerwiseAdamW2

        optimizer = LayerwiseAdamW2(lambda factor: learning_rate(settings, steps, factor), **options)
        scaling = keras.mixed_precision.LossScaleOptimizer
    else:
        from rsir_tf.segmentation.optimizer_keras3 import LayerwiseAdamW

        optimizer = LayerwiseAdamW(learning_rate(settings, steps), **options)
        scaling = keras.optimizers.LossScaleOptimizer
    return scaling(optimizer) if settings.precision == "mixed_float16" else optimizer


def learning_rate(settings: TrainingSettings, steps: int, factor: float = 1.0) -> Any:
    """The learning rate of each step: it rises linearly from zero, and is then constant or falls to zero as a cosine.

    Args:
        settings: The settings of the run.
        steps: Number of steps of the whole run.
        factor: Factor on all learning rates.

    Returns:
        A number or a Keras schedule (a function of the step).
    """
    peak = settings.learning_rate * factor
    warm_up = int(settings.warm_up * steps)
    schedules = keras.optimizers.schedules
    if settings.schedule == "cosine":
        if not warm_up:
            return schedules.CosineDecay(peak, steps)
        return schedules.CosineDecay(0.0, max(1, steps - warm_up), warmup_target=peak, warmup_steps=warm_up)
    return schedules.PolynomialDecay(0.0, warm_up, end_learning_rate=peak, power=1.0) if warm_up else peak


def learning_rate_at(settings: TrainingSettings, steps: int, step: int) -> float:
    """The learning rate of one step, counted from 0, as a number; arguments as for `learning_rate`."""
    rate = learning_rate(settings, steps)
    return float(np.asarray(rate(step))) if callable(rate) else float(rate)


def gradient_norm(optimizer: keras.optimizers.Optimizer) -> float:
    """Norm of all gradients together in the last step, before clipping."""
    return float(_inner(optimizer).gradient_norm.numpy())


def _inner(optimizer: keras.optimizers.Optimizer) -> Any:
    """In mixed precision, the loss-scaling optimizer contains ours."""
    return getattr(optimizer, "inner_optimizer", optimizer)


@contextlib.contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Within this block, a model has the averaged copy of its weights, if its optimizer keeps one.

    Args:
        model: With a built optimizer from `build_optimizer`. Its weights are as they were when the block ends.
    """
    averages = _inner(model.optimizer).averages
    if not averages:
        yield
        return
    fitted = [np.array(variable.numpy()) for variable in model.trainable_variables]
    try:
        for variable, average in zip(model.trainable_variables, averages, strict=True):
            variable.assign(average.numpy())
        yield
    finally:
        for variable, value in zip(model.trainable_variables, fitted, strict=True):
            variable.assign(value)


def rate_factor(path: str, trunk_rate: float) -> float:
    """Factor on the learning rate of a weight, by its name.

    Args:
        path: For example "block5_conv3/kernel", possibly with a prefix.
        trunk_rate: For VGG-16's convolutions.
    """
    return trunk_rate if is_trunk(path) else 1.0


def is_trunk(path: str) -> bool:
    """Whether a weight is of one of VGG-16's convolutions, by its name."""
    return re.search(r"(^|/)block\d_conv\d/", path) is not None


def is_bias(path: str) -> bool:
    """Whether a weight is a bias, by its name: biases are not decayed."""
    return re.search(r"(^|/)bias(:0)?$", path) is not None


def require_addons() -> Any:
    """TensorFlow Addons.

    Raises:
        InputError: It is not installed.
    """
    try:
        import tensorflow_addons
    except ImportError as error:
        raise InputError(
            f"a trunk_rate with Keras {keras.__version__} needs TensorFlow Addons, which is not installed",
            cure="pip install 'rsir_tf[addons]', use Keras 3, or leave --trunk-rate at 1",
        ) from error
    return tensorflow_addons
