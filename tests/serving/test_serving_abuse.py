"""Bytes that are no requests, replies that are no answers, connections that end in the middle."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from serving_fake import FakeService, running
from serving_toy import random_image, toy_conv5_3, toy_segmentation

from rsir_tf.errors import ModelError
from rsir_tf.serving import connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of HTTP/2 (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def call_with(body: bytes) -> bytes:
    """A gRPC call of Predict whose message is `body`, with no help from a gRPC library."""
    names = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/tensorflow.serving.PredictionService/Predict",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    # Literal header fields without indexing (RFC 7541, 6.2.2): lengths below 127 take one byte.
    block = b"".join(
        bytes([0, len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in names.items()
    )
    start = PREFACE + frame(SETTINGS, 0, 0, b"") + frame(HEADERS, END_HEADERS, 1, block)
    return start + frame(DATA, END_STREAM, 1, body)


TALK = {
    "a million random bytes": os.urandom(1_000_000),
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "the start of an encrypted connection": bytes.fromhex("16030100a5010000a10303") + os.urandom(160),
    "half of the preface": PREFACE[:12],
    "random bytes after the preface": PREFACE + frame(SETTINGS, 0, 0, b"") + os.urandom(100_000),
    "a frame of 16 MB that does not come": PREFACE + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
}


@pytest.mark.parametrize("talk", TALK.values(), ids=TALK)
def test_the_server_outlives_what_is_no_call(server_address: str, talk: bytes) -> None:
    host, _, port = server_address.rpartition(":")
    with connect(server_address, model_name="toy", timeout=20) as model:
        model.describe()
        with socket.create_connection((host, int(port)), timeout=20) as raw, contextlib.suppress(OSError):
            raw.sendall(talk)
            raw.settimeout(0.5)
            while raw.recv(1 << 16):
                pass
        check(model.predict([IMAGE])[0], IMAGE)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack(">BI", 0, 1_000_000) + b"\x0a" * 100,  # a message of a million bytes, cut off after a hundred
        struct.pack(">BI", 0, 0xFFFFFFFF) + b"\x0a" * 100,  # one of four gigabytes
        struct.pack(">BI", 1, 100) + os.urandom(100),  # compressed, it says, and does not say how
        b"\x00\x00",
    ],
)
def test_the_server_refuses_messages_that_are_cut_off_or_too_large(server_address: str, body: bytes) -> None:
    host, _, port = server_address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as raw:
        raw.sendall(call_with(body))
        kinds = set()
        # The call is answered, with whatever status, or the connection ended; nothing hangs.
        while not kinds & {HEADERS, RST_STREAM, GOAWAY}:
            head = receive(raw, 9)
            if head is None:
                break
            kinds.add(head[3])
            receive(raw, int.from_bytes(head[:3], "big"))
    with connect(server_address, model_name="toy", timeout=20) as model:
        check(model.predict([IMAGE])[0], IMAGE)


@pytest.mark.parametrize(
    ("reply", "said"),
    [(b"", "the answer holds nothing; wanted an output"), (b"\xff" * 500, "not a TensorFlow Serving message")],
)
def test_the_client_refuses_replies_that_are_no_answers(reply: bytes, said: str) -> None:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(lambda request, context: reply)
        for name in ("Predict", "GetModelMetadata")
    }
    server = grpc.server(ThreadPoolExecutor(2))
    service = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", handlers)
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with connect(f"127.0.0.1:{port}", timeout=5) as model, pytest.raises(ModelError, match=said):
            model.predict([IMAGE])
    finally:
        server.stop(None).wait()


def test_the_client_comes_through_connections_that_end_in_the_middle() -> None:
    service = FakeService()
    image = random_image(128, 128)  # an answer of 147 kB
    with running(service) as address, cutting(address, after=50_000, times=3) as proxy:
        with connect(proxy, timeout=30) as model:
            check(model.predict([image])[0], image)
        assert len(service.features()) == 4  # three answers were lost on the way


@contextlib.contextmanager
def cutting(address: str, *, after: int, times: int) -> Iterator[str]:
    """A proxy whose first connections end once so many bytes of the server's have passed."""
    host, _, port = address.rpartition(":")
    left = [times]
    opened: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket, limit: float) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while passed < limit and (data := source.recv(4096)):
                passed += len(data)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((host, int(port)))
                opened.extend([client, server])
                limit = after if left[0] > 0 else float("inf")
                left[0] -= 1
                for line in ((client, server, float("inf")), (server, client, limit)):
                    threading.Thread(target=pump, args=line, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield "127.0.0.1:{1}".format(*listener.getsockname())
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for end in opened:
                end.close()


def receive(connection: socket.socket, count: int) -> bytes | None:
    """Exactly so many bytes; None where the connection ends before."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while len(data) < count:
            more = connection.recv(count - len(data))
            if not more:
                return None
            data += more
        return data
    return None


def check(prediction, image) -> None:
    np.testing.assert_array_equal(prediction.segmentation, toy_segmentation(image))
    np.testing.assert_allclose(prediction.conv5_3, toy_conv5_3(image), atol=1e-5)


IMAGE = random_image(32, 48)
