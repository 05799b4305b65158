"""One server of a client: its channel, how it has answered so far, and messages about it for the user."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc

from rsir_tf.serving.client.channel import open_channel, resolve
from rsir_tf.serving.client.refusals import Refusal
from rsir_tf.serving.tls import TLS

PATIENCE = 5.0
"""Seconds without an answer before the user gets a message."""

LONGEST_PROBE = 2.0
"""Seconds for one address of a name to show what is wrong with it."""

HUNG_SECONDS = 30.0
"""Seconds for which a server that did not answer in time is asked after the others."""


class Outage:
    """Tells the user once that no server answers, and once that one answers again.

    Args:
        tell: Takes the line to show; None shows nothing.
    """

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False

    def away(self, address: str, seconds: float) -> None:
        """Note that a server cannot be reached, and for how many seconds a request waits for it."""
        with self._lock:
            self._since = self._since or time.monotonic()
            if self._told or time.monotonic() - self._since < PATIENCE:
                return
            self._told = True
        if self._tell is not None:
            self._tell(f"{address}: no server answers; waiting for it, {seconds:g} s at most")

    def back(self, address: str) -> None:
        """Note that a server has answered."""
        with self._lock:
            since, told = self._since, self._told
            self._since, self._told = None, False
        if self._tell is not None and told and since is not None:
            self._tell(f"{address}: answers again, after {time.monotonic() - since:.0f} s")


class Server:
    """A server, and how it has answered so far.

    Args:
        address: From `parse_address`.
        tls: None for plain text.
        outage: Notes when the server does not answer, and when it answers again.

    Attributes:
        channel: Its gRPC channel.
        met: Whether it has ever answered.

    Raises:
        InputError: A PEM file cannot be used.
    """

    def __init__(self, address: str, tls: TLS | None, outage: Outage) -> None:
        self.address = address
        self.channel = open_channel(address, tls)
        self._tls = tls
        self._outage = outage
        self.met = False
        self._hung_at: float | None = None

    def answered(self) -> None:
        """Note that it answers."""
        self.met = True
        self._hung_at = None
        self._outage.back(self.address)

    def failed(self, refusal: Refusal, seconds: float) -> None:
        """Note how a call failed that is repeated for at most this number of seconds."""
        if refusal.late:
            self.hung()
        if refusal.gone and self.met:
            self._outage.away(self.address, seconds)

    def hung(self) -> None:
        """Note that it did not answer in time."""
        self._hung_at = time.monotonic()

    @property
    def asked_last(self) -> bool:
        """Whether it recently did not answer in time."""
        return self._hung_at is not None and time.monotonic() - self._hung_at < HUNG_SECONDS

    def most_telling(self, refusal: Refusal) -> Refusal:
        """Return the error that best explains why the server could not be reached.

        For a name with several addresses, gRPC gives the error of the last one only. If nothing listens there, all are
        asked at the same time: the error of a server that listens, but needs TLS, says more.
        """
        if not refusal.nobody_there:
            return refusal
        name, targets = resolve(self.address)
        if len(targets) < 2:
            return refusal
        tls = self._tls and replace(self._tls, server_name=self._tls.server_name or name)
        with ThreadPoolExecutor(len(targets)) as pool:
            found = list(pool.map(lambda target: _probe(target, tls), targets))
        return next((each for each in found if each is not None and each.gone and not each.nobody_there), refusal)


def _probe(target: str, tls: TLS | None) -> Refusal | None:
    """Call a server with a method that none has; return how that failed."""
    with contextlib.closing(open_channel(target, tls)) as channel:
        try:
            channel.unary_unary("/rsir_tf/nothing")(b"", timeout=LONGEST_PROBE)
        except grpc.RpcError as error:
            return Refusal.of(error)
    return None
