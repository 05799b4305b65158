#!/usr/bin/env python
"""Kill training with -9 at random moments, many times, and compare the run with an undisturbed one.

    python scripts/stress_training.py [--kills 20] [--epochs 8] [--seed 0] [--json]

A tiny network is trained on a rendered archive, with cached views, dropout, augmentation and a schedule. After each
kill, the run must open and have the checkpoints that its history names. At the end, its epochs, figures and weights
must be those of the undisturbed run, and no views or temporary files may be left. When a run is complete, the next one
starts, until all kills are done. The exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.archives.synthetic import render_archive
from rsir_tf.errors import RsirError
from rsir_tf.segmentation.checkpoints import load_best
from rsir_tf.segmentation.resuming import VIEWS
from rsir_tf.segmentation.runs import CHECKPOINTS, open_run

WORKER = """
import sys
from pathlib import Path

from rsir_tf.archives import open_archive, stratified_split
from rsir_tf.segmentation import Crops, TrainingSettings, train

archive = open_archive(sys.argv[1])
settings = TrainingSettings(
    epochs=int(sys.argv[3]), weights="none", head_width=8, crops=Crops(64, 2, 8), freeze=4, cached_views=3,
    validation=0.2, validation_windows=2,
)
print("started", flush=True)
train(archive, stratified_split(archive, 0.2), Path(sys.argv[2]), settings)
"""

FREE = ("seconds", "images_per_second")
"""What an epoch took is no part of its result."""


def start(archive: Path, run: Path, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(archive), str(run), str(epochs)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    worker.stdout.readline()  # Imports are over.
    return worker


def finish(archive: Path, run: Path, epochs: int) -> float:
    """Wait until the process ends; return how many seconds after its start that was."""
    worker = start(archive, run, epochs)
    started = time.monotonic()
    _, errors = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"a run ended with {worker.returncode}: {errors[-2000:]}")
    return time.monotonic() - started


def damage(run: Path) -> str | None:
    """A sentence on what is wrong with a run that was killed; None if nothing is."""
    if not (run / "manifest.json").exists():
        return None
    try:
        opened = open_run(run)
        for checkpoint in (opened.last, opened.best):
            if opened.history() and not (checkpoint and checkpoint.stat().st_size):
                return f"{checkpoint} is named and is not there"
    except (RsirError, OSError) as error:
        return str(error)
    return None


def differences(run: Path, undisturbed: Path) -> list[str]:
    """Sentences on how a run that was killed and resumed differs from the undisturbed one."""
    found, wanted = open_run(run), open_run(undisturbed)
    if len(found.history()) != len(wanted.history()):
        return [f"{len(found.history())} epochs, not {len(wanted.history())}"]
    wrong = [
        f"epoch {there['epoch']}: {name} is {here[name]}, not {there[name]}"
        for here, there in zip(found.history(), wanted.history(), strict=True)
        for name in there
        if name not in FREE and not agree(here[name], there[name])
    ]
    for here, there in zip(load_best(found).get_weights(), load_best(wanted).get_weights(), strict=True):
        if not np.allclose(here, there, rtol=1e-3, atol=1e-5):
            wrong.append(f"weights differ by {np.abs(here - there).max()}")
    names = {file.name for file in (run / CHECKPOINTS).iterdir()}
    if names != {file.name for file in (undisturbed / CHECKPOINTS).iterdir()}:
        wrong.append(f"checkpoints are {sorted(names)}")
    if (run / VIEWS).exists():
        wrong.append("views lie about")
    return wrong


def agree(here: Any, there: Any) -> bool:
    if isinstance(there, float) and isinstance(here, float):
        # Threads add numbers in varying order, and so a pixel may get another class, which changes a figure slightly.
        return math.isclose(here, there, rel_tol=2e-3, abs_tol=2e-3)
    return bool(here == there)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, disturbed, number = Path(folder) / "undisturbed", Path(folder) / "disturbed-1", 1
        archive = render_archive(Path(folder) / "archive", images_per_scene=6, size=64, scenes=["beach", "forest"])
        whole = finish(archive, undisturbed, options.epochs)
        failures: list[str] = []
        reached: list[int] = []
        for kill in range(options.kills):
            worker = start(archive, disturbed, options.epochs)
            # A resumed run builds its network first: with early kills no epoch would ever end.
            time.sleep(rng.uniform(0, whole))
            worker.kill()
            worker.communicate()
            if wrong := damage(disturbed):
                failures.append(f"after kill {kill + 1}: {wrong}")
            begun = (disturbed / "manifest.json").exists() and not wrong
            reached.append(len(open_run(disturbed).history()) if begun else 0)
            print(f"kill {kill + 1} of {options.kills}: {reached[-1]} epochs have ended", file=sys.stderr)
            if reached[-1] >= options.epochs and kill + 1 < options.kills:
                finish(archive, disturbed, options.epochs)
                failures += differences(disturbed, undisturbed)
                number += 1
                disturbed = Path(folder) / f"disturbed-{number}"
        finish(archive, disturbed, options.epochs)
        failures += differences(disturbed, undisturbed)
    found = {
        "kills": len(reached),
        "runs": number,
        "epochs_after_each": reached,
        "seconds_undisturbed": whole,
        "failures": failures,
    }
    words = f"{len(reached)} kills in {number} runs, {len(failures)} failures"
    print(json.dumps(found, indent=2) if options.json else words)
    for failure in failures:
        print(failure, file=sys.stderr)
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
