"""Asking a server which model it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rsir_tf.contract import (
    CLASS_NAMES,
    DESCRIBE,
    FEATURES,
    IDENTIFY,
    IMAGES,
    MODEL_ID,
    ModelDescription,
)
from rsir_tf.errors import InputError, ModelError
from rsir_tf.rasters import MIN_SIDE
from rsir_tf.serving.checks import at
from rsir_tf.serving.client.refusals import NeedsInputError
from rsir_tf.serving.exports import conv5_3_channels, further_layers, unpack_signatures
from rsir_tf.serving.messages import GetModelMetadataRequest, ModelSpec, PredictRequest
from rsir_tf.serving.tensors import decode_strings, encode_images

Ask = Callable[[str, Any], Any]
"""Sends a PredictRequest or GetModelMetadataRequest for a signature, and gives the response."""

Where = Callable[[str, Any], str]
"""Names server, model, version and signature for errors, from a signature and a response or None."""


def ask_description(ask: Ask, spec: Any, where: Where) -> tuple[ModelDescription, bool]:
    """Ask for model id, class names, the number of channels of conv5_3, and further layers.

    Args:
        ask: Asks one server.
        spec: ModelSpec of the version.
        where: For errors.

    Returns:
        The description, and whether answers with features say which model gave them: those of older exports do not.

    Raises:
        ModelError: The model lacks a signature, or its answer is not that of an export of this package.
    """
    said: tuple[str, tuple[str, ...]] | None = None
    unasked: NeedsInputError | None = None
    try:
        said = ask_describe(ask, spec, where)
    except NeedsInputError as error:  # a server that batches
        unasked = error
    metadata = ask(DESCRIBE, GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"]))
    place = where(FEATURES, metadata)
    signatures = unpack_signatures(metadata, place)
    channels = conv5_3_channels(signatures, place)
    if said is None:
        if IDENTIFY not in signatures:
            raise ModelError(
                f"{where(IDENTIFY, metadata)}: the server batches requests, but the model lacks this signature",
                cure="export it again with `rsir-tf export`, or turn batching off (--enable_batching)",
            ) from unasked
        said = ask_identify(ask, spec, where)
    return ModelDescription(*said, channels, further_layers(signatures)), MODEL_ID in signatures[FEATURES].outputs


def ask_describe(ask: Ask, spec: Any, where: Where) -> tuple[str, tuple[str, ...]]:
    """Ask for model id and class names without sending an image.

    Raises:
        NeedsInputError: The server batches requests.
    """
    response = ask(DESCRIBE, predict_request(spec, DESCRIBE))
    return _read(response, where(DESCRIBE, response))


def ask_identify(ask: Ask, spec: Any, where: Where) -> tuple[str, tuple[str, ...]]:
    """Ask a server that batches requests for model id and class names, with an image."""
    request = predict_request(spec, IDENTIFY)
    request.MergeFromString(b"".join(encode_images(IMAGES, [np.zeros((MIN_SIDE, MIN_SIDE, 3), np.uint8)])))
    response = ask(IDENTIFY, request)
    return _read(response, where(IDENTIFY, response))


def _read(response: Any, place: str) -> tuple[str, tuple[str, ...]]:
    try:
        names = tuple(decode_strings(output(response, CLASS_NAMES), CLASS_NAMES))
        identity = decode_strings(output(response, MODEL_ID), MODEL_ID)
    except ModelError as error:
        raise at(place, error) from error
    if len(identity) != 1 or not names:
        raise ModelError(f"{place}: {len(identity)} model ids and {len(names)} class names", wanted="1 and at least 1")
    return identity[0], names


def model_spec(name: str, version: int | None, label: str | None) -> Any:
    """Make the ModelSpec of a model: its name, and a version or a label, or neither for the newest version.

    Raises:
        InputError: No model can have such a name or version.
    """
    if not name:
        raise InputError("no model name", wanted="the model's name on the server", cure="give --model NAME")
    if version is not None and label is not None:
        raise InputError(f"version {version} and label {label!r}", wanted="one of the two")
    if version is not None and version < 0:
        raise InputError(f"version {version}", wanted="0 or more")
    spec = ModelSpec(name=name)
    if version is not None:
        spec.version.value = version
    if label is not None:
        spec.version_label = label
    return spec


def predict_request(spec: Any, signature: str) -> Any:
    """Begin a PredictRequest: its model and signature."""
    request = PredictRequest()
    request.model_spec.CopyFrom(spec)
    request.model_spec.signature_name = signature
    return request


def output(response: Any, name: str) -> Any:
    """Return the TensorProto of an output.

    Raises:
        ModelError: The response has no output of this name.
    """
    if name not in response.outputs:
        found = ", ".join(sorted(response.outputs)) or "nothing"
        raise ModelError(f"the answer holds {found}", wanted=f"an output {name!r}", cure="export with `rsir-tf export`")
    return response.outputs[name]
