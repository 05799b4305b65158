"""The embedded server's gRPC services: Predict, GetModelMetadata and GetModelStatus."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np

from rsir_tf.contract import SERVING_DEFAULT
from rsir_tf.serving.messages import (
    GetModelMetadataResponse,
    GetModelStatusResponse,
    ModelServiceServicer,
    PredictionServiceServicer,
    PredictResponse,
    SignatureDefMap,
)
from rsir_tf.serving.server.servable import RefusedError, invalid, not_found
from rsir_tf.serving.server.versions import Versions
from rsir_tf.serving.tensors import encode_content, encode_reply

_COMPUTING = 2
"""Requests that are computed at a time: each can use all processors, and the second uses those that are idle."""

_SIGNATURE_DEF = "signature_def"

_LONGEST_DETAILS = 1024
"""Bytes of an error's text that TensorFlow Serving sends."""


class PredictionService(PredictionServiceServicer):  # type: ignore[misc]
    """Predict and GetModelMetadata for one model."""

    def __init__(self, versions: Versions, *, max_calls: int, tensor_content: bool) -> None:
        self._versions = versions
        self._tensor_content = tensor_content
        self._taken = threading.Semaphore(max_calls)
        self._computing = threading.Semaphore(_COMPUTING)

    def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        with _refusals(context):
            version, servable = self._versions.find(_model_spec(request))
            # A request without inputs (`describe`) costs nothing, so it does not wait for others.
            with self._turn() if request.inputs else contextlib.nullcontext():
                if not context.is_active():
                    raise RefusedError(grpc.StatusCode.CANCELLED, "the client is gone")
                answer = servable.run(request.model_spec.signature_name, request.inputs, request.output_filter)
            response = PredictResponse()
            response.model_spec.name = request.model_spec.name
            response.model_spec.version.value = version
            response.model_spec.signature_name = request.model_spec.signature_name or SERVING_DEFAULT
            for alias, array in answer.items():
                response.outputs[alias].CopyFrom(self._encode(array))
            return response

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._taken.acquire(blocking=False):
            raise RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, "more calls at one time than this server takes")
        try:
            with self._computing:
                yield
        finally:
            self._taken.release()

    def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        with _refusals(context):
            spec = _model_spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != _SIGNATURE_DEF:
                    raise invalid(f"Metadata field {field} is not supported")
            version, servable = self._versions.find(spec)
            signatures = SignatureDefMap()
            for key, definition in servable.signature_defs.items():
                signatures.signature_def[key].CopyFrom(definition)
            response = GetModelMetadataResponse()
            response.model_spec.name = spec.name
            response.model_spec.version.value = version
            response.metadata[_SIGNATURE_DEF].Pack(signatures)
            return response

    def _encode(self, array: np.ndarray[Any, Any]) -> Any:
        if not self._tensor_content and (array.dtype == object or array.dtype in (np.uint8, np.float32)):
            return encode_reply(array)
        import tensorflow as tf

        if self._tensor_content:
            dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
            return encode_content(array, dtype.as_datatype_enum)
        return tf.make_tensor_proto(array)


class ModelService(ModelServiceServicer):  # type: ignore[misc]
    """GetModelStatus for one model."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        with _refusals(context):
            spec = _model_spec(request)
            states = self._versions.states(spec.name)
            if spec.HasField("version"):
                number = spec.version.value
                if number not in states:
                    raise not_found(f"Could not find version {number} of model {spec.name}")
                states = {number: states[number]}
            if not states:
                raise not_found(f"Could not find any versions of model {spec.name}")
            response = GetModelStatusResponse()
            for number, state in sorted(states.items(), reverse=True):
                entry = response.model_version_status.add(version=number, state=state.state)
                entry.status.error_code = state.code
                entry.status.error_message = state.message
            return response


def _model_spec(request: Any) -> Any:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


@contextlib.contextmanager
def _refusals(context: Any) -> Iterator[None]:
    """Turn a refusal, or any other error, into a gRPC status; the server continues."""
    code, details = None, ""
    try:
        yield
    except RefusedError as error:
        code, details = error.code, error.details
    except Exception as error:  # noqa: BLE001 - one request must not end the server
        code, details = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
    if code is not None:
        text = details.encode()
        if len(text) > _LONGEST_DETAILS:
            details = text[:_LONGEST_DETAILS].decode(errors="ignore") + "...TRUNCATED"
        context.abort(code, details)  # raises
