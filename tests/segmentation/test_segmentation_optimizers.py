"""The optimizer against the formulas of Adam and decoupled weight decay, on both of its implementations."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from rsir_tf.errors import InputError
from rsir_tf.segmentation import optimizers
from rsir_tf.segmentation.optimizers import (
    averaged,
    build_optimizer,
    gradient_norm,
    is_bias,
    learning_rate_at,
    rate_factor,
)
from rsir_tf.segmentation.precision import computing_in
from rsir_tf.segmentation.settings import TrainingSettings

SETTINGS = TrainingSettings(
    learning_rate=0.1, schedule="constant", warm_up=0.0, weight_decay=0.5, trunk_rate=0.25, clip_norm=1.0
)
STEPS = 8
PATHS = ("block5_conv3/kernel", "block5_conv3/bias", "score_fc7/kernel", "score_fc7/bias")
SHAPES = ((2, 3), (3,), (3, 2), (2,))


def small_model() -> keras.Model:
    """Two layers with the names of one of VGG-16's and one on top."""
    inputs = keras.Input((2,))
    x = keras.layers.Dense(3, name="block5_conv3")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="score_fc7", dtype="float32")(x))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=shape).astype(np.float32) for shape in SHAPES])
    return model


def gradients(step: int) -> list[np.ndarray]:
    # The first are smaller than the limit of the norm together, the later ones larger.
    random = np.random.default_rng(step)
    return [(random.normal(size=shape) * (0.05 if step == 0 else 2.0)).astype(np.float32) for shape in SHAPES]


def by_the_formulas(settings: TrainingSettings, steps: int) -> list[np.ndarray]:
    """Loshchilov and Hutter, algorithm 2, in float64, with Keras's place for epsilon; returns the weights."""
    weights = [weight.astype(np.float64) for weight in small_model().get_weights()]
    means, squares = [[np.zeros(shape) for shape in SHAPES] for _ in range(2)]
    starts, averages = [[weight.copy() for weight in weights] for _ in range(2)]
    for step in range(steps):
        norm = math.sqrt(sum(float((gradient.astype(np.float64) ** 2).sum()) for gradient in gradients(step)))
        for i, gradient in enumerate(gradients(step)):
            clipped = gradient / max(1.0, norm / settings.clip_norm)
            rate = learning_rate_at(settings, STEPS, step) * (settings.trunk_rate if i < 2 else 1.0)
            if i < 2 and settings.decay_to_start:
                weights[i] = weights[i] - rate * settings.decay_to_start * (weights[i] - starts[i])
            elif PATHS[i].endswith("kernel"):
                weights[i] = weights[i] * (1 - rate * settings.weight_decay)
            means[i] = 0.9 * means[i] + 0.1 * clipped
            squares[i] = 0.999 * squares[i] + 0.001 * clipped**2
            size = rate * math.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            weights[i] = weights[i] - size * means[i] / (np.sqrt(squares[i]) + 1e-7)
            kept = min(settings.average_weights, (2 + step) / (11 + step))
            averages[i] = kept * averages[i] + (1 - kept) * weights[i]
    return averages if settings.average_weights else weights


def take_steps(model: keras.Model, optimizer: keras.optimizers.Optimizer, first: int, last: int) -> None:
    @tf.function
    def step(*values: tf.Tensor) -> None:
        optimizer.apply_gradients(zip(values, model.trainable_variables, strict=True))

    optimizer.build(model.trainable_variables)
    for number in range(first, last):
        step(*gradients(number))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize("trunk_rate", [1.0, 0.25])
@pytest.mark.parametrize("kernels", [True, False])
def test_updates_are_those_of_the_formulas(
    schedule: str, trunk_rate: float, kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kernels:
        if keras.__version__.startswith("2."):
            pytest.skip("Keras 2 is TensorFlow's alone")
        from rsir_tf.segmentation import optimizer_keras3

        monkeypatch.setattr(optimizer_keras3, "_has_kernels", lambda: False)
    settings = replace(SETTINGS, schedule=schedule, warm_up=0.25, trunk_rate=trunk_rate)
    model = small_model()
    optimizer = build_optimizer(settings, STEPS)
    take_steps(model, optimizer, 0, 4)
    for found, wanted in zip(model.get_weights(), by_the_formulas(settings, 4), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    norm = math.sqrt(sum(float((gradient.astype(np.float64) ** 2).sum()) for gradient in gradients(3)))
    assert gradient_norm(optimizer) == pytest.approx(norm, rel=1e-5)
    assert int(np.asarray(optimizer.iterations)) == 4


@pytest.mark.parametrize("trunk_rate", [1.0, 0.25])
def test_weights_decay_to_the_start_and_the_average_goes_on_from_a_checkpoint(
    trunk_rate: float, tmp_path: Path
) -> None:
    settings = replace(SETTINGS, schedule="cosine", trunk_rate=trunk_rate, decay_to_start=2.0, average_weights=0.5)
    first, second = small_model(), small_model()
    first.compile(build_optimizer(settings, STEPS), "mse")
    take_steps(first, first.optimizer, 0, 2)
    first.save(tmp_path / "last.keras")
    second.set_weights([weight + 1 for weight in second.get_weights()])  # Nothing of the start is known here.
    second.compile(build_optimizer(settings, STEPS), "mse")
    second.optimizer.build(second.trainable_variables)
    second.load_weights(str(tmp_path / "last.keras"))
    take_steps(second, second.optimizer, 2, 4)
    fitted = by_the_formulas(replace(settings, average_weights=0.0), 4)
    with averaged(second):
        for found, wanted in zip(second.get_weights(), by_the_formulas(settings, 4), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)
    for found, wanted in zip(second.get_weights(), fitted, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def test_random_weights_are_no_start_to_decay_to() -> None:
    with pytest.raises(InputError, match=r"decay_to_start is 0\.5 and training starts from random weights"):
        replace(SETTINGS, weights="none", decay_to_start=0.5)


@pytest.mark.parametrize("option", [{"amsgrad": True}, {"gradient_accumulation_steps": 2}])
def test_options_that_the_update_does_not_know_are_refused(option: dict[str, Any]) -> None:
    if keras.__version__.startswith("2."):
        pytest.skip("Keras 2 takes its own AdamW")
    from rsir_tf.segmentation.optimizer_keras3 import LayerwiseAdamW

    with pytest.raises(ValueError, match="neither amsgrad nor"):
        LayerwiseAdamW(0.1, weight_decay=0.0, trunk_rate=1.0, clip_norm=1.0, **option)


def test_state_that_was_saved_goes_on_as_if_undisturbed(tmp_path: Path) -> None:
    first = small_model()
    first.compile(build_optimizer(SETTINGS, STEPS), "mse")
    take_steps(first, first.optimizer, 0, 2)
    first.save(tmp_path / "last.keras")
    second = small_model()
    second.compile(build_optimizer(SETTINGS, STEPS), "mse")
    second.optimizer.build(second.trainable_variables)
    second.load_weights(str(tmp_path / "last.keras"))
    take_steps(second, second.optimizer, 2, 4)
    for found, wanted in zip(second.get_weights(), by_the_formulas(SETTINGS, 4), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_loss_scaling_goes_around_it(precision: str) -> None:
    before = keras.mixed_precision.global_policy().name
    with computing_in(precision):
        model = small_model()
    assert keras.mixed_precision.global_policy().name == before
    # Made in float32 itself, as models for tags and for cached views are.
    model = keras.Model(model.inputs, model.outputs)
    model.compile(build_optimizer(replace(SETTINGS, precision=precision), STEPS), "mse")
    scaled = hasattr(model.optimizer, "inner_optimizer")
    assert scaled == (precision == "mixed_float16")
    start = model.get_weights()
    images, targets = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    model.fit(images, targets, batch_size=4, epochs=3, verbose=0)
    for found, was in zip(model.get_weights(), start, strict=True):
        assert found.dtype == np.float32
        assert (found != was).any()
    # Keras's scale starts at 2¹⁵: gradients of a mean square of numbers about 1 are far below it once divided again.
    assert 0 < gradient_norm(model.optimizer) < 100


def test_xla_takes_the_same_steps() -> None:
    if keras.__version__.startswith("2."):
        pytest.skip("XLA is for Keras 3 here")
    images, targets = np.ones((4, 2), np.float32), np.zeros((4, 2), np.float32)
    weights = []
    for compiled in (True, False):
        model = small_model()
        model.compile(build_optimizer(SETTINGS, STEPS), "mse", jit_compile=compiled)
        model.fit(images, targets, batch_size=4, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_learning_rate_rises_and_falls_as_it_says() -> None:
    cosine = replace(SETTINGS, schedule="cosine", warm_up=0.25)
    # 8 steps: 2 of warm-up (0, half), then a cosine over 6.
    wanted = [0, 0.05, *(0.05 * (1 + math.cos(math.pi * i / 6)) for i in range(6))]
    assert [learning_rate_at(cosine, 8, step) for step in range(8)] == pytest.approx(wanted, abs=1e-7)
    assert learning_rate_at(cosine, 8, 8) == pytest.approx(0, abs=1e-7)
    constant = replace(cosine, schedule="constant")
    assert [learning_rate_at(constant, 8, step) for step in range(4)] == pytest.approx([0, 0.05, 0.1, 0.1])
    assert learning_rate_at(SETTINGS, 8, 0) == 0.1
    assert learning_rate_at(replace(cosine, warm_up=0.0), 8, 0) == pytest.approx(0.1)


def test_names_tell_trunk_and_biases() -> None:
    assert [rate_factor(path, 0.1) for path in PATHS] == [0.1, 0.1, 1.0, 1.0]
    assert rate_factor("fcn8s/block1_conv2/kernel:0", 0.1) == 0.1
    assert rate_factor("block5_pool/kernel", 0.1) == 1.0
    assert [is_bias(path) for path in PATHS] == [False, True, False, True]
    assert is_bias("block1_conv2/bias:0")


def test_a_slower_trunk_under_keras_2_wants_addons(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(InputError, match="needs TensorFlow Addons, which is not installed; pip install"):
        optimizers.require_addons()
