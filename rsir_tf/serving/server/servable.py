"""One loaded version of a model in a server: signatures by name, tensors in and out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from rsir_tf.contract import SERVING_DEFAULT
from rsir_tf.serving.exports import read_signatures
from rsir_tf.serving.local import to_array
from rsir_tf.serving.messages import DataType

_LARGEST_INPUT = 1 << 31
"""Bytes: a small message may declare a tensor of any size with one repeated value."""


class RefusedError(Exception):
    """A request that the server does not answer.

    Attributes:
        code: The gRPC status.
        details: The text of the status, in the words of TensorFlow Serving.
    """

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def invalid(details: str) -> RefusedError:
    """The refusal of an invalid request."""
    return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, details)


def not_found(details: str) -> RefusedError:
    """The refusal of a request for a model or version that does not exist."""
    return RefusedError(grpc.StatusCode.NOT_FOUND, details)


class Servable:
    """A SavedModel that answers requests by signature.

    Args:
        folder: Holds `saved_model.pb`.

    Raises:
        Exception: Any error that TensorFlow raises for a damaged model.
    """

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self.signature_defs = read_signatures(folder)
        # The loaded object owns the variables: signatures do not keep them alive.
        self._loaded = tf.saved_model.load(str(folder))

    def run(self, signature: str, inputs: Mapping[str, Any], output_filter: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Answer one request.

        Args:
            signature: Name of the signature; empty means `serving_default`.
            inputs: Name → TensorProto.
            output_filter: Names of the wanted outputs; empty means all.

        Returns:
            Arrays by output name.

        Raises:
            RefusedError: The request does not fit the signature, or an operation failed.
        """
        import tensorflow as tf

        name = signature or SERVING_DEFAULT
        if name not in self.signature_defs:
            raise RefusedError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        definition = self.signature_defs[name]
        arrays = _read_inputs(definition, inputs)
        wanted = _wanted_outputs(definition, list(output_filter))
        _check_types(definition, inputs)
        try:
            tensors = {alias: tf.constant(array) for alias, array in arrays.items()}
            answer = self._loaded.signatures[name](**tensors)
        except tf.errors.OpError as error:
            raise RefusedError(_STATUS.get(error.error_code, grpc.StatusCode.INTERNAL), error.message) from error
        except (TypeError, ValueError) as error:
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        return {alias: to_array(answer[alias]) for alias in wanted}


_STATUS: dict[int, grpc.StatusCode] = {status.value[0]: status for status in grpc.StatusCode}
"""TensorFlow's error codes are gRPC's."""


def _read_inputs(definition: Any, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    sent, required = sorted(inputs), sorted(definition.inputs)
    if len(sent) != len(required):
        extra = ",".join(alias for alias in sent if alias not in required)
        missing = ",".join(alias for alias in required if alias not in sent)
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(required)} len({{{','.join(sent)}}}) != "
            f"len({{{','.join(required)}}}). Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
        )
    arrays = {}
    for alias in required:
        if alias not in inputs:
            raise invalid(
                f"Signature input alias: {alias}(feed name: {definition.inputs[alias].name}) not found in request "
                f"and no default value provided. Inputs expected to be in the request {{{','.join(sent)}}}, "
                "or default input alias set: "
            )
        arrays[alias] = _read_tensor(inputs[alias], alias)
    return arrays


def _check_types(definition: Any, inputs: Mapping[str, Any]) -> None:
    for place, alias in enumerate(sorted(definition.inputs)):
        expected, found = definition.inputs[alias].dtype, inputs[alias].dtype
        if expected != found:
            raise invalid(f"Expects arg[{place}] to be {_type_name(expected)} but {_type_name(found)} is provided")


def _read_tensor(tensor: Any, alias: str) -> NDArray[Any]:
    import tensorflow as tf

    sides = [dimension.size for dimension in tensor.tensor_shape.dim]
    try:
        size = math.prod(sides) * tf.as_dtype(tensor.dtype).size
        if tensor.tensor_shape.unknown_rank or min(sides, default=0) < 0 or size > _LARGEST_INPUT:
            raise ValueError("impossible shape")
        return np.asarray(tf.make_ndarray(tensor))
    except (TypeError, ValueError, KeyError) as error:
        raise invalid(f"tensor parsing error: {alias}") from error


def _wanted_outputs(definition: Any, output_filter: list[str]) -> list[str]:
    for place, alias in enumerate(output_filter):
        if alias not in definition.outputs:
            known = ",".join(sorted(definition.outputs))
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {{{known}}}."
            )
        if alias in output_filter[:place]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return output_filter or sorted(definition.outputs)


def _type_name(dtype: int) -> str:
    return DataType.Name(dtype).removeprefix("DT_").lower() if dtype in DataType.values() else f"unknown type {dtype}"
