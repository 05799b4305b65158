"""Servers and models for this room's tests.

RSIR_TF_TEST_SERVER=HOST:PORT runs them against a server that is already there, instead of the embedded one. It must
serve the model `toy` from the folder that RSIR_TF_TEST_SERVER_MODELS names (default: /tmp/rsir_tf_test_models), where
the tests put it; for example:

    tensorflow_model_server --port=8500 --model_name=toy --model_base_path=/tmp/rsir_tf_test_models/toy
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_toy import export_toy

from rsir_tf.errors import ModelError
from rsir_tf.serving import connect
from rsir_tf.serving.embedded import serve_embedded


@pytest.fixture(scope="session")
def external_server() -> str | None:
    """The address of a real server, where one is to be tested."""
    return os.environ.get("RSIR_TF_TEST_SERVER")


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory: pytest.TempPathFactory, external_server: str | None) -> Path:
    """`…/toy`, which holds version 1."""
    if external_server is None:
        base = tmp_path_factory.mktemp("saved_models") / "toy"
    else:
        base = Path(os.environ.get("RSIR_TF_TEST_SERVER_MODELS", "/tmp/rsir_tf_test_models")) / "toy"
        shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    export_toy(base)
    return base


@pytest.fixture(scope="session")
def server_address(toy_base: Path, external_server: str | None) -> Iterator[str]:
    """A server that serves `toy`."""
    if external_server is None:
        with serve_embedded(toy_base, port=0) as server:
            yield server.address
        return
    end = time.monotonic() + 30
    while True:
        try:
            with connect(external_server, model_name="toy", timeout=5) as model:
                model.describe()
            break
        except ModelError as error:
            if time.monotonic() > end:
                pytest.exit(f"RSIR_TF_TEST_SERVER: {error}; it must serve model 'toy' from {toy_base}", 2)
            time.sleep(0.5)
    yield external_server
