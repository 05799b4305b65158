"""Servers and models that are not there, or not the right ones."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """HOST:PORT where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:{1}".format(*taken.getsockname())


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a server whose fcn8s is another model."""
    from serving_toy import export_toy

    from rsir_tf.serving.server.embedded import EmbeddedServer

    base = tmp_path_factory.mktemp("other") / "fcn8s"
    base.mkdir()
    export_toy(base, model_id="toy-2", scale=2.0)
    with EmbeddedServer(base, port=0) as running:
        yield running.address


@pytest.fixture(scope="module")
def lacking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export without the signature that gives features."""
    from serving_toy import export_toy

    base = tmp_path_factory.mktemp("lacking") / "fcn8s"
    base.mkdir()
    export_toy(base, signatures=("serving_default", "describe"))
    return base


def one_line(ended, *words: str) -> None:
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("rsir-tf: ")
    assert ended.err.count("\n") == 1
    for word in words:
        assert word in ended.err


def test_a_server_that_is_not_there(archive: Path, index: Path, tmp_path: Path, nobody: str, command) -> None:
    asked = ("--server", nobody, "--timeout", "1")
    image = archive / "Images/beach/beach00.tif"
    one_line(command("query", image, "--index", index, *asked), nobody, "rsir-tf serve")
    one_line(command("index", archive, "--to", tmp_path / "new", *asked), nobody, "rsir-tf serve")
    assert not (tmp_path / "new").exists()
    one_line(command("info", nobody, "--timeout", "1"), nobody)


def test_a_server_without_the_model(archive: Path, index: Path, server: str, command) -> None:
    image = archive / "Images/beach/beach00.tif"
    line = ("query", image, "--index", index, "--server", server)
    one_line(command(*line, "--model", "fcn32s"), server, "fcn32s")
    one_line(command(*line, "--version", "7"), server, "7")


def test_addresses_that_are_none(archive: Path, tmp_path: Path, command) -> None:
    for address in ("localhost", "http://localhost:8500", "localhost:port"):
        one_line(command("index", archive, "--to", tmp_path / "new", "--server", address), address, "HOST:PORT")


def test_an_index_answers_only_for_the_model_that_made_it(
    archive: Path, index: Path, other: str, tmp_path: Path, command
) -> None:
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    image = archive / "Images/beach/beach00.tif"
    for line in (("query", image, "--index", copy), ("index", archive, "--to", copy)):
        one_line(command(*line, "--server", other), "has model_id 'toy-2'; wanted 'toy-1'", "make another index")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_model_that_lacks_a_signature(archive: Path, tmp_path: Path, lacking: Path, command) -> None:
    from rsir_tf.serving.server.embedded import EmbeddedServer

    line = ("index", archive, "--to", tmp_path / "new")
    one_line(command(*line, "--saved-model", lacking), "lacks the signature 'features'", "rsir-tf export")
    with EmbeddedServer(lacking, port=0) as running:
        one_line(command(*line, "--server", running.address), running.address, "features")
    one_line(command("serve", lacking, "--port", 0), "lacks the signature 'features'", "rsir-tf export")


def test_a_saved_model_that_is_not_there(archive: Path, tmp_path: Path, command) -> None:
    missing = tmp_path / "saved_models" / "fcn8s"
    ended = command("index", archive, "--to", tmp_path / "new", "--saved-model", missing)
    one_line(ended, f"{missing}: no such folder; wanted an exported model; export the model with `rsir-tf export`")
    one_line(command("serve", missing), f"{missing}: no such folder; wanted saved_models/NAME")
    one_line(command("export", missing, "--to", tmp_path / "x"), f"{missing}: no run here")


def test_an_encrypted_server(archive: Path, toy: Path, tmp_path: Path, certificates: Path, command) -> None:
    from rsir_tf.serving import TLS
    from rsir_tf.serving.server.embedded import EmbeddedServer

    own = TLS(*(certificates / name for name in ("ca.pem", "server.pem", "server.key")))
    client = ("--tls-ca", certificates / "ca.pem", "--tls-certificate", certificates / "client.pem",
              "--tls-key", certificates / "client.key")  # fmt: skip
    with EmbeddedServer(toy, port=0, tls=own) as running:
        line = ("index", archive, "--to", tmp_path / "index", "--server", running.address, "--batch-size", 1)
        assert command(*line, *client).code == 0
        image = archive / "Images/beach/beach00.tif"
        line = ("query", image, "--index", tmp_path / "index", "--server", running.address)
        named = ("--tls-server-name", "fcn8s.example")
        assert "beach/beach00.tif" in command(*line, *client, *named).out
        other = command(*line, *client, "--tls-server-name", "other.example", "--timeout", 1)
        one_line(other, running.address, "check the certificates")
        one_line(command(*line, "--tls", "--timeout", 1), running.address, "check the certificates")
        found = json.loads(command("info", running.address, *client, "--model", "fcn8s", "--json").out)
        assert found["description"] == {
            "model_id": "toy-1",
            "class_names": ["red", "green", "blue"],
            "channels": 512,
            "layers": [],
        }
        one_line(command("info", running.address, "--timeout", 1), running.address)
