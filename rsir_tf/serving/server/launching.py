"""Start a server and wait until it serves the model."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from rsir_tf.errors import ModelError
from rsir_tf.serving.exports import list_versions, version_folder
from rsir_tf.serving.server.engines import (
    DOCKER_IMAGE,
    Engine,
    check_choice,
    check_port,
    check_servable,
    choose_engine,
    engine_command,
    has_docker_image,
    listening_host,
)
from rsir_tf.serving.server.processes import (
    POLL_SECONDS,
    EngineProcess,
    end_process,
    in_words,
    start_process,
    stopped_error,
)
from rsir_tf.serving.tls import TLS, check_dates, server_credentials, ssl_config


class RunningServer(Protocol):
    """A server that `start_server` started."""

    name: str

    @property
    def address(self) -> str:
        """`HOST:PORT` for a client on this machine."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ends, at most `timeout` seconds; True if it has ended."""

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
    """Serve an export, and return when the model answers.

    Args:
        base: `saved_models/NAME`.
        name: The model's name for clients; None takes the folder's name.
        engine: Which server; None lets `choose_engine` decide.
        host: The address to listen on.
        port: The gRPC port.
        timeout: Seconds until the model must be available; fetching Docker's image before that is not limited.
        tls: Certificate and key for an encrypted connection; with `ca`, clients must show a certificate.
        stopping: When set, the start is cancelled. The embedded server checks it when its model is loaded.

    Returns:
        The running server.

    Raises:
        InputError: The port is taken or cannot be given to the engine, or a PEM file cannot be used.
        ArtifactError: The export cannot be served.
        ModelError: It lacks a signature, or the server ended or failed to load it.
        StoppedError: `stopping` was set before the model was available.
    """
    newest = check_servable(base)
    chosen = engine or choose_engine()
    check_choice(chosen, port)
    host = listening_host(chosen, host)
    check_port(host, port)
    if tls is not None:
        server_credentials(tls)
        check_dates(tls)
    model_name = name or Path(base).resolve().name
    stopping = stopping or threading.Event()
    if chosen == "embedded":
        from rsir_tf.serving.server.embedded import EmbeddedServer

        embedded = EmbeddedServer(base, model_name, host=host, port=port, tls=tls).start()
        if stopping.is_set():
            embedded.stop()
            raise stopped_error(embedded.address, model_name)
        return embedded
    if chosen == "docker" and not has_docker_image():
        _fetch_image(f"{host}:{port}", model_name, stopping)
    # The copy of the key is in this folder, which only we can read, until the server has read it.
    with tempfile.TemporaryDirectory(prefix="rsir_tf_serve_") as folder:
        file = Path(folder, "ssl.config")
        if tls is not None:
            file.write_text(ssl_config(tls), encoding="ascii")
        # Docker's client may end while its container goes on: a name that only we use lets us stop the container.
        container = f"rsir-tf-serve-{port}-{os.getpid()}" if chosen == "docker" else None
        at_last = ["docker", "rm", "--force", container] if container else None
        command = engine_command(
            chosen, base, name=model_name, host=host, port=port, tls=tls, ssl_config=file, container=container
        )
        process = EngineProcess(
            command,
            name=model_name,
            host=host,
            port=port,
            tls=tls,
            at_last=at_last,
            cure=_if_damaged(Path(base), newest),
        )
        return process.start(timeout, stopping)


def _if_damaged(base: Path, newest: int) -> str:
    """What to do if a server ends during its start: it loads the newest version only, not an older one instead."""
    others = [version for version in list_versions(base) if version != newest]
    back = f", so that version {others[-1]} is served" if others else ""
    return (
        f"read its output; if version {newest} is damaged, export the run again or move "
        f"{version_folder(base, newest)} away{back}"
    )


def wait_until_told(server: RunningServer, stopping: threading.Event) -> None:
    """Wait until a server is to be stopped.

    Args:
        server: From `start_server`.
        stopping: When set, the waiting ends.

    Raises:
        ModelError: The server ended by itself.
    """
    # Waits are short, because a signal that another thread receives does not wake this one.
    while not stopping.is_set():
        if server.wait(POLL_SECONDS) and not stopping.is_set():
            how = server.ending if isinstance(server, EngineProcess) else "stopped"
            raise ModelError(
                f"{server.address}: the server of model {server.name!r} ended by itself ({how})",
                cure="read its output, and start it again",
            )


def _fetch_image(address: str, name: str, stopping: threading.Event) -> None:
    """Fetch Docker's image first: otherwise this would use up the time that the model has to start."""
    process = start_process(["docker", "pull", DOCKER_IMAGE])
    try:
        while process.poll() is None:
            if stopping.wait(POLL_SECONDS):
                raise stopped_error(address, name)
    finally:
        end_process(process)
    if process.returncode != 0:
        raise ModelError(
            f"{DOCKER_IMAGE}: Docker cannot fetch this image ({in_words(process.returncode)})",
            cure="read its output, or choose another server (--engine)",
        )
