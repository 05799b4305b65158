#!/usr/bin/env python
"""Kill `rsir-tf index` with -9 at random moments, over and over, and compare the index with an undisturbed one.

    python scripts/stress_index.py [--kills 50] [--images 400] [--seed 0] [--json]

The images are rendered noise, the model is a stand-in in the same process, and segments are small, so that merging is
disturbed too. After each kill the index must open and every byte must be as the manifest says; at the end every file
must be byte-identical to that of the undisturbed index, the time in the manifest apart. Exit code 1 where it is not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.artifacts import MANIFEST
from rsir_tf.index import verify_index
from rsir_tf.ranking import open_index

WORKER = """
import sys
from pathlib import Path

import numpy as np

from rsir_tf.archives import open_archive
from rsir_tf.index import merging, writer
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.workflows import index_archive


class Stand:
    '''Stands in for a model: the class of a pixel is its strongest colour; features are colours times fixed numbers.'''

    def describe(self):
        return ModelDescription("stand-in", ("red", "green", "blue"))

    def predict_stream(self, images):
        mix = np.random.default_rng(0).random((3, 512), dtype=np.float32)
        for image in images:
            yield Prediction(image.argmax(axis=-1).astype(np.uint8), image[::16, ::16].astype(np.float32) @ mix)


merging.MERGED_IMAGES = 40
writer.IndexWriter.open.__func__.__kwdefaults__["images_per_segment"] = 10
print("started", flush=True)
index_archive(open_archive(sys.argv[1]), Stand(), Path(sys.argv[2]))
"""


def render(folder: Path, images: int) -> None:
    """Write small pictures of noise, every tenth equal to one before it and every 25th no picture at all."""
    from PIL import Image

    rng = np.random.default_rng(0)
    folder.mkdir()
    for at in range(images):
        path = folder / f"{at:05d}.png"
        if at % 25 == 24:
            path.write_text("no picture")
        elif at % 10 == 9:
            shutil.copy(folder / f"{at // 10 * 10:05d}.png", path)
        else:
            blocks = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1)).save(path)


def start(archive: Path, index: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(archive), str(index)]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    worker.stdout.readline()  # Imports are over: what follows is work on the index.
    return worker


def finish(archive: Path, index: Path) -> float:
    """Let it run to its end: seconds after its start."""
    worker = start(archive, index)
    started = time.monotonic()
    _, errors = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"an undisturbed run ended with {worker.returncode}: {errors}")
    return time.monotonic() - started


def contents(index: Path) -> dict[str, Any]:
    """Every file's bytes, and the manifest without its time."""
    found: dict[str, Any] = {
        str(file.relative_to(index)): file.read_bytes()
        for file in index.rglob("*")
        if file.is_file() and file.name != MANIFEST
    }
    manifest = json.loads((index / MANIFEST).read_text())
    del manifest["created"]
    return {**found, MANIFEST: manifest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        archive, undisturbed, disturbed = (Path(folder) / name for name in ("archive", "undisturbed", "disturbed"))
        render(archive, options.images)
        whole = finish(archive, undisturbed)
        kills = restarts = 0
        failures: list[str] = []
        while kills < options.kills:
            worker = start(archive, disturbed)
            try:
                # Short lives, so that many of them fit into the work.
                worker.wait(rng.uniform(0, whole / 12))
                shutil.rmtree(disturbed)  # It has come to its end: begin anew.
                restarts += 1
                continue
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.communicate()
                kills += 1
            if (disturbed / MANIFEST).exists():
                open_index(disturbed)
                failures += [f"after kill {kills}: {problem.text}" for problem in verify_index(disturbed)]
        finish(archive, disturbed)
        one, other = contents(undisturbed), contents(disturbed)
        failures += [
            f"{name} differs from the undisturbed one"
            for name in sorted({*one, *other})
            if one.get(name) != other.get(name)
        ]
        images = len(open_index(disturbed))
    found = {"kills": kills, "restarts": restarts, "images": images, "files": len(one), "failures": failures}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{kills} kills, {restarts} times anew, {images} images in {len(one)} files: {len(failures)} failures")
        print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
