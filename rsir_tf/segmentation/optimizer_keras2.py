"""Layer-wise AdamW for Keras 2: Keras's AdamW for each learning rate, TensorFlow Addons' MultiOptimizer over them.

MultiOptimizer does not clip the gradients of all layers together, and Keras 2 does not save its state. The optimizer
here clips them and contains a MultiOptimizer; Keras saves and restores it like any optimizer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from rsir_tf.segmentation.devices import copies, on_each_device, summed
from rsir_tf.segmentation.optimizers import is_bias, is_trunk, rate_factor, require_addons


class LayerwiseAdamW(keras.optimizers.Optimizer):  # type: ignore[misc]
    """The same updates as the optimizer of the same name for Keras 3.

    Args:
        learning_rate: Takes a factor and gives a number or a Keras schedule.
        weight_decay: Times the learning rate, the relative decrease of each weight, except biases, per step.
        trunk_rate: Factor on the learning rate of VGG-16's layers.
        clip_norm: The largest norm of all gradients together; 0 for no limit.
        decay_to_start: As there.
        average: As there.

    Raises:
        InputError: The trunk has another rate and TensorFlow Addons is not installed.
    """

    def __init__(
        self,
        learning_rate: Callable[[float], Any],
        *,
        weight_decay: float,
        trunk_rate: float,
        clip_norm: float,
        decay_to_start: float = 0.0,
        average: float = 0.0,
    ) -> None:
        super().__init__(name="LayerwiseAdamW")
        self._learning_rate = self._build_learning_rate(learning_rate(1.0))
        self.learning_rate_by = learning_rate
        self.decoupled_decay, self.trunk_rate, self.clip_norm = weight_decay, trunk_rate, clip_norm
        self.decay_to_start, self.average = decay_to_start, average
        self.averages: list[tf.Variable] = []
        self.addons = require_addons() if trunk_rate != 1 else None

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self._built = True
        self.gradient_norm = self.add_variable((), name="gradient_norm")
        pulled = [variable.name for variable in var_list if self.decay_to_start and is_trunk(variable.name)]
        self.starts = {v.name: self._copy(v, "start") for v in var_list if v.name in pulled}
        self.averages = [self._copy(variable, "average") for variable in var_list] if self.average else []
        specifications: list[dict[str, Any]] = []
        for factor in sorted({rate_factor(variable.name, self.trunk_rate) for variable in var_list}):
            adam = keras.optimizers.AdamW(self.learning_rate_by(factor), weight_decay=self.decoupled_decay)
            adam.exclude_from_weight_decay([v for v in var_list if is_bias(v.name) or v.name in pulled])
            group = [variable for variable in var_list if rate_factor(variable.name, self.trunk_rate) == factor]
            adam.build(group)
            self._variables.extend(adam.variables)
            specifications.append({"optimizer": adam, "weights": [variable.name for variable in group]})
        # A function, because Keras would track a list of optimizers that is an attribute.
        self.apply_each = functools.partial(_apply_each, specifications)
        if self.addons is None or len(specifications) == 1:
            self.apply_all = specifications[0]["optimizer"].apply_gradients
        else:
            together = self.addons.optimizers.MultiOptimizer(optimizer_specs=specifications)
            together.iterations  # noqa: B018 – made at its first use, which must not be inside a compiled step
            self.apply_all = together.apply_gradients

    def apply_gradients(
        self, grads_and_vars: Iterable[tuple[Any, tf.Variable]], name: str | None = None, **_: Any
    ) -> Any:
        pairs = list(grads_and_vars)
        gradients, variables = summed([gradient for gradient, _ in pairs]), [variable for _, variable in pairs]
        with tf.init_scope():
            self.build(variables)
        norm = tf.linalg.global_norm(gradients)
        self.gradient_norm.assign(norm)
        if self.clip_norm:
            gradients, _norm = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        pulled = [variable for variable in variables if variable.name in self.starts]
        rates = [self.learning_rate_by(rate_factor(variable.name, self.trunk_rate)) for variable in pulled]
        rates = [(rate(self.iterations) if callable(rate) else rate) * self.decay_to_start for rate in rates]
        on_each_device(
            lambda variable, start, share: variable.assign_sub((variable - start) * share),
            pulled,
            [self.starts[variable.name] for variable in pulled],
            rates,
        )
        if copies() > 1:
            self.apply_each(gradients, variables)
        else:
            self.apply_all(zip(gradients, variables, strict=True))
        self._compute_current_learning_rate()
        # Less is kept in the first steps, so that the start is forgotten.
        step = tf.cast(self.iterations + 1, tf.float32)
        kept = tf.minimum(self.average, (1.0 + step) / (10.0 + step))
        if self.average:
            on_each_device(
                lambda copy, variable: copy.assign(copy * kept + variable * (1 - kept)), self.averages, variables
            )
        return self.iterations.assign_add(1)

    def _copy(self, variable: tf.Variable, name: str) -> tf.Variable:
        return self.add_variable_from_reference(variable, name, initial_value=variable)

    def update_step(self, gradient: Any, variable: Any) -> None:
        raise NotImplementedError("the optimizers of the groups do this")

    def get_config(self) -> dict[str, Any]:
        own = {"weight_decay": self.decoupled_decay, "trunk_rate": self.trunk_rate, "clip_norm": self.clip_norm}
        return {**super().get_config(), **own, "decay_to_start": self.decay_to_start, "average": self.average}


def _apply_each(groups: Sequence[dict[str, Any]], gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
    """Apply gradients that are summed already, group by group.

    MultiOptimizer keeps the gradients of a step in itself, where several devices overwrite each other's.
    """
    by_name = {variable.name: (gradient, variable) for gradient, variable in zip(gradients, variables, strict=True)}
    for group in groups:
        pairs = [by_name[name] for name in group["weights"]]
        group["optimizer"].apply_gradients(pairs, skip_gradients_aggregation=True)
