#!/usr/bin/env python
"""Kill `rsir-tf index` with -9 at random moments, many times, and compare the index with an undisturbed one.

    python scripts/stress_index.py [--kills 50] [--images 400] [--seed 0] [--json]

This is done twice: with an archive of pictures, and with a scene whose windows have places and of which a quarter shows
nothing. The images are noise, a stand-in in the same process takes the place of the model, and segments are small, so
that merging is disturbed too. What does not fill a segment yet is staged every 20 ms. Half of the kills happen while
the index is made. The other half happen while it is updated, after the modification time of every file was changed;
then only these times are written again. After each kill, the index must open and all bytes must agree with the
manifest. At the end of each half, every file must be byte-identical to that of the undisturbed index, except for the
time in the manifest. The exit code is 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
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
from rsir_tf.index import merging, pending, writer
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.rasters import Reading, Tiling
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
pending.SECONDS_BETWEEN_STAGINGS = 0.02
writer.IndexWriter.open.__func__.__kwdefaults__["images_per_segment"] = 10
print("started", flush=True)
reading = Reading(tiling=Tiling(32)) if Path(sys.argv[1], "scene.tif").exists() else None
summary = index_archive(open_archive(sys.argv[1], reading=reading), Stand(), Path(sys.argv[2]))
if "asked nothing" in sys.argv and summary.added:
    sys.exit(f"the model was asked for {summary.added} images")
"""


def render(folder: Path, images: int) -> None:
    """Write small pictures of noise. Every tenth is a copy of an earlier one, and every 25th is not a picture."""
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


def render_scene(folder: Path, images: int) -> None:
    """Write a scene of noise with this number of windows, at least, the first quarter of whose columns is nodata."""
    import rasterio
    from rasterio.transform import Affine

    rows = -(-images // 20)
    values = np.random.default_rng(0).integers(1, 256, (3, 4 * rows, 80), dtype=np.uint8)
    values[:, :, :20] = 0
    folder.mkdir()
    size = {"width": 640, "height": 32 * rows, "count": 3, "dtype": "uint8", "nodata": 0, "photometric": "RGB"}
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 5e5, 0, -10, 5.5e6)}
    with rasterio.open(folder / "scene.tif", "w", driver="GTiff", tiled=True, **size, **place) as scene:
        scene.write(values.repeat(8, axis=1).repeat(8, axis=2))


def start(archive: Path, index: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(archive), str(index), *words]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    worker.stdout.readline()  # Imports are over: what follows is work on the index.
    return worker


def finish(archive: Path, index: Path, *words: str) -> float:
    """Wait until the process ends; return how many seconds after its start that was."""
    worker = start(archive, index, *words)
    started = time.monotonic()
    _, errors = worker.communicate()
    if worker.returncode:
        raise SystemExit(f"an undisturbed run ended with {worker.returncode}: {errors}")
    return time.monotonic() - started


class Stress:
    """Counts kills, and collects what was wrong after them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.kills = self.restarts = 0
        self.failures: list[str] = []

    def disturb(self, archive: Path, index: Path, kills: int, whole: float, *words: str) -> None:
        """Kill this many times; a run that ends before is started again from the first state of the folder."""
        before = index.with_name("before")
        if index.exists():
            shutil.copytree(index, before)
        last = self.kills + kills
        while self.kills < last:
            worker = start(archive, index, *words)
            try:
                # Short runs, so that many of them are needed for the whole work.
                worker.wait(self.rng.uniform(0, whole / 12))
                shutil.rmtree(index)
                if before.exists():
                    shutil.copytree(before, index)
                self.restarts += 1
                continue
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.communicate()
                self.kills += 1
            if (index / MANIFEST).exists():
                open_index(index)
                self.failures += [f"after kill {self.kills}: {problem.text}" for problem in verify_index(index)]
        finish(archive, index, *words)

    def compare(self, undisturbed: Path, disturbed: Path) -> int:
        """Record each file that differs; return how many there are."""
        one, other = contents(undisturbed), contents(disturbed)
        self.failures += [
            f"{name} differs from the undisturbed one after {self.kills} kills"
            for name in sorted({*one, *other})
            if one.get(name) != other.get(name)
        ]
        return len(one)


def contents(index: Path) -> dict[str, Any]:
    """The bytes of every file; of the manifest, everything except its time."""
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
    stress = Stress(options.seed)
    images = files = 0
    for share, make in enumerate((render, render_scene)):
        kills = (options.kills + share) // 2
        with tempfile.TemporaryDirectory() as folder:
            archive, undisturbed, disturbed = (Path(folder) / name for name in ("archive", "undisturbed", "disturbed"))
            make(archive, options.images)
            whole = finish(archive, undisturbed)
            stress.disturb(archive, disturbed, kills // 2, whole)
            files += stress.compare(undisturbed, disturbed)
            for file in archive.iterdir():
                os.utime(file, ns=(1, 1))
            whole = finish(archive, undisturbed, "asked nothing")
            stress.disturb(archive, disturbed, kills - kills // 2, whole, "asked nothing")
            files += stress.compare(undisturbed, disturbed)
            images += len(open_index(disturbed))
    kills, restarts, failures = stress.kills, stress.restarts, stress.failures
    found = {"kills": kills, "restarts": restarts, "images": images, "files": files, "failures": failures}
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{kills} kills, {restarts} times anew, {images} images in {files} files: {len(failures)} failures")
        print("\n".join(failures))
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
