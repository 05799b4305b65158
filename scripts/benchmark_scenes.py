#!/usr/bin/env python
"""Measure what scenes cost: reading, memory, overlap, bytes over HTTP; and that pixels and polygons agree.

    python scripts/benchmark_scenes.py [--part reading memory overlap http round_trip] [--size 20000]
        [--imagery FILE] [--saved-model DIR] [--work DIR] [--json]

reading     windows of a tiled GeoTIFF, read by a source, beside rasterio reading the same blocks in the order of the
            file; two threads each, in turn
memory      the largest memory of `rsir-tf index` and `rsir-tf segment` for scenes of 1/4, 1/2 and 1/1 of the size a side
overlap     the time of `rsir-tf segment` at its default overlap, beside that of the same scene without overlap
http        bytes that a server sends for one window of a COG, beside those of the blocks that the window touches
round_trip  a class raster's pixels beside the polygons at their places; corners of footprints beside rasterio's

Scenes are made of FILE, which is repeated with turns and flips; without it, of coloured noise. The model is a process
that answers any image at once with the same classes and features. For `overlap` it waits as long as a network would
compute, in proportion to the pixels; --saved-model takes a real one for that part.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from rsir_tf.processors import in_threads

CLASSES = 17
PIECE = 1024
BLOCK = 256
SECONDS_PER_PIXEL = 4e-6
"""Of a network on two cores: 0.26 s for 256×256 pixels."""


class Imagery:
    """Pieces of real imagery, endlessly repeated; no two neighbours are the same."""

    def __init__(self, file: Path | None) -> None:
        random = np.random.default_rng(0)
        if file is None:
            coarse = random.integers(0, 256, (3, PIECE // 16, PIECE // 16)).repeat(16, 1).repeat(16, 2)
            noisy = [np.clip(np.roll(coarse, turn, 1) + random.normal(0, 12, coarse.shape), 0, 255) for turn in (0, 99)]
            self.pieces = [each.astype(np.uint8) for each in noisy]
        else:
            with rasterio.open(file) as dataset:
                corners = [
                    (x, y)
                    for y in range(0, dataset.height - PIECE + 1, PIECE)
                    for x in range(0, dataset.width - PIECE + 1, PIECE)
                ]
                if not corners or dataset.count < 3 or dataset.dtypes[0] != "uint8":
                    raise SystemExit(f"{file}: wanted 8-bit RGB of at least {PIECE} pixels a side")
                self.pieces = [dataset.read([1, 2, 3], window=Window(x, y, PIECE, PIECE)) for x, y in corners]

    def piece(self, row: int, column: int) -> np.ndarray:
        number = row * 7 + column * 3
        return np.rot90(self.pieces[number % len(self.pieces)], number % 4, (1, 2))


def make_scene(imagery: Imagery, file: Path, side: int, **options: Any) -> Path:
    """A square tiled GeoTIFF with a place, JPEG inside unless told otherwise."""
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True,
        "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "jpeg", "photometric": "ycbcr", "crs": "EPSG:32645",
        "transform": rasterio.Affine(0.3, 0, 360_000, 0, -0.3, 3_060_000), **options,
    }  # fmt: skip
    if file.exists():
        return file
    with rasterio.Env(GDAL_CACHEMAX=256 << 20), rasterio.open(file, "w", **profile) as dataset:
        for y in range(0, side, PIECE):
            for x in range(0, side, PIECE):
                width, height = min(PIECE, side - x), min(PIECE, side - y)
                piece = imagery.piece(y // PIECE, x // PIECE)[:, :height, :width]
                dataset.write(piece, window=Window(x, y, width, height))
    return file


# Reading


def reading(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Ratio of the two rates; both read every pixel once, in the order of the file, with two threads."""
    from rsir_tf.rasters import Reading, Tiling, read_pixels, windows_of

    found = {}
    for compress in ("jpeg", "deflate"):
        # A deflated scene of full size would be larger than a gigabyte.
        side = options.size if compress == "jpeg" else options.size // 2
        more = {} if compress == "jpeg" else {"photometric": "rgb"}
        file = make_scene(imagery, work / f"{compress}_{side}.tif", side, compress=compress, **more)
        windows = list(windows_of(str(file), Reading(tiling=Tiling(BLOCK))))
        with rasterio.open(file) as dataset:
            blocks = [window for _, window in dataset.block_windows(1)]
        own = threading.local()

        def plain(window: Window, file: Path = file, own: threading.local = own) -> int:
            if not hasattr(own, "dataset"):
                own.dataset = rasterio.open(file)
            return int(own.dataset.read(window=window).size)

        def ours(window: Any) -> int:
            return int(read_pixels(window).values.size)

        rates: dict[str, list[float]] = {"source": [], "rasterio": []}
        for _ in range(options.rounds):
            for name, work_on, items in (("rasterio", plain, blocks), ("source", ours, windows)):
                start = time.perf_counter()
                pixels = sum(in_threads(work_on, items, threads=2)) / 3
                rates[name].append(pixels / (time.perf_counter() - start))
        ratios = [mine / theirs for mine, theirs in zip(rates["source"], rates["rasterio"], strict=True)]
        found[compress] = {
            "side": side,
            "source_megapixels_per_second": statistics.median(rates["source"]) / 1e6,
            "rasterio_megapixels_per_second": statistics.median(rates["rasterio"]) / 1e6,
            "ratio": statistics.median(ratios),
        }
    return {**found, "ratio": min(each["ratio"] for each in found.values()), "wanted": "ratio >= 0.9"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", default=["reading"])
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--imagery", type=Path)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    options.work.mkdir(exist_ok=True)
    print(json.dumps(reading(options, options.work, Imagery(options.imagery)), indent=1))


if __name__ == "__main__":
    main()
