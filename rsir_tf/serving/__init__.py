"""A model behind a server or in this process: `connect` and `load`; both give a `Model`."""

from rsir_tf.serving.channel import TLS
from rsir_tf.serving.client import connect
from rsir_tf.serving.contract import Model, ModelDescription, Prediction
from rsir_tf.serving.local import load

__all__ = ["TLS", "Model", "ModelDescription", "Prediction", "connect", "load"]
