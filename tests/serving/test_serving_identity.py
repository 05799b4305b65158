"""Which model answers: restarts, swaps, other models behind the same address, servers that batch.

`older` exports' answers do not say which model gave them: the server is asked after each.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from serving_fake import IMAGE, FakeService, check_all, free_port, running, times
from serving_live import embedded
from serving_toy import CLASSES, export_toy, random_image

from rsir_tf.errors import MismatchError, ModelError
from rsir_tf.serving import connect
from rsir_tf.serving.server.servable import Servable
from rsir_tf.serving.server.services import PredictionService
from rsir_tf.serving.tensors import encode_reply

each_kind = pytest.mark.parametrize("older", [False, True], ids=["tells", "older"])
TWO_MODELS = "holds model toy-2; wanted model toy-1, as answered before"


@each_kind
def test_notices_another_model(service: FakeService, address: str, older: bool) -> None:
    service.older = older
    with connect(address) as model:
        model.predict([IMAGE])
        service.version = 2  # the same model, published again
        check_all(model.predict([IMAGE]), [IMAGE])
        service.version, service.model_id = 3, "toy-2"
        with pytest.raises(MismatchError, match=rf"version 3\), signature 'features': {TWO_MODELS}"):
            model.predict([IMAGE])


def test_answers_that_say_who_gave_them_need_no_question(service: FakeService, address: str) -> None:
    """Neither when a version takes another's place, nor when the server has restarted."""
    with connect(address) as model:
        model.predict([IMAGE])
        service.version = 2
        service.before = times(1, grpc.StatusCode.UNAVAILABLE)
        for _ in range(2):
            check_all(model.predict([IMAGE]), [IMAGE])
        assert service.signatures_asked() == ["describe", *["features"] * 4]


def test_an_older_export_that_takes_the_place_of_a_younger_one(service: FakeService, address: str) -> None:
    with connect(address) as model:
        model.predict([IMAGE])
        service.version, service.older = 2, True
        check_all(model.predict([IMAGE]), [IMAGE])
        service.model_id = "toy-2"
        with pytest.raises(MismatchError, match=TWO_MODELS):
            model.predict([IMAGE])


def test_an_answer_of_two_models(service: FakeService, address: str) -> None:
    both = np.array([b"toy-1", b"toy-2"], dtype=object)
    service.change = lambda response: response.outputs["model_id"].CopyFrom(encode_reply(both))
    with connect(address) as model, pytest.raises(MismatchError, match=TWO_MODELS):
        model.predict([IMAGE] * 2)


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

    service.older = True
    with connect(address) as model:
        model.predict([IMAGE])
        service.version, service.before = 2, swapped
        check_all(model.predict([IMAGE]), [IMAGE])
        assert len(service.features()) == 3  # once, then in vain by version 2, then by version 3


def test_a_connection_that_breaks_between_answer_and_question(service: FakeService, address: str) -> None:
    """The server may come back with another model, and that one did not give the answer: it is asked for again."""
    left = [1]

    def breaks(request, context) -> None:
        if request.model_spec.signature_name == "describe" and left.pop():
            left.append(0)
            service.model_id = "toy-2"
            context.abort(grpc.StatusCode.UNAVAILABLE, "recvmsg:Connection reset by peer")

    service.older = True
    with connect(address) as model:
        model.describe()
        service.before = breaks
        with pytest.raises(MismatchError, match=TWO_MODELS):
            model.predict([IMAGE])
        assert len(service.features()) == 2


@each_kind
def test_notices_another_model_after_a_restart(service: FakeService, address: str, older: bool) -> None:
    service.older = older
    with connect(address) as model:
        model.predict([IMAGE])
        # Under the same version number; that the connection broke is all that can be seen of it.
        service.before = times(1, grpc.StatusCode.UNAVAILABLE)
        service.model_id = "toy-2"
        with pytest.raises(MismatchError, match=TWO_MODELS):
            model.predict([IMAGE])


@each_kind
def test_a_server_that_comes_back_as_another_while_nothing_is_in_flight(service: FakeService, older: bool) -> None:
    port = free_port()
    service.older = older
    with running(service, port) as address:
        model = connect(address)
        model.predict([IMAGE])
    other = FakeService()
    other.model_id, other.older = "toy-2", older
    try:
        with running(other, port), pytest.raises(MismatchError, match=TWO_MODELS):
            model.predict([IMAGE])
    finally:
        model.close()


@each_kind
def test_connections_that_are_closed_gracefully_cost_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    """However often the server asks its clients to connect anew, each image is computed once."""
    real_run, real_predict = Servable.run, PredictionService.Predict
    counting, asked, peers = threading.Lock(), [], set()

    def run(self, signature, inputs, output_filter):
        with counting:
            asked.append(signature)
        if signature == "features":
            time.sleep(0.03)
        return real_run(self, signature, inputs, output_filter)

    def predict(self, request, context):
        peers.add(context.peer())
        return real_predict(self, request, context)

    monkeypatch.setattr(Servable, "run", run)
    monkeypatch.setattr(PredictionService, "Predict", predict)
    base = tmp_path / "toy"
    base.mkdir()
    export_toy(base, features="older" if older else "right")
    images = [random_image(32, 32, seed=seed) for seed in range(80)]
    with (
        embedded(base, max_connection_seconds=0.2) as server,
        connect(server.address, model_name="toy", batch_size=1) as model,
    ):
        check_all(model.predict(images), images)
    assert len(peers) > 3
    if older:  # a question that meets the end of its connection leaves its answer in doubt
        assert len(images) <= asked.count("features") < 1.2 * len(images)
    else:
        assert (asked.count("features"), asked.count("describe")) == (len(images), 1)


@each_kind
def test_a_server_that_batches_is_asked_with_an_image(service: FakeService, address: str, older: bool) -> None:
    service.batching, service.older = True, older
    with connect(address) as model:
        assert model.describe().class_names == CLASSES
        check_all(model.predict([IMAGE]), [IMAGE])
    asked = [
        request.inputs["images"] for request in service.requests if request.model_spec.signature_name == "identify"
    ]
    assert asked
    assert all([side.size for side in images.tensor_shape.dim] == [1, 16, 16, 3] for images in asked)


def test_a_server_that_batches_an_export_without_identify(service: FakeService, address: str) -> None:
    service.batching = True
    service.signatures = ("serving_default", "describe", "features")
    said = r"signature 'identify': the server batches requests.*export it again.*or turn batching off"
    with connect(address) as model, pytest.raises(ModelError, match=said):
        model.predict([IMAGE])
    assert service.features() == []
