"""The client of TensorFlow Serving: one model behind one or several servers. It does not import TensorFlow."""

from __future__ import annotations

from rsir_tf.serving.client.model import ServedModel, connect

__all__ = ["ServedModel", "connect"]
