"""Weights for the demo: had from a server, missing there, and not coming in time; the server is on this machine."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import inspect
import runpy
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

CONTENT = b"weights" * 1000
SCRIPT = Path(__file__).parents[2] / "scripts" / "demo_weights.py"


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the file, refuses it, or stops in the middle of it."""

    def do_GET(self) -> None:
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        if "slow" in self.path:
            self.wfile.write(CONTENT[:100])
            self.wfile.flush()
            time.sleep(3)
        else:
            self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[str]:
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("keras")
    spec = importlib.util.spec_from_file_location("demo_weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cache = tmp_path / "keras"  # Never what the user keeps in ~/.keras.
    cache.mkdir()  # Keras passes over a folder that it cannot write.
    monkeypatch.setattr(module, "CACHE", str(cache))
    monkeypatch.setattr(module, "MD5", hashlib.md5(CONTENT).hexdigest())
    return module


def test_it_is_the_file_that_keras_itself_takes() -> None:
    keras = pytest.importorskip("keras")
    found = runpy.run_path(str(SCRIPT))
    assert found["ORIGIN"] == sys.modules[keras.applications.VGG16.__module__].WEIGHTS_PATH_NO_TOP
    assert found["MD5"] in inspect.getsource(keras.applications.VGG16)


def test_weights_are_downloaded_once(
    script: ModuleType, server: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "ORIGIN", f"{server}/{script.NAME}")
    script.main()
    path = Path(capfd.readouterr().out.strip())
    assert path.name == script.NAME
    assert path.read_bytes() == CONTENT
    monkeypatch.setattr(script, "ORIGIN", f"{server}/missing")  # Nobody is asked a second time.
    script.main()
    assert capfd.readouterr().out.strip() == str(path)


@pytest.mark.parametrize(
    ("where", "words"), [("missing", "404"), ("slow", "not there after 1 s")], ids=["missing", "slow"]
)
def test_weights_that_do_not_come(
    where: str,
    words: str,
    script: ModuleType,
    server: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(script, "ORIGIN", f"{server}/{where}")
    monkeypatch.setattr(script, "LONGEST", 1)
    started = time.monotonic()
    with pytest.raises(SystemExit) as end:
        script.main()
    assert end.value.code == 1
    assert time.monotonic() - started < 2.5
    told = capfd.readouterr()
    assert told.out == ""
    assert "VGG-16's weights could not be downloaded" in told.err
    assert words in told.err
    assert not list((tmp_path / "keras").rglob("*.h5"))  # No half of a file is left for the next time.
