"""The client's way to the first request does not run TensorFlow, and does not spoil it for later."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, sys
import numpy as np
from rsir_tf.serving import connect
from rsir_tf.serving.messages import PredictRequest
from rsir_tf.serving.tensors import encode_images
model = connect("localhost:8500")
request = PredictRequest()
request.MergeFromString(b"".join(encode_images("images", [np.zeros((256, 256, 3), np.uint8)])))
size = len(request.SerializeToString())
heavy = [name for name in sys.modules if name == "tensorflow" or name.startswith(("tensorflow.python", "keras"))]
model.close()
result = {"size": size, "heavy": heavy}
if "later" in sys.argv:
    import tensorflow as tf
    result["sum"] = int(tf.reduce_sum(tf.constant([1, 2])))
    from tensorflow.core.framework import tensor_pb2
    result["same"] = type(tf.make_tensor_proto([1])) is tensor_pb2.TensorProto
    result["array"] = tf.make_ndarray(request.inputs["images"]).shape
print(json.dumps(result))
"""


def run(*arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_first_request_without_tensorflow() -> None:
    result = run()
    assert result["heavy"] == []
    assert result["size"] > 256 * 256 * 3


def test_tensorflow_can_be_imported_later() -> None:
    result = run("later")
    assert result["heavy"] == []
    assert result["sum"] == 3
    assert result["same"]
    assert result["array"] == [1, 256, 256, 3]
