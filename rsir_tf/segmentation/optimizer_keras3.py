"""Layer-wise AdamW for Keras 3, whatever its backend: Keras operations alone, all state in optimizer variables."""

from __future__ import annotations

from typing import Any

import keras

from rsir_tf.segmentation.optimizers import is_bias, rate_factor


@keras.saving.register_keras_serializable(package="rsir_tf")
class LayerwiseAdamW(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam with decoupled weight decay and a rate of its own for VGG-16's layers.

    Scaling a layer's gradients would do nothing, since Adam divides by their size: it is the update that is scaled.

    Args:
        learning_rate: A number or a Keras schedule.
        weight_decay: Times the learning rate: what each weight but biases shrinks by a step.
        trunk_rate: Factor on the learning rate of VGG-16's layers.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        **options: Keras's own.
    """

    def __init__(
        self, learning_rate: Any, *, weight_decay: float, trunk_rate: float, clip_norm: float, **options: Any
    ) -> None:
        super().__init__(learning_rate, **options)
        self.decoupled_decay, self.trunk_rate, self.clip_norm = weight_decay, trunk_rate, clip_norm

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self.factors = tuple(rate_factor(variable.path, self.trunk_rate) for variable in variables)
        self.decays = tuple(0.0 if is_bias(variable.path) else self.decoupled_decay for variable in variables)
        self.gradient_norm = self.add_variable((), name="gradient_norm")

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        if not self.built:
            self.build(list(trainable_variables or ()))
        ops = keras.ops
        norm = ops.sqrt(sum(ops.sum(ops.square(gradient)) for gradient in grads if gradient is not None))
        self.assign(self.gradient_norm, norm)
        if self.clip_norm:
            factor = self.clip_norm / ops.maximum(norm, self.clip_norm)
            grads = [None if gradient is None else gradient * factor for gradient in grads]
        super().apply(grads, trainable_variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        index = self._get_variable_index(variable)
        rate = learning_rate * self.factors[index]
        if self.decays[index]:
            self.assign_sub(variable, keras.ops.multiply(variable, rate * self.decays[index]))
        super().update_step(gradient, variable, rate)

    def get_config(self) -> dict[str, Any]:
        own = {"weight_decay": self.decoupled_decay, "trunk_rate": self.trunk_rate, "clip_norm": self.clip_norm}
        return {**super().get_config(), **own}
