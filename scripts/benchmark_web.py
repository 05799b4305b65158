#!/usr/bin/env python
"""The page on a large index: its start, a click on a region, many users at once, and thumbnails.

    python scripts/benchmark_web.py --maps MAPS.npy [--images 109161] [--work DIR] [--users 20] [--seconds 60] [--json]

The index is made as by `benchmark_search.py`, from conv5_3 of real images; its images lie in a few thousand small
picture files. The model is a canned one, which answers at once, so that the figures are those of everything else. The
click is timed in a real browser, from the click to the new hits on the screen; without a browser it is left out.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np

PICTURES = 2000
SIDE = 256
PORT = 8199
NAMES = tuple(f"class {at}" for at in range(17))


def picture_files(folder: Path) -> list[Path]:
    """Small JPEG files, each with another content."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{at:05d}.jpg" for at in range(PICTURES)]
    rng = np.random.default_rng(0)
    for file in files:
        if not file.exists():
            coarse = rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, quality=90)
    return files


def build(path: Path, maps: np.ndarray, images: int, pictures: Path) -> None:
    from made_index import HELD_BACK, Material

    from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
    from rsir_tf.ranking import derived_files
    from rsir_tf.rasters import FileSource, content_hash, read_pixels

    files = picture_files(pictures)
    sources = [FileSource(file) for file in files]
    hashes = [content_hash(read_pixels(source)) for source in sources]
    material = Material(maps)
    settings = IndexSettings("benchmark", NAMES, channels=len(material.mean))
    with IndexWriter.open(path, settings, derived=derived_files()) as writer:
        writer.record_root("", str(pictures))
        for at in range(images):
            regions, areas = material.image(HELD_BACK, len(material.cuts))
            source = sources[at % PICTURES]
            scene = f"scene_{at % 46:02d}"
            writer.add(
                ImageEntry(
                    f"{scene}/image_{at:06d}.jpg", source.address, SIDE, SIDE, scene, (f"tag {at % 60}",),
                    hashes[at % PICTURES], *source.fingerprint, material.classes(regions),
                    areas, np.tile([0, 0, 64, 64], (len(regions), 1)), regions, regions.max(axis=0),
                )
            )  # fmt: skip
            if at % 10_000 == 0:
                print(f"{at:,} of {images:,} images", file=sys.stderr)
        writer.merge()


class Canned:
    """Answers at once: a map of a real image, and areas around random places, both chosen by the picture."""

    def __init__(self, maps: np.ndarray) -> None:
        self.maps = maps

    def describe(self) -> Any:
        from rsir_tf.contract import ModelDescription

        return ModelDescription("benchmark", NAMES, self.maps.shape[-1])

    def predict(self, images: Any) -> list[Any]:
        from rsir_tf.contract import Prediction

        answers = []
        for image in images:
            seed = int(image[::16, ::16].sum())
            rng = np.random.default_rng(seed)
            places, rows = rng.uniform(0, SIDE, (10, 2)), np.arange(SIDE)
            apart = (rows[:, None, None] - places[:, 0]) ** 2 + (rows[None, :, None] - places[:, 1]) ** 2
            classes = rng.permutation(len(NAMES))[:10].astype(np.uint8)
            answers.append(Prediction(classes[apart.argmin(axis=-1)], self.maps[seed % 40].astype(np.float32)))
        return answers

    def close(self) -> None: ...


def serve(work: Path, index: Path, maps: Path) -> None:
    import fastapi  # noqa: F401
    import nicegui  # noqa: F401
    import pyarrow  # noqa: F401

    from rsir_tf.web.access import Access
    from rsir_tf.web.house import House
    from rsir_tf.web.serving import make_app, run
    from rsir_tf.workflows.browsing import WatchedIndex
    from rsir_tf.workflows.thumbnails import ThumbnailCache

    print(time.time(), flush=True)
    house = House(WatchedIndex(index), Canned(np.load(maps, mmap_mode="r")), ThumbnailCache(work / "thumbnails.sqlite"))
    run(make_app(house, Access(None, loopback=True)), "127.0.0.1", PORT)


CLICK = """at => new Promise(done => {
    const before = document.querySelector(".main h1"), started = performance.now();
    const regions = document.querySelectorAll(".query .region");
    regions[at % regions.length].dispatchEvent(new MouseEvent("click", { bubbles: true }));
    const look = () => {
        const now = document.querySelector(".main h1");
        if (now === before || !document.querySelector(".hits li")) requestAnimationFrame(look);
        else requestAnimationFrame(() => done((performance.now() - started) / 1000));
    };
    requestAnimationFrame(look);
})"""
"""Clicks on a region, and waits for the frame in which the new hits are shown."""


def get(path: str, connection: http.client.HTTPConnection) -> tuple[int, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read()


def wait_for_page() -> float:
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
            if get("/", connection)[0] == 200:
                return time.time()
        except OSError:  # noqa: PERF203 - it listens in a moment
            time.sleep(0.02)


def memory(process: int) -> float:
    """Anonymous memory in megabytes: without the vectors, which are mapped from disk."""
    return int(Path(f"/proc/{process}/status").read_text().split("RssAnon:")[1].split()[0]) / 1e3


def image_id(at: int) -> str:
    return f"scene_{at % 46:02d}/image_{at:06d}.jpg"


def many_users(users: int, seconds: float, images: int, process: int, seed: int = 0) -> dict[str, Any]:
    taken: list[float] = []
    failures: list[str] = []
    ends = time.monotonic() + seconds

    def user(number: int) -> None:
        rng = np.random.default_rng(seed + number)
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
        while time.monotonic() < ends:
            asked = {"id": image_id(int(rng.integers(images))), "top": 24}
            asked |= [{"scheme": "recnn+"}, {"scheme": "recnn"}, {"region": int(rng.integers(5))}][int(rng.integers(3))]
            started = time.monotonic()
            try:
                status, body = get("/api/query?" + urlencode(asked), connection)
                if status != 200:
                    failures.append(f"{status} {body[:100]!r}")
            except OSError as error:
                failures.append(repr(error))
                connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
            taken.append(time.monotonic() - started)

    threads = [threading.Thread(target=user, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    megabytes = []
    while any(thread.is_alive() for thread in threads):
        megabytes.append(memory(process))
        time.sleep(max(seconds / 30, 0.1))
    for thread in threads:
        thread.join()
    return {
        "users": users,
        "answers": len(taken),
        "failures": failures[:5],
        "p50_s": round(statistics.median(taken), 3),
        "p95_s": round(sorted(taken)[int(len(taken) * 0.95)], 3),
        "megabytes": [round(each) for each in (*megabytes[:: max(len(megabytes) // 6, 1)], megabytes[-1])],
    }


def thumbnails(connections: int = 8) -> float:
    """Thumbnails a second, of as many images as there are pictures."""
    waiting = list(range(PICTURES))

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        while True:
            try:
                at = waiting.pop()
            except IndexError:
                return
            assert get("/api/thumbnail?" + urlencode({"id": image_id(at)}), connection)[0] == 200

    threads = [threading.Thread(target=work) for _ in range(connections)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return PICTURES / (time.monotonic() - started)


def clicks(count: int = 12) -> dict[str, Any] | None:
    """Seconds from a click on a region to the new hits on the screen, in a browser; the first two are left out."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if found is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(f"http://127.0.0.1:{PORT}/?" + urlencode({"id": image_id(7), "scheme": "recnn"}))
        page.wait_for_selector(".query .region")
        taken = [page.evaluate(CLICK, at) for at in range(count)]
        browser.close()
    return {"median_s": round(statistics.median(taken[2:]), 3), "slowest_s": round(max(taken[2:]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=Path, help="float [n, h, w, C], as for benchmark_search.py; random without it")
    parser.add_argument("--images", type=int, default=109_161)
    parser.add_argument("--work", type=Path, help="where the index is kept; a temporary folder without it")
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument(
        "--settle", type=float, default=60.0, help="seconds of the same load before, in which caches fill"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--only-build", action="store_true", help="make the index and end")
    given = parser.parse_args()
    work = given.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    maps = given.maps
    if maps is None:
        maps = work / "maps.npy"
        np.save(maps, np.random.default_rng(0).random((60, 16, 16, 64), dtype=np.float32))
    if given.serve is not None:
        serve(work, given.serve, maps)
        return
    index = work / f"index_{given.images}"
    if not (index / "manifest.json").exists():
        build(index, np.load(maps), given.images, work / "pictures")
    if given.only_build:
        return
    (work / "thumbnails.sqlite").unlink(missing_ok=True)
    line = [sys.executable, __file__, "--maps", str(maps), "--work", str(work), "--serve", str(index)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            imported = float(running.stdout.readline())
            told: dict[str, Any] = {"images": given.images, "start_s": round(wait_for_page() - imported, 3)}
            told["click"] = clicks()
            told["thumbnails_made_a_second"] = round(thumbnails())
            told["thumbnails_kept_a_second"] = round(thumbnails())
            told["settling"] = many_users(given.users, given.settle, given.images, running.pid, 1000)
            told["load"] = many_users(given.users, given.seconds, given.images, running.pid)
        finally:
            running.terminate()
    print(json.dumps(told, indent=None if given.json else 2))
    if given.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
