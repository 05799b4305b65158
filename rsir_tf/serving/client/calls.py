"""One call to one of several servers: deadline and retries."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from rsir_tf.serving.client.refusals import BatchTooLargeError, Refusal, closed_error, explain
from rsir_tf.serving.client.servers import Server

FIRST_CONTACT = 3.0
"""Seconds for which connections are tried to a server that has never answered: a wrong port is reported soon."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""Seconds between attempts: they double from the first to the longest, times a random factor from 0.5 to 1.5."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time by which a request must be answered.

    Attributes:
        seconds: The time allowed, for errors.
        end: The end of it on the clock of `time.monotonic`.
    """

    seconds: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """A deadline from now."""
        return cls(seconds, time.monotonic() + seconds)

    def at_most(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and one from now."""
        return min(self, Deadline.after(seconds), key=lambda deadline: deadline.end)


class Pauses:
    """Seconds to wait before each attempt after the first: they double, with a random factor that separates clients."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def next(self) -> float:
        """Return the next pause."""
        seconds = self._delay * random.uniform(0.5, 1.5)
        self._delay = min(2 * self._delay, LONGEST_DELAY)
        return seconds


def call(
    attempt: Callable[[Server, float], Any],
    servers: Sequence[Server],
    *,
    deadline: Deadline,
    closed: threading.Event,
    where: Callable[[Server], str],
    divisible: bool = False,
    connected: bool = False,
    slow: bool = False,
) -> tuple[Server, Any]:
    """Ask until there is an answer, a permanent error, or no time left.

    Args:
        attempt: Sends the request to a server with a deadline in seconds.
        servers: Asked in turn, beginning with the first.
        deadline: For all attempts together. One attempt has at most half of the time, so that a lost one is repeated. A
            `slow` request to a single server is sent once and has all the time: a repeated one would start again.
        closed: Ends the waiting between attempts.
        where: Names server, model, version and signature for errors.
        divisible: Whether the request can be sent in parts: then a server without memory for it is not asked again.
        connected: Whether the answer is valid only while the connection holds: if it breaks, the call is not repeated.
        slow: Whether the answer may take long, although nothing is wrong.

    Returns:
        The server that answered, and its answer.

    Raises:
        ServerUnavailableError: No answer in time.
        ModelError: The server refused.
        BatchTooLargeError: The request must be divided.
        NeedsInputError: The server takes no calls without inputs.
        StaleVersionError: The requested version is gone.
    """
    start, pauses = time.monotonic(), Pauses()
    longest = deadline.seconds if slow and len(servers) == 1 else deadline.seconds / 2
    hopeless: set[Server] = set()
    for server in itertools.cycle(servers):
        remaining = deadline.end - time.monotonic()
        try:
            answer = attempt(server, max(0.001, min(remaining, longest)))
        except grpc.RpcError as error:
            if closed.is_set():
                raise closed_error(where(server)) from error
            refusal = Refusal.of(error)
            if refusal.must_divide(divisible):
                raise BatchTooLargeError(where(server), refusal.details) from error
            server.failed(refusal, deadline.seconds)
            if refusal.misdirected:
                hopeless.add(server)
            final = not refusal.heals or (refusal.gone and connected) or len(hopeless) == len(servers)
            unmet = refusal.gone and not any(server.met for server in servers)
            end = min(start + FIRST_CONTACT, deadline.end) if unmet else deadline.end
            wait = pauses.next()
            if final or time.monotonic() + wait > end:
                raise explain(server.most_telling(refusal), where(server), deadline.seconds) from error
            if closed.wait(wait):
                raise closed_error(where(server)) from error
        except ValueError as error:  # "Cannot invoke RPC on closed channel!"
            if not closed.is_set():
                raise
            raise closed_error(where(server)) from error
        else:
            server.answered()
            return server, answer
    raise ValueError("no servers")
