"""Disturb a model server while it is in use, and count what is lost. Nothing should be lost.

1. swaps: threads send requests all the time while versions of the model are published and removed.
2. restarts: the server is killed (--signal KILL) or told to stop (--signal TERM), and started again, while
   `rsir-tf index` runs. The index must be the same as that of an undisturbed run, byte for byte, except for the time
   at which it was made.

    python scripts/stress_serving.py saved_models/fcn8s [--images 420] [--size 256] [--requests 1000]
        [--restarts 10] [--signal KILL|TERM] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.errors import ModelError, ServerUnavailableError
from rsir_tf.serving import connect
from rsir_tf.serving.client.inspection import model_versions

PROGRAM = Path(sys.executable).parent / "rsir-tf"
NAME = "fcn8s"


class Server:
    """`rsir-tf serve` in a process of its own, with the same port after each restart."""

    def __init__(self, base: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.base = base

    def start(self) -> None:
        line = [PROGRAM, "serve", self.base, "--model", NAME, "--engine", "embedded", "--port", str(self.port)]
        self.process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(ModelError):
                if available(self.address):
                    return
            if self.process.poll() is not None:
                raise SystemExit(f"{' '.join(map(str, line))} has ended")
            time.sleep(0.1)

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self.end(signal.SIGKILL)


def available(address: str) -> list[int]:
    states = model_versions(address, model_name=NAME, timeout=60)
    return [status.version for status in states if status.state == "AVAILABLE"]


def swaps(export: Path, folder: Path, requests: int, threads: int) -> dict[str, Any]:
    base = folder / NAME
    base.mkdir()

    def publish(number: int) -> None:
        shutil.copytree(export, base / f"part-{number}", copy_function=os.link)
        (base / f"part-{number}").rename(base / str(number))

    publish(1)
    server = Server(base)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    done, failed = [0], list[str]()
    counting = threading.Lock()

    def ask() -> None:
        while True:
            with counting:
                if done[0] >= requests:
                    return
                done[0] += 1
            try:
                model.predict([image])
            except ModelError as error:
                failed.append(str(error))

    started, swapped = time.monotonic(), 0
    with (
        server.running(),
        connect(server.address, model_name=NAME, in_flight=threads) as model,
        ThreadPoolExecutor(threads) as pool,
    ):
        model.describe()
        asking = [pool.submit(ask) for _ in range(threads)]
        while not all(future.done() for future in asking):
            publish(swapped + 2)
            while available(server.address) != [swapped + 2]:
                if all(future.done() for future in asking):
                    break  # ended before this swap did
                time.sleep(0.1)
            else:
                swapped += 1
                shutil.rmtree(base / str(swapped))
        for future in asking:
            future.result()
    seconds = time.monotonic() - started
    return {"requests": done[0], "threads": threads, "swaps": swapped, "failed": failed, "seconds": round(seconds, 1)}


def restarts(export: Path, folder: Path, images: int, size: int, times: int, number: signal.Signals) -> dict[str, Any]:
    archive = folder / "archive"
    each = -(-images // 21)  # of 21 scenes
    subprocess.run(
        [PROGRAM, "synth", archive, "--images-per-scene", str(each), "--size", str(size)],
        check=True,
        capture_output=True,
    )
    extra = sorted((archive / "Images").rglob("*.tif"))[images:]
    for path in extra:
        path.unlink()
    server = Server(export.parent)

    def index(to: Path) -> subprocess.Popen[bytes]:
        line = [PROGRAM, "index", archive, "--to", to, "--server", server.address, "--model", NAME]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL)

    with server.running():
        started = time.monotonic()
        if index(folder / "undisturbed").wait() != 0:
            raise SystemExit("the undisturbed run has failed")
        undisturbed = time.monotonic() - started
        started = time.monotonic()
        process, killed = index(folder / "disturbed"), 0
        while not (folder / "disturbed").exists() and process.poll() is None:
            time.sleep(0.01)  # a server that is away when the command starts is told at once, and is none of this
        while killed < times and process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                # All kills are in the first half of the work, so that some work is left after the last one.
                process.wait(undisturbed / (2 * times))
                break
            server.end(number)
            killed += 1
            server.start()
        code = process.wait()
    seconds = time.monotonic() - started
    first, second = (contents(folder / name) for name in ("undisturbed", "disturbed"))
    different = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    return {
        "images": images, "signal": number.name, "kills": killed, "exit_code": code, "different_files": different,
        "seconds": round(seconds, 1), "undisturbed_seconds": round(undisturbed, 1),
    }  # fmt: skip


def contents(index: Path) -> dict[str, Any]:
    """The bytes of every file; of the manifest, everything except the time at which it was made."""
    found: dict[str, Any] = {
        str(path.relative_to(index)): path.read_bytes() for path in index.rglob("*") if path.is_file()
    }
    manifest = json.loads(found.pop("manifest.json", b"{}"))
    manifest.pop("created", None)
    return {**found, "manifest.json": manifest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saved_model", type=Path, help="saved_models/NAME, as `rsir-tf export` writes it")
    parser.add_argument(
        "--images", type=int, default=420, help="images to index while the server is killed; 0 leaves this part out"
    )
    parser.add_argument("--size", type=int, default=256, help="pixels on each side of these images")
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--signal", choices=("KILL", "TERM"), default="KILL", help="the signal that ends the server")
    parser.add_argument(
        "--requests", type=int, default=1000, help="requests to send while versions are swapped; 0 leaves this part out"
    )
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from rsir_tf.serving.exports import find_export

    export = find_export(options.saved_model).resolve()
    result: dict[str, Any] = {}
    # On the same disk as the export, because its files are linked instead of copied.
    with tempfile.TemporaryDirectory(prefix=".stress_", dir=export.parent.parent) as folder:
        try:
            if options.requests:
                result["swaps"] = swaps(export, Path(folder), options.requests, options.threads)
            if options.images:
                number = signal.Signals[f"SIG{options.signal}"]
                result["restarts"] = restarts(
                    export, Path(folder), options.images, options.size, options.restarts, number
                )
        except ServerUnavailableError as error:
            raise SystemExit(str(error)) from error
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        for name, figures in result.items():
            print(f"{name:9}", ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in figures.items()))
    complaints = []
    if "swaps" in result:
        complaints += ["requests failed"] if result["swaps"]["failed"] else []
        complaints += [] if result["swaps"]["swaps"] else ["no version was swapped: give more --requests"]
    if "restarts" in result:
        complaints += ["index has failed"] if result["restarts"]["exit_code"] else []
        complaints += ["the indexes differ"] if result["restarts"]["different_files"] else []
        killed = result["restarts"]["kills"]
        if killed != options.restarts:
            complaints.append(f"the server ended {killed} times instead of {options.restarts}: give more --images")
    sys.exit("; ".join(complaints) or 0)


if __name__ == "__main__":
    main()
