"""On which devices of this machine a network trains: one, as always, or copies of it on several GPUs."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.segmentation.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Devices:
    """Where the copies of a network are.

    Each device computes a part of every batch; the gradients are summed over all of them, so that the weights are those
    that one device would have, to rounding. Dropout draws differ.

    Attributes:
        names: Of the devices, as TensorFlow has them; with one or none, the network is not copied.
        strategy: Puts what is built in its scope on all devices; None where there is one.
    """

    names: tuple[str, ...] = ()
    strategy: Any = None

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """What is built within this block has a copy on each device."""
        return contextlib.nullcontext() if self.strategy is None else self.strategy.scope()

    def alone(self, network: keras.Model) -> keras.Model:
        """The same network, to be asked on one device: batches that are scored are not divided."""
        return network if self.strategy is None else keras.Model(network.inputs, network.outputs)


def choose_devices(wanted: str | None, settings: TrainingSettings) -> Devices:
    """Find the devices to train on.

    Args:
        wanted: A number of GPUs, "all" of them, or names that are separated by commas (GPU:0,GPU:2); None leaves the
            choice to the backend, which trains on one device.
        settings: Of the run.

    Raises:
        InputError: There are no such devices; or several are asked for under another backend than TensorFlow, with
            batches that they cannot share evenly, cached views, XLA or loss scaling.
    """
    if wanted is None:
        return Devices()
    names = _named(wanted)
    if len(names) == 1:
        return Devices(names, _strategy(names))
    batch = settings.crops.batch
    backend = keras.backend.backend()
    refused = {
        f"the backend {backend}": (backend != "tensorflow", "set KERAS_BACKEND=tensorflow, or leave --devices out"),
        f"batches of {batch} crops": (batch % len(names) != 0, f"--batch {-(-batch // len(names)) * len(names)}"),
        "cached views": (bool(settings.cached_views), "leave --cached-views out"),
        "XLA": (settings.xla, "leave --xla out"),
        "mixed_float16": (settings.precision == "mixed_float16", "--precision mixed_bfloat16, which needs no scaling"),
    }
    for what, (found, cure) in refused.items():
        if found:
            raise InputError(f"training on {len(names)} devices with {what}", wanted="one device, or others", cure=cure)
    return Devices(names, _strategy(names))


@functools.cache
def _strategy(names: tuple[str, ...]) -> Any:
    """One for all runs of a process: sums of a second one over the same devices would be taken for the first one's."""
    return tf.distribute.MirroredStrategy(list(names))


def _named(wanted: str) -> tuple[str, ...]:
    there = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    gpus = [name for name in there if name.startswith("GPU:")]
    if wanted == "all" or wanted.isdecimal():
        count = len(gpus) if wanted == "all" else int(wanted)
        if not 0 < count <= len(gpus):
            raise InputError(f"training on {wanted} GPUs", wanted=f"as many as there are: {len(gpus)}")
        return tuple(gpus[:count])
    names = tuple(name.strip().upper() for name in wanted.split(","))
    unknown = [name for name in names if name not in there]
    if unknown or len(set(names)) < len(names):
        raise InputError(f"--devices {wanted}", wanted=f"each device once, of {', '.join(there)}")
    return names


def copies() -> int:
    """On how many devices the network is that is trained just now; asked within a step."""
    return int(tf.distribute.get_strategy().num_replicas_in_sync)


def summed(gradients: Sequence[Any]) -> list[Any]:
    """The gradients of the whole batch, on each device; None stays. Asked within a step."""
    if copies() == 1:
        return list(gradients)
    there = [gradient for gradient in gradients if gradient is not None]
    sums = iter(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, there))
    return [None if gradient is None else next(sums) for gradient in gradients]


def on_each_device(change: Callable[..., None], variables: Sequence[Any], *beside: Sequence[Any]) -> None:
    """Change variables on each device by what is there.

    Args:
        change: Called for each variable with it and with the entries at its place in `beside`.
        variables: To change.
        *beside: Tensors or further variables, as many as variables.
    """

    def everywhere(strategy: Any) -> None:
        for variable, *others in zip(variables, *beside, strict=True):
            strategy.extended.update(variable, change, args=tuple(others), group=False)

    if copies() > 1:
        tf.distribute.get_replica_context().merge_call(everywhere)
        return
    for variable, *others in zip(variables, *beside, strict=True):
        change(variable, *others)
