"""One call to a server: deadline, retries, and errors in words."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving.exports import EXPORT_CURE
from rsir_tf.serving.server import Server

FIRST_CONTACT = 3.0
"""Seconds that a server which has never answered may refuse connections: a wrong port is told at once."""

FIRST_DELAY, LONGEST_DELAY = 0.1, 2.0
"""Seconds between attempts: doubled from the first to the longest, times 0.5 to 1.5 by chance."""

_HEALING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}
_TOO_LARGE = re.compile(r"Task size \d+ is larger than maximum input batch size (\d+)")
_MESSAGE_TOO_LARGE = re.compile(r"message larger than max", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"OOM when allocating")
_QUEUE_FULL = re.compile(r"batch scheduling queue .*full")
_NEEDS_INPUT = re.compile(r"Batching .*Run\(\) must have at least one input tensor")


class BatchTooLargeError(Exception):
    """The server takes smaller requests only.

    Attributes:
        largest: The most images it takes, or 0 where it only said that the message is too large.
    """

    def __init__(self, largest: int) -> None:
        super().__init__(largest)
        self.largest = largest


class NeedsInputError(ModelError):
    """The server batches requests, and takes none without inputs."""


class StaleVersionError(ModelError):
    """The version that was asked for by number is not served, or not any more."""


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


def call(
    attempt: Callable[[Server, float], Any],
    servers: Sequence[Server],
    *,
    deadline: Deadline,
    closed: threading.Event,
    where: Callable[[Server], str],
    divisible: bool = False,
) -> tuple[Server, Any]:
    """Ask until there is an answer, an error that cannot heal, or no time left.

    Args:
        attempt: Sends the request to a server with a deadline in seconds.
        servers: Asked in turn, beginning with the first.
        deadline: Of all attempts together. One attempt has at most half of its time, so that a lost one is repeated.
        closed: Ends the waiting between attempts.
        where: Names server, model, version and signature for errors.
        divisible: Whether the request can be sent in parts: a server that has no memory for it is not asked again.

    Returns:
        The server that answered, and its answer.

    Raises:
        ServerUnavailableError: No answer in time.
        ModelError: The server refused.
        BatchTooLargeError: The request must be divided.
        NeedsInputError: The server takes no calls without inputs.
        StaleVersionError: The version asked for is gone.
    """
    start = time.monotonic()
    delay = FIRST_DELAY
    for server in itertools.cycle(servers):
        remaining = deadline.end - time.monotonic()
        try:
            answer = attempt(server, max(0.001, min(remaining, deadline.seconds / 2)))
        except grpc.RpcError as error:
            code, details = error.code(), _one_line(error.details())
            if code is grpc.StatusCode.CANCELLED and closed.is_set():
                raise closed_error(where(server)) from error
            gone = code is grpc.StatusCode.UNAVAILABLE and not _QUEUE_FULL.search(details)
            if gone:
                server.forget()  # it may come back with another model
            unmet = gone and not any(server.met for server in servers)
            wait = delay * random.uniform(0.5, 1.5)
            end = min(start + FIRST_CONTACT, deadline.end) if unmet else deadline.end
            must_divide = _MESSAGE_TOO_LARGE.search(details) or (divisible and _OUT_OF_MEMORY.search(details))
            if must_divide and code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise BatchTooLargeError(0) from error
            if code not in _HEALING or time.monotonic() + wait > end:
                raise _explain(code, details, where(server), deadline.seconds) from error
            delay = min(2 * delay, LONGEST_DELAY)
            if closed.wait(wait):
                raise closed_error(where(server)) from error
        except ValueError as error:  # "Cannot invoke RPC on closed channel!"
            if not closed.is_set():
                raise
            raise closed_error(where(server)) from error
        else:
            server.met = True
            return server, answer
    raise ValueError("no servers")


def closed_error(where: str) -> ModelError:
    """Say that the model has been closed."""
    return ModelError(f"{where}: the connection has been closed", cure="connect again")


def _explain(code: grpc.StatusCode, details: str, where: str, timeout: float) -> Exception:  # noqa: PLR0911, PLR0912 - one line a status
    """Turn a status into an error that says what to do."""
    if too_large := _TOO_LARGE.search(details):
        return BatchTooLargeError(max(1, int(too_large[1])))
    if _NEEDS_INPUT.search(details):
        return NeedsInputError(f"{where}: {details}", cure="turn batching off (--enable_batching)")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED or _QUEUE_FULL.search(details):
        return ServerUnavailableError(
            f"{where}: overloaded for {timeout:g} s ({details or 'no details'})", cure="try again later"
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        cure = "start one with `rsir-tf serve`, or check host and port"
        if re.search("handshake|certificate|hostname verification", details, re.IGNORECASE):
            cure = "check the certificates: whom to trust (--tls-ca), the host's name in them, their dates"
        elif "http1" in details.lower() or "http/1" in details.lower():
            cure = "this is a web server: give the gRPC port, usually 8500, not the REST port 8501"
        return ServerUnavailableError(f"{where}: no server answers ({details})", cure=cure)
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ServerUnavailableError(
            f"{where}: no answer within {timeout:g} s", cure="allow more time (--timeout) or send fewer images at once"
        )
    if code is grpc.StatusCode.NOT_FOUND:
        if "Specific(" in details:
            return StaleVersionError(
                f"{where}: not served ({details})", cure="`rsir-tf info HOST:PORT` shows its versions"
            )
        return ModelError(
            f"{where}: not served ({details})",
            cure="name the model as the server does (--model); `rsir-tf info HOST:PORT` shows its state",
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION and "Serving signature" in details:
        return ModelError(f"{where}: the model lacks this signature ({details})", cure=EXPORT_CURE)
    if "different shapes" in details:
        return ModelError(
            f"{where}: {details}", cure="a server with --enable_batching takes images of one size; turn batching off"
        )
    if "deserializ" in details:
        return ModelError(f"{where}: its answer is no TensorFlow Serving message", cure="check host and port")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ModelError(f"{where}: the server does not know this call", wanted="a TensorFlow Serving gRPC port")
    return ModelError(f"{where}: refused with {code.name} ({details or 'no details'})")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())[:400]
