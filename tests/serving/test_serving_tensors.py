"""Tensor encodings against TensorFlow's own."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from serving_toy import random_image

from rsir_tf.errors import ModelError
from rsir_tf.serving.messages import DT_STRING, PredictRequest, PredictResponse, RawReply, RawTensor, TensorProto
from rsir_tf.serving.tensors import decode, decode_strings, encode_content, encode_images, encode_reply

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
ARRAYS = st.one_of(
    arrays.arrays(np.uint8, SHAPES), arrays.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False))
)


@given(ARRAYS)
@settings(max_examples=100)
def test_replies_read_as_tensorflow_reads_them(array: np.ndarray) -> None:
    tensor = encode_reply(array)
    assert not tensor.tensor_content
    for copy in (tensor, TensorProto.FromString(tensor.SerializeToString())):
        np.testing.assert_array_equal(tf.make_ndarray(copy), array)
        np.testing.assert_array_equal(decode(copy, "x"), array)
        assert decode(copy, "x").dtype == array.dtype
        assert decode(copy, "x").shape == array.shape


@given(ARRAYS)
@settings(max_examples=50)
def test_decodes_tensor_content(array: np.ndarray) -> None:
    tensor = TensorProto(tensor_content=array.tobytes())
    tensor.dtype = tf.as_dtype(array.dtype).as_datatype_enum
    for side in array.shape:
        tensor.tensor_shape.dim.add(size=side)
    np.testing.assert_array_equal(decode(tensor, "x"), array)
    assert decode(tensor, "x").flags.writeable


def test_images_read_as_tensorflow_reads_them() -> None:
    images = [random_image(20, 30, seed=seed)[:, ::-1] for seed in range(3)]
    request = PredictRequest(output_filter=["y"])
    request.model_spec.name = "toy"
    packed = b"".join([request.SerializeToString(), *encode_images("x", images)])
    whole = PredictRequest.FromString(packed)
    np.testing.assert_array_equal(tf.make_ndarray(whole.inputs["x"]), np.stack(images))
    del whole.inputs["x"]
    assert whole == request


@given(ARRAYS)
@settings(max_examples=50)
def test_raw_replies_hold_what_replies_hold(array: np.ndarray) -> None:
    response = PredictResponse()
    response.model_spec.version.value = 3
    response.outputs["x"].CopyFrom(encode_reply(array))
    response.outputs["y"].CopyFrom(encode_reply(np.array([b"toy-1"], dtype=object)))
    raw = RawReply.FromString(response.SerializeToString())
    np.testing.assert_array_equal(decode(raw.outputs["x"], "x"), array)
    assert decode_strings(raw.outputs["y"], "y") == ["toy-1"]
    assert raw.model_spec == response.model_spec
    assert raw.SerializeToString(deterministic=True) == response.SerializeToString(deterministic=True)


def test_raw_replies_are_not_taken_apart() -> None:
    # 130 = 0b1_0000010 takes two bytes: the low seven bits with a mark, and 1.
    raw = RawTensor.FromString(encode_reply(np.array([1, 130], np.uint8)).SerializeToString())
    assert raw.int_val == b"\x01\x82\x01"
    assert RawTensor.FromString(encode_reply(np.ones(1, np.float32)).SerializeToString()).float_val == b"\0\0\x80?"


def test_strings() -> None:
    names = np.array([b"bare soil", "Bäume".encode()], dtype=object)
    assert decode_strings(encode_reply(names), "x") == ["bare soil", "Bäume"]
    assert decode_strings(tf.make_tensor_proto("one"), "x") == ["one"]
    with pytest.raises(ModelError, match="UTF-8"):
        decode_strings(tf.make_tensor_proto(b"\xff\xfe"), "x")
    with pytest.raises(ModelError, match="'x' is float; wanted string"):
        decode_strings(encode_reply(np.zeros(2, np.float32)), "x")


@given(st.lists(st.text(max_size=200), max_size=6))
@settings(max_examples=50)
def test_strings_as_content(values: list[str]) -> None:
    array = np.array([value.encode() for value in values], dtype=object)
    tensor = encode_content(array, DT_STRING)
    assert not tensor.string_val
    assert list(tf.io.parse_tensor(tensor.SerializeToString(), tf.string).numpy()) == list(array)
    assert decode_strings(tensor, "x") == values


def test_content_as_tensorflow_reads_it() -> None:
    for array in (np.array(2.5, np.float32), np.arange(6, dtype=np.int64).reshape(2, 3), np.array([True, False])):
        dtype = tf.as_dtype(array.dtype)
        tensor = encode_content(array, dtype.as_datatype_enum)
        np.testing.assert_array_equal(tf.io.parse_tensor(tensor.SerializeToString(), dtype), array)
    one = encode_content(np.array(b"toy-1", dtype=object), DT_STRING)
    assert one.tensor_content == b"\x05toy-1"
    assert tf.io.parse_tensor(one.SerializeToString(), tf.string).numpy() == b"toy-1"
    assert decode_strings(one, "x") == ["toy-1"]


@pytest.mark.parametrize(
    ("sides", "content", "said"),
    [
        ([2], b"\x01\x01a", "holds 3 bytes; wanted 2 lengths and as many strings"),  # a string too few
        ([1], b"\x01ab", "holds 3 bytes"),  # bytes left over
        ([1], b"\x81", "holds 1 bytes"),  # a length that does not end
        ([1], b"\xff" * 20 + b"\x01a", "holds 22 bytes"),  # one of no bound
        ([1 << 40], b"\x00", "holds 1 bytes"),
        ([-1], b"\x00", "holds 1 bytes"),
        ([1], b"\x01\xff", "UTF-8"),
    ],
)
def test_refuses_damaged_strings(sides: list[int], content: bytes, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        decode_strings(damaged(dtype=DT_STRING, sides=sides, tensor_content=content), "x")
    with pytest.raises(ModelError, match="holds 1 values; wanted as many as shape"):
        decode_strings(damaged(dtype=DT_STRING, sides=[2], string_val=[b"a"]), "x")


def damaged(**fields) -> TensorProto:
    sides = fields.pop("sides")
    tensor = TensorProto(**fields)
    for side in sides:
        tensor.tensor_shape.dim.add(size=side)
    return tensor


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (damaged(dtype=1, sides=[2], float_val=[1.0]), "holds 1 values"),
        (damaged(dtype=1, sides=[2]), "holds 0 values"),
        (damaged(dtype=1, sides=[1], tensor_content=b"123"), "holds 3 bytes"),
        (damaged(dtype=1, sides=[1], tensor_content=b"12345678"), "holds 2 values"),
        (damaged(dtype=4, sides=[-1, -2], int_val=[1, 2]), "holds 2 values"),
        (damaged(dtype=4, sides=[-1, -2], tensor_content=b"12"), "holds 2 values"),
        (damaged(dtype=4, sides=[2], int_val=[1, 256]), "holds other values; wanted 0 to 255"),
        (damaged(dtype=4, sides=[2], int_val=[-1, 2]), "holds other values; wanted 0 to 255"),
        (damaged(dtype=4, sides=[2], int_val=[1, 100_000]), "holds other values; wanted 0 to 255"),
        (damaged(dtype=19, sides=[1], half_val=[1]), "'x' is half; wanted float32 or uint8"),
        (damaged(dtype=99, sides=[1]), "unknown type 99"),
    ],
)
def test_refuses_damaged_tensors(tensor: TensorProto, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        decode(tensor, "x")
