"""Starting a server and waiting until it serves the model."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving.engines import Engine, check_port, check_servable, choose_engine, engine_command
from rsir_tf.serving.tls import TLS, server_credentials, shows_certificate, ssl_config


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
) -> RunningServer:
    """Serve an export, and return once the model answers.

    Args:
        base: `saved_models/NAME`.
        name: What clients call the model; the folder's name where None.
        engine: Which server; `choose_engine` decides where None.
        host: The address to listen on.
        port: The gRPC port.
        timeout: Seconds until the model must be available.
        tls: Certificate and key for an encrypted connection; with `ca`, clients must show a certificate.

    Returns:
        The running server.

    Raises:
        InputError: The port is taken, or a PEM file cannot be used.
        ArtifactError: The export cannot be served.
        ModelError: It lacks a signature, or the server ended or failed to load it.
    """
    check_servable(base)
    check_port(host, port)
    if tls is not None:
        server_credentials(tls)
    chosen = engine or choose_engine()
    model_name = name or Path(base).resolve().name
    if chosen == "embedded":
        from rsir_tf.serving.embedded import serve_embedded

        return serve_embedded(base, model_name, host=host, port=port, tls=tls).start()
    # The key's copy lies there, for us alone to read, only until the server has read it.
    with tempfile.TemporaryDirectory(prefix="rsir_tf_serve_") as folder:
        file = Path(folder, "ssl.config")
        if tls is not None:
            file.write_text(ssl_config(tls), encoding="ascii")
        command = engine_command(chosen, base, name=model_name, host=host, port=port, tls=tls, ssl_config=file)
        return EngineProcess(command, name=model_name, host=host, port=port, tls=tls).start(timeout)


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

    def start(self, timeout: float) -> EngineProcess:
        """Start the process, and wait until it serves the model.

        Raises:
            ModelError: It cannot be started, ended, could not load the model, or was not ready in time.
        """
        try:
            # Its standard output too goes to ours for talk: standard output is for data.
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=sys.__stderr__)
        except OSError as error:
            raise ModelError(f"{self._command[0]}: cannot be started: {error.strerror}") from error
        try:
            if self._tls is not None and self._tls.certificate is not None:
                self._wait_for_certificate(self._tls.certificate, timeout)
            else:
                wait_until_available(self.address, self.name, timeout=timeout, ended=lambda: self.wait(0))
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_for_certificate(self, certificate: Path, timeout: float) -> None:
        """Wait until the port answers: TensorFlow Serving opens it once the model is loaded.

        Its state cannot be asked for: nobody may have given us a certificate that it takes from clients.
        """
        end = time.monotonic() + timeout
        while not shows_certificate(self._host, self._port, certificate):
            if self.wait(0):
                raise _ended(self.address, self.name)
            if time.monotonic() > end:
                raise ModelError(f"{self.address}: nothing shows {certificate} after {timeout:g} s")
            time.sleep(0.2)

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
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def wait_until_available(address: str, name: str, *, timeout: float, ended: Callable[[], bool]) -> None:
    """Wait until a server says that a version of the model is available.

    Args:
        address: `HOST:PORT`.
        name: The model's name.
        timeout: Seconds to wait.
        ended: Whether the server's process has ended.

    Raises:
        ModelError: It ended, could not load the model, or was not ready in time.
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
        time.sleep(0.2)


def _ended(address: str, name: str) -> ModelError:
    return ModelError(f"{address}: the server ended before it served model {name!r}", cure="see what it wrote")
