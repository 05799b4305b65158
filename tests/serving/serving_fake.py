"""A server in plain Python that does what a test says, without TensorFlow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
from serving_toy import CLASSES, random_image, toy_conv4_3, toy_conv5_3, toy_segmentation

from rsir_tf.serving.messages import (
    GetModelMetadataResponse,
    PredictionServiceServicer,
    PredictResponse,
    SignatureDefMap,
    add_PredictionServiceServicer_to_server,
)
from rsir_tf.serving.tensors import decode, encode_reply

IMAGE = random_image(32, 48)


class FakeService(PredictionServiceServicer):
    """Answers as the toy model; `before` may abort or wait, `change` may spoil the answer.

    With `batching` it refuses calls without inputs, as TensorFlow Serving does with --enable_batching; with `strict`
    calls for another version than its own. An `older` export's answers do not say which model gave them; one with
    `conv4` gives conv4_3 too.
    """

    def __init__(self) -> None:
        self.model_id = "toy-1"
        self.version = 1
        self.channels = 512
        self.batching = self.strict = self.older = self.conv4 = False
        self.signatures = ("serving_default", "describe", "features", "identify")
        self.before: Callable = lambda request, context: None
        self.change: Callable = lambda response: None
        self.requests: list = []
        self.running = self.most_running = 0
        self._lock = threading.Lock()

    def features(self) -> list:
        return [request for request in self.requests if request.model_spec.signature_name == "features"]

    def signatures_asked(self) -> list[str]:
        return [request.model_spec.signature_name for request in self.requests]

    def Predict(self, request, context):  # noqa: N802
        with self._lock:
            self.requests.append(request)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        try:
            self.before(request, context)
            self._check_version(request, context)
            if self.batching and not request.inputs:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Batching Run() must have at least one input tensor")
            return self._answer(request)
        finally:
            with self._lock:
                self.running -= 1

    def GetModelMetadata(self, request, context):  # noqa: N802
        self._check_version(request, context)
        response = GetModelMetadataResponse()
        response.model_spec.CopyFrom(request.model_spec)
        signatures = SignatureDefMap()
        for name in self.signatures:
            signatures.signature_def[name].method_name = "tensorflow/serving/predict"
        outputs = signatures.signature_def["features"].outputs
        for name in ("segmentation",) if self.older else ("segmentation", "model_id"):
            outputs[name].name = name
        if self.conv4:
            outputs["conv4_3"].name = "conv4_3"
        shape = outputs["conv5_3"].tensor_shape
        for side in (-1, -1, -1, self.channels):
            shape.dim.add(size=side)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def _check_version(self, request, context) -> None:
        spec = request.model_spec
        if self.strict and spec.HasField("version") and spec.version.value != self.version:
            details = f"Servable not found for request: Specific({spec.name}, {spec.version.value})"
            context.abort(grpc.StatusCode.NOT_FOUND, details)

    def _answer(self, request):
        response = PredictResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = self.version
        if request.model_spec.signature_name in ("describe", "identify"):
            names = np.array([name.encode() for name in CLASSES], dtype=object)
            model_id = np.array(self.model_id.encode(), dtype=object)
            if request.inputs:
                (count, *_) = decode(request.inputs["images"], "images").shape
                names, model_id = np.tile(names, (count, 1)), np.tile(model_id, count)
            response.outputs["class_names"].CopyFrom(encode_reply(names))
            response.outputs["model_id"].CopyFrom(encode_reply(model_id))
        else:
            images = decode(request.inputs["images"], "images")
            segmentation = np.stack([toy_segmentation(image) for image in images])
            conv5_3 = np.stack([toy_conv5_3(image) for image in images])
            response.outputs["segmentation"].CopyFrom(encode_reply(segmentation))
            response.outputs["conv5_3"].CopyFrom(encode_reply(conv5_3))
            if self.conv4:
                conv4_3 = np.stack([toy_conv4_3(image) for image in images])
                response.outputs["conv4_3"].CopyFrom(encode_reply(conv4_3))
            if not self.older:
                model_ids = np.array([self.model_id.encode()] * len(images), dtype=object)
                response.outputs["model_id"].CopyFrom(encode_reply(model_ids))
            for name in set(response.outputs) - set(request.output_filter or response.outputs):
                del response.outputs[name]
            self.change(response)
        return response


@contextlib.contextmanager
def running(service: FakeService, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
    add_PredictionServiceServicer_to_server(service, server)
    place = f"127.0.0.1:{port}"
    port = server.add_secure_port(place, credentials) if credentials else server.add_insecure_port(place)
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def times(count: int, code: grpc.StatusCode, details: str = "") -> Callable:
    """Abort the first `count` requests to `features`."""
    left = [count]

    def before(request, context) -> None:
        if request.model_spec.signature_name == "features" and left[0] > 0:
            left[0] -= 1
            context.abort(code, details)

    return before


def check_all(predictions, images) -> None:
    assert len(predictions) == len(images)
    for prediction, image in zip(predictions, images, strict=True):
        np.testing.assert_array_equal(prediction.segmentation, toy_segmentation(image))
        np.testing.assert_allclose(prediction.conv5_3, toy_conv5_3(image), atol=1e-6)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
