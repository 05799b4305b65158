"""What the errors of a server mean: which are temporary, which need another request, and texts for users."""

from __future__ import annotations

import re
from dataclasses import dataclass

import grpc

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving.exports import EXPORT_CURE

_HEALING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED}
_CANCELLED_BY_GRPC = re.compile(r"|(call )?cancelled\.?|.*\bRST_STREAM\b.*", re.IGNORECASE)
"""gRPC's own words, or none: a server that stops so ends calls that it received and gave to nobody (grpc/grpc#41785).

A call that a handler ended on purpose says why.
"""
_UNTRUSTED = re.compile(r"certificate|hostname verification", re.IGNORECASE)
_WEB_SERVER = re.compile(r"http1|http/1", re.IGNORECASE)
_HUNG_UP = re.compile(r"last error: .*(socket closed|connection reset)", re.IGNORECASE)
"""For a new connection: a server that refuses a client's certificate says nothing else."""
_NOBODY = re.compile(r"connection refused|no route to host|network is unreachable", re.IGNORECASE)
_OTHER_PROTOCOL = re.compile(r"http1|http/1|expected SETTINGS frame", re.IGNORECASE)
_TOO_LARGE = re.compile(r"Task size \d+ is larger than maximum input batch size (\d+)")
_MESSAGE_TOO_LARGE = re.compile(r"message larger than max", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"OOM when allocating")
_QUEUE_FULL = re.compile(r"batch scheduling queue .*full")
_NEEDS_INPUT = re.compile(r"Batching .*Run\(\) must have at least one input tensor")


class BatchTooLargeError(ModelError):
    """The server takes only smaller requests.

    Attributes:
        where: Server, model, version and signature.
        largest: The largest number of images that it takes; 0 where it only said that the message is too large.
    """

    def __init__(self, where: str, details: str, largest: int = 0) -> None:
        super().__init__(f"{where}: too large for the server ({details})", cure="raise the server's limit")
        self.where = where
        self.largest = largest


class NeedsInputError(ModelError):
    """The server batches requests, and refuses those without inputs."""


class StaleVersionError(ModelError):
    """The server does not have the requested version, or not any more."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a call failed.

    Attributes:
        code: The status; UNAVAILABLE also where gRPC itself cancelled the call.
        details: Its text, on one line.
    """

    code: grpc.StatusCode
    details: str

    @classmethod
    def of(cls, error: grpc.RpcError) -> Refusal:
        """Read a call's error."""
        code, details = error.code(), " ".join((error.details() or "").split())[:400]
        if code is grpc.StatusCode.CANCELLED and _CANCELLED_BY_GRPC.fullmatch(details):
            code = grpc.StatusCode.UNAVAILABLE
        return cls(code, details)

    @property
    def heals(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in _HEALING

    @property
    def gone(self) -> bool:
        """Whether the connection broke, or there is none."""
        return self.code is grpc.StatusCode.UNAVAILABLE and not _QUEUE_FULL.search(self.details)

    @property
    def nobody_there(self) -> bool:
        """Whether nothing listens at the address."""
        return self.gone and bool(_NOBODY.search(self.details))

    @property
    def misdirected(self) -> bool:
        """Whether asking again is useless: a certificate is not trusted, or the port has another protocol."""
        return self.gone and bool(_UNTRUSTED.search(self.details) or _OTHER_PROTOCOL.search(self.details))

    @property
    def late(self) -> bool:
        """Whether there was no answer in time."""
        return self.code is grpc.StatusCode.DEADLINE_EXCEEDED

    def must_divide(self, divisible: bool) -> bool:
        """Whether the request is too large for a message or, if it can be sent in parts, for the server's memory."""
        too_large = _MESSAGE_TOO_LARGE.search(self.details) or (divisible and _OUT_OF_MEMORY.search(self.details))
        return self.code is grpc.StatusCode.RESOURCE_EXHAUSTED and bool(too_large)


def closed_error(where: str) -> ModelError:
    """Make the error for a closed model."""
    return ModelError(f"{where}: the connection has been closed", cure="connect again")


def explain(refusal: Refusal, where: str, timeout: float) -> ModelError:  # noqa: PLR0911, PLR0912 - one line a status
    """Turn a refusal into an error that says what to do.

    Args:
        refusal: The answer of the server or of gRPC.
        where: Names server, model, version and signature.
        timeout: Seconds that were allowed for the request.
    """
    code, details = refusal.code, refusal.details
    if too_large := _TOO_LARGE.search(details):
        return BatchTooLargeError(where, details, max(1, int(too_large[1])))
    if _NEEDS_INPUT.search(details):
        return NeedsInputError(f"{where}: {details}", cure="turn batching off (--enable_batching)")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED or _QUEUE_FULL.search(details):
        return ServerUnavailableError(
            f"{where}: overloaded for {timeout:g} s ({details or 'no details'})", cure="try again later"
        )
    if code is grpc.StatusCode.UNAVAILABLE:
        cure = "start one with `rsir-tf serve`, or check host and port"
        if _UNTRUSTED.search(details) or "handshake" in details.lower():
            cure = "check the certificates: the authority (--tls-ca), the host's name in them, and their dates"
        elif _HUNG_UP.search(details):
            cure = (
                "check host and port, and whether the server encrypts: it may want --tls-ca, or a certificate "
                "(--tls-certificate) that it trusts and that has not expired"
            )
        elif _WEB_SERVER.search(details):
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
            f"{where}: {details}",
            cure="a server with --enable_batching takes images of one size: resize all to one (`index --resize HEIGHT "
            "WIDTH`), or turn batching off",
        )
    if "Unrecognized servable version label" in details:
        return ModelError(
            f"{where}: {details}",
            cure="`rsir-tf info HOST:PORT` lists the versions; the server's models.config has their labels",
        )
    if "deserializ" in details:
        return ModelError(f"{where}: its answer is not a TensorFlow Serving message", cure="check host and port")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ModelError(f"{where}: the server does not know this call", wanted="a TensorFlow Serving gRPC port")
    return ModelError(f"{where}: refused with {code.name} ({details or 'no details'})")
