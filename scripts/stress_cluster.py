#!/usr/bin/env python
"""Kill workers and drivers of `rsir-tf index --ray` with -9 at random moments; compare with an undisturbed index.

    python scripts/stress_cluster.py [--worker-kills 10] [--driver-kills 5] [--images 1200] [--seed 0] [--json]

A Ray cluster of two nodes runs on this machine. First, workers are killed while one driver goes on; then the driver is
killed, and another goes on where it was; then both. The model answers with prepared tensors, and parts and segments are
small. After each kill of a driver, the index must open and all its bytes must agree with the manifest. At the end,
every file must be byte-identical to that of an index which this process makes alone. The exit code is 1 if anything is
wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmark_cluster import Canned, contents, render, two_nodes

from rsir_tf.artifacts import MANIFEST
from rsir_tf.index import verify_index, writer
from rsir_tf.ranking import open_index
from rsir_tf.workflows import index_archive

DRIVER = """
import functools, sys
from pathlib import Path

address, archive, to, told, seconds = sys.argv[1:6]
from benchmark_cluster import Canned
from rsir_tf.archives import open_archive
from rsir_tf.cluster import WorkerPool
from rsir_tf.index import writer
from rsir_tf.workflows import ModelOnWorkers, clustered_indexing, index_archive

clustered_indexing.IMAGES_PER_PART = 32
writer.IndexWriter.open.__func__.__kwdefaults__["images_per_segment"] = 100
with WorkerPool(address, functools.partial(Canned, 32, float(seconds), Path(told)), workers=2) as pool:
    model = ModelOnWorkers(pool)
    print("begun", flush=True)
    index_archive(open_archive(Path(archive)), model, Path(to))
"""

SECONDS = 0.01
"""That the model takes for an image."""


class Stress:
    """Drivers and workers, and what was wrong after they were killed.

    Args:
        address: Of the cluster.
        work: A folder with the archive.
        images: Their number.
        seed: Of the moments.
    """

    def __init__(self, address: str, work: Path, images: int, seed: int) -> None:
        self.address, self.work, self.rng = address, work, random.Random(seed)
        self.images = images
        self.told = work / "told"
        self.told.mkdir()
        self.kills = {"worker": 0, "driver": 0}
        self.failures: list[str] = []

    def driver(self, to: Path) -> subprocess.Popen[str]:
        """Start a driver; it returns when the workers have begun."""
        given = [self.address, self.work / "archive", to, self.told, SECONDS]
        line = [sys.executable, "-c", DRIVER, *map(str, given)]
        driver = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        driver.stdout.readline()
        return driver

    def kill_worker(self) -> None:
        """Kill one of the workers that are there."""
        alive = [file for file in self.told.iterdir() if Path("/proc", file.name).exists()]
        if alive:
            file = self.rng.choice(alive)
            os.kill(int(file.name), signal.SIGKILL)
            file.unlink()
            self.kills["worker"] += 1

    def run(self, to: Path, worker_kills: int, driver_kills: int) -> None:
        """Index, while so many are killed; a run that ends too early is done again from its beginning."""
        wanted = {"worker": self.kills["worker"] + worker_kills, "driver": self.kills["driver"] + driver_kills}
        pause = self.images * SECONDS / (worker_kills + driver_kills + 1)
        while True:
            driver = self.driver(to)
            self.disturb(driver, wanted, pause)
            _, errors = driver.communicate()
            if driver.returncode == -signal.SIGKILL:
                self.check(to)
                continue
            if driver.returncode:
                self.failures.append(f"a driver ended with {driver.returncode}: {errors[-500:]}")
                return
            if self.kills == wanted:
                return
            shutil.rmtree(to)

    def disturb(self, driver: subprocess.Popen[str], wanted: dict[str, int], pause: float) -> None:
        """Kill until the driver is killed or at its end, or enough were killed."""
        while self.kills != wanted:
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.wait(self.rng.uniform(0, pause))
                return
            left = {who: wanted[who] - self.kills[who] for who in wanted}
            if self.rng.random() * sum(left.values()) < left["worker"]:
                self.kill_worker()
            else:
                driver.kill()
                self.kills["driver"] += 1
                return

    def check(self, to: Path) -> None:
        """Whether an index is whole after a kill."""
        if (to / MANIFEST).exists():
            open_index(to)
            self.failures += [f"after {self.kills}: {problem.text}" for problem in verify_index(to)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worker-kills", type=int, default=10)
    parser.add_argument("--driver-kills", type=int, default=5)
    parser.add_argument("--images", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    writer.IndexWriter.open.__func__.__kwdefaults__["images_per_segment"] = 100
    files = 0
    with tempfile.TemporaryDirectory() as folder, two_nodes() as address:
        work = Path(folder)
        archive = render(work / "archive", options.images, 32)
        index_archive(archive, Canned(32), work / "alone")
        wanted = contents(work / "alone")
        stress = Stress(address, work, options.images, options.seed)
        first, alone = options.worker_kills // 2, options.driver_kills // 2
        rounds = [(first, 0), (0, alone), (options.worker_kills - first, options.driver_kills - alone)]
        for number, (workers, drivers) in enumerate(rounds):
            to = work / f"index {number}"
            stress.run(to, workers, drivers)
            found = contents(to)
            files += len(found)
            stress.failures += [
                f"{name} differs from the undisturbed one"
                for name in sorted({*found, *wanted})
                if found.get(name) != wanted.get(name)
            ]
            stress.failures += [f"{to.name}: skipped {name}: {why}" for name, why in open_index(to).skipped.items()][:3]
            if to.with_name(f"{to.name}.parts").exists():
                stress.failures.append(f"{to.name}: finished parts were left behind")
    result = {**stress.kills, "images": options.images, "files": files, "failures": stress.failures}
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(
            f"{stress.kills['worker']} workers and {stress.kills['driver']} drivers were killed, {files} files of "
            f"{options.images} images compared: {len(stress.failures)} failures"
        )
        print("\n".join(stress.failures))
    sys.exit(bool(stress.failures))


if __name__ == "__main__":
    main()
