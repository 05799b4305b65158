"""What must be quick to import is: without TensorFlow, and `import rsir_tf` without anything heavy.

Each case runs in a process of its own, since what one test imports stays imported.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("numpy", "cv2", "matplotlib", "pyarrow", "skimage", "scipy", "PIL", "grpc", "tensorflow", "keras", "typer")
LIGHT_PARTS = [
    "rsir_tf.archives",
    "rsir_tf.archives.synthetic",
    "rsir_tf.rasters",
    "rsir_tf.regions",
    "rsir_tf.index",
    "rsir_tf.ranking",
    "rsir_tf.evaluation",
    "rsir_tf.presentation",
    "rsir_tf.serving",
    "rsir_tf.serving.client",
    "rsir_tf.serving.client.inspection",
    "rsir_tf.serving.messages",
    *(f"rsir_tf.workflows.{stage}" for stage in ("comparing", "comparison_report", "describing", "evaluating")),
    *(f"rsir_tf.workflows.{stage}" for stage in ("indexing", "querying", "segmenting", "training")),
    "rsir_tf.cli.commands",
    *(["rsir_tf.baselines"] if importlib.util.find_spec("rsir_tf.baselines") else []),
]

# TensorFlow's plain protobuf messages (`tensorflow.core`) are let in; `tensorflow.python` is TensorFlow itself.
TELL = """
import json, sys
modules = set(sys.modules)
running = any(name == "tensorflow" or name.startswith(("tensorflow.python", "keras")) for name in modules)
parts = {name.split(".")[1] for name in modules if name.startswith("rsir_tf.")}
tops = {name.split(".")[0] for name in modules}
print(json.dumps({"running": running, "tops": sorted(tops), "parts": sorted(parts)}))
"""


def after(script: str) -> dict:
    """Run a script and say what it has imported."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    done = subprocess.run(
        [sys.executable, "-c", script + TELL], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_training_refuses_options_before_tensorflow_loads(tmp_path: Path) -> None:
    script = f"""
from rsir_tf.cli import main
try:
    main(["train", {str(tmp_path)!r}, "--run", {str(tmp_path / "run")!r}, "--crop", "250"])
except SystemExit as end:
    assert end.code == 1
"""
    assert not after(script)["running"]


def test_the_telling_tells() -> None:
    # The real one takes seconds; what counts is that the module is there.
    assert after("import sys, types\nsys.modules['tensorflow.python'] = types.ModuleType('x')\n")["running"]
    assert "numpy" in after("import numpy")["tops"]


def test_the_package_itself_imports_nothing_heavy() -> None:
    assert not set(HEAVY) & set(after("import rsir_tf; rsir_tf.__version__; dir(rsir_tf)")["tops"])


@pytest.mark.parametrize("part", LIGHT_PARTS)
def test_parts_without_tensorflow(part: str) -> None:
    found = after(f"import {part}")
    assert not found["running"]
    # What a program pays for reading class maps and distances: numpy, and no picture or table library.
    assert not {"cv2", "matplotlib", "pyarrow", "skimage", "scipy", "PIL"} & set(found["tops"])


def test_help_imports_nothing_heavy() -> None:
    script = """
import sys
from rsir_tf.cli import main
for arguments in (["--help"], ["query", "--help"], ["train", "--help"]):
    sys.argv = ["rsir-tf", *arguments]
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    assert not set(HEAVY) - {"typer"} & set(after(script)["tops"])


FROZEN = Path(__file__).parent / "index" / "frozen_format_1"


@pytest.mark.parametrize(
    ("command", "strange"),
    [
        (["query", "{images}/query.png", "--index", str(FROZEN)], {"archives", "baselines", "evaluation"}),
        (["index", "{images}", "--to", "{images}/../index"], {"baselines", "evaluation"}),
    ],
    ids=["query", "index"],
)
def test_the_first_request_comes_without_tensorflow(tmp_path: Path, command: list[str], strange: set[str]) -> None:
    images = tmp_path / "images"
    images.mkdir()
    line = [part.format(images=images) for part in command]
    script = f"""
import socket, sys
import numpy as np
from rsir_tf.cli import main
from rsir_tf.presentation import save_png
from pathlib import Path
save_png(Path({str(images / "query.png")!r}), np.zeros((64, 64, 3), np.uint8))
probe = socket.socket()
probe.bind(("127.0.0.1", 0))  # Bound and not listening: no server can be there.
address = "127.0.0.1:%d" % probe.getsockname()[1]
sys.argv = ["rsir-tf", *{line!r}, "--server", address, "--timeout", "1"]
try:
    main()
except SystemExit as end:
    assert end.code == 1, end.code
else:
    raise AssertionError("a command without a server has ended well")
"""
    found = after(script)
    assert not found["running"]
    assert "grpc" in found["tops"]  # It has come as far as asking.
    assert not {"matplotlib", "skimage"} & set(found["tops"])
    assert not strange & set(found["parts"])
