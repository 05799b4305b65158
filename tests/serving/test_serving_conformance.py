"""Codes and texts of TensorFlow Serving, as a client meets them over gRPC."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from serving_toy import CHANNELS, random_image, toy_conv5_3, toy_segmentation

from rsir_tf.serving.client.channel import open_channel
from rsir_tf.serving.messages import (
    GetModelMetadataRequest,
    GetModelStatusRequest,
    ModelServiceStub,
    ModelVersionStatus,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
)
from rsir_tf.serving.tensors import decode, decode_strings, encode_images, encode_reply

IMAGE = random_image(20, 30)


@pytest.fixture(scope="module")
def channel(server_address: str) -> Iterator[grpc.Channel]:
    with open_channel(server_address, None) as channel:
        yield channel


@pytest.fixture
def predict(channel):
    return lambda request: PredictionServiceStub(channel).Predict(request, timeout=20)


@pytest.fixture
def metadata(channel):
    return lambda request: PredictionServiceStub(channel).GetModelMetadata(request, timeout=20)


@pytest.fixture
def status(channel):
    return lambda request: ModelServiceStub(channel).GetModelStatus(request, timeout=20)


def request(signature: str = "features", images=IMAGE, name: str = "toy") -> PredictRequest:
    message = PredictRequest()
    message.model_spec.name = name
    message.model_spec.signature_name = signature
    if images is not None:
        message.MergeFromString(b"".join(encode_images("images", [images])))
    return message


def refused(call, message, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(message)
    assert caught.value.code() is code, caught.value.details()
    return caught.value.details()


def test_features(predict) -> None:
    response = predict(request())
    assert (response.model_spec.name, response.model_spec.version.value) == ("toy", 1)
    assert response.model_spec.signature_name == "features"
    assert sorted(response.outputs) == ["conv5_3", "model_id", "segmentation"]
    assert decode_strings(response.outputs["model_id"], "") == ["toy-1"]
    np.testing.assert_array_equal(decode(response.outputs["segmentation"], "")[0], toy_segmentation(IMAGE))
    np.testing.assert_allclose(decode(response.outputs["conv5_3"], "")[0], toy_conv5_3(IMAGE), atol=1e-5)


def test_no_signature_means_serving_default(predict) -> None:
    response = predict(request(signature=""))
    assert response.model_spec.signature_name == "serving_default"
    assert sorted(response.outputs) == ["segmentation"]


def test_describe_takes_no_input(predict) -> None:
    response = predict(request("describe", None))
    assert decode_strings(response.outputs["class_names"], "") == ["red", "green", "blue"]
    assert decode_strings(response.outputs["model_id"], "") == ["toy-1"]


def test_identify_answers_for_each_image(predict) -> None:
    message = request("identify", None)
    message.MergeFromString(b"".join(encode_images("images", [IMAGE, IMAGE])))
    response = predict(message)
    assert decode_strings(response.outputs["class_names"], "") == ["red", "green", "blue"] * 2
    assert decode_strings(response.outputs["model_id"], "") == ["toy-1"] * 2
    assert [side.size for side in response.outputs["class_names"].tensor_shape.dim] == [2, 3]


def test_output_filter(predict) -> None:
    message = request()
    message.output_filter.append("conv5_3")
    assert sorted(predict(message).outputs) == ["conv5_3"]
    message.output_filter[:] = ["zz"]
    assert refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT) == (
        "output tensor alias not found in signature: zz "
        "Outputs expected to be in the set {conv5_3,model_id,segmentation}."
    )


def test_typed_input_fields(predict) -> None:
    message = request()
    message.inputs["images"].CopyFrom(encode_reply(IMAGE[None]))
    response = predict(message)
    np.testing.assert_array_equal(decode(response.outputs["segmentation"], "")[0], toy_segmentation(IMAGE))


def test_a_reply_over_four_megabytes(predict) -> None:
    image = random_image(1024, 1024)
    response = predict(request(images=image))
    assert response.ByteSize() > 8 << 20
    np.testing.assert_allclose(decode(response.outputs["conv5_3"], "")[0], toy_conv5_3(image), atol=1e-5)


def test_unknown_model(predict, status, metadata) -> None:
    details = refused(predict, request(name="nope"), grpc.StatusCode.NOT_FOUND)
    assert details.startswith("Servable not found for request: Latest(nope)")
    message = GetModelStatusRequest()
    message.model_spec.name = "nope"
    details = refused(status, message, grpc.StatusCode.NOT_FOUND)
    assert details == "Could not find any versions of model nope"
    ask = GetModelMetadataRequest(model_spec=message.model_spec, metadata_field=["signature_def"])
    details = refused(metadata, ask, grpc.StatusCode.NOT_FOUND)
    assert details.startswith("Servable not found for request: Latest(nope)")


def test_unknown_version(predict, status, metadata) -> None:
    message = request()
    message.model_spec.version.value = 99
    details = refused(predict, message, grpc.StatusCode.NOT_FOUND)
    assert details.startswith("Servable not found for request: Specific(toy, 99)")
    ask = GetModelStatusRequest()
    ask.model_spec.CopyFrom(message.model_spec)
    details = refused(status, ask, grpc.StatusCode.NOT_FOUND)
    assert details == "Could not find version 99 of model toy"
    asked = GetModelMetadataRequest(model_spec=ask.model_spec, metadata_field=["signature_def"])
    details = refused(metadata, asked, grpc.StatusCode.NOT_FOUND)
    assert details.startswith("Servable not found for request: Specific(toy, 99)")


def test_unknown_label(predict) -> None:
    message = request()
    message.model_spec.version_label = "zz"
    details = refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert details == "Unrecognized servable version label: zz"
    message.model_spec.name = "nope"  # the label is looked up before the model
    assert refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT) == details


def test_no_model_named(predict, status, metadata) -> None:
    assert refused(predict, PredictRequest(), grpc.StatusCode.INVALID_ARGUMENT) == "Missing ModelSpec"
    assert refused(status, GetModelStatusRequest(), grpc.StatusCode.INVALID_ARGUMENT) == "Missing ModelSpec"
    assert refused(metadata, GetModelMetadataRequest(), grpc.StatusCode.INVALID_ARGUMENT) == "Missing ModelSpec"
    details = refused(predict, request(name=""), grpc.StatusCode.INVALID_ARGUMENT)
    assert details == "ModelSpec has no name specified."


def test_unknown_signature(predict) -> None:
    details = refused(predict, request("zz"), grpc.StatusCode.FAILED_PRECONDITION)
    assert details == 'Serving signature key "zz" not found.'


def test_a_signature_that_is_none(predict) -> None:
    details = refused(predict, request("__saved_model_init_op"), grpc.StatusCode.INVALID_ARGUMENT)
    assert details.startswith("input size does not match signature: 1!=0 ")


def test_wrong_input_name(predict) -> None:
    message = request(images=None)
    message.MergeFromString(b"".join(encode_images("q", [IMAGE])))
    details = refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert details.startswith(
        "Signature input alias: images(feed name: features_images:0) not found in request and no "
    )
    assert "Inputs expected to be in the request {q}, " in details


def test_missing_and_extra_inputs(predict) -> None:
    assert refused(predict, request(images=None), grpc.StatusCode.INVALID_ARGUMENT) == (
        "input size does not match signature: 0!=1 len({}) != len({images}). "
        "Sent extra: {}. Missing but required: {images}."
    )
    message = request()
    message.MergeFromString(b"".join(encode_images("q", [IMAGE])))
    assert refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT) == (
        "input size does not match signature: 2!=1 len({images,q}) != len({images}). "
        "Sent extra: {q}. Missing but required: {}."
    )


def test_wrong_dtype(predict) -> None:
    message = request()
    message.inputs["images"].CopyFrom(encode_reply(IMAGE[None].astype(np.float32)))
    details = refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert details == "Expects arg[0] to be uint8 but float is provided"
    message.output_filter.append("zz")  # looked at before the types are
    assert refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT).startswith("output tensor alias not found")


def test_long_errors_are_cut(predict) -> None:
    details = refused(predict, request("z" * 5000), grpc.StatusCode.FAILED_PRECONDITION)
    assert details == f'Serving signature key "{"z" * 5000}'[:1024] + "...TRUNCATED"


def test_wrong_rank_or_channels(predict) -> None:
    for shape in [(20, 30, 3), (1, 20, 30, 4)]:
        message = request()
        message.inputs["images"].CopyFrom(encode_reply(np.zeros(shape, np.uint8)))
        refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_shape_that_the_operations_take_is_not_refused(predict) -> None:
    """A server does not check a signature's shape: an image without the batch's axis is answered all the same."""
    message = request("serving_default")
    message.inputs["images"].CopyFrom(encode_reply(IMAGE))
    segmentation = decode(predict(message).outputs["segmentation"], "")
    np.testing.assert_array_equal(segmentation, toy_segmentation(IMAGE))


def test_malformed_tensor(predict) -> None:
    for spoil in (
        lambda tensor: setattr(tensor, "tensor_content", b"123"),
        lambda tensor: tensor.tensor_shape.dim.add(size=-5),
        lambda tensor: [tensor.ClearField("tensor_content"), tensor.tensor_shape.dim.add(size=1 << 40)],
    ):
        message = request()
        spoil(message.inputs["images"])
        details = refused(predict, message, grpc.StatusCode.INVALID_ARGUMENT)
        assert details.startswith("tensor parsing error: images")


def test_status(status) -> None:
    message = GetModelStatusRequest()
    message.model_spec.name = "toy"
    (entry,) = status(message).model_version_status
    assert (entry.version, entry.state) == (1, ModelVersionStatus.AVAILABLE)
    assert (entry.status.error_code, entry.status.error_message) == (0, "")


def test_metadata(metadata) -> None:
    message = GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "toy"
    response = metadata(message)
    assert response.model_spec.version.value == 1
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "features", "describe"} <= set(signatures.signature_def)
    conv5_3 = signatures.signature_def["features"].outputs["conv5_3"]
    assert [side.size for side in conv5_3.tensor_shape.dim] == [-1, -1, -1, CHANNELS]


def test_metadata_fields(metadata) -> None:
    message = GetModelMetadataRequest()
    message.model_spec.name = "toy"
    details = refused(metadata, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert details == "GetModelMetadataRequest must specify at least one metadata_field"
    message.metadata_field.append("foo")
    details = refused(metadata, message, grpc.StatusCode.INVALID_ARGUMENT)
    assert details == "Metadata field foo is not supported"


def test_deadline(channel) -> None:
    """Calls that their clients gave up end, and take no places: later ones are answered, not refused."""
    stub = PredictionServiceStub(channel)
    large = request(images=random_image(512, 512))
    given_up = [stub.Predict.future(large, timeout=0.02) for _ in range(60)]
    codes = {future.code() for future in given_up}
    assert grpc.StatusCode.DEADLINE_EXCEEDED in codes
    assert codes <= {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OK}
    end = time.monotonic() + 20
    while (refusal := stub.Predict.future(large, timeout=20).exception()) is not None:
        assert refusal.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, refusal.details()
        assert time.monotonic() < end, "still no place after 20 s"
        time.sleep(0.1)
    at_once = [stub.Predict.future(request(), timeout=20) for _ in range(4)]  # as many as any server takes
    assert [future.code() for future in at_once] == [grpc.StatusCode.OK] * 4


def test_bytes_that_are_no_message(channel, predict) -> None:
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    for garbage in (b"\xff" * 50, request().SerializeToString()[:-7]):
        with pytest.raises(grpc.RpcError) as caught:
            raw(garbage, timeout=20)
        assert caught.value.code() is not grpc.StatusCode.DEADLINE_EXCEEDED
    assert predict(request()).outputs


def test_unknown_method(channel) -> None:
    raw = channel.unary_unary("/tensorflow.serving.PredictionService/Nothing")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
