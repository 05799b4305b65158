"""The client against a server at work: versions that are swapped, labels, more calls than it takes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from serving_live import Live, publish
from serving_toy import random_image, toy_conv5_3

from rsir_tf.errors import ModelError
from rsir_tf.serving import connect
from rsir_tf.serving.client.channel import open_channel
from rsir_tf.serving.client.inspection import model_versions
from rsir_tf.serving.messages import PredictionServiceStub, PredictRequest
from rsir_tf.serving.tensors import encode_images

IMAGE = random_image(32, 32)
THREADS = 8


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "not within 60 s"
        time.sleep(0.05)


def states(live: Live) -> list[tuple[str, int]]:
    return [(status.state, status.version) for status in model_versions(live.address, model_name=live.name)]


def available(live: Live) -> list[int]:
    return sorted(version for state, version in states(live) if state == "AVAILABLE")


def test_no_request_fails_while_versions_come_and_go(swapped: Live) -> None:
    until(lambda: available(swapped) == [1])
    stop = False

    def ask() -> int:
        answered = 0
        while not stop:
            np.testing.assert_allclose(model.predict([IMAGE])[0].conv5_3, toy_conv5_3(IMAGE), atol=1e-5)
            answered += 1
        return answered

    with connect(swapped.address, model_name=swapped.name, timeout=60) as model, ThreadPoolExecutor(THREADS) as threads:
        asking = [threads.submit(ask) for _ in range(THREADS)]
        try:
            for number in (2, 3):
                publish(swapped.base / "1", swapped.base, number)
                until(lambda number=number: available(swapped) == [number])
            shutil.rmtree(swapped.base / "3")  # rolls back
            until(lambda: available(swapped) == [2])
            (swapped.base / "4").mkdir()
            (swapped.base / "4" / "saved_model.pb").write_bytes(b"not a model")
            until(lambda: ("END", 4) in states(swapped))
            assert available(swapped) == [2]
        finally:
            stop = True
        assert all(future.result() > 0 for future in asking)


def test_labels_and_versions(labelled: Live) -> None:
    asked = [({"label": "stable"}, "toy-1"), ({"label": "canary"}, "toy-2"), ({"version": 1}, "toy-1"), ({}, "toy-2")]
    for options, wanted in asked:
        with connect(labelled.address, model_name=labelled.name, timeout=60, **options) as model:
            assert model.describe().model_id == wanted
            scale = {"toy-1": 1.0, "toy-2": 2.0}[wanted]
            np.testing.assert_allclose(model.predict([IMAGE])[0].conv5_3, toy_conv5_3(IMAGE, scale), atol=1e-5)
    with (
        connect(labelled.address, model_name=labelled.name, label="old") as model,
        pytest.raises(ModelError, match=r"version 'old'.*Unrecognized servable version label: old"),
    ):
        model.describe()


def test_more_calls_than_the_server_takes(overloaded: Live, external_server: str | None) -> None:
    request = PredictRequest()
    request.model_spec.name = overloaded.name
    request.model_spec.signature_name = "features"
    request.MergeFromString(b"".join(encode_images("images", [random_image(512, 512)])))
    with open_channel(overloaded.address, None) as channel:
        asked = [PredictionServiceStub(channel).Predict.future(request, timeout=120) for _ in range(64)]
        refused = [future for future in asked if future.exception() is not None]
    assert {future.code() for future in refused} <= {grpc.StatusCode.RESOURCE_EXHAUSTED}
    if external_server is not None and not refused:
        pytest.skip("this server takes 64 calls at a time: start it with --grpc_max_threads=4 to see it refuse")
    assert refused
    images = [random_image(64, 64, seed=seed) for seed in range(200)]
    with connect(overloaded.address, model_name=overloaded.name, timeout=120, batch_size=1, in_flight=32) as model:
        for image, prediction in zip(images, model.predict(images), strict=True):
            np.testing.assert_allclose(prediction.conv5_3, toy_conv5_3(image), atol=1e-5)
