"""A comparison that is interrupted, or whose worker is killed: what was described is kept, and the next run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from rsir_tf.presentation import save_png

IMAGES, SIDE = 24, 24
AN_IMAGE, A_WORKER = "[0-9]*", "start-*"
COMMAND = """
import os, sys
from pathlib import Path
if __name__ == "__mp_main__":  # In a worker, before it imports what it works with.
    (Path(os.environ["BEGUN"]) / f"start-{os.getpid()}").touch()
sys.path.insert(0, sys.argv[1])
from test_baselines_interrupted import Slow
from rsir_tf.baselines import BASELINES, extraction
from rsir_tf.cli import main
if __name__ == "__main__":
    extraction.ALONE_SECONDS = 0.0  # So that the processes get all of it.
    BASELINES["statistics"] = Slow
    main(["compare", sys.argv[2] + "/images", "--all", "--to", sys.argv[2] + "/out", "--descriptor", "statistics",
          "--processes", "2"])
"""


@dataclass(frozen=True)
class Slow:
    """Says which process has begun which image, in the folder that a variable names, and takes its time."""

    name: ClassVar[str] = "statistics"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ()

    @property
    def dimensions(self) -> int:
        return 1

    def describe(self, image: np.ndarray) -> np.ndarray:
        if image.shape[0] == SIDE:  # What warms up is none of the images.
            (Path(os.environ["BEGUN"]) / f"{image[0, 0, 0]}-{os.getpid()}").touch()
            time.sleep(float(os.environ["SECONDS_AN_IMAGE"]))
        return np.array([image.mean()], dtype=np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(IMAGES):
        path = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        save_png(path, np.full((SIDE, SIDE, 3), number, np.uint8))
    return tmp_path


def start(folder: Path, seconds: float) -> tuple[subprocess.Popen[str], Path]:
    """The command in a process group of its own, as a terminal starts it, and the folder of what has begun."""
    begun = folder / f"begun after {time.monotonic_ns()}"
    begun.mkdir()
    (folder / "command.py").write_text(COMMAND, encoding="utf-8")
    environment = {**os.environ, "BEGUN": str(begun), "SECONDS_AN_IMAGE": str(seconds)}
    environment["PYTHONPATH"] = os.pathsep.join(entry for entry in sys.path if entry)
    line = [sys.executable, str(folder / "command.py"), str(Path(__file__).parent), str(folder)]
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    ), begun


def wait_for(begun: Path, what: str, number: int, running: subprocess.Popen[str]) -> list[int]:
    """Wait until so many workers or images have begun; the workers' processes."""
    until = time.monotonic() + 60
    while len(found := list(begun.glob(what))) < number:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)
    return sorted({int(path.name.split("-")[1]) for path in found})


def kept(folder: Path) -> int:
    parts = (folder / "out" / "descriptors").glob("*/*.npz")
    return sum(len(np.load(part)["ids"]) for part in parts)


def goes_on(folder: Path) -> None:
    """Run the same command again: it describes what is not kept, once each."""
    before = kept(folder)
    running, begun = start(folder, 0)
    _, said = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert len(list(begun.glob(AN_IMAGE))) == IMAGES - before
    assert kept(folder) == IMAGES


@pytest.mark.parametrize(("what", "number"), [(A_WORKER, 2), (AN_IMAGE, 12)])
def test_an_interrupt_is_the_parents_business(folder: Path, what: str, number: int) -> None:
    running, begun = start(folder, 0.05)
    workers = wait_for(begun, what, number, running)
    assert running.pid not in workers
    os.killpg(running.pid, signal.SIGINT)  # Ctrl-C: to every process of the group.
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in said
    assert kept(folder) < IMAGES
    assert kept(folder) > 0 or what == A_WORKER
    goes_on(folder)


def test_a_killed_worker_is_told_and_costs_what_was_under_way(folder: Path) -> None:
    running, begun = start(folder, 0.05)
    workers = wait_for(begun, AN_IMAGE, 14, running)
    os.kill(workers[0], signal.SIGKILL)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 1
    assert said.splitlines()[-1].startswith("rsir-tf: statistics: a worker process was killed (out of memory?); run")
    assert "what was described before is kept" in said
    assert "Traceback" not in said
    assert 0 < kept(folder) < IMAGES
    goes_on(folder)
