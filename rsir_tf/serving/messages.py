"""TensorFlow Serving's protobuf messages and gRPC stubs, without running TensorFlow.

The messages refer to `tensorflow.core.*_pb2`, plain protobuf modules whose import would otherwise run all of
TensorFlow's `__init__` (seconds, hundreds of megabytes). While they are imported, an empty module replaces the
`tensorflow` package; it is then removed, so that a later real `import tensorflow` in the same process works.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MAX_MESSAGE = (1 << 31) - 1
"""Bytes: the limit of gRPC and protobuf. Without this option, Python's client refuses replies over 4 MiB."""

PREDICT = "/tensorflow.serving.PredictionService/Predict"
"""The method, for calls without the stub: that one reads an answer into a `PredictResponse`."""


@contextlib.contextmanager
def _bare_tensorflow() -> Iterator[None]:
    """Let `tensorflow.*` submodules be found without running `tensorflow/__init__.py`."""
    if "tensorflow" in sys.modules:
        yield
        return
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    package = types.ModuleType("tensorflow")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["tensorflow"] = package
    try:
        yield
    finally:
        if sys.modules.get("tensorflow") is package:
            del sys.modules["tensorflow"]


with _bare_tensorflow():
    from tensorflow.core.framework.tensor_pb2 import TensorProto
    from tensorflow.core.framework.types_pb2 import DT_FLOAT, DT_STRING, DT_UINT8, DataType
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow_serving.apis.get_model_metadata_pb2 import (
        GetModelMetadataRequest,
        GetModelMetadataResponse,
        SignatureDefMap,
    )
    from tensorflow_serving.apis.get_model_status_pb2 import (
        GetModelStatusRequest,
        GetModelStatusResponse,
        ModelVersionStatus,
    )
    from tensorflow_serving.apis.model_pb2 import ModelSpec
    from tensorflow_serving.apis.model_service_pb2_grpc import (
        ModelServiceServicer,
        ModelServiceStub,
        add_ModelServiceServicer_to_server,
    )
    from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
    from tensorflow_serving.apis.prediction_service_pb2_grpc import (
        PredictionServiceServicer,
        PredictionServiceStub,
        add_PredictionServiceServicer_to_server,
    )


def _raw(package: str = "rsir_tf") -> Iterator[Any]:
    """Make the classes `RawTensor` and `RawReply` of the messages `TensorProto` and `PredictResponse`.

    Packed numbers are one run of bytes on the wire, just as a field of type `bytes` is. Fields declared as that give
    this run as it is. Of a segmentation, protobuf would make four bytes of each pixel's one.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}/raw.proto", package=package, syntax="proto3")
    for original, name in ((TensorProto, "RawTensor"), (PredictResponse, "RawReply")):
        file.dependency.extend(each.name for each in original.DESCRIPTOR.file.dependencies)
        file.dependency.append(original.DESCRIPTOR.file.name)
        made = file.message_type.add()
        original.DESCRIPTOR.CopyToProto(made)
        made.name = name
    tensor, reply = file.message_type
    for field in tensor.field:
        if field.options.packed:
            field.type, field.label = field.TYPE_BYTES, field.LABEL_OPTIONAL
            field.ClearField("options")
    (outputs,) = (field for field in reply.field if field.name == "outputs")
    outputs.type_name = f".{package}.RawReply.OutputsEntry"
    reply.nested_type[0].field[1].type_name = f".{package}.RawTensor"
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    for name in ("RawTensor", "RawReply"):
        yield message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


RawTensor, RawReply = _raw()

__all__ = [
    "DT_FLOAT",
    "DT_STRING",
    "DT_UINT8",
    "MAX_MESSAGE",
    "PREDICT",
    "DataType",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "ModelServiceServicer",
    "ModelServiceStub",
    "ModelSpec",
    "ModelVersionStatus",
    "PredictRequest",
    "PredictResponse",
    "PredictionServiceServicer",
    "PredictionServiceStub",
    "RawReply",
    "RawTensor",
    "SavedModel",
    "SignatureDefMap",
    "TensorProto",
    "add_ModelServiceServicer_to_server",
    "add_PredictionServiceServicer_to_server",
]
