"""Measure how soon `rsir-tf` answers: its help, and a query up to the first byte that it sends to a server.

Compared with importing TensorFlow, which neither may do. Processor time is told beside the clock's: on a busy machine
it says more.

    python scripts/benchmark_startup.py [--rounds 5] [--json]
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
    """Seconds by the clock, and of the processor, until a program ends."""
    before, start = used(), time.perf_counter()
    subprocess.run(line, capture_output=True, check=True)
    return time.perf_counter() - start, used() - before


def asked(image: Path, index: Path) -> tuple[float, float]:
    """Seconds by the clock until a query's first byte reaches a server, and of the processor until it ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen: list[float] = []

        def accept() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1)
                seen.append(time.perf_counter())

        waiting = threading.Thread(target=accept)
        waiting.start()
        line = [
            PROGRAM,
            "query",
            str(image),
            "--index",
            str(index),
            "--server",
            f"127.0.0.1:{port}",
            "--timeout",
            "0.2",
        ]
        before, start = used(), time.perf_counter()
        subprocess.run(line, capture_output=True, check=False)
        waiting.join(10)
    if not seen:
        raise SystemExit("the query has sent nothing")
    return seen[0] - start, used() - before


def used() -> float:
    """Processor seconds of all programs that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.pop("RSIR_TF_SERVER", None)
    from rsir_tf.index import IndexSettings, IndexWriter
    from rsir_tf.pictures import save_png

    with tempfile.TemporaryDirectory() as folder:
        image, index = Path(folder, "query.png"), Path(folder, "index")
        save_png(image, np.zeros((256, 256, 3), np.uint8))
        with IndexWriter.open(index, IndexSettings("none", ("class",))):
            pass
        taken = {
            "help": [ended(PROGRAM, "--help") for _ in range(options.rounds)],
            "query": [asked(image, index) for _ in range(options.rounds)],
            "tensorflow": [ended(sys.executable, "-c", "import tensorflow")],
        }
    found = {
        name: {
            "seconds": statistics.median(a for a, _ in runs),
            "processor_seconds": statistics.median(b for _, b in runs),
        }
        for name, runs in taken.items()
    }
    ratio = found["tensorflow"]["processor_seconds"] / found["query"]["processor_seconds"]
    if options.json:
        print(json.dumps({**found, "ratio": ratio}, indent=2))
        return
    words = {"help": "--help", "query": "query, up to the first request", "tensorflow": "import tensorflow"}
    for name, figures in found.items():
        print(f"{words[name]:32}{figures['seconds']:6.2f} s, processor {figures['processor_seconds']:.2f} s")
    print(f"importing TensorFlow takes {ratio:.1f} times the query's processor time")


if __name__ == "__main__":
    main()
