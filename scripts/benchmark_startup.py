"""Measure how soon `rsir-tf` answers: its help, and `query` and `index` up to the first byte that a server gets.

The index has 420 images, like the test part of UC Merced, and the archive has as many files. The times are compared
with the import of TensorFlow, which none of the commands may do. The script also prints processor time, which depends
less on other programs.

    python scripts/benchmark_startup.py [--rounds 5] [--images 420] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

PROGRAM = str(Path(sys.executable).parent / "rsir-tf")


def ended(*line: str) -> tuple[float, float]:
    """Elapsed seconds and processor seconds until a program ends."""
    before, start = used(), time.perf_counter()
    subprocess.run(line, capture_output=True, check=True)
    return time.perf_counter() - start, used() - before


def asked(*line: str) -> tuple[float, float]:
    """Elapsed seconds until a command's first byte reaches a server, and processor seconds until the command ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen: list[float] = []

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                seen.append(time.perf_counter())

        waiting = threading.Thread(target=accept, daemon=True)
        waiting.start()
        before, start = used(), time.perf_counter()
        subprocess.run(
            [PROGRAM, *line, "--server", f"127.0.0.1:{port}", "--timeout", "0.2"], capture_output=True, check=False
        )
        waiting.join(10)
    if not seen:
        raise SystemExit(f"rsir-tf {line[0]} has sent nothing")
    return seen[0] - start, used() - before


def make_archive(folder: Path, images: int) -> Path:
    """Make images in 21 scenes, all of them links to one file, and return the path of the first one."""
    from rsir_tf.presentation import save_png

    first = folder / "scene00" / "000.png"
    first.parent.mkdir(parents=True)
    save_png(first, np.zeros((256, 256, 3), np.uint8))
    for number in range(1, images):
        path = folder / f"scene{number % 21:02}" / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        os.link(first, path)
    return first


def make_index(folder: Path, images: int) -> None:
    from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter

    random = np.random.default_rng(0)
    regions, channels = 8, 512
    with IndexWriter.open(folder, IndexSettings("made", ("class",))) as writer:
        for number in range(images):
            writer.add(
                ImageEntry(
                    id=f"scene{number % 21:02}/{number:03}.png",
                    path=f"/archive/scene{number % 21:02}/{number:03}.png",
                    height=256,
                    width=256,
                    scene=f"scene{number % 21:02}",
                    tags=("class",),
                    content_hash=f"made {number}",
                    file_size=1000,
                    modified_ns=1,
                    classes=np.zeros(regions, np.int32),
                    areas=np.full(regions, 8192, np.int64),
                    boxes=np.tile(np.array([0, 0, 256, 256], np.int32), (regions, 1)),
                    recnn=random.random((regions, channels), np.float32),
                    recnn_plus=random.random(channels, np.float32),
                )
            )


def used() -> float:
    """Processor seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--images", type=int, default=420, help="number of images in the index and in the archive")
    options = parser.parse_args()
    os.environ.pop("RSIR_TF_SERVER", None)
    with tempfile.TemporaryDirectory() as folder:
        archive, index, new = (str(Path(folder, name)) for name in ("archive", "index", "new"))
        image = str(make_archive(Path(archive), options.images))
        make_index(Path(index), options.images)
        taken = {
            "help": [ended(PROGRAM, "--help") for _ in range(options.rounds)],
            "query": [asked("query", image, "--index", index) for _ in range(options.rounds)],
            "index": [asked("index", archive, "--to", index) for _ in range(options.rounds)],
            "new_index": [asked("index", archive, "--to", new) for _ in range(options.rounds)],
            "tensorflow": [ended(sys.executable, "-c", "import tensorflow")],
        }
    found = {
        name: {
            "seconds": statistics.median(a for a, _ in runs),
            "most_seconds": max(a for a, _ in runs),
            "processor_seconds": statistics.median(b for _, b in runs),
        }
        for name, runs in taken.items()
    }
    ratio = found["tensorflow"]["processor_seconds"] / found["query"]["processor_seconds"]
    if options.json:
        print(json.dumps({**found, "ratio": ratio}, indent=2))
        return
    words = {
        "help": "--help",
        "query": "query, up to the first request",
        "index": "index, an index that is there",
        "new_index": "index, a new one",
        "tensorflow": "import tensorflow",
    }
    for name, figures in found.items():
        print(
            f"{words[name]:32}{figures['seconds']:6.2f} s, at most {figures['most_seconds']:.2f} s, "
            f"processor {figures['processor_seconds']:.2f} s"
        )
    print(f"importing TensorFlow takes {ratio:.1f} times the query's processor time")


if __name__ == "__main__":
    main()
