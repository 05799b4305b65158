"""Convert arrays to and from `TensorProto`, in both encodings that servers use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ModelError
from rsir_tf.serving.messages import DT_FLOAT, DT_STRING, DT_UINT8, DataType, PredictRequest, RawTensor, TensorProto

_TYPED_FIELDS: dict[int, tuple[str, np.dtype[Any]]] = {
    DT_FLOAT: ("float_val", np.dtype("<f4")),
    DT_UINT8: ("int_val", np.dtype("u1")),
}
"""Type → the field with the values, and their NumPy type."""


def encode_images(name: str, images: Sequence[NDArray[np.uint8]]) -> list[bytes | memoryview]:
    """Write images of one size as an input of a PredictRequest, in the wire format.

    Protobuf would copy the images several times, and they may be large.

    Args:
        name: Of the input.
        images: uint8 [H, W, 3] each, at least one, all of the same size.

    Returns:
        Parts that, behind a PredictRequest's own bytes, add the input to it: uint8 [N, H, W, 3], whose values are in
        `tensor_content`. The images themselves are not copied.
    """
    tensor = TensorProto(dtype=DT_UINT8)
    for side in (len(images), *images[0].shape):
        tensor.tensor_shape.dim.add(size=side)
    pixels = [np.ascontiguousarray(image).reshape(-1).data for image in images]
    value = [tensor.SerializeToString(), *_field(TensorProto.TENSOR_CONTENT_FIELD_NUMBER, pixels)]
    key_and_value = [*_field(1, [name.encode()]), *_field(2, value)]
    return _field(PredictRequest.INPUTS_FIELD_NUMBER, key_and_value)


def images_at_end(request: bytes, images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The same images, as views of a request that ends with what `encode_images` has made of them; read-only."""
    shape = (len(images), *images[0].shape)
    return [*np.frombuffer(request, np.uint8, count := math.prod(shape), len(request) - count).reshape(shape)]


def encode_reply(array: NDArray[Any]) -> Any:
    """Write an array like TensorFlow Serving by default: values are in the field of their type.

    Args:
        array: float32, uint8 or bytes objects, any shape.

    Returns:
        TensorProto with `float_val`, `int_val` or `string_val`.
    """
    tensor = TensorProto()
    for side in array.shape:
        tensor.tensor_shape.dim.add(size=side)
    if array.dtype == object:
        tensor.dtype = DT_STRING
        tensor.string_val.extend(array.ravel().tolist())
    elif array.dtype == np.uint8:
        tensor.dtype = DT_UINT8
        if array.max(initial=0) < 128:  # one byte each in the wire format
            tensor.MergeFromString(b"".join(_field(TensorProto.INT_VAL_FIELD_NUMBER, [array.tobytes()])))
        else:
            tensor.int_val.extend(array.ravel().tolist())
    elif array.dtype == np.float32:
        tensor.dtype = DT_FLOAT
        values = array.astype("<f4").tobytes()
        tensor.MergeFromString(b"".join(_field(TensorProto.FLOAT_VAL_FIELD_NUMBER, [values])))
    else:
        raise TypeError(f"{array.dtype} has no typed field here")
    return tensor


def encode_content(array: NDArray[Any], dtype: int) -> Any:
    """Write an array like TensorFlow Serving with --enable_serialization_as_tensor_content.

    Args:
        array: Numbers, or bytes objects; any shape.
        dtype: The type's number (`DataType`).

    Returns:
        TensorProto with `tensor_content` only: numbers one after another; for strings, all lengths, then all bytes.
    """
    tensor = TensorProto(dtype=dtype)
    for side in array.shape:
        tensor.tensor_shape.dim.add(size=side)
    if array.dtype == object:
        values = array.ravel().tolist()
        tensor.tensor_content = b"".join([_varint(len(value)) for value in values] + values)
    else:
        tensor.tensor_content = array.tobytes()
    return tensor


def decode(tensor: Any, name: str) -> NDArray[Any]:
    """Read a float32 or uint8 tensor from a reply.

    Args:
        tensor: RawTensor or TensorProto, with `tensor_content` or the typed field.
        name: The output's name, for errors.

    Returns:
        float32 or uint8, with the shape that the tensor declares.

    Raises:
        ModelError: It has another dtype, or not the declared number of values.
    """
    if tensor.dtype not in _TYPED_FIELDS:
        raise ModelError(f"output {name!r} is {_dtype_name(tensor.dtype)}", wanted="float32 or uint8")
    field, dtype = _TYPED_FIELDS[tensor.dtype]
    if isinstance(tensor, TensorProto):
        tensor = RawTensor.FromString(tensor.SerializeToString())
    content: bytes = tensor.tensor_content
    payload = content or getattr(tensor, field)
    if len(payload) % dtype.itemsize:
        raise ModelError(f"output {name!r} holds {len(payload)} bytes", wanted=f"complete {dtype} values")
    values: NDArray[Any] = np.frombuffer(payload, dtype)
    values = values.copy() if content or dtype != np.uint8 else _read_bytes(values, name)  # writable either way
    return values.reshape(_shape_of(values.size, tensor, name))


def decode_strings(tensor: Any, name: str) -> list[str]:
    """Read strings from a reply.

    Args:
        tensor: TensorProto with `tensor_content` or `string_val`.
        name: The output's name, for errors.

    Returns:
        All strings, the last axis fastest.

    Raises:
        ModelError: It has another dtype, not the declared number of values, or bytes that are not UTF-8.
    """
    if tensor.dtype != DT_STRING:
        raise ModelError(f"output {name!r} is {_dtype_name(tensor.dtype)}", wanted="string")
    values = _split_strings(tensor, name) if tensor.tensor_content else list(tensor.string_val)
    _shape_of(len(values), tensor, name)
    try:
        return [value.decode("utf-8") for value in values]
    except UnicodeDecodeError as error:
        raise ModelError(f"output {name!r} holds bytes that are not text", wanted="UTF-8") from error


def _field(number: int, parts: Sequence[bytes | memoryview]) -> list[bytes | memoryview]:
    """Compose a field of bytes, a message or packed numbers: for one image's conv5_3, `extend` takes 360 times as long.

    Args:
        number: Of the field.
        parts: Its content; of several, one after another.
    """
    return [_varint(number << 3 | 2) + _varint(sum(map(len, parts))), *parts]


def _varint(value: int) -> bytes:
    """Write a number with seven bits per byte, the lowest first."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def _shape_of(count: int, tensor: Any, name: str) -> tuple[int, ...]:
    """Return the declared shape, if it fits this number of values."""
    shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    if min(shape, default=0) < 0 or count != math.prod(shape):
        raise ModelError(f"output {name!r} holds {count} values", wanted=f"as many as shape {list(shape)} has")
    return shape


def _split_strings(tensor: Any, name: str) -> list[bytes]:
    """Read one length per value of the shape, then the bytes of each value."""
    data: bytes = tensor.tensor_content
    sides = [dimension.size for dimension in tensor.tensor_shape.dim]
    count = math.prod(sides) if min(sides, default=0) >= 0 else 0
    damaged = ModelError(f"output {name!r} holds {len(data)} bytes", wanted=f"{count} lengths and as many strings")
    if count > len(data):
        raise damaged
    lengths, at = [], 0
    try:
        for _ in range(count):
            length, at = _read_varint(data, at)
            lengths.append(length)
    except IndexError as error:
        raise damaged from error
    if at + sum(lengths) != len(data):
        raise damaged
    values = []
    for length in lengths:
        values.append(data[at : at + length])
        at += length
    return values


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number with seven bits per byte, the lowest first; return it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _read_bytes(raw: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """Read packed numbers from 0 to 255: one byte below 128, otherwise two, the low seven bits first."""
    if raw.max(initial=0) < 128:
        return np.array(raw)
    more = raw > 127
    high = np.flatnonzero(~more)
    is_pair = np.concatenate([[False], more[:-1]])[high]
    if more[-1] or (more[1:] & more[:-1]).any() or (raw[high[is_pair]] > 1).any():
        raise ModelError(f"output {name!r} is uint8, but holds other values", wanted="0 to 255")
    values: NDArray[np.uint8] = raw[high].astype(np.uint8)
    values[is_pair] = (raw[high[is_pair]] << 7) | (raw[high[is_pair] - 1] & 127)
    return values


def _dtype_name(dtype: int) -> str:
    known = DataType.values()
    return DataType.Name(dtype).removeprefix("DT_").lower() if dtype in known else f"of unknown type {dtype}"
