"""Engines: which there are, their command lines, and processes that start, fail, end and are stopped."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from rsir_tf.errors import InputError, ModelError
from rsir_tf.serving import TLS, connect
from rsir_tf.serving.server import engines, processes
from rsir_tf.serving.server.engines import check_port, choose_engine, engine_command, exposure
from rsir_tf.serving.server.launching import start_server, wait_until_told
from rsir_tf.serving.server.processes import EngineProcess, StoppedError


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
    assert docker[:4] == ["docker", "run", "--rm", "--init"]
    assert "127.0.0.1:9000:8500" in docker
    assert "127.0.0.1:9000:8500" in command("docker", "localhost")  # Docker publishes on addresses only
    with pytest.raises(InputError, match=r"no\.such\.host\.invalid: is not an address"):
        command("docker", "no.such.host.invalid")
    assert f"type=bind,source={tmp_path},target=/models/fcn8s,readonly" in docker
    assert docker[docker.index("--entrypoint") + 1] == "tensorflow_model_server"
    assert docker[docker.index("tensorflow/serving") :] == [
        "tensorflow/serving",
        "--port=8500",
        "--model_name=fcn8s",
        "--model_base_path=/models/fcn8s",
        "--max_num_load_retries=0",
    ]
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


@pytest.mark.parametrize("engine", ["tensorflow_model_server", "docker"])
def test_port_0_is_for_a_server_that_can_tell_what_it_took(toy_base: Path, engine: engines.Engine) -> None:
    said = f"port 0: {engine} does not report .*--engine embedded"
    with pytest.raises(InputError, match=said):
        engine_command(engine, toy_base, name="toy", host="127.0.0.1", port=0)
    with pytest.raises(InputError, match=said):
        start_server(toy_base, engine=engine, port=0)
    assert "0" in engine_command("embedded", toy_base, name="toy", host="127.0.0.1", port=0)


def test_who_can_reach_an_engine_is_told() -> None:
    mutual = TLS(certificate=Path("a.pem"), key=Path("a.key"), ca=Path("ca.pem"))
    one_sided = TLS(certificate=Path("a.pem"), key=Path("a.key"))
    said = exposure("tensorflow_model_server", 8500, None)
    assert "port 8500 is open to the network, unencrypted and without a password" in said
    assert "network, without a password" in exposure("tensorflow_model_server", 8500, one_sided)
    assert exposure("tensorflow_model_server", 8500, mutual) is None
    assert exposure("docker", 8500, None) is exposure("embedded", 8500, None) is None


def test_an_engine_without_a_choice_of_address_needs_all_of_them(toy_base: Path) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InputError, match=rf"0\.0\.0\.0:{port}: cannot be listened on"):
            start_server(toy_base, engine="tensorflow_model_server", host="127.0.0.1", port=port)


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
from rsir_tf.serving.server.services import ModelService
from rsir_tf.serving.server.versions import VersionState
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
    with pytest.raises(ModelError, match=r"the server ended before it served model 'toy' \(exit code 0\)"):
        ends.start(20, threading.Event())
    absent = EngineProcess(["rsir_tf_no_such_program"], name="toy", host="127.0.0.1", port=free_port())
    with pytest.raises(ModelError, match="cannot be started"):
        absent.start(20, threading.Event())


@pytest.mark.parametrize(("how", "said"), [("exit", "exit code 7"), ("kill", "SIGKILL")])
def test_a_process_that_ends_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, said: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    line = {"exit": "os._exit(7)", "kill": "os.kill(os.getpid(), 9)"}[how]
    lives = "import os, time\nwhile not os.path.exists(sys.argv[2]): time.sleep(0.02)\n"
    script = SERVE.replace("server.wait_for_termination()", lives + line)
    port, end = free_port(), tmp_path / "end"
    server = EngineProcess([sys.executable, "-c", script, str(port), end], name="toy", host="127.0.0.1", port=port)
    server.start(60, threading.Event())
    end.touch()
    with pytest.raises(ModelError, match=rf"server of model 'toy' ended by itself \({said}\); read its output"):
        wait_until_told(server, threading.Event())


def test_a_process_that_is_told_to_end() -> None:
    """Where both happen, it was told to: a terminal may have told it, too."""
    told = threading.Event()
    told.set()
    server = EngineProcess([sys.executable, "-c", ""], name="toy", host="127.0.0.1", port=free_port())
    with pytest.raises(StoppedError):
        server.start(20, told)
    assert server.wait(0)
    wait_until_told(server, told)


def test_a_server_that_ends_over_a_damaged_version(
    toy_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow Serving tries the newest version alone when it starts, and exits with 255."""
    program(tmp_path, "tensorflow_model_server", 255)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    base = tmp_path / "toy"
    for number in (1, 3):
        shutil.copytree(toy_base / "1", base / str(number))
    said = rf"\(exit code 255\); read its output; if version 3 is damaged, export .* or move {base}/3 away, so that "
    with pytest.raises(ModelError, match=said + "version 1 is served"):
        start_server(base, engine="tensorflow_model_server", port=free_port(), timeout=20)


def test_a_process_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    line = [sys.executable, "-c", "import time; time.sleep(60)"]
    server = EngineProcess(line, name="toy", host="127.0.0.1", port=free_port())
    with pytest.raises(ModelError, match=r"not served after 0\.2 s \(nothing answers\); allow more time \(--timeout\)"):
        server.start(0.2, threading.Event())
    assert server.wait(0)


def test_starting_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    port, stopping = free_port(), threading.Event()
    line = [sys.executable, "-c", SERVE.replace("self.asked > 2", "False"), str(port)]  # loads for ever
    server = EngineProcess(line, name="toy", host="127.0.0.1", port=port)
    threading.Timer(1, stopping.set).start()
    with pytest.raises(StoppedError, match="stopped before it served model 'toy'"):
        server.start(120, stopping)
    assert server.wait(0)


DOCKER = """\
#!/bin/sh
echo "$1 $2" >> {log}
echo "$*" >> {log}.whole
case $1 in
    image) exit {held} ;;
    pull) {pull} ;;
    run) {run} ;;
esac
"""


@pytest.mark.parametrize(
    ("held", "pull", "said", "asked"),
    [
        (1, "exit 0", "the server ended", ["image inspect", "pull tensorflow/serving", "run --rm", "rm --force"]),
        (1, "exit 5", r"cannot fetch this image \(exit code 5\)", ["image inspect", "pull tensorflow/serving"]),
        (0, "exit 5", "the server ended", ["image inspect", "run --rm", "rm --force"]),
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


def test_the_container_ends_even_where_its_client_does_not(
    toy_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker(tmp_path, monkeypatch, 0, "exit 5", "trap '' TERM; while :; do sleep 0.05; done")
    monkeypatch.setattr(processes, "END_SECONDS", 0.3)
    with pytest.raises(ModelError, match="is not served after 1 s"):
        start_server(toy_base, engine="docker", host="localhost", port=free_port(), timeout=1)
    *_, run, end = (tmp_path / "log.whole").read_text().splitlines()
    name = run.split("--name ")[1].split()[0]
    assert str(os.getpid()) in name  # nobody else's
    assert end == f"rm --force {name}"


def docker(folder: Path, monkeypatch: pytest.MonkeyPatch, held: int, pull: str, run: str = "exit 3") -> None:
    file = folder / "docker"
    file.write_text(DOCKER.format(log=folder / "log", held=held, pull=pull, run=run))
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
