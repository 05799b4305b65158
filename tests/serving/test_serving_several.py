"""Several servers: named one by one, or behind one name; one of them hangs, dies, or has another version."""

from __future__ import annotations

import threading
import time

import grpc
import pytest
from serving_fake import IMAGE, FakeService, check_all, free_port, running, times, until
from serving_toy import random_image

from rsir_tf.errors import MismatchError, ModelError, ServerUnavailableError
from rsir_tf.serving import connect
from rsir_tf.serving.client import calls
from rsir_tf.serving.client.inflight import side_by_side
from rsir_tf.serving.client.older_exports import MOST_REPLICAS

IMAGES = [random_image(16, 16, seed=seed) for seed in range(6)]


def test_take_turns(service: FakeService, address: str) -> None:
    second = FakeService()
    images = [random_image(16, 16, seed=seed) for seed in range(8)]
    with running(second) as other, connect([address, other], batch_size=1) as model:
        check_all(model.predict(images), images)
        assert len(service.features()) == len(second.features()) == 4


def test_one_away(service: FakeService, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "FIRST_CONTACT", 0.3)
    images = [random_image(16, 16, seed=seed) for seed in range(4)]
    with connect([f"127.0.0.1:{free_port()}", address], batch_size=1) as model:
        check_all(model.predict(images), images)


def test_must_hold_one_model(service: FakeService, address: str) -> None:
    second = FakeService()
    second.model_id = "toy-2"
    with running(second) as other, connect([address, other]) as model, pytest.raises(MismatchError) as caught:
        model.describe()
    assert other in str(caught.value)


def test_one_hangs(service: FakeService, address: str) -> None:
    """It hangs from the start: the others have its requests, and nobody waits for it."""
    hung, release = FakeService(), threading.Event()
    hung.before = lambda request, context: release.wait(20)
    start = time.monotonic()
    with running(hung) as other, connect([other, address], timeout=20, batch_size=1) as model:
        assert model.describe().model_id == "toy-1"
        check_all(model.predict(IMAGES), IMAGES)
        assert time.monotonic() - start < 5
        assert len(service.features()) == len(IMAGES)
        assert hung.features() == []
        release.set()


def test_one_begins_to_hang(service: FakeService, address: str) -> None:
    hung, release = FakeService(), threading.Event()
    hung.before = lambda request, context: request.inputs and release.wait(20)
    with running(hung) as other, connect([other, address], timeout=2, batch_size=1, in_flight=1) as model:
        check_all(model.predict(IMAGES), IMAGES)
        assert len(hung.features()) == 1  # once it has hung, it is asked last
        assert len(service.features()) == len(IMAGES)
        release.set()


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_one_is_lost_between_its_answer_and_its_identity(service: FakeService, address: str, how: str) -> None:
    """So it is with older exports; an answer that says who gave it is used, whatever becomes of its server."""
    lost, release = FakeService(), threading.Event()
    lost.older = service.older = True

    def lose(request, context) -> None:
        if request.model_spec.HasField("version"):  # who are you, version 1?
            if how == "hangs":
                release.wait(20)
            context.abort(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer")

    lost.before = lose
    start = time.monotonic()
    with running(lost) as other, connect([other, address], timeout=4, batch_size=1, in_flight=1) as model:
        check_all(model.predict(IMAGES), IMAGES)
        assert time.monotonic() - start < (2 if how == "dies" else 4)
        assert lost.features()
        assert len(service.features()) == len(IMAGES)
        release.set()


def test_none_says_who_it_is(service: FakeService, address: str) -> None:
    """An end comes, even where each answer is at once followed by a connection that breaks."""

    def lose(request, context) -> None:
        if request.model_spec.HasField("version"):
            context.abort(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer")

    service.before, service.older = lose, True
    said = r"signature 'describe': no server answers \(recvmsg:Connection reset by peer\)"
    with connect(address, timeout=1) as model, pytest.raises(ServerUnavailableError, match=said):
        model.predict([IMAGE])
    assert len(service.features()) < 10  # with pauses


def test_the_first_lost_answer_is_told_and_not_how_little_time_was_left(service: FakeService, address: str) -> None:
    asked = []

    def lose_then_hang(request, context) -> None:
        if request.model_spec.HasField("version"):
            asked.append(request)
            if len(asked) == 1:
                context.abort(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer")
            time.sleep(1)

    service.before, service.older = lose_then_hang, True
    with connect(address, timeout=1) as model, pytest.raises(ServerUnavailableError, match="Connection reset by peer"):
        model.predict([IMAGE])
    assert len(asked) > 1


def test_the_server_that_refuses_is_named(service: FakeService, address: str) -> None:
    second = FakeService()
    second.before = times(99, grpc.StatusCode.RESOURCE_EXHAUSTED, "Sent message larger than max (8 vs. 4)")
    with running(second) as other, connect([address, other], batch_size=1, in_flight=1) as model:
        with pytest.raises(ModelError, match=r"one image of \[32, 48, 3\] is too large") as caught:
            model.predict([IMAGE, IMAGE])
        assert str(caught.value).startswith(other)


def test_behind_one_name(service: FakeService, address: str) -> None:
    second = FakeService()
    with running(second) as other, connect(f"ipv4:{address},{other}", batch_size=1, in_flight=1) as model:

        def both() -> bool:
            check_all(model.predict(IMAGES), IMAGES)
            return bool(service.features() and second.features())

        until(both)
        service.requests.clear()
        second.requests.clear()
        check_all(model.predict(IMAGES), IMAGES)
        assert [len(service.features()), len(second.features())] == [3, 3]  # they take turns


@pytest.mark.parametrize("older", [False, True])
def test_a_version_that_is_rolled_out_behind_one_name(service: FakeService, address: str, older: bool) -> None:
    """Where a server must be asked which model version 2 is, it is the other one, which still has version 1."""
    second = FakeService()
    service.strict = second.strict = True
    service.older = second.older = older
    with running(second) as other, connect(f"ipv4:{address},{other}", timeout=20, batch_size=1, in_flight=1) as model:
        # Taking turns, one has all images and the other all questions, where there are questions.
        until(lambda: bool(model.predict([IMAGE]) and service.requests and second.requests))
        service.version = 2
        for _ in range(4):
            check_all(model.predict(IMAGES), IMAGES)
        second.version = 2
        check_all(model.predict(IMAGES), IMAGES)


def test_a_version_that_takes_its_time_to_come_everywhere(service: FakeService, address: str) -> None:
    """Until the request's deadline, with pauses that grow."""
    refusals, refused = 4.0 * MOST_REPLICAS, 0  # At each attempt it is asked as often as there may be servers.

    def not_yet(request, context) -> None:
        nonlocal refused
        if request.model_spec.version.value == 2 and refused < refusals:
            refused += 1
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(fcn8s, 2)")

    with connect(address, timeout=20) as model:
        model.predict([IMAGE])
        service.version, service.before, service.older = 2, not_yet, True
        start = time.monotonic()
        check_all(model.predict([IMAGE]), [IMAGE])
        assert len(service.features()) == 1 + 4 + 1  # of version 1, those whose model is not there yet, and the last
        assert time.monotonic() - start > (0.1 + 0.2 + 0.4 + 0.8) / 2  # a random factor halves a pause at most
        refusals = float("inf")
    with connect(address, timeout=1) as model, pytest.raises(ModelError, match=r"not served .*Specific\(fcn8s, 2\)"):
        model.predict([IMAGE])


def test_tasks_side_by_side() -> None:
    release, order = threading.Event(), []

    def fail() -> None:
        order.append("fails")
        raise ValueError("1")

    def slow() -> None:
        order.append("waits")
        release.wait(20)

    start = time.monotonic()
    found = side_by_side([fail, slow, lambda: order.append("ends")], 10, 0.2)
    assert time.monotonic() - start < 5  # the first one's end ended its head start
    assert order[0] == "fails"
    assert sorted(found) == [0, 2]  # the second one is not waited for
    assert str(found[0]) == "1"
    assert found[2] is None
    start = time.monotonic()
    assert side_by_side([slow, lambda: None], 0.2, 0.2) == {1: None}
    assert 0.4 <= time.monotonic() - start < 5
    release.set()
