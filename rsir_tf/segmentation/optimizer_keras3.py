"""Layer-wise AdamW for Keras 3 with any backend; all state is in optimizer variables."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from rsir_tf.segmentation.devices import summed
from rsir_tf.segmentation.optimizers import is_bias, is_trunk, rate_factor


@keras.saving.register_keras_serializable(package="rsir_tf")
class LayerwiseAdamW(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam with decoupled weight decay and a separate learning rate for VGG-16's layers.

    The update of a layer is scaled, not its gradients: scaled gradients would have no effect, as Adam divides by them.

    Args:
        learning_rate: A number or a Keras schedule.
        weight_decay: Times the learning rate, the relative decrease of each weight, except biases, per step.
        trunk_rate: Factor on the learning rate of VGG-16's layers.
        clip_norm: The largest norm of all gradients together; 0 for no limit.
        decay_to_start: Times the learning rate, the relative decrease of the distance between a weight of VGG-16's
            layers and its value when this was built, per step; these weights do not decay towards zero then.
        average: Share of the averaged copy of all weights that a step keeps; 0 for no copy.
        **options: Options of Keras's Adam, except for the two below.

    Raises:
        ValueError: amsgrad, or gradient_accumulation_steps.
    """

    def __init__(
        self,
        learning_rate: Any,
        *,
        weight_decay: float,
        trunk_rate: float,
        clip_norm: float,
        decay_to_start: float = 0.0,
        average: float = 0.0,
        **options: Any,
    ) -> None:
        if options.get("amsgrad") or options.get("gradient_accumulation_steps"):
            raise ValueError("this optimizer has neither amsgrad nor gradient_accumulation_steps")
        super().__init__(learning_rate, **options)
        self.decoupled_decay, self.trunk_rate, self.clip_norm = weight_decay, trunk_rate, clip_norm
        self.decay_to_start, self.average = decay_to_start, average
        self.averages: list[Any] = []

    def build(self, variables: list[Any]) -> None:
        if self.built:
            return
        super().build(variables)
        self.factors = tuple(rate_factor(variable.path, self.trunk_rate) for variable in variables)
        self.starts = [
            self._copy(variable, "start") if self.decay_to_start and is_trunk(variable.path) else None
            for variable in variables
        ]
        self.decays = tuple(
            0.0 if is_bias(variable.path) or start is not None else self.decoupled_decay
            for variable, start in zip(variables, self.starts, strict=True)
        )
        self.averages = [self._copy(variable, "average") for variable in variables] if self.average else []
        # On several devices it is the same on each of them.
        shared = {"aggregation": "only_first_replica"} if _has_kernels() and tf.distribute.has_strategy() else {}
        self.gradient_norm = self.add_variable((), name="gradient_norm", **shared)

    def apply(self, grads: list[Any], trainable_variables: list[Any] | None = None) -> None:
        if not self.built:
            self.build(list(trainable_variables or ()))
        if _has_kernels():
            grads = summed(grads)
        if there := [gradient for gradient in grads if gradient is not None]:
            self.assign(self.gradient_norm, _norm(there))
        super().apply(grads, trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars: list[Any]) -> list[Any]:
        """Keras would sum them over the devices once more; their norm needs the sum before."""
        return grads_and_vars

    def _copy(self, variable: Any, name: str) -> Any:
        copy = self.add_variable_from_reference(variable, name)
        copy.assign(variable)
        return copy

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        self._adam_step(gradient, variable, learning_rate)
        if self.average:
            copy = self.averages[self._get_variable_index(variable)]
            # Less is kept in the first steps, so that the start is forgotten.
            step = keras.ops.cast(self.iterations + 1, copy.dtype)
            kept = keras.ops.minimum(self.average, (1 + step) / (10 + step))
            self.assign(copy, copy * kept + variable * (1 - kept))

    def _adam_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keras's Adam with clipping and decay, in few passes over memory, because these take most of the time."""
        ops, index = keras.ops, self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, variable.dtype)
        powers = [ops.power(ops.cast(beta, variable.dtype), step) for beta in (self.beta_1, self.beta_2)]
        rate = ops.cast(learning_rate, variable.dtype) * self.factors[index]
        kept = 1 - rate * self.decays[index]
        clip = self.clip_norm / ops.maximum(self.gradient_norm, self.clip_norm) if self.clip_norm else 1.0
        gradient = gradient * clip
        if self.starts[index] is not None:
            self.assign(variable, variable - (variable - self.starts[index]) * (rate * self.decay_to_start))
        if _has_kernels():
            if self.decays[index]:
                self.assign(variable, variable * kept)
            tf.raw_ops.ResourceApplyAdam(
                var=_handle(variable),
                m=_handle(momentum),
                v=_handle(velocity),
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
            return
        self.assign(momentum, momentum * self.beta_1 + gradient * (1 - self.beta_1))
        self.assign(velocity, velocity * self.beta_2 + ops.square(gradient) * (1 - self.beta_2))
        correction = ops.sqrt(1 - powers[1]) / (1 - powers[0])
        self.assign(variable, variable * kept - momentum * (rate * correction) / (ops.sqrt(velocity) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        own = {"weight_decay": self.decoupled_decay, "trunk_rate": self.trunk_rate, "clip_norm": self.clip_norm}
        return {**super().get_config(), **own, "decay_to_start": self.decay_to_start, "average": self.average}


def _norm(gradients: list[Any]) -> Any:
    if _has_kernels():
        return tf.linalg.global_norm(gradients)
    return keras.ops.sqrt(sum(keras.ops.sum(keras.ops.square(gradient)) for gradient in gradients))


def _has_kernels() -> bool:
    """Whether TensorFlow computes: its fused kernels read and write once; separate operations do so ten times."""
    return bool(keras.backend.backend() == "tensorflow")


def _handle(variable: Any) -> Any:
    """The resource handle of a Keras variable, or of a TensorFlow variable, which Keras passes in some cases."""
    return (variable.value if isinstance(variable, keras.Variable) else variable).handle
