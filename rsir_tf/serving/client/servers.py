"""One server of a client: its channel, how it has answered so far, and what its user is told of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import grpc

from rsir_tf.serving.client.channel import open_channel, resolve
from rsir_tf.serving.client.refusals import Refusal
from rsir_tf.serving.tls import TLS

PATIENCE = 5.0
"""Seconds that servers may be away before the user is told."""

LONGEST_PROBE = 2.0
"""Seconds that one address of a name may take to say what is wrong with it."""

HUNG_SECONDS = 30.0
"""For how long a server that did not answer in time is asked after the others."""


class Outage:
    """Tells the user, once, that the servers are away, and once that one is back.

    Args:
        tell: Takes the line to show; None where nobody wants to know.
    """

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told = False

    def away(self, address: str, seconds: float) -> None:
        """Note that a server cannot be reached, and that a request waits for it for so many seconds."""
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
        outage: Is told when it is away and when it is back.

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
        """Note that it is there."""
        self.met = True
        self._hung_at = None
        self._outage.back(self.address)

    def failed(self, refusal: Refusal, seconds: float) -> None:
        """Note how a call failed that may be repeated for so many seconds in all."""
        if refusal.late:
            self.hung()
        if refusal.gone and self.met:
            self._outage.away(self.address, seconds)

    def hung(self) -> None:
        """Note that it did not answer in time."""
        self._hung_at = time.monotonic()

    @property
    def asked_last(self) -> bool:
        """Whether it did not answer in time, a short while ago."""
        return self._hung_at is not None and time.monotonic() - self._hung_at < HUNG_SECONDS

    def most_telling(self, refusal: Refusal) -> Refusal:
        """Give the reason to tell why the server could not be reached.

        Of a name with several addresses gRPC tells the last one's error alone. Where nothing listens at that one, the
        others are asked too: one that is there, but wants TLS, tells more.
        """
        if not refusal.nobody_there:
            return refusal
        name, targets = resolve(self.address)
        tls = self._tls and replace(self._tls, server_name=self._tls.server_name or name)
        for target in targets if len(targets) > 1 else []:
            with contextlib.closing(open_channel(target, tls)) as channel:
                try:
                    channel.unary_unary("/rsir_tf/nothing")(b"", timeout=LONGEST_PROBE)
                except grpc.RpcError as error:
                    found = Refusal.of(error)
                    if found.gone and not found.nobody_there:
                        return found
        return refusal
