"""The software and hardware that compute a run."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from typing import Any

import keras
import numpy as np


def software() -> dict[str, str]:
    """Versions and machine, for manifests."""
    import tensorflow as tf

    beside = {name: _version(name) for name in ("jax", "torch", "tensorflow-addons")}
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        **{name: version for name, version in beside.items() if version},
        "backend": keras.backend.backend(),
        "onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "TensorFlow's choice"),
        "platform": platform.platform(),
        "device": ", ".join(_accelerators(tf)) or "CPU",
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _accelerators(tf: Any) -> list[str]:
    """Names of the accelerators that Keras' backend computes on."""
    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform != "cpu"]
    if keras.backend.backend() == "torch":
        torch: Any = importlib.import_module("torch")  # Not installed where types are checked.
        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(each).get("device_name", each.name) for each in devices]
