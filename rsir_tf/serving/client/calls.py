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
"""Seconds that a server which has never answered may refuse connections: a wrong port is told at once."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""Seconds between attempts: doubled from the first to the longest, times 0.5 to 1.5 by chance."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request must have been answered.

    Attributes:
        seconds: The time that it was given, for errors.
        end: On the clock of `time.monotonic`.
    """

    seconds: float
    end: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Count from now."""
        return cls(seconds, time.monotonic() + seconds)

    def at_most(self, seconds: float) -> Deadline:
        """Give the earlier of this one and one that begins now."""
        return min(self, Deadline.after(seconds), key=lambda deadline: deadline.end)


class Pauses:
    """Seconds to wait before each attempt after the first: they double, and chance keeps clients apart."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def next(self) -> float:
        """Give the next one."""
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
    """Ask until there is an answer, an error that cannot heal, or no time left.

    Args:
        attempt: Sends the request to a server with a deadline in seconds.
        servers: Asked in turn, beginning with the first.
        deadline: Of all attempts together. One attempt has at most half of its time, so that a lost one is repeated.
            To a single server a request that is `slow` is sent once, for all the time: it would only be begun anew.
        closed: Ends the waiting between attempts.
        where: Names server, model, version and signature for errors.
        divisible: Whether the request can be sent in parts: a server that has no memory for it is not asked again.
        connected: Whether the answer is of use only if the connection holds: where it breaks, that is not repeated.
        slow: Whether the answer may take long, although nothing is wrong.

    Returns:
        The server that answered, and its answer.

    Raises:
        ServerUnavailableError: No answer in time.
        ModelError: The server refused.
        BatchTooLargeError: The request must be divided.
        NeedsInputError: The server takes no calls without inputs.
        StaleVersionError: The version asked for is gone.
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
