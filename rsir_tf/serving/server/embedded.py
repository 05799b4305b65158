"""A small server with TensorFlow Serving's gRPC protocol, for laptops and tests. It serves one model."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.processors import usable_cores
from rsir_tf.serving.exports import EXPORT_CURE
from rsir_tf.serving.messages import (
    MAX_MESSAGE,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from rsir_tf.serving.server.services import ModelService, PredictionService
from rsir_tf.serving.server.versions import Versions
from rsir_tf.serving.tls import TLS, server_credentials

if TYPE_CHECKING:
    from types import TracebackType

_SPARE_CALLS = 4
"""Calls beyond `max_calls`, so that the server can report its state and refuse requests while all others compute."""


_HEALTH_NAMES = ("", "PredictionService", "ModelService")
"""The services that TensorFlow Serving reports the health of; the empty name is the server itself."""


@dataclass(eq=False)
class EmbeddedServer:
    """A server for the numbered versions below a folder; a `with` block starts and stops it.

    Attributes:
        base: `saved_models/NAME`.
        name: The model's name for clients; by default the folder's name.
        host: The address to listen on; by default loopback.
        port: 0 takes a free port; this attribute has its number after the start.
        tls: Certificate and key for an encrypted connection; with `ca`, clients must show a certificate.
        poll_seconds: Seconds between two searches of the folder for new versions.
        keep: How many of the newest versions are served.
        labels: Label → version.
        max_calls: The largest number of requests with images at a time; more are refused with RESOURCE_EXHAUSTED.
        tensor_content: Whether replies are written as raw bytes instead of typed fields.
        max_connection_seconds: Seconds after which a connection is closed when its calls are answered; 0 for never.

    The attributes from `poll_seconds` on imitate options of TensorFlow Serving. They can be set until the server is
    started.
    """

    base: str | os.PathLike[str]
    name: str = ""
    _: KW_ONLY
    host: str = "127.0.0.1"
    port: int = 8500
    tls: TLS | None = None
    poll_seconds: float = field(default=1.0, init=False)
    keep: int = field(default=1, init=False)
    labels: dict[str, int] = field(default_factory=dict, init=False)
    max_calls: int = field(default_factory=lambda: 4 * usable_cores(), init=False)
    tensor_content: bool = field(default=False, init=False)
    max_connection_seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.name = self.name or Path(self.base).resolve().name
        self._versions = Versions(Path(self.base), self.name)
        self._server: Any = None
        self._health: Any = None
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="rsir_tf_versions", daemon=True)

    @property
    def address(self) -> str:
        """`HOST:PORT` for a client on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def start(self) -> EmbeddedServer:
        """Take the port, load the newest version, and start to answer.

        Returns:
            The server itself.

        Raises:
            InputError: The port is taken, or this machine does not have the host's address.
            ArtifactError: No version can be loaded.
        """
        from grpc_health.v1 import health, health_pb2, health_pb2_grpc

        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            ("grpc.so_reuseport", 0),  # otherwise two servers can share a port, and a client reaches one of them
        ]
        if self.max_connection_seconds:
            options.append(("grpc.max_connection_age_ms", round(1000 * self.max_connection_seconds)))
        calls = self.max_calls + _SPARE_CALLS
        server = grpc.server(
            ThreadPoolExecutor(calls, thread_name_prefix="rsir_tf_call"), maximum_concurrent_rpcs=calls, options=options
        )
        self._versions = Versions(Path(self.base), self.name, keep=self.keep, labels=self.labels)
        predict = PredictionService(self._versions, max_calls=self.max_calls, tensor_content=self.tensor_content)
        add_PredictionServiceServicer_to_server(predict, server)
        add_ModelServiceServicer_to_server(ModelService(self._versions), server)
        # The same as in TensorFlow Serving with --enable_grpc_healthcheck_service.
        self._health = health.HealthServicer()
        for name in _HEALTH_NAMES:
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        self.port = self._bind(server)
        self._versions.poll()
        if not self._versions.any_available():
            server.stop(None)
            raise self._nothing_to_serve()
        server.start()
        self._server = server
        self._poller.start()
        return self

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server is stopped.

        Args:
            timeout: Seconds; None waits forever.

        Returns:
            Whether it has been stopped.
        """
        return self._stopping.wait(timeout)

    def stop(self, grace: float = 5.0) -> None:
        """Refuse new calls, let running ones finish, and end. A second call does nothing.

        Args:
            grace: Seconds that running calls may take.
        """
        self._stopping.set()
        if self._server is not None:
            self._health.enter_graceful_shutdown()  # from now on NOT_SERVING, so that balancers send nothing more
            self._server.stop(grace).wait()
            self._poller.join()

    def __enter__(self) -> EmbeddedServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _bind(self, server: Any) -> int:
        target = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        credentials = None if self.tls is None else server_credentials(self.tls)
        port = 0
        with contextlib.suppress(RuntimeError):  # raised by newer gRPC; older ones return 0
            port = server.add_secure_port(target, credentials) if credentials else server.add_insecure_port(target)
        if port == 0:
            raise InputError(
                f"{target}: cannot be listened on",
                wanted="a free port of this machine",
                cure="choose another with --port",
            )
        return int(port)

    def _nothing_to_serve(self) -> ArtifactError:
        states = self._versions.states()
        if not states:
            return ArtifactError(f"{self.base}: holds no numbered version", wanted="NAME/1", cure=EXPORT_CURE)
        newest = max(states)
        return ArtifactError(
            f"{Path(self.base, str(newest))}: cannot be loaded ({states[newest].message})", cure=EXPORT_CURE
        )

    def _poll(self) -> None:
        while not self._stopping.wait(self.poll_seconds):
            try:
                self._versions.poll()
            except OSError:  # noqa: PERF203 - a disk that is away for a moment: what is loaded goes on
                continue
            except Exception:  # without this thread, no new version would be found
                logging.getLogger("rsir_tf").exception("%s: cannot look for new versions", self.base)
