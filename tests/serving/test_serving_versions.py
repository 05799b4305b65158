"""The embedded server over time: versions that come, go, are damaged or half copied; calls beyond the bound."""

from __future__ import annotations

import gc
import shutil
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from serving_live import embedded, publish
from serving_toy import export_toy, random_image, toy_conv5_3

from rsir_tf.errors import ArtifactError, InputError, MismatchError, ModelError
from rsir_tf.serving import connect
from rsir_tf.serving.client.channel import open_channel
from rsir_tf.serving.client.inspection import inspect_server, model_versions
from rsir_tf.serving.messages import ModelSpec, PredictionServiceStub, PredictRequest
from rsir_tf.serving.server.embedded import EmbeddedServer
from rsir_tf.serving.server.servable import Servable
from rsir_tf.serving.server.versions import Versions
from rsir_tf.serving.tensors import encode_images

IMAGE = random_image(32, 32)


@pytest.fixture
def base(toy_base: Path, tmp_path: Path) -> Path:
    """A copy of the toy's folder, to be changed."""
    return Path(shutil.copytree(toy_base, tmp_path / "toy"))


@pytest.fixture
def server(base: Path) -> Iterator[EmbeddedServer]:
    with embedded(base, poll_seconds=0.05) as server:
        yield server


@pytest.fixture(scope="module")
def second_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model."""
    return export_toy(tmp_path_factory.mktemp("second"), model_id="toy-2", scale=2)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "not within 20 s"
        time.sleep(0.02)


def states(server: EmbeddedServer) -> dict[int, str]:
    return {status.version: status.state for status in model_versions(server.address, model_name="toy")}


def test_newest_version_replaces_the_old(server: EmbeddedServer, base: Path, second_version: Path) -> None:
    with connect(server.address, model_name="toy") as old:
        assert old.describe().model_id == "toy-1"
        publish(second_version, base, 2)
        until(lambda: states(server) == {2: "AVAILABLE", 1: "END"})
        with connect(server.address, model_name="toy") as new:
            assert new.describe().model_id == "toy-2"
            np.testing.assert_allclose(new.predict([IMAGE])[0].conv5_3, toy_conv5_3(IMAGE, scale=2), atol=1e-5)
        with pytest.raises(MismatchError, match="holds model toy-2; wanted model toy-1"):
            old.predict([IMAGE])
    with connect(server.address, model_name="toy", version=1) as gone, pytest.raises(ModelError, match=r"toy, 1\)"):
        gone.describe()
    shutil.rmtree(base / "2")  # rolls back
    until(lambda: states(server)[1] == "AVAILABLE")
    with connect(server.address, model_name="toy") as old:
        assert old.describe().model_id == "toy-1"


def test_damaged_version_leaves_the_old_serving(server: EmbeddedServer, base: Path) -> None:
    (base / "2").mkdir()
    (base / "2" / "saved_model.pb").write_bytes(b"not a model")
    until(lambda: states(server).get(2) == "END")
    assert states(server) == {2: "END", 1: "AVAILABLE"}
    assert "damaged" in model_versions(server.address, model_name="toy")[0].error
    with connect(server.address, model_name="toy") as model:
        model.predict([IMAGE])


def test_half_copied_version_is_tried_again(server: EmbeddedServer, base: Path) -> None:
    shutil.copytree(base / "1", base / "2", ignore=shutil.ignore_patterns("variables.data*"))
    until(lambda: states(server).get(2) == "END")
    shutil.copytree(base / "1", base / "2", dirs_exist_ok=True)
    until(lambda: states(server) == {2: "AVAILABLE", 1: "END"})


def test_base_that_is_away_for_a_moment(server: EmbeddedServer, base: Path) -> None:
    base.rename(base.with_name("away"))
    time.sleep(0.2)
    assert states(server) == {1: "AVAILABLE"}
    with connect(server.address, model_name="toy") as model:
        model.predict([IMAGE])


def test_calls_beyond_the_bound(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real_run = Servable.run

    def slow_run(self, signature, inputs, output_filter):
        if signature == "features":
            release.wait(20)
        return real_run(self, signature, inputs, output_filter)

    monkeypatch.setattr(Servable, "run", slow_run)
    request = PredictRequest()
    request.model_spec.name = "toy"
    request.model_spec.signature_name = "features"
    request.MergeFromString(b"".join(encode_images("images", [IMAGE])))
    with embedded(base, max_calls=2) as server, open_channel(server.address, None) as channel:
        stub = PredictionServiceStub(channel)
        held = [stub.Predict.future(request, timeout=20) for _ in range(2)]
        time.sleep(0.2)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request, timeout=20)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert states(server) == {1: "AVAILABLE"}  # it says how it is, however busy
        with connect(server.address, model_name="toy") as model:  # the client waits and comes through
            threading.Timer(0.3, release.set).start()
            assert len(model.predict([IMAGE] * 40)) == 40
        assert all(future.result().outputs for future in held)


def test_what_is_gone_from_the_disk_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither states nor weights pile up; a loaded model that refers to itself is freed at once."""

    class Circular:
        def __init__(self, folder: Path) -> None:
            if folder.name == "2":
                raise ValueError("damaged")
            self.itself = self

    monkeypatch.setattr("rsir_tf.serving.server.versions.Servable", Circular)
    versions = Versions(tmp_path, "toy")
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        versions.poll()
    first = weakref.ref(versions.find(ModelSpec(name="toy"))[1])
    assert {number: state.code for number, state in versions.states().items()} == {1: 0, 2: 13}  # INTERNAL
    (tmp_path / "3").mkdir()
    gc.disable()
    try:
        versions.poll()
        assert first() is None
    finally:
        gc.enable()
    assert list(versions.states()) == [1, 2, 3]
    for number in (1, 2):
        (tmp_path / str(number)).rmdir()
    versions.poll()
    assert list(versions.states()) == [3]
    (tmp_path / "2").mkdir()  # another of that number: nothing says any more that it is damaged
    shutil.rmtree(tmp_path / "3")
    versions.poll()
    assert 2 in versions.states()


def test_looking_for_versions_goes_on_after_anything(base: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    real_poll, failures = Versions.poll, []

    def poll(self) -> None:
        if threading.current_thread().name == "rsir_tf_versions" and len(failures) < 2:
            failures.append([OSError("disk away"), ValueError("anything")][len(failures)])
            raise failures[-1]
        real_poll(self)

    monkeypatch.setattr(Versions, "poll", poll)
    with embedded(base, poll_seconds=0.02) as server:
        until(lambda: len(failures) == 2)
        publish(base / "1", base, 2)
        until(lambda: states(server).get(2) == "AVAILABLE")
    assert [record.exc_info[1] for record in caplog.records if record.name == "rsir_tf"] == failures[1:]


def test_a_folder_whose_number_no_server_can_hold(server: EmbeddedServer, base: Path) -> None:
    (base / ("9" * 20)).mkdir()
    publish(base / "1", base, 2)
    until(lambda: states(server) == {2: "AVAILABLE", 1: "END"})


def test_inspection(server: EmbeddedServer) -> None:
    report = inspect_server(server.address, model_name="toy")
    assert [(status.version, status.state, status.error) for status in report.versions] == [(1, "AVAILABLE", "")]
    assert sorted(report.signatures) == ["describe", "features", "identify", "serving_default"]
    images = report.signatures["features"].inputs["images"]
    assert (images.dtype, images.shape) == ("uint8", (-1, -1, -1, 3))
    assert report.signatures["features"].outputs["conv5_3"].dtype == "float32"
    assert report.signatures["describe"].inputs == {}
    assert report.description is not None
    assert report.description.class_names == ("red", "green", "blue")
    with pytest.raises(ModelError, match="Could not find any versions of model nope"):
        inspect_server(server.address, model_name="nope")


def test_nothing_to_serve(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no numbered version"):
        EmbeddedServer(tmp_path, port=0).start()
    (tmp_path / "3").mkdir()
    with pytest.raises(ArtifactError, match="/3: cannot be loaded"):
        EmbeddedServer(tmp_path, port=0).start()


def test_port_taken(base: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}: cannot be listened on"):
            EmbeddedServer(base, port=port).start()


def test_two_embedded_servers_do_not_share_a_port(server: EmbeddedServer, base: Path) -> None:
    with pytest.raises(InputError, match="cannot be listened on"):
        EmbeddedServer(base, port=server.port).start()


def test_stop_lets_calls_finish_and_frees_the_port(base: Path) -> None:
    """A client at work meets its end and the next server at the port, and loses nothing."""
    server = EmbeddedServer(base, port=0).start()
    assert not server.wait(0)
    images = [random_image(32, 32, seed=seed) for seed in range(64)]
    with connect(server.address, model_name="toy", timeout=60, batch_size=1) as model:
        stream = model.predict_stream(iter(images))
        answered = [next(stream)]
        server.stop()
        server.stop()
        assert server.wait(0)
        with EmbeddedServer(base, port=server.port):
            answered.extend(stream)
    assert len(answered) == len(images)
    for prediction, image in zip(answered, images, strict=True):
        np.testing.assert_allclose(prediction.conv5_3, toy_conv5_3(image), atol=1e-5)
