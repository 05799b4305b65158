"""What a server says about a model: versions and their states, signatures, and the model's identity."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rsir_tf.contract import ModelDescription
from rsir_tf.serving.client.calls import Deadline, call
from rsir_tf.serving.client.channel import parse_address
from rsir_tf.serving.client.model import connect
from rsir_tf.serving.client.servers import Outage, Server
from rsir_tf.serving.exports import SIGNATURES, unpack_signatures
from rsir_tf.serving.messages import (
    DataType,
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServiceStub,
    ModelVersionStatus,
    PredictionServiceStub,
)
from rsir_tf.serving.tls import TLS

_INIT_OPERATION = "__saved_model_init_op"
"""An entry among the signatures that is not a signature."""


@dataclass(frozen=True, slots=True)
class VersionStatus:
    """One version of a served model.

    Attributes:
        version: Its number.
        state: "START", "LOADING", "AVAILABLE", "UNLOADING", "END" or "UNKNOWN".
        error: What failed; empty if nothing did.
    """

    version: int
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class TensorSignature:
    """A signature's input or output.

    Attributes:
        dtype: Its number type, for example "uint8".
        shape: Its sizes, -1 where they vary; None where the rank is unknown.
    """

    dtype: str
    shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature: tensors by name."""

    inputs: dict[str, TensorSignature]
    outputs: dict[str, TensorSignature]


@dataclass(frozen=True, slots=True)
class ServedModelReport:
    """What a server says about one model.

    Attributes:
        address: The server.
        model_name: The model's name there.
        versions: All versions that the server knows, the newest first.
        signatures: Signatures of the newest available version; empty if there is none.
        description: Identity of the newest available version; None if there is none, or if it lacks a signature.
    """

    address: str
    model_name: str
    versions: tuple[VersionStatus, ...]
    signatures: dict[str, Signature] = field(default_factory=dict)
    description: ModelDescription | None = None


def inspect_server(
    address: str, *, model_name: str = "fcn8s", timeout: float = 20.0, tls: TLS | None = None
) -> ServedModelReport:
    """Ask a server about a model.

    Args:
        address: `HOST:PORT`.
        model_name: The model's name on the server.
        timeout: Seconds for each of the three questions.
        tls: PEM files for an encrypted connection; None for plain text.

    Returns:
        The report.

    Raises:
        InputError: The address cannot be used.
        ServerUnavailableError: No server answers.
        ModelError: It does not know the model.
    """
    versions = model_versions(address, model_name=model_name, timeout=timeout, tls=tls)
    if not any(version.state == "AVAILABLE" for version in versions):
        return ServedModelReport(address, model_name, versions)
    request = GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model_name
    response = _ask(
        address,
        lambda channel, deadline: PredictionServiceStub(channel).GetModelMetadata(request, timeout=deadline),
        model_name,
        timeout,
        tls,
    )
    signatures = {
        name: Signature(_tensors(entry.inputs), _tensors(entry.outputs))
        for name, entry in sorted(unpack_signatures(response, f"{address}, model {model_name!r}").items())
        if name != _INIT_OPERATION
    }
    description = None
    if all(name in signatures for name in SIGNATURES):
        with connect(address, model_name=model_name, timeout=timeout, tls=tls) as model:
            description = model.describe()
    return ServedModelReport(address, model_name, versions, signatures, description)


def model_versions(
    address: str, *, model_name: str, timeout: float = 20.0, tls: TLS | None = None
) -> tuple[VersionStatus, ...]:
    """Ask a server for the versions of a model and their states, the newest first.

    Raises:
        InputError: The address cannot be used.
        ServerUnavailableError: No server answers.
        ModelError: It does not know the model.
    """
    request = GetModelStatusRequest()
    request.model_spec.name = model_name
    response = _ask(
        address,
        lambda channel, deadline: ModelServiceStub(channel).GetModelStatus(request, timeout=deadline),
        model_name,
        timeout,
        tls,
    )
    states = ModelVersionStatus.State
    found = [
        VersionStatus(
            version=entry.version,
            state=states.Name(entry.state) if entry.state in states.values() else "UNKNOWN",
            error=entry.status.error_message,
        )
        for entry in response.model_version_status
    ]
    return tuple(sorted(found, key=lambda status: -status.version))


def _ask(address: str, attempt: Callable[[Any, float], Any], model_name: str, timeout: float, tls: TLS | None) -> Any:
    parsed = parse_address(address)
    asked = Server(parsed, tls, Outage(None))
    try:
        _, response = call(
            lambda server, seconds: attempt(server.channel, seconds),
            [asked],
            deadline=Deadline.after(timeout),
            closed=threading.Event(),
            where=lambda server: f"{server.address}, model {model_name!r}",
        )
    finally:
        asked.channel.close()
    return response


def _tensors(entries: Any) -> dict[str, TensorSignature]:
    return {name: TensorSignature(_dtype(entry.dtype), _shape(entry.tensor_shape)) for name, entry in entries.items()}


def _dtype(number: int) -> str:
    if number not in DataType.values():
        return f"type {number}"
    name: str = DataType.Name(number).removeprefix("DT_").lower()
    return {"half": "float16", "float": "float32", "double": "float64"}.get(name, name)


def _shape(shape: Any) -> tuple[int, ...] | None:
    return None if shape.unknown_rank else tuple(dimension.size for dimension in shape.dim)
