"""`serve`: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "rsir-tf"


def one_line(ended, *words: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("rsir-tf: ")
    assert ended.err.count("\n") == 1
    for word in words:
        assert word in ended.err


def test_serve_prints_the_command_line_of_each_engine(toy: Path, command) -> None:
    def printed(engine: str) -> str:
        ended = command("serve", toy, "--port", 9000, "--engine", engine, "--print")
        assert (ended.code, ended.err) == (0, "")
        return ended.out

    assert printed("tensorflow_model_server").startswith(
        f"tensorflow_model_server --port=9000 --model_name=fcn8s --model_base_path={toy.resolve()}"
    )
    assert f"source={toy.resolve()},target=/models/fcn8s,readonly" in printed("docker")
    assert printed("embedded").startswith(f"rsir-tf serve {toy} --engine embedded --model fcn8s")


def test_serve_with_encryption_prints_what_to_run(toy: Path, certificates: Path, tmp_path: Path, command) -> None:
    files = ("--tls-certificate", certificates / "server.pem", "--tls-key", certificates / "server.key")
    asked = ("serve", toy, "--print", "--engine")
    ended = command(*asked, "tensorflow_model_server", *files, "--tls-ca", certificates / "ca.pem")
    write, serve = ended.out.splitlines()
    assert "PRIVATE KEY" not in ended.out
    subprocess.run(write, shell=True, check=True, cwd=tmp_path, timeout=30)
    assert (tmp_path / "ssl.config").read_text() == (certificates / "ssl.config").read_text()
    assert serve.endswith(f"--ssl_config_file={Path('ssl.config').resolve()}")
    assert command(*asked, "embedded", *files).out.endswith(f"--tls-key {certificates / 'server.key'}\n")
    one_line(command(*asked, "docker", *files[:2]), "server.pem alone", "--tls-key")
    wrong = (*files[:3], certificates / "client.key")
    one_line(command("serve", toy, "--engine", "embedded", "--port", 0, *wrong), "is not the private key of")


def test_serve_refuses_a_port_that_is_taken(toy: Path, server: str, command) -> None:
    port = server.rpartition(":")[2]
    one_line(command("serve", toy, "--port", port, "--engine", "embedded"), f":{port}: cannot be listened on", "--port")


def stands_in(folder: Path, text: str) -> dict[str, str]:
    """Put a program in TensorFlow Serving's place; the environment that finds it."""
    program = folder / "tensorflow_model_server"
    program.write_text(text)
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tell(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """A terminal tells Ctrl-C to the whole group of processes, `kill` tells one."""
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_ends_while_it_still_starts(toy: Path, tmp_path: Path, number: signal.Signals) -> None:
    """A program in TensorFlow Serving's place never answers; it ends with the command, in good order."""
    environment = stands_in(tmp_path, f"#!/bin/sh\ntrap 'echo ended > {tmp_path}/ended; exit 0' TERM\n"
                            f"echo begun > {tmp_path}/begun\nwhile :; do sleep 0.1; done\n")  # fmt: skip
    line = [PROGRAM, "serve", toy, "--port", str(free_port()), "--engine", "tensorflow_model_server"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        try:
            end = time.monotonic() + 60
            while not (tmp_path / "begun").exists() and time.monotonic() < end:
                time.sleep(0.05)
            tell(process, number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out, err.splitlines()[-1]) == (0, "", "stopping")
    assert "is open to the network, unencrypted and without a password" in err.splitlines()[1]
    assert (tmp_path / "ended").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell a process of its parent's end")
def test_a_serve_that_is_killed_leaves_no_engine_running(toy: Path, tmp_path: Path) -> None:
    environment = stands_in(tmp_path, f"#!/bin/sh\ntrap 'echo ended > {tmp_path}/ended; exit 0' TERM\n"
                            f"echo begun > {tmp_path}/begun\nwhile :; do sleep 0.1; done\n")  # fmt: skip
    line = [PROGRAM, "serve", toy, "--port", str(free_port()), "--engine", "tensorflow_model_server"]
    with subprocess.Popen(line, stderr=subprocess.DEVNULL, env=environment) as process:
        appears(tmp_path / "begun")
        process.kill()
    appears(tmp_path / "ended")


def appears(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end, f"{path} not within 60 s"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_until_it_is_told_to_end(toy: Path, command, number: signal.Signals) -> None:
    port = free_port()
    line = [PROGRAM, "serve", toy, "--port", str(port), "--engine", "embedded"]
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said = []
            while not said or "AVAILABLE" not in said[-1]:
                said.append(process.stderr.readline())
                assert said[-1], said  # It has ended.
            assert f"model 'fcn8s' is AVAILABLE at 127.0.0.1:{port} (embedded)" in said[-1]
            found = json.loads(command("info", f"127.0.0.1:{port}", "--json").out)
            assert found["description"]["model_id"] == "toy-1"
            tell(process, number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    # Start-up notes of TensorFlow would be further lines.
    assert (process.returncode, out, err, len(said)) == (0, "", "stopping\n", 2)


ENDS = """\
#!{python}
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from rsir_tf.serving.messages import *
flags = dict(argument.split("=", 1) for argument in sys.argv[1:])
class Status(ModelServiceServicer):
    def GetModelStatus(self, request, context):
        response = GetModelStatusResponse()
        response.model_version_status.add(version=1, state=ModelVersionStatus.AVAILABLE)
        return response
server = grpc.server(ThreadPoolExecutor(1))
add_ModelServiceServicer_to_server(Status(), server)
server.add_insecure_port("0.0.0.0:" + flags["--port"])
server.start()
time.sleep(3)
os._exit(7)
"""


def test_serve_says_that_its_engine_has_ended(toy: Path, tmp_path: Path) -> None:
    environment = stands_in(tmp_path, ENDS.format(python=sys.executable))
    line = [PROGRAM, "serve", toy, "--port", str(free_port()), "--engine", "tensorflow_model_server"]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "AVAILABLE" in done.stderr.splitlines()[-2]
    assert "ended by itself (exit code 7); read its output" in done.stderr.splitlines()[-1]


def test_serve_waits_as_long_as_it_is_told(toy: Path, tmp_path: Path) -> None:
    environment = stands_in(tmp_path, "#!/bin/sh\nexec sleep 60\n")
    line = [PROGRAM, "serve", toy, "--port", str(free_port()), "--engine", "tensorflow_model_server"]
    done = subprocess.run(
        [*line, "--timeout", "0.5"], capture_output=True, text=True, env=environment, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "is not served after 0.5 s (nothing answers); allow more time (--timeout)" in done.stderr.splitlines()[-1]


def test_serve_refuses_a_port_that_nobody_could_name(toy: Path, command) -> None:
    for engine in ("tensorflow_model_server", "docker"):
        for end in ((), ("--print",)):
            one_line(command("serve", toy, "--port", 0, "--engine", engine, *end), "port 0", "--engine embedded")
