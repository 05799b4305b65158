"""The client against servers that fail, in every way that a server can."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from serving_fake import IMAGE, FakeService, check_all, times
from serving_toy import random_image, toy_segmentation

from rsir_tf.errors import InputError, MismatchError, ModelError, ServerUnavailableError
from rsir_tf.serving import connect
from rsir_tf.serving.tensors import encode_reply


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.DEADLINE_EXCEEDED]
)
def test_repeats_what_can_heal(service: FakeService, address: str, code: grpc.StatusCode) -> None:
    service.before = times(2, code)
    with connect(address) as model:
        check_all(model.predict([IMAGE]), [IMAGE])
    assert len(service.features()) == 3


@pytest.mark.parametrize(
    ("code", "details", "said"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, "Expects arg[0] to be float", "refused with INVALID_ARGUMENT"),
        (grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "features" not found.', "rsir-tf export"),
        (grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(fcn8s)", "--model"),
        (
            grpc.StatusCode.FAILED_PRECONDITION,
            "tensors … have different shapes and padding is off",
            "--resize HEIGHT WIDTH",
        ),
        (grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: zz", "rsir-tf info HOST:PORT"),
        (grpc.StatusCode.UNIMPLEMENTED, "", "TensorFlow Serving gRPC port"),
        (grpc.StatusCode.INTERNAL, "", "no details"),
    ],
)
def test_does_not_repeat_what_cannot(service, address, code, details, said) -> None:
    service.before = times(99, code, details)
    with connect(address) as model, pytest.raises(ModelError, match="signature 'features'") as caught:
        model.predict([IMAGE])
    assert said in str(caught.value)
    assert f"{address}, model 'fcn8s' (newest version)" in str(caught.value)
    assert not isinstance(caught.value, ServerUnavailableError)
    assert len(service.features()) == 1


def test_gives_up_in_time(service: FakeService, address: str) -> None:
    release = threading.Event()

    def hang(request, context) -> None:
        if request.model_spec.signature_name == "features":
            release.wait(10)

    service.before = hang
    start = time.monotonic()
    with connect(address, timeout=1) as model, pytest.raises(ServerUnavailableError, match="no answer within 1 s"):
        model.predict([IMAGE])
    assert time.monotonic() - start < 2
    assert len(service.features()) == 2  # an attempt has half the time, so that a lost request is sent again
    release.set()


def test_a_large_image_has_all_the_time_of_a_single_server(service: FakeService, address: str) -> None:
    """A second attempt would only begin anew what takes long."""
    service.before = lambda request, context: request.inputs and time.sleep(1.5)
    large = random_image(1024, 640)
    with connect(address, timeout=2.5) as model:
        check_all(model.predict([large]), [large])
    assert len(service.features()) == 1
    service.requests.clear()
    with connect(address, timeout=1) as model, pytest.raises(ServerUnavailableError, match="no answer within 1 s"):
        model.predict([large])
    assert len(service.features()) == 1


def test_large_images_are_fewer_at_work(service: FakeService, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsir_tf.serving.client.model.PIXELS_IN_FLIGHT", 3 * 64 * 64)
    service.before = lambda request, context: request.inputs and time.sleep(0.05)
    for side, most in [(32, 4), (64, 3), (128, 1)]:
        images = [random_image(side, side, seed=seed) for seed in range(8)]
        with connect(address, batch_size=1, in_flight=4) as model:
            service.most_running = 0
            check_all(model.predict(images), images)
            assert service.most_running == most


def test_learns_how_much_the_server_takes(service: FakeService, address: str) -> None:
    def at_most_three(request, context) -> None:
        if request.inputs and (count := request.inputs["images"].tensor_shape.dim[0].size) > 3:
            details = f"Task size {count} is larger than maximum input batch size 3"
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, details)

    service.before = at_most_three
    images = [random_image(16, 16, seed=seed) for seed in range(20)]
    with connect(address, batch_size=8, in_flight=1) as model:
        check_all(model.predict(images), images)
        refused = [request for request in service.features() if request.inputs["images"].tensor_shape.dim[0].size > 3]
        assert len(refused) == 1
        service.requests.clear()
        check_all(model.predict(images), images)
        assert [request.inputs["images"].tensor_shape.dim[0].size for request in service.features()] == [3] * 6 + [2]


def test_divides_messages_that_are_too_large(service: FakeService, address: str) -> None:
    def at_most_one(request, context) -> None:
        if request.inputs and request.inputs["images"].tensor_shape.dim[0].size > 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max (8 vs. 4)")

    service.before = at_most_one
    images = [random_image(16, 16, seed=seed) for seed in range(5)]
    with connect(address) as model:
        check_all(model.predict(images), images)
    service.before = times(99, grpc.StatusCode.RESOURCE_EXHAUSTED, "Sent message larger than max (8 vs. 4)")
    with connect(address) as model, pytest.raises(ModelError, match=r"one image of \[32, 48, 3\] is too large"):
        model.predict([IMAGE])


def test_bounds_what_is_in_flight_and_keeps_order(service: FakeService, address: str) -> None:
    def later_ones_faster(request, context) -> None:
        time.sleep(0.002 * (10 - len(service.features()) % 10))

    service.before = later_ones_faster
    images = [random_image(16, 16, seed=seed) for seed in range(30)]
    with connect(address, batch_size=1, in_flight=3) as model:
        check_all(list(model.predict_stream(iter(images))), images)
    assert service.most_running == 3


def test_batches_hold_at_most_half_a_million_pixels(service: FakeService, address: str) -> None:
    images = [random_image(512, 512)] * 3
    with connect(address) as model:
        check_all(model.predict(images), images)
    assert sorted(request.inputs["images"].tensor_shape.dim[0].size for request in service.features()) == [1, 2]


@pytest.mark.parametrize("older", [False, True])
def test_asks_for_no_features_where_only_the_segmentation_is_wanted(
    service: FakeService, address: str, older: bool
) -> None:
    service.older = older
    sent = []
    service.change = lambda response: sent.append(set(response.outputs))
    images = [random_image(32, 48, seed=seed) for seed in range(6)]
    with connect(address, batch_size=1) as model:
        for found, image in zip(model.segment_stream(iter(images)), images, strict=True):
            np.testing.assert_array_equal(found, toy_segmentation(image))
        check_all(model.predict(images[:1]), images[:1])
    # A server refuses to be asked for what the model lacks; one that was not asked for anything sends all.
    wanted = ["segmentation"] if older else ["segmentation", "model_id"]
    assert [list(request.output_filter) for request in service.features()] == [*[wanted] * 6, []]
    assert sent[:6] == [set(wanted)] * 6
    # The model that answered is known all the same: an older export's server is asked after each answer.
    assert service.signatures_asked().count("describe") == 1 + 7 * older


def test_a_segmentation_of_another_model_is_refused(service: FakeService, address: str) -> None:
    with connect(address) as model:
        model.describe()
        service.model_id = "toy-2"
        with pytest.raises(MismatchError, match="holds model toy-2"):
            next(model.segment_stream([IMAGE]))


def test_few_images_are_under_way_where_only_the_segmentation_is_wanted(service: FakeService, address: str) -> None:
    pulled = []

    def images() -> Iterator[np.ndarray]:
        for place in range(9):
            pulled.append(place)
            yield random_image(16, 16, seed=place)

    with connect(address, batch_size=1) as model:
        for given, _ in enumerate(model.segment_stream(images()), start=1):
            assert len(pulled) <= given + 1
    assert service.most_running <= 2


def test_an_image_is_sent_and_freed_before_the_next_is_read_while_the_server_works(
    service: FakeService, address: str
) -> None:
    read = [threading.Event() for _ in range(3)]
    served: list[bool] = []
    given: list[weakref.ref] = []

    def images() -> Iterator[np.ndarray]:
        for place, event in enumerate(read):
            assert all(image() is None for image in given)
            event.set()
            made = [random_image(16, 16, seed=place)]
            given.append(weakref.ref(made[0]))
            yield made.pop()

    def wait_for_the_next(request: object, context: object) -> None:
        if request.inputs and len(served) < 2:
            served.append(read[len(served) + 1].wait(10))

    with connect(address, batch_size=1) as model:
        model.describe()
        service.before = wait_for_the_next
        assert len(list(model.segment_stream(images()))) == 3
    assert served == [True, True]


def test_reading_goes_on_after_an_image_that_was_refused(service: FakeService, address: str) -> None:
    with connect(address, batch_size=1) as model:
        model.describe()
        service.before = lambda request, context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
        with pytest.raises(ModelError, match="no"):
            list(model.segment_stream([IMAGE, IMAGE]))


def spoil(name: str, array: np.ndarray):
    return lambda response: response.outputs[name].CopyFrom(encode_reply(array))


def cut(response) -> None:
    del response.outputs["conv5_3"].float_val[-1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (spoil("segmentation", np.zeros((1, 32, 48), np.float32)), r"'segmentation' is float32 \[1, 32, 48\]; wanted"),
        (spoil("segmentation", np.zeros((1, 48, 32), np.uint8)), r"\[1, 48, 32\]; wanted uint8 \[1, 32, 48\]"),
        (spoil("segmentation", np.full((1, 32, 48), 3, np.uint8)), "holds class 3; wanted 0 to 2"),
        (spoil("conv5_3", np.zeros((1, 2, 2, 512), np.float32)), r"'conv5_3' is float32 \[1, 2, 2, 512\]; wanted"),
        (spoil("conv5_3", np.zeros((1, 2, 3, 256), np.float32)), r"\[1, 2, 3, 256\]; wanted float32 \[1, 2, 3, 512\]"),
        (spoil("conv5_3", np.full((1, 2, 3, 512), np.nan, np.float32)), "holds NaN or infinity"),
        (spoil("conv5_3", np.full((1, 2, 3, 512), np.inf, np.float32)), "holds NaN or infinity"),
        (cut, "'conv5_3' holds 3071 values; wanted as many as shape"),
        (
            spoil("model_id", np.array([b"toy-1"] * 2, dtype=object)),
            "'model_id' holds 2 values; wanted 1, one per image",
        ),
        (spoil("model_id", np.array([], dtype=object)), "'model_id' holds 0 values; wanted 1, one per image"),
        (spoil("model_id", np.zeros(1, np.float32)), "'model_id' is float; wanted string"),
        (lambda response: response.outputs.pop("conv5_3"), "wanted an output 'conv5_3'"),
    ],
)
def test_refuses_wrong_answers(service, address, change, said) -> None:
    service.change = change
    with connect(address) as model, pytest.raises(ModelError, match=said) as caught:
        model.predict([IMAGE])
    assert f"{address}, model 'fcn8s' (version 1), signature 'features'" in str(caught.value)


def test_asks_how_wide_conv5_3_is_before_it_sends_images(service: FakeService, address: str) -> None:
    service.channels = 256
    with connect(address) as model:
        assert model.describe().channels == 256
        with pytest.raises(ModelError, match=r"'conv5_3' is float32 \[1, 2, 3, 512\]; wanted float32 \[1, 2, 3, 256\]"):
            model.predict([IMAGE])
    service.channels = -1
    service.requests.clear()
    with connect(address) as model, pytest.raises(ModelError, match="does not say how many channels conv5_3 has"):
        model.predict([IMAGE])
    assert service.features() == []


def test_what_was_asked_ahead_is_not_asked_again(service: FakeService, address: str) -> None:
    with connect(address) as model:
        model.ask_ahead()
        assert model.describe().model_id == "toy-1"
        assert len(service.requests) == 1
        assert model.describe().model_id == "toy-1"
        assert len(service.requests) == 2  # a later one is a question of its own
    service.before = lambda request, context: context.abort(grpc.StatusCode.INTERNAL, "no")
    with connect(address) as model:
        model.ask_ahead()
        with pytest.raises(ModelError, match="refused with INTERNAL"):
            model.predict([IMAGE])
    release = threading.Event()
    service.before = lambda request, context: release.wait(20)
    model, start = connect(address), time.monotonic()
    model.ask_ahead()
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.describe()
    assert time.monotonic() - start < 5
    release.set()


def test_sends_version_and_label(service: FakeService, address: str) -> None:
    with connect(address, model_name="mine", version=7) as model:
        model.predict([IMAGE])
    assert {request.model_spec.version.value for request in service.requests} == {7}
    assert {request.model_spec.name for request in service.requests} == {"mine"}
    service.requests.clear()
    with connect(address, label="stable") as model:
        model.predict([IMAGE])
    assert {request.model_spec.version_label for request in service.features()} == {"stable"}


def test_a_full_queue_is_waited_out_and_is_no_other_server(service: FakeService, address: str) -> None:
    full = "The batch scheduling queue to which this task was submitted is full"
    with connect(address) as model:
        for _ in range(2):
            model.predict([IMAGE])
        service.before = times(2, grpc.StatusCode.UNAVAILABLE, full)
        service.requests.clear()
        check_all(model.predict([IMAGE]), [IMAGE])
        assert service.signatures_asked() == ["features"] * 3
    service.before = times(99, grpc.StatusCode.UNAVAILABLE, full)
    with connect(address, timeout=1) as model, pytest.raises(ServerUnavailableError, match="overloaded for 1 s"):
        model.predict([IMAGE])


def test_divides_what_the_server_has_no_memory_for(service: FakeService, address: str) -> None:
    details = "OOM when allocating tensor with shape[8,64,256,256]"

    def at_most_two(request, context) -> None:
        if request.inputs and request.inputs["images"].tensor_shape.dim[0].size > 2:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, details)

    service.before = at_most_two
    images = [random_image(16, 16, seed=seed) for seed in range(5)]
    with connect(address, batch_size=5, in_flight=1) as model:
        check_all(model.predict(images), images)
    assert [request.inputs["images"].tensor_shape.dim[0].size for request in service.features()] == [5, 2, 2, 1]
    service.before = times(1, grpc.StatusCode.RESOURCE_EXHAUSTED, details)  # of one image: another's may end
    with connect(address) as model:
        check_all(model.predict([IMAGE]), [IMAGE])


def test_questions_about_the_model_count_towards_the_time(service: FakeService, address: str) -> None:
    release = threading.Event()
    service.older = True
    with connect(address, timeout=2) as model:
        model.describe()

        def slow(request, context) -> None:
            release.wait(0.8 if request.inputs else 10)  # below an attempt's half, then never

        service.before = slow
        start = time.monotonic()
        with pytest.raises(ServerUnavailableError, match="no answer within 2 s"):
            model.predict([IMAGE])
        assert time.monotonic() - start < 2.8  # 2 s for all, not 0.8 s and 2 s
        release.set()


@pytest.mark.parametrize("details", ["", "CANCELLED", "Cancelled", "Received RST_STREAM with error code 8"])
def test_a_call_that_grpc_cancels_is_one_whose_server_is_gone(service: FakeService, address: str, details: str) -> None:
    """So end calls that a stopping server has received and given to nobody."""
    with connect(address) as model:
        model.predict([IMAGE])
        service.before = times(1, grpc.StatusCode.CANCELLED, details)
        service.requests.clear()
        check_all(model.predict([IMAGE]), [IMAGE])
        assert service.signatures_asked() == ["features"] * 2


def test_a_call_that_a_handler_cancels_is_neither_repeated_nor_a_closed_connection(
    service: FakeService, address: str
) -> None:
    service.before = times(1, grpc.StatusCode.CANCELLED, "by an operator")
    with connect(address) as model, pytest.raises(ModelError, match=r"refused with CANCELLED \(by an operator\)"):
        model.predict([IMAGE])
    assert len(service.features()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"version": 1, "label": "stable"},
        {"version": -1},
        {"model_name": ""},
        {"timeout": 0},
        {"batch_size": 0},
        {"in_flight": 0},
    ],
)
def test_options_that_make_no_sense(options: dict) -> None:
    with pytest.raises(InputError):
        connect("localhost:8500", **options)
