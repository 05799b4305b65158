"""Servers and models for this room's tests.

RSIR_TF_TEST_SERVER=HOST:PORT runs the tests of the protocol and of the client at work against a real server, instead of
the embedded one. They write its models and `models.config` to the folder that RSIR_TF_TEST_SERVER_MODELS names
(default: /tmp/rsir_tf_test_models), and wait two minutes for the server to come up; start it once the file is there:

    tensorflow_model_server --port=8500 --model_config_file=/tmp/rsir_tf_test_models/models.config \
        --allow_version_labels_for_unavailable_models=true --max_num_load_retries=0
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_fake import FakeService, running
from serving_live import LABELS, NAMES, Live, embedded, export_models
from serving_toy import export_toy

from rsir_tf.errors import ModelError
from rsir_tf.serving import connect


@pytest.fixture(scope="session")
def external_server() -> str | None:
    """The address of a real server, where one is to be tested."""
    return os.environ.get("RSIR_TF_TEST_SERVER")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, external_server: str | None) -> Path:
    """The folder of the models; a real server holds all of them."""
    if external_server is None:
        return tmp_path_factory.mktemp("saved_models")
    folder = Path(os.environ.get("RSIR_TF_TEST_SERVER_MODELS", "/tmp/rsir_tf_test_models"))
    export_models(folder)
    for name in NAMES:
        end = time.monotonic() + 120
        while True:
            try:
                with connect(external_server, model_name=name, version=1, timeout=5) as model:
                    model.describe()
                break
            except ModelError as error:
                if time.monotonic() > end:
                    pytest.exit(f"RSIR_TF_TEST_SERVER: {error}; it must read {folder / 'models.config'}", 2)
                time.sleep(0.5)
    return folder


@pytest.fixture(scope="session")
def toy_base(models: Path, external_server: str | None) -> Path:
    """`…/toy`, which holds version 1."""
    base = models / "toy"
    if external_server is None:
        base.mkdir()
        export_toy(base)
    return base


@pytest.fixture(scope="session")
def server_address(toy_base: Path, external_server: str | None) -> Iterator[str]:
    """A server that serves `toy`."""
    if external_server is not None:
        yield external_server
        return
    with embedded(toy_base) as server:
        yield server.address


@pytest.fixture
def swapped(models: Path, toy_base: Path, external_server: str | None) -> Iterator[Live]:
    """A model whose versions come and go."""
    base = models / "swapped"
    if external_server is not None:
        yield Live(external_server, "swapped", base)
        return
    shutil.copytree(toy_base, base)
    with embedded(base, poll_seconds=0.05) as server:
        yield Live(server.address, "swapped", base)


@pytest.fixture
def labelled(models: Path, toy_base: Path, external_server: str | None) -> Iterator[Live]:
    """Two versions, "stable" and "canary"."""
    base = models / "labelled"
    if external_server is not None:
        yield Live(external_server, "labelled", base)
        return
    shutil.copytree(toy_base, base)
    export_toy(base, 2, model_id="toy-2", scale=2)
    with embedded(base, keep=2, labels=LABELS) as server:
        yield Live(server.address, "labelled", base)


@pytest.fixture
def overloaded(toy_base: Path, external_server: str | None) -> Iterator[Live]:
    """A server that takes two calls at a time; a real one as many as it was started with."""
    if external_server is not None:
        yield Live(external_server, "toy", toy_base)
        return
    with embedded(toy_base, max_calls=2) as server:
        yield Live(server.address, "toy", toy_base)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def address(service: FakeService) -> Iterator[str]:
    with running(service) as address:
        yield address
