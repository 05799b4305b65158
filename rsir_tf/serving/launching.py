"""Starting a server and waiting until it serves the model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving.engines import (
    DOCKER_IMAGE,
    Engine,
    check_port,
    check_servable,
    choose_engine,
    engine_command,
    has_docker_image,
)
from rsir_tf.serving.tls import TLS, server_credentials, shows_certificate, ssl_config

POLL_SECONDS = 0.2
"""Between looks at a server that starts."""


class StoppedError(ModelError):
    """The server was told to stop before it served the model."""


class RunningServer(Protocol):
    """A server that `start_server` started."""

    name: str

    @property
    def address(self) -> str:
        """`HOST:PORT` for a client on this machine."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ends, at most `timeout` seconds; True where it has ended."""

    def stop(self) -> None:
        """End it."""


def start_server(
    base: str | os.PathLike[str],
    *,
    name: str | None = None,
    engine: Engine | None = None,
    host: str = "127.0.0.1",
    port: int = 8500,
    timeout: float = 180.0,
    tls: TLS | None = None,
    stopping: threading.Event | None = None,
) -> RunningServer:
    """Serve an export, and return once the model answers.

    Args:
        base: `saved_models/NAME`.
        name: What clients call the model; the folder's name where None.
        engine: Which server; `choose_engine` decides where None.
        host: The address to listen on.
        port: The gRPC port.
        timeout: Seconds until the model must be available; fetching Docker's image first takes the time it takes.
        tls: Certificate and key for an encrypted connection; with `ca`, clients must show a certificate.
        stopping: Once set, what was begun is ended. The embedded server looks at it when its model is loaded.

    Returns:
        The running server.

    Raises:
        InputError: The port is taken, or a PEM file cannot be used.
        ArtifactError: The export cannot be served.
        ModelError: It lacks a signature, or the server ended or failed to load it.
        StoppedError: `stopping` was set before the model was available.
    """
    check_servable(base)
    check_port(host, port)
    if tls is not None:
        server_credentials(tls)
    chosen = engine or choose_engine()
    model_name = name or Path(base).resolve().name
    stopping = stopping or threading.Event()
    if chosen == "embedded":
        from rsir_tf.serving.embedded import EmbeddedServer

        embedded = EmbeddedServer(base, model_name, host=host, port=port, tls=tls).start()
        if stopping.is_set():
            embedded.stop()
            raise _stopped(embedded.address, model_name)
        return embedded
    if chosen == "docker" and not has_docker_image():
        _fetch_image(f"{host}:{port}", model_name, stopping)
    # The key's copy lies there, for us alone to read, only until the server has read it.
    with tempfile.TemporaryDirectory(prefix="rsir_tf_serve_") as folder:
        file = Path(folder, "ssl.config")
        if tls is not None:
            file.write_text(ssl_config(tls), encoding="ascii")
        command = engine_command(chosen, base, name=model_name, host=host, port=port, tls=tls, ssl_config=file)
        return EngineProcess(command, name=model_name, host=host, port=port, tls=tls).start(timeout, stopping)


class EngineProcess:
    """A server in a process of its own; what it says goes to standard error.

    Args:
        command: Program and arguments.
        name: What clients call the model.
        host: Where it listens.
        port: Its gRPC port.
        tls: Its certificate, where it encrypts.
    """

    def __init__(self, command: list[str], *, name: str, host: str, port: int, tls: TLS | None = None) -> None:
        self.name = name
        self._command = command
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._port = port
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT` for a client on this machine."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    def start(self, timeout: float, stopping: threading.Event) -> EngineProcess:
        """Start the process, and wait until it serves the model.

        Args:
            timeout: Seconds to wait.
            stopping: Ends the waiting and the process.

        Raises:
            ModelError: It cannot be started, ended, could not load the model, or was not ready in time.
            StoppedError: `stopping` was set.
        """
        self._process = _start_process(self._command)
        try:
            if self._tls is not None and self._tls.certificate is not None:
                self._wait_for_certificate(self._tls.certificate, timeout, stopping)
            else:
                wait_until_available(
                    self.address, self.name, timeout=timeout, ended=lambda: self.wait(0), stopping=stopping
                )
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_for_certificate(self, certificate: Path, timeout: float, stopping: threading.Event) -> None:
        """Wait until the port answers: TensorFlow Serving opens it once the model is loaded.

        Its state cannot be asked for: nobody may have given us a certificate that it takes from clients.
        """
        end = time.monotonic() + timeout
        while not shows_certificate(self._host, self._port, certificate):
            if self.wait(0):
                raise _ended(self.address, self.name)
            if time.monotonic() > end:
                raise ModelError(f"{self.address}: nothing shows {certificate} after {timeout:g} s")
            if stopping.wait(POLL_SECONDS):
                raise _stopped(self.address, self.name)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process ends; True where it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End the process: politely, and after ten seconds for certain."""
        if self._process is not None:
            _end_process(self._process)


def wait_until_available(
    address: str, name: str, *, timeout: float, ended: Callable[[], bool], stopping: threading.Event
) -> None:
    """Wait until a server says that a version of the model is available.

    Args:
        address: `HOST:PORT`.
        name: The model's name.
        timeout: Seconds to wait.
        ended: Whether the server's process has ended.
        stopping: Ends the waiting.

    Raises:
        ModelError: It ended, could not load the model, or was not ready in time.
        StoppedError: `stopping` was set.
    """
    from rsir_tf.serving.inspection import model_versions

    end = time.monotonic() + timeout
    found = "nothing answers"
    while True:
        if ended():
            raise _ended(address, name)
        try:
            versions = model_versions(address, model_name=name, timeout=2)
        except ServerUnavailableError:
            versions = ()
        except ModelError as error:  # not known yet
            versions, found = (), error.found
        if any(version.state == "AVAILABLE" for version in versions):
            return
        for version in versions:
            found = f"version {version.version} is {version.state}"
            if version.error:
                raise ModelError(f"{address}: version {version.version} of {name!r} failed: {version.error}")
        if time.monotonic() > end:
            raise ModelError(f"{address}: model {name!r} is not served after {timeout:g} s ({found})")
        if stopping.wait(POLL_SECONDS):
            raise _stopped(address, name)


def _fetch_image(address: str, name: str, stopping: threading.Event) -> None:
    """Fetch Docker's image: with the first start it would take of the time that the model has."""
    process = _start_process(["docker", "pull", DOCKER_IMAGE])
    try:
        while process.poll() is None:
            if stopping.wait(POLL_SECONDS):
                raise _stopped(address, name)
    finally:
        _end_process(process)
    if process.returncode != 0:
        raise ModelError(
            f"{DOCKER_IMAGE}: Docker cannot fetch this image (exit code {process.returncode})",
            cure="see what it wrote, or take another server (--engine)",
        )


def _start_process(command: list[str]) -> subprocess.Popen[bytes]:
    try:
        # Its standard output too goes to ours for talk: standard output is for data.
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.__stderr__)
    except OSError as error:
        raise ModelError(f"{command[0]}: cannot be started: {error.strerror}") from error


def _end_process(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stopped(address: str, name: str) -> StoppedError:
    return StoppedError(f"{address}: told to stop before it served model {name!r}")


def _ended(address: str, name: str) -> ModelError:
    return ModelError(f"{address}: the server ended before it served model {name!r}", cure="see what it wrote")
