"""Which model answers: restarts, swaps, other models behind the same address, servers that batch."""

from __future__ import annotations

import time

import grpc
import pytest
from serving_fake import IMAGE, FakeService, check_all, free_port, running, times, until
from serving_toy import CLASSES

from rsir_tf.errors import MismatchError, ModelError
from rsir_tf.serving import connect
from rsir_tf.serving.client.servers import WATCH_SECONDS, Server


def test_notices_another_model(service: FakeService, address: str) -> None:
    with connect(address) as model:
        model.predict([IMAGE])
        service.version = 2  # the same model, published again
        check_all(model.predict([IMAGE]), [IMAGE])
        service.version, service.model_id = 3, "toy-2"
        with pytest.raises(MismatchError, match=r"holds model toy-2; wanted model toy-1"):
            model.predict([IMAGE])


def test_version_that_is_unloaded_while_in_use(service: FakeService, address: str) -> None:
    details = "Servable not found for request: Specific(fcn8s, 1)"
    with connect(address, version=1) as model:
        model.predict([IMAGE])
        service.before = times(99, grpc.StatusCode.NOT_FOUND, details)
        with pytest.raises(ModelError, match=r"version 1.*not served.*rsir-tf info"):
            model.predict([IMAGE])


def test_swap_between_answer_and_question(service: FakeService, address: str) -> None:
    def swapped(request, context) -> None:
        if request.model_spec.version.value == 2:  # who are you, version 2? - already replaced
            service.version = 3
            context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(fcn8s, 2)")

    with connect(address) as model:
        model.predict([IMAGE])
        service.version, service.before = 2, swapped
        check_all(model.predict([IMAGE]), [IMAGE])
        assert len(service.features()) == 3  # once, then in vain by version 2, then by version 3


def test_notices_another_model_after_a_restart(service: FakeService, address: str) -> None:
    with connect(address) as model:
        model.predict([IMAGE])
        # Under the same version number; that the connection broke is all that can be seen of it.
        service.before = times(1, grpc.StatusCode.UNAVAILABLE)
        service.model_id = "toy-2"
        with pytest.raises(MismatchError, match=r"holds model toy-2; wanted model toy-1"):
            model.predict([IMAGE])


def test_a_server_that_comes_back_as_another_while_nothing_is_in_flight(service: FakeService) -> None:
    port = free_port()
    with running(service, port) as address:
        model = connect(address)
        model.predict([IMAGE])
        model.predict([IMAGE])  # watched from here on
        (server,) = model._servers
        until(lambda: server._ready)
        assert server.generation == 0
    other = FakeService()
    other.model_id = "toy-2"
    try:
        until(lambda: server.generation == 1)  # noticed without a call
        with running(other, port), pytest.raises(MismatchError, match=r"holds model toy-2; wanted model toy-1"):
            model.predict([IMAGE])
    finally:
        model.close()


def test_what_another_thread_learned_too_late_is_not_used(service: FakeService, address: str) -> None:
    """Version 1 answers, is asked who it is, and its server is replaced before that answer is in."""
    replaced = []

    def replace(request, context) -> None:
        if request.model_spec.signature_name == "describe" and service.version == 2 and not replaced:
            replaced.append(True)
            model._servers[0].forget()  # as when the connection breaks in between

    with connect(address) as model:
        model.predict([IMAGE])
        service.version, service.before = 2, replace
        check_all(model.predict([IMAGE]), [IMAGE])
        answers = [request.model_spec.signature_name for request in service.requests]
        # The second answer was thrown away with what was learned of it, and asked for again.
        assert answers == [
            "describe", "features", "describe",  # asked before and after, as nothing watches the connection yet
            "features", "describe",
            "features", "describe",
        ]  # fmt: skip


def test_generations() -> None:
    with grpc.insecure_channel("localhost:1") as channel:
        check_generations(Server("localhost:1", channel))


def check_generations(server: Server) -> None:
    assert server.about_to_ask() == 0
    assert server.admit(1, 0)
    assert not server.knows(1, 0)  # nothing watches yet
    assert server.about_to_ask() == 0
    assert server.admit(1, 0)
    assert server.knows(1, 0)
    server.forget()
    assert not server.knows(1, 0)
    assert not server.admit(1, 0)  # learned before, told after
    assert not server.knows(1, 1)
    for state, generation in [("IDLE", 1), ("READY", 1), ("READY", 1), ("TRANSIENT_FAILURE", 2), ("IDLE", 2)]:
        server._changed(grpc.ChannelConnectivity[state])
        assert server.generation == generation
    assert server.unwatch()
    assert not server.unwatch()
    time.sleep(WATCH_SECONDS)


def test_a_server_that_batches_is_asked_with_an_image(service: FakeService, address: str) -> None:
    service.batching = True
    with connect(address) as model:
        assert model.describe().class_names == CLASSES
        check_all(model.predict([IMAGE]), [IMAGE])
    asked = [
        request.inputs["images"] for request in service.requests if request.model_spec.signature_name == "identify"
    ]
    assert asked
    assert all([side.size for side in images.tensor_shape.dim] == [1, 16, 16, 3] for images in asked)


def test_a_server_that_batches_an_older_export(service: FakeService, address: str) -> None:
    service.batching = True
    service.signatures = ("serving_default", "describe", "features")
    said = r"signature 'identify': the server batches requests.*export it again.*or turn batching off"
    with connect(address) as model, pytest.raises(ModelError, match=said):
        model.predict([IMAGE])
    assert service.features() == []
