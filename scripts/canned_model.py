"""A model that costs nothing: a server in a process of its own that answers with prepared tensors.

Benchmarks import it. What they measure is then the work of the client and the transfer.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np

from rsir_tf.serving.messages import (
    MAX_MESSAGE,
    GetModelMetadataResponse,
    PredictRequest,
    PredictResponse,
    SignatureDefMap,
)
from rsir_tf.serving.tensors import encode_reply

CLASSES = 17
_ID = b"canned"


class CannedModel:
    """The server, as the process that started it sees it.

    Attributes:
        address: HOST:PORT.
    """

    def __init__(self, pipe: Any) -> None:
        self.address = f"127.0.0.1:{pipe.recv()}"
        self._pipe = pipe

    @property
    def processor_seconds(self) -> float:
        """Processor time that the server has taken so far."""
        self._pipe.send("time")
        return float(self._pipe.recv())


@contextmanager
def canned_model(seconds_per_pixel: float = 0.0) -> Iterator[CannedModel]:
    """Start the server, and end it with the block.

    Args:
        seconds_per_pixel: It waits so long, one request after another, as if a network computed.
    """
    processes = multiprocessing.get_context("spawn")
    here, there = processes.Pipe()
    server = processes.Process(target=_serve, args=(there, seconds_per_pixel), daemon=True)
    server.start()
    try:
        yield CannedModel(here)
        here.send("end")
    finally:
        server.join(5)
        server.terminate()


def answer(rows: int, height: int, width: int, wanted: list[str]) -> bytes:
    """A reply for images of one size: a patchwork of classes, and features that differ from cell to cell.

    As of TensorFlow Serving, it holds the outputs that are wanted, or all where none is named.
    """
    random = np.random.default_rng(0)
    patches = random.integers(0, CLASSES, (rows, -(-height // 64), -(-width // 64)), dtype=np.uint8)
    segmentation = patches.repeat(64, 1).repeat(64, 2)[:, :height, :width]
    model_ids = np.array([_ID] * rows, dtype=object)
    outputs: dict[str, Any] = {"segmentation": np.ascontiguousarray(segmentation), "model_id": model_ids}
    if "conv5_3" in (wanted or ["conv5_3"]):
        outputs["conv5_3"] = random.random((rows, -(-height // 16), -(-width // 16), 512), dtype=np.float32)
    return _reply(outputs)


def _reply(outputs: dict[str, Any]) -> bytes:
    response = PredictResponse()
    response.model_spec.version.value = 1
    for name, array in outputs.items():
        response.outputs[name].CopyFrom(encode_reply(array))
    return bytes(response.SerializeToString())


def _metadata() -> bytes:
    from rsir_tf.serving.exports import SIGNATURES

    response = GetModelMetadataResponse()
    signatures = SignatureDefMap()
    for name in SIGNATURES:
        signatures.signature_def[name].method_name = "tensorflow/serving/predict"
    outputs = signatures.signature_def["features"].outputs
    for name in ("segmentation", "model_id"):
        outputs[name].name = name
    shape = outputs["conv5_3"].tensor_shape
    for side in (-1, -1, -1, 512):
        shape.dim.add(size=side)
    response.metadata["signature_def"].Pack(signatures)
    return bytes(response.SerializeToString())


class _Answers:
    """Replies to requests. What stands before the pixels says it all, so that no request of a kind is parsed twice."""

    def __init__(self, seconds_per_pixel: float) -> None:
        self._seconds = seconds_per_pixel
        self._known: dict[tuple[int, bytes], tuple[int, bytes]] = {}
        self._computing = threading.Lock()
        names = np.array([b"class"] * CLASSES, dtype=object)
        self._description = _reply({"class_names": names, "model_id": np.array(_ID, dtype=object)})

    def to(self, request: bytes) -> bytes:
        pixels, reply = self._find(request)
        if self._seconds:
            with self._computing:  # One network computes one request at a time.
                time.sleep(self._seconds * pixels)
        return reply

    def _find(self, request: bytes) -> tuple[int, bytes]:
        for begin in {len(begin) for _, begin in self._known}:
            if found := self._known.get((len(request), request[:begin])):
                return found
        asked = PredictRequest.FromString(request)
        if "images" not in asked.inputs:
            return 0, self._description
        rows, height, width, _ = (side.size for side in asked.inputs["images"].tensor_shape.dim)
        pixels = rows * height * width
        found = pixels, answer(rows, height, width, list(asked.output_filter))
        self._known[len(request), request[: len(request) - 3 * pixels]] = found
        return found


def _serve(pipe: Any, seconds_per_pixel: float) -> None:
    import grpc

    answers, signatures = _Answers(seconds_per_pixel), _metadata()
    handlers = {
        "Predict": grpc.unary_unary_rpc_method_handler(lambda request, context: answers.to(request)),
        "GetModelMetadata": grpc.unary_unary_rpc_method_handler(lambda request, context: signatures),
    }
    options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    while pipe.recv() == "time":
        pipe.send(time.process_time())
    server.stop(None).wait()
