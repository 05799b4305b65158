#!/usr/bin/env python
"""Measure what it costs to read scenes, from a file and over HTTP.

    python scripts/benchmark_scenes.py [--part reading http] [--size 20000] [--rounds 3] [--imagery FILE] [--work DIR]
        [--json]

reading  windows of a tiled GeoTIFF, read by a source, beside rasterio reading the same blocks in the order of the file;
         two threads each, in turn
http     bytes that a server sends for one window of a COG, beside those of the blocks that the window touches

Scenes are made of FILE, which is repeated with turns and flips; without it, of coloured noise.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from made_scenes import BLOCK, PIECE, Imagery, make_scene, measure
from rasterio.windows import Window


def reading(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Ratio of the two rates. Both read every pixel once, in the order of the file, with two threads.

    They take turns, stripe by stripe, so that a busy machine slows both; ratios are medians over the stripes.
    """
    from rsir_tf.rasters import Reading, Tiling, read_pixels, windows_of

    # MiB of decoded blocks that GDAL keeps: so few that every round decodes all of them.
    os.environ["GDAL_CACHEMAX"] = "64"
    found = {}
    for compress in ("jpeg", "deflate"):
        # A deflated scene of full size would be larger than a gigabyte.
        side = options.size if compress == "jpeg" else options.size // 2
        more = {} if compress == "jpeg" else {"photometric": "rgb"}
        file = make_scene(imagery, work / f"{compress}_{side}.tif", side, compress=compress, **more)
        stripes: dict[int, tuple[list[Any], list[Any]]] = {}
        with rasterio.open(file) as dataset:
            for _, block in dataset.block_windows(1):
                stripes.setdefault(block.row_off // PIECE, ([], []))[0].append(block)
        for window in windows_of(str(file), Reading(tiling=Tiling(BLOCK))):
            assert window.window is not None
            stripes[window.window[1] // PIECE][1].append(window)
        own = threading.local()

        def plain(window: Window, file: Path = file, own: threading.local = own) -> int:
            if not hasattr(own, "dataset"):
                own.dataset = rasterio.open(file)
            return int(own.dataset.read(window=window).size)

        def ours(window: Any) -> int:
            return int(read_pixels(window).values.size)

        taken: dict[str, list[tuple[float, float]]] = {"rasterio": [], "source": []}
        with ThreadPoolExecutor(2) as pool:  # Threads that stay: each opens the file once.
            for turn in range(options.rounds * len(stripes)):
                blocks, windows = stripes[turn % len(stripes)]
                works = [("rasterio", plain, blocks), ("source", ours, windows)]
                for name, read, items in works[:: 1 if turn % 2 else -1]:
                    wall, processor = time.perf_counter(), time.process_time()
                    pixels = sum(pool.map(read, items, chunksize=1)) / 3e6
                    spent = time.perf_counter() - wall, time.process_time() - processor
                    taken[name].append((pixels / spent[0], pixels / spent[1]))
        rates = {name: np.array(values) for name, values in taken.items()}
        wall_ratio, processor_ratio = np.median(rates["source"] / rates["rasterio"], axis=0).tolist()
        found[compress] = {
            "side": side,
            "source_megapixels_per_second": float(np.median(rates["source"][:, 0])),
            "rasterio_megapixels_per_second": float(np.median(rates["rasterio"][:, 0])),
            "ratio": wall_ratio,
            "processor_ratio": processor_ratio,
        }
    return {**found, "ratio": min(each["ratio"] for each in found.values()), "wanted": "ratio >= 0.9"}


@contextmanager
def ranges_of(folder: Path) -> Iterator[tuple[str, Counter[str]]]:
    """A server of a folder's files that answers requests for ranges, and counts what it sends by file and requests."""
    sent: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            file = folder / self.path.lstrip("/")
            if not file.is_file():
                self.send_error(404)
                return
            size = file.stat().st_size
            first, last, code = 0, size - 1, 200
            if asked := self.headers.get("Range"):
                begin, _, end = asked.removeprefix("bytes=").partition("-")
                first, last, code = int(begin), min(int(end or last), last), 206
            self.send_response(code)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last - first + 1))
            if code == 206:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if body:
                sent["requests"] += 1
                sent["bytes"] += last - first + 1
                with file.open("rb") as stream:
                    stream.seek(first)
                    self.wfile.write(stream.read(last - first + 1))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
    finally:
        server.shutdown()


def http(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Bytes for windows of a COG, each read by itself, the header included, beside those of the blocks they touch."""
    from rasterio.shutil import copy

    from rsir_tf.rasters import RasterSource, read_pixels

    side = min(options.size, 4096)
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    cog = work / f"cog_{side}.tif"
    if not cog.exists():
        copy(scene, cog, driver="COG", compress="jpeg", blocksize=512, quality=85)
    found = {}
    windows = {
        "one_block": (1024, 512, 256, 256),
        "four_blocks": (900, 1400, 256, 256),
        "aligned": (512, 512, 512, 512),
    }
    with ranges_of(work) as (address, sent):
        for name, (x, y, width, height) in windows.items():
            with rasterio.open(cog) as dataset:
                blocks = [(row, column) for row in range(y // 512, -(-(y + height) // 512))
                          for column in range(x // 512, -(-(x + width) // 512))]  # fmt: skip
                sizes = [int(dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", 1)) for row, column in blocks]
            sent.clear()
            # A copy of another name each time: nothing is remembered of it.
            alias = work / f"cog_{side}_{name}.tif"
            alias.unlink(missing_ok=True)
            os.link(cog, alias)
            pixels = read_pixels(RasterSource(f"{address}/{alias.name}", window=(x, y, width, height)))
            alias.unlink()
            with rasterio.open(cog) as dataset:
                assert (pixels.values == np.moveaxis(dataset.read(window=Window(x, y, width, height)), 0, 2)).all()
            found[name] = {
                "blocks": len(blocks), "block_bytes": sum(sizes), "bytes": sent["bytes"], "requests": sent["requests"],
                "ratio": sent["bytes"] / sum(sizes),
            }  # fmt: skip
    return {**found, "ratio": max(each["ratio"] for each in found.values()), "wanted": "ratio <= 2"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="of reading")
    measure(parser, {"reading": reading, "http": http})


if __name__ == "__main__":
    main()
