"""The check of a machine with a GPU, on the processor: all its steps in small, and what it says of other answers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rsir_tf.contract import Prediction

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_gpu.py"
NAMES = ("red", "green")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    description = importlib.util.spec_from_file_location("check_gpu", SCRIPT)
    assert description is not None
    module = importlib.util.module_from_spec(description)
    sys.modules["check_gpu"] = module  # Its dataclasses look their module up.
    description.loader.exec_module(module)
    return module


def answers(count: int) -> list[Prediction]:
    rng = np.random.default_rng(0)
    halves = np.repeat(np.arange(2, dtype=np.uint8), 16)[None].repeat(32, axis=0)
    return [Prediction(halves, rng.random((2, 2, 512), dtype=np.float32)) for _ in range(count)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda one: one, None),
        # Rounding as TF32 does is within the tolerance; a hundredth is not.
        (lambda one: Prediction(one.segmentation, one.conv5_3 * np.float32(1 + 2**-11)), None),
        (lambda one: Prediction(one.segmentation, one.conv5_3 * np.float32(1.01)), "conv5_3 is 0.01 apart"),
        # 16 of 1,024 pixels, each a region of its own.
        (lambda one: Prediction(specks(one.segmentation), one.conv5_3), "0.9844 of the pixels have the same class"),
    ],
)
def test_answers_that_differ_are_told(script: ModuleType, change, words: str | None) -> None:
    report = script.Report(0.0, 1e9)
    wanted = answers(4)
    script.compare(report, "GPU against CPU", [change(each) for each in wanted], wanted, NAMES)
    assert bool(report.failures) == (words is not None)
    assert words is None or words in " ".join(report.failures)


def specks(segmentation: np.ndarray) -> np.ndarray:
    changed = segmentation.copy()
    changed[::8, 2:16:4] ^= 1
    return changed


def test_a_step_that_raises_is_a_failure_and_one_without_time_is_named(script: ModuleType) -> None:
    report = script.Report(script.time.monotonic(), 100.0)
    with report.trying("breaks", 1) as there:
        assert there
        raise ValueError("no memory")
    with report.trying("late", 200) as there:
        assert not there
    assert report.failures == ["breaks: ValueError: no memory"]
    assert report.left_out == ["late"]


@pytest.mark.skipif(
    not os.environ.get("RSIR_TF_TEST_CHECK_GPU"), reason="RSIR_TF_TEST_CHECK_GPU is not set: it trains VGG-16 itself"
)
def test_all_steps_on_the_processor(tmp_path: Path) -> None:
    line = [sys.executable, str(SCRIPT), "--device", "cpu", "--small", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    ended = subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout)
    assert (found["failures"], found["left_out"]) == ([], [])
    rows = {row.pop("step"): row for row in found["rows"]}
    assert rows["killed after an epoch and resumed"]["epochs"] == 3
    assert rows["gRPC against the process"]["equal_pixels"] >= 0.995
    trained = [row for step, row in rows.items() if step.startswith("train ")]
    assert len(trained) == 2  # Two recipes.
    assert all(row["images_per_second"] > 0 and row["device_limit"] > 0 for row in trained)
    # VGG-16 has 15.35 G multiplications and additions forwards at 224 pixels (Simonyan and Zisserman): at 64 pixels a
    # twelfth, 2.51 GFLOP; some blocks learn, and a little is the head's.
    assert all(2.5 < row["gigaflop"] < 3 * 2.6 for row in trained)
