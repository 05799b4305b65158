"""Shared fixtures. Real data is read from the folder that RSIR_TF_TEST_DATA names; tests skip where it is not."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# A time limit of an example would make tests of the machine.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Before any test imports TensorFlow: its start-up notes drown a failing test's output.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# A server that someone's shell names is not the tests'.
os.environ.pop("RSIR_TF_SERVER", None)
# A shell's background ignores Ctrl-C, nohup ignores hanging up, and the processes that tests start and interrupt would
# inherit it. A handler that does nothing is not inherited.
for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where files stay together, those of the cluster do too: each worker would start a cluster of its own."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            cluster = "tests/cluster/"
            return cluster if nodeid.startswith(cluster) else super()._split_scope(nodeid)

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Return a function from a relative path to the real file, which skips where it is absent."""
    root = os.environ.get("RSIR_TF_TEST_DATA")

    def find(relative: str) -> Path:
        if root is None:
            pytest.skip("RSIR_TF_TEST_DATA names no folder with real data")
        path = Path(root) / relative
        if not path.exists():
            pytest.skip(f"no real data at {path}")
        return path

    return find


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def run_command(*arguments: object) -> Ended:
    """Run `rsir-tf` in this process, through the entry that the installed script calls."""
    from rsir_tf.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    code = end.value.code
    return Ended(code if isinstance(code, int) else int(code is not None), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def command() -> Callable[..., Ended]:
    """Return a function that runs `rsir-tf` with arguments and tells its exit code, stdout and stderr."""
    return run_command


@dataclass(frozen=True)
class TinyExport:
    """A network that was trained for a moment, and how it came to be.

    Attributes:
        archive: A synthetic archive: 2 scenes, 3 images each, 64 pixels a side.
        split: A split of it, two images of each scene to train on.
        run: Of one epoch.
        model: The export, `…/saved_models/fcn8s`, with version 1.
    """

    archive: Path
    split: Path
    run: Path
    model: Path


@pytest.fixture(scope="session")
def tiny_export(tmp_path_factory: pytest.TempPathFactory) -> TinyExport:
    """Train and export once for all workers; whoever comes second waits."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = shared / "tiny"
    tiny = TinyExport(root / "archive", root / "split.json", root / "run", root / "saved_models" / "fcn8s")
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tiny.model.exists():
            for line in (
                ("synth", tiny.archive, "--images-per-scene", 3, "--size", 64, "--scene", "beach", "--scene", "forest"),
                ("split", tiny.archive, "--to", tiny.split, "--test", 0.34),
                ("train", tiny.archive, "--run", tiny.run, "--split", tiny.split, "--epochs", 1, "--weights", "none",
                 "--head-width", 8, "--crop", 64, "--batch", 2, "--freeze", 5),
                ("export", tiny.run, "--to", tiny.model),
            ):  # fmt: skip
                ended = run_command(*line)
                assert ended.code == 0, ended.err
    return tiny
