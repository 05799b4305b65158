"""One server of a client, and what the client knows of it for as long as the connection holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

HUNG_SECONDS = 30.0
"""For how long a server that did not answer in time is asked after the others."""

WATCH_SECONDS = 0.3
"""gRPC looks every 0.2 s whether anybody still watches, and complains on standard error of a closed channel."""


class Server:
    """A server, and the versions whose model is known to be the client's.

    A server that restarts may come back with another model under the same version number. So what is known of it is
    dropped whenever the connection to it breaks, and `generation` tells answers from before and after apart.

    Args:
        address: As the user gave it.
        channel: Its gRPC channel.

    Attributes:
        met: Whether it has ever answered.
        generation: Rises whenever the connection breaks.
    """

    def __init__(self, address: str, channel: Any) -> None:
        self.address = address
        self.channel = channel
        self.met = False
        self.generation = 0
        self._verified: set[int] = set()
        self._lock = threading.Lock()
        self._asked = self._watched = self._ready = self._ending = False
        self._hung_at: float | None = None

    def answered(self) -> None:
        """Note that it is there."""
        self.met = True
        self._hung_at = None

    def hung(self) -> None:
        """Note that it did not answer in time."""
        self._hung_at = time.monotonic()

    @property
    def asked_last(self) -> bool:
        """Whether it did not answer in time, a short while ago."""
        return self._hung_at is not None and time.monotonic() - self._hung_at < HUNG_SECONDS

    def about_to_ask(self) -> int:
        """Give the generation; from the second request on, watch whether the connection breaks between requests.

        A single request is over at once, and watching costs a thread of gRPC's, which takes its time to end.
        """
        with self._lock:
            begin = self._asked and not (self._watched or self._ending)
            self._asked = True
            self._watched = self._watched or begin
        if begin:
            self.channel.subscribe(self._changed)
        return self.generation

    def knows(self, version: int, generation: int) -> bool:
        """Tell whether an answer of this version, asked for in this generation, is of the client's model."""
        with self._lock:
            return generation == self.generation and version in self._verified

    def admit(self, version: int, generation: int) -> bool:
        """Note that a version's model is the client's, if the connection still is the one of `generation`.

        Noted only while the connection is watched; before, every answer is asked who gave it.

        Returns:
            Whether it is; otherwise what answered and what was asked who it is may be two models.
        """
        with self._lock:
            if generation != self.generation:
                return False
            if self._watched:
                self._verified.add(version)
            return True

    def forget(self) -> None:
        """Drop what is known: the connection broke."""
        with self._lock:
            self.generation += 1
            self._verified.clear()

    def unwatch(self) -> bool:
        """Stop watching, for good.

        Returns:
            Whether it was watched: the channel must then stay open for `WATCH_SECONDS` more.
        """
        with self._lock:
            watched, self._watched, self._ending = self._watched, False, True
        if watched:
            self.channel.unsubscribe(self._changed)
        return watched

    def _changed(self, state: Any) -> None:
        import grpc

        ready = state is grpc.ChannelConnectivity.READY
        if self._ready and not ready:
            self.forget()
        self._ready = ready


def close_all(servers: Sequence[Server]) -> None:
    """Close the servers' channels, which ends calls in flight."""
    if any([server.unwatch() for server in servers]):  # noqa: C419 - each must hear of it
        time.sleep(WATCH_SECONDS)
    for server in servers:
        server.channel.close()
