"""Arrays to and from `TensorProto`, in both of the encodings that servers use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import ModelError
from rsir_tf.serving.messages import DT_FLOAT, DT_STRING, DT_UINT8, DataType, TensorProto

_TYPED_FIELDS: dict[int, tuple[str, np.dtype[Any]]] = {
    DT_FLOAT: ("float_val", np.dtype("<f4")),
    DT_UINT8: ("int_val", np.dtype("u1")),
}


def encode_images(images: Sequence[NDArray[np.uint8]]) -> Any:
    """Write images of one size as one tensor.

    Args:
        images: uint8 [H, W, 3] each, at least one, all of the same size.

    Returns:
        TensorProto uint8 [N, H, W, 3], its values in `tensor_content`.
    """
    tensor = TensorProto(dtype=DT_UINT8, tensor_content=b"".join(np.ascontiguousarray(image).data for image in images))
    for side in (len(images), *images[0].shape):
        tensor.tensor_shape.dim.add(size=side)
    return tensor


def encode_reply(array: NDArray[Any]) -> Any:
    """Write an array as TensorFlow Serving does by default: values in the field of their type.

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
        if array.max(initial=0) < 128:  # one byte each, as on the wire
            tensor.MergeFromString(_packed_field(7, array.tobytes()))
        else:
            tensor.int_val.extend(array.ravel().tolist())
    elif array.dtype == np.float32:
        tensor.dtype = DT_FLOAT
        tensor.MergeFromString(_packed_field(5, array.astype("<f4").tobytes()))
    else:
        raise TypeError(f"{array.dtype} has no typed field here")
    return tensor


def decode(tensor: Any, name: str) -> NDArray[Any]:
    """Read a float32 or uint8 tensor from a reply.

    Args:
        tensor: TensorProto with `tensor_content` or the typed field.
        name: The output's name, for errors.

    Returns:
        float32 or uint8, of the shape that the tensor declares.

    Raises:
        ModelError: Another dtype, or other than the declared number of values.
    """
    if tensor.dtype not in _TYPED_FIELDS:
        raise ModelError(f"output {name!r} is {_dtype_name(tensor.dtype)}", wanted="float32 or uint8")
    field, dtype = _TYPED_FIELDS[tensor.dtype]
    shape = tuple(dimension.size for dimension in tensor.tensor_shape.dim)
    values: NDArray[Any]
    if tensor.tensor_content:
        if len(tensor.tensor_content) % dtype.itemsize:
            raise ModelError(
                f"output {name!r} holds {len(tensor.tensor_content)} bytes", wanted=f"whole {dtype} values"
            )
        values = np.frombuffer(tensor.tensor_content, dtype).copy()  # writable, as the other encoding's
    else:
        values = np.array(getattr(tensor, field), np.int32 if dtype == np.uint8 else dtype)
        if dtype == np.uint8 and values.size and not (values.min() >= 0 and values.max() <= 255):
            raise ModelError(f"output {name!r} holds values from {values.min()} to {values.max()}", wanted="0 to 255")
    if min(shape, default=0) < 0 or values.size != math.prod(shape):
        raise ModelError(f"output {name!r} holds {values.size} values", wanted=f"as many as shape {list(shape)} has")
    return values.astype(dtype, copy=False).reshape(shape)


def decode_strings(tensor: Any, name: str) -> list[str]:
    """Read a scalar or a vector of strings from a reply.

    Raises:
        ModelError: Another dtype, or bytes that are not UTF-8.
    """
    if tensor.dtype != DT_STRING:
        raise ModelError(f"output {name!r} is {_dtype_name(tensor.dtype)}", wanted="string")
    try:
        return [value.decode("utf-8") for value in tensor.string_val]
    except UnicodeDecodeError as error:
        raise ModelError(f"output {name!r} holds bytes that are no text", wanted="UTF-8") from error


def _packed_field(number: int, payload: bytes) -> bytes:
    """Compose a packed repeated field as on the wire: for one image's conv5_3 `extend` takes 36 ms, this 0.1 ms."""
    head = bytearray([number << 3 | 2])
    length = len(payload)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + payload


def _dtype_name(dtype: int) -> str:
    known = DataType.values()
    return DataType.Name(dtype).removeprefix("DT_").lower() if dtype in known else f"of unknown type {dtype}"
