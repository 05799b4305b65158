"""A server in a separate process: start it, wait until it serves the model, and end it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving.tls import TLS, shows_certificate

POLL_SECONDS = 0.2
"""Seconds between two checks of a server that starts or runs."""

_PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>."""

END_SECONDS = 10.0
"""Seconds that a process has to end by itself before it is killed."""


class StoppedError(ModelError):
    """The server was stopped before it served the model."""


class EngineProcess:
    """A server in a separate process; its output goes to standard error.

    Args:
        command: Program and arguments.
        name: The model's name for clients.
        host: The address on which it listens.
        port: Its gRPC port.
        tls: Its certificate, if it encrypts.
        at_last: Called when it has been stopped, to end what it may have left running.
        cure: What to do if it ends before it serves the model.
    """

    def __init__(
        self,
        command: list[str],
        *,
        name: str,
        host: str,
        port: int,
        tls: TLS | None = None,
        at_last: list[str] | None = None,
        cure: str = "read its output",
    ) -> None:
        self.name = name
        self._command = command
        self._at_last = at_last
        self._cure = cure
        self._host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        self._port = port
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT` for a client on this machine."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        code = None if self._process is None else self._process.poll()
        return "not started" if self._process is None else "still runs" if code is None else in_words(code)

    def start(self, timeout: float, stopping: threading.Event) -> EngineProcess:
        """Start the process, and wait until it serves the model.

        Args:
            timeout: Seconds to wait.
            stopping: Ends the waiting and the process.

        Raises:
            ModelError: The server cannot be started, ended, could not load the model, or was not ready in time.
            StoppedError: `stopping` was set.
        """
        self._process = start_process(self._command)
        try:
            if self._tls is not None and self._tls.certificate is not None:
                self._wait_for_certificate(self._tls.certificate, timeout, stopping)
            else:
                wait_until_available(
                    self.address, self.name, timeout=timeout, raise_if_ended=self._raise_if_ended, stopping=stopping
                )
        except BaseException:
            self.stop()
            raise
        return self

    def _wait_for_certificate(self, certificate: Path, timeout: float, stopping: threading.Event) -> None:
        """Wait until the port answers: TensorFlow Serving opens it once the model is loaded.

        Its state cannot be asked for, because we may not have a client certificate that it accepts.
        """
        end = time.monotonic() + timeout
        while not shows_certificate(self._host, self._port, certificate):
            if stopping.is_set():
                raise stopped_error(self.address, self.name)
            self._raise_if_ended()
            if time.monotonic() > end:
                raise ModelError(
                    f"{self.address}: nothing shows {certificate} after {timeout:g} s",
                    cure="allow more time (--timeout), or read its output",
                )
            stopping.wait(POLL_SECONDS)

    def _raise_if_ended(self) -> None:
        if self.wait(0):
            raise ModelError(
                f"{self.address}: the server ended before it served model {self.name!r} ({self.ending})",
                cure=self._cure,
            )

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the process ends; True if it has ended."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self) -> None:
        """End the process: politely, and after a while for certain."""
        if self._process is not None:
            end_process(self._process)
            if self._at_last is not None:
                with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run(self._at_last, capture_output=True, check=False, timeout=30)


def wait_until_available(
    address: str, name: str, *, timeout: float, raise_if_ended: Callable[[], None], stopping: threading.Event
) -> None:
    """Wait until a server says that a version of the model is available.

    Args:
        address: `HOST:PORT`.
        name: The model's name.
        timeout: Seconds to wait.
        raise_if_ended: Raises ModelError if the server's process has ended.
        stopping: Ends the waiting.

    Raises:
        ModelError: The server ended, could not load the model, or was not ready in time.
        StoppedError: `stopping` was set.
    """
    from rsir_tf.serving.client.inspection import model_versions

    end = time.monotonic() + timeout
    found = "nothing answers"
    while True:
        if stopping.is_set():
            raise stopped_error(address, name)
        raise_if_ended()
        try:
            versions = model_versions(address, model_name=name, timeout=2)
        except ServerUnavailableError:
            versions = ()
        except ModelError as error:  # the server does not know the model yet
            versions, found = (), error.found
        if any(version.state == "AVAILABLE" for version in versions):
            return
        for version in versions:
            found = f"version {version.version} is {version.state}"
            if version.error:
                raise ModelError(f"{address}: version {version.version} of {name!r} failed: {version.error}")
        if time.monotonic() > end:
            raise ModelError(
                f"{address}: model {name!r} is not served after {timeout:g} s ({found})",
                cure="allow more time (--timeout), or read its output",
            )
        stopping.wait(POLL_SECONDS)


def start_process(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a program; its output goes to standard error. On Linux it ends with this process, even a killed one.

    Raises:
        ModelError: It cannot be started.
    """
    try:
        # Its standard output goes to our standard error too: our standard output is for data. In a new session: a
        # terminal sends Ctrl-C to its whole process group, but we want to end the server in order.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sys.__stderr__,
            start_new_session=True,
            preexec_fn=_end_with_parent(),  # noqa: PLW1509 - it calls the system and nothing that takes a lock
        )
    except OSError as error:
        raise ModelError(f"{command[0]}: cannot be started: {error.strerror}") from error


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a new process runs first, so that Linux ends it (SIGTERM) when its parent ends, even by SIGKILL.

    For Linux, the parent is the thread that started it: so this works only for the main thread, which lives long
    enough.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    import ctypes

    system, parent = ctypes.CDLL(None), os.getpid()

    def first() -> None:
        system.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the parent ended before this call
            os._exit(1)

    return first


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a process: politely, and after a while for certain."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def stopped_error(address: str, name: str) -> StoppedError:
    """Make the error for a server that was stopped too soon."""
    return StoppedError(f"{address}: stopped before it served model {name!r}")


def in_words(code: int) -> str:
    """Describe the exit code of a process; a negative one is the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
