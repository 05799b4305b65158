"""The client without a server: wrong addresses, servers that restart, other protocols, and closing."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from serving_fake import IMAGE, FakeService, check_all, free_port, running

from rsir_tf.errors import InputError, ModelError, ServerUnavailableError
from rsir_tf.serving import connect
from rsir_tf.serving.client import calls, servers
from rsir_tf.serving.client.channel import resolve


def test_the_addresses_that_a_name_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET6, 1, 6, "", ("::1", 8500, 0, 0)), (socket.AF_INET, 1, 6, "", ("127.0.0.1", 8500))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    for address in ("localhost:8500", "dns:///localhost:8500", "dns:localhost:8500"):
        assert resolve(address) == ("localhost", ["ipv6:[::1]:8500", "ipv4:127.0.0.1:8500"])
    assert resolve("ipv4:127.0.0.1:1,127.0.0.2:2") == (None, ["ipv4:127.0.0.1:1", "ipv4:127.0.0.2:2"])
    assert resolve("unix:/path") == (None, [])


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_CONTACT", 0.5)
    start = time.monotonic()
    with connect(f"localhost:{free_port()}") as model, pytest.raises(ServerUnavailableError, match="no server answers"):
        model.describe()
    assert time.monotonic() - start < 2


def test_waits_for_a_server_that_restarts_and_says_so(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "PATIENCE", 0.3)
    port, said = free_port(), []
    with running(service, port) as address:
        model = connect(address, batch_size=1, tell=said.append)
        model.predict([IMAGE])

    def come_back() -> None:
        time.sleep(0.7)
        with running(service, port):
            done.wait(20)

    done = threading.Event()
    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        check_all(model.predict([IMAGE] * 3), [IMAGE] * 3)
        away, back = said
        assert away == f"{address}: no server answers; waiting for it, 300 s at most"
        # 1 s, or more on a busy machine.
        assert re.fullmatch(rf"{re.escape(address)}: answers again, after \d+ s", back)
    finally:
        done.set()
        thread.join()
        model.close()


@pytest.mark.parametrize("talk", [b"", os.urandom(100_000), b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_ports_that_speak_something_else(talk: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_CONTACT", 0.5)
    with talking(talk) as address:
        start = time.monotonic()
        with connect(address, timeout=1.5) as model, pytest.raises(ServerUnavailableError):
            model.describe()
        assert time.monotonic() - start < 3


@contextlib.contextmanager
def talking(talk: bytes) -> Iterator[str]:
    """HOST:PORT of a server that says the same to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.sendall(talk)

        threading.Thread(target=answer, daemon=True).start()
        yield "127.0.0.1:{1}".format(*listener.getsockname())
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    ("talk", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "this is a web server: give the gRPC port"),
        (b"<html><head><title>Bad request</title></head></html>", "check host and port"),
    ],
)
def test_what_is_no_grpc_server_is_told_at_once(talk: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for it to come up: it is up."""
    monkeypatch.setattr(calls, "FIRST_CONTACT", 60)
    with talking(talk) as address:
        start = time.monotonic()
        with connect(address) as model, pytest.raises(ServerUnavailableError, match=said):
            model.describe()
        assert time.monotonic() - start < 20


def test_streams_that_outlive_the_model(service: FakeService, address: str) -> None:
    """What is at work, what waits for a worker, and what was never begun: all say that the model is closed."""
    service.before = lambda request, context: request.inputs and time.sleep(0.05)
    model = connect(address, batch_size=1, in_flight=2)
    streams = [model.predict_stream(iter([IMAGE] * 50)) for _ in range(3)]
    for stream in streams[:2]:
        next(stream)
    model.close()
    for stream in streams:
        with pytest.raises(ModelError, match="the connection has been closed; connect again"):
            list(stream)


def test_close_ends_what_is_in_flight(service: FakeService, address: str) -> None:
    release = threading.Event()
    service.before = lambda request, context: request.inputs and release.wait(10)
    model = connect(address)
    model.describe()
    threading.Timer(0.3, model.close).start()
    start = time.monotonic()
    with pytest.raises(ModelError, match="closed"):
        model.predict([IMAGE])
    assert time.monotonic() - start < 2
    release.set()


@pytest.mark.parametrize(
    "wrong", ["localhost", "http://localhost:8500", "localhost:0", "localhost:99999", "", "a b:1", "::1:8500"]
)
def test_addresses_that_are_none(wrong: str) -> None:
    with pytest.raises(InputError, match="HOST:PORT"):
        connect(wrong)
