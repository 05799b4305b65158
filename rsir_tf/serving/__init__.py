"""A model behind a server or in this process: `connect` and `load`; both give a `Model`.

Attributes load their file at their first use: the plain types of the contract do not load gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsir_tf.lazy_attributes import attributes

_HOMES = {
    "TLS": "rsir_tf.serving.tls",
    "Model": "rsir_tf.contract",
    "ModelDescription": "rsir_tf.contract",
    "Prediction": "rsir_tf.contract",
    "connect": "rsir_tf.serving.client",
    "load": "rsir_tf.serving.local",
}

__all__ = ["TLS", "Model", "ModelDescription", "Prediction", "connect", "load"]

if TYPE_CHECKING:
    from rsir_tf.contract import Model, ModelDescription, Prediction
    from rsir_tf.serving.client import connect
    from rsir_tf.serving.local import load
    from rsir_tf.serving.tls import TLS


__getattr__ = attributes(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
