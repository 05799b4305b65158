"""Exports that are missing, damaged or not this package's; engines and their command lines."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from serving_toy import export_toy, random_image

from rsir_tf.errors import ArtifactError, InputError, ModelError
from rsir_tf.serving import TLS, connect, engines, load
from rsir_tf.serving.embedded import EmbeddedServer
from rsir_tf.serving.engines import check_port, check_servable, choose_engine, engine_command
from rsir_tf.serving.exports import find_export, list_versions
from rsir_tf.serving.launching import EngineProcess, StoppedError, start_server


def test_versions_are_numbers_in_order(tmp_path: Path) -> None:
    for name in ["2", "10", "9", "x", "1.5", "-3", ".10.part", "٣", str(1 << 63), "9" * 20]:
        (tmp_path / name).mkdir()
    (tmp_path / "11").touch()
    assert list_versions(tmp_path) == [2, 9, 10]
    (tmp_path / str((1 << 63) - 1)).mkdir()  # the largest that a server's int64 holds
    assert list_versions(tmp_path) == [2, 9, 10, (1 << 63) - 1]
    assert list_versions(tmp_path / "nothing") == []


def test_find_export(toy_base: Path, tmp_path: Path) -> None:
    assert find_export(toy_base) == toy_base / "1"
    assert find_export(toy_base / "1") == toy_base / "1"
    with pytest.raises(ArtifactError, match=r"no such folder.*rsir-tf export"):
        find_export(tmp_path / "nothing")
    with pytest.raises(ArtifactError, match="holds no numbered version"):
        find_export(tmp_path)
    (tmp_path / "1").mkdir()
    with pytest.raises(ArtifactError, match=r"holds no saved_model\.pb"):
        find_export(tmp_path)


def test_damaged_export(toy_base: Path, tmp_path: Path) -> None:
    base = Path(shutil.copytree(toy_base, tmp_path / "toy"))
    assert check_servable(base) == 1
    (base / "1" / "variables" / "variables.index").unlink()
    with pytest.raises(ArtifactError, match="holds no weights"):
        check_servable(base)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(base)
    (base / "1" / "saved_model.pb").write_bytes(b"\xff" * 100)
    with pytest.raises(ArtifactError, match="damaged or cut off"):
        check_servable(base)
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(base)
    with pytest.raises(ArtifactError, match="is one version of a model"):
        check_servable(toy_base / "1")


@pytest.mark.parametrize("missing", ["features", "describe"])
def test_missing_signature(tmp_path: Path, missing: str) -> None:
    base = tmp_path / "toy"
    base.mkdir()
    kept = tuple(name for name in ("serving_default", "features", "describe") if name != missing)
    export_toy(base, signatures=kept)
    for use in (check_servable, load):
        with pytest.raises(ModelError, match=rf"lacks the signature '{missing}'.*rsir-tf export"):
            use(base)
    with (
        EmbeddedServer(base, port=0) as server,
        connect(server.address, model_name="toy") as model,
        pytest.raises(ModelError, match=rf"signature '{missing}': .*lacks th.*signature.*rsir-tf export"),
    ):
        model.describe()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("nan", "holds NaN or infinity"),
        ("half", r"'conv5_3' is (float16|half)"),
        ("small", r"'conv5_3' is float32 \[1, 1, 2, 512\]; wanted float32 \[1, 2, 2, 512\]"),
        ("class", "holds class 9; wanted 0 to 2"),
    ],
)
def test_both_ways_refuse_a_wrong_model(tmp_path: Path, wrong: str, said: str) -> None:
    base = tmp_path / "toy"
    base.mkdir()
    export_toy(base, features=wrong)
    with load(base) as model, pytest.raises(ModelError, match=said):
        model.predict([random_image(32, 32)])
    with (
        EmbeddedServer(base, port=0) as server,
        connect(server.address, model_name="toy") as model,
        pytest.raises(ModelError, match=said),
    ):
        model.predict([random_image(32, 32)])


def program(folder: Path, name: str, code: int) -> None:
    """Put a program on PATH that ends with `code`."""
    file = folder / name
    file.write_text(f"#!/bin/sh\nexit {code}\n")
    file.chmod(0o755)


def test_engine_is_chosen_by_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_engine() == "embedded"
    program(tmp_path, "docker", 1)  # a client without an engine
    assert choose_engine() == "embedded"
    program(tmp_path, "docker", 0)
    assert choose_engine() == "docker"
    program(tmp_path, "tensorflow_model_server", 0)
    assert choose_engine() == "tensorflow_model_server"


def test_command_lines(tmp_path: Path) -> None:
    def command(engine: engines.Engine, host: str = "127.0.0.1") -> list[str]:
        return engine_command(engine, tmp_path, name="fcn8s", host=host, port=9000)

    assert command("tensorflow_model_server") == [
        "tensorflow_model_server",
        "--port=9000",
        "--model_name=fcn8s",
        f"--model_base_path={tmp_path}",
        "--max_num_load_retries=0",
    ]
    docker = command("docker")
    assert docker[:3] == ["docker", "run", "--rm"]
    assert "127.0.0.1:9000:8500" in docker
    assert f"type=bind,source={tmp_path},target=/models/fcn8s,readonly" in docker
    assert docker[docker.index("tensorflow/serving") :] == ["tensorflow/serving", "--max_num_load_retries=0"]
    assert "[::1]:9000:8500" in command("docker", "::1")
    assert command("embedded")[:3] == ["rsir-tf", "serve", str(tmp_path)]


def test_command_lines_with_encryption(tmp_path: Path) -> None:
    def command(engine: engines.Engine) -> list[str]:
        tls = TLS(certificate=Path("a.pem"), key=Path("a.key"), ca=Path("ca.pem"))
        file = tmp_path / "ssl.config"
        return engine_command(engine, tmp_path, name="fcn8s", host="127.0.0.1", port=9000, tls=tls, ssl_config=file)

    assert command("tensorflow_model_server")[-1] == f"--ssl_config_file={tmp_path}/ssl.config"
    docker = command("docker")
    assert f"type=bind,source={tmp_path}/ssl.config,target=/config/ssl.config,readonly" in docker
    assert docker[-1] == "--ssl_config_file=/config/ssl.config"
    given = ["--tls-certificate", "a.pem", "--tls-key", "a.key", "--tls-ca", "ca.pem"]
    assert command("embedded")[-6:] == given


def test_port_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=rf"127.0.0.1:{port}: cannot be listened on \(Address already in use\)"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)
    with pytest.raises(InputError, match="cannot be listened on"):
        check_port("127.0.0.1", 70000)
    with pytest.raises(InputError, match="cannot be listened on"):
        check_port("192.0.2.1", 8500)  # an address of nobody's (RFC 5737)


def test_start_embedded(toy_base: Path) -> None:
    server = start_server(toy_base, engine="embedded", port=free_port())
    try:
        with connect(server.address, model_name="toy") as model:
            assert model.describe().model_id == "toy-1"
    finally:
        server.stop()
    assert server.wait(1)


SERVE = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc
from serving_fake import FakeService
from rsir_tf.serving.messages import *
from rsir_tf.serving.services import ModelService
from rsir_tf.serving.versions import VersionState
class Versions:
    asked = 0
    def states(self, name):
        self.asked += 1
        return {1: VersionState(ModelVersionStatus.AVAILABLE if self.asked > 2 else ModelVersionStatus.LOADING)}
server = grpc.server(ThreadPoolExecutor(4))
add_PredictionServiceServicer_to_server(FakeService(), server)
add_ModelServiceServicer_to_server(ModelService(Versions()), server)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
"""


def test_start_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says LOADING twice stands for TensorFlow Serving."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    port = free_port()
    server = EngineProcess([sys.executable, "-c", SERVE, str(port)], name="toy", host="127.0.0.1", port=port)
    server.start(60, threading.Event())
    try:
        assert server.address == f"127.0.0.1:{port}"
        assert not server.wait(0)
        with connect(server.address, model_name="toy") as model:
            assert model.describe().model_id == "toy-1"
    finally:
        server.stop()
    assert server.wait(0)


def test_a_process_that_ends_or_is_not_there() -> None:
    ends = EngineProcess([sys.executable, "-c", ""], name="toy", host="127.0.0.1", port=free_port())
    with pytest.raises(ModelError, match="the server ended before it served model 'toy'"):
        ends.start(20, threading.Event())
    absent = EngineProcess(["rsir_tf_no_such_program"], name="toy", host="127.0.0.1", port=free_port())
    with pytest.raises(ModelError, match="cannot be started"):
        absent.start(20, threading.Event())


def test_starting_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    port, stopping = free_port(), threading.Event()
    line = [sys.executable, "-c", SERVE.replace("self.asked > 2", "False"), str(port)]  # loads for ever
    server = EngineProcess(line, name="toy", host="127.0.0.1", port=port)
    threading.Timer(1, stopping.set).start()
    with pytest.raises(StoppedError, match="told to stop before it served model 'toy'"):
        server.start(120, stopping)
    assert server.wait(0)


DOCKER = """\
#!/bin/sh
echo "$1 $2" >> {log}
case $1 in
    image) exit {held} ;;
    pull) {pull} ;;
    run) exit 3 ;;
esac
"""


@pytest.mark.parametrize(
    ("held", "pull", "said", "asked"),
    [
        (1, "exit 0", "the server ended", ["image inspect", "pull tensorflow/serving", "run --rm"]),
        (1, "exit 5", r"cannot fetch this image \(exit code 5\)", ["image inspect", "pull tensorflow/serving"]),
        (0, "exit 5", "the server ended", ["image inspect", "run --rm"]),
    ],
)
def test_the_image_is_fetched_before_the_time_counts(
    toy_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, pull: str, said: str, asked: list[str]
) -> None:
    docker(tmp_path, monkeypatch, held, pull)
    with pytest.raises(ModelError, match=said):
        start_server(toy_base, engine="docker", port=free_port(), timeout=20)
    assert (tmp_path / "log").read_text().splitlines() == asked


def test_fetching_the_image_can_be_stopped(toy_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker(tmp_path, monkeypatch, 1, "exec sleep 120")
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    start = time.monotonic()
    with pytest.raises(StoppedError):
        start_server(toy_base, engine="docker", port=free_port(), stopping=stopping)
    assert time.monotonic() - start < 60


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, held: int, pull: str) -> None:
    file = folder / "docker"
    file.write_text(DOCKER.format(log=folder / "log", held=held, pull=pull))
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
