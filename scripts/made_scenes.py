"""Scenes of any size for benchmarks: tiled GeoTIFFs of real imagery, repeated with turns and flips, or of noise."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

PIECE = 1024
BLOCK = 256


class Imagery:
    """Pieces of real imagery, endlessly repeated: turned, and a little brighter or darker, so that few are equal."""

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
        turned = np.rot90(self.pieces[number % len(self.pieces)], number % 4, (1, 2))
        return np.clip(turned.astype(np.int16) + (row * 11 + column) % 61 - 30, 0, 255).astype(np.uint8)


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


Part = Callable[[argparse.Namespace, Path, Imagery], dict[str, Any]]
"""Measures something of scenes that it makes in a folder."""


def measure(parser: argparse.ArgumentParser, parts: Mapping[str, Part]) -> None:
    """Read the command line, and print what its parts find."""
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--size", type=int, default=20_000, help="side of the largest scene in pixels")
    parser.add_argument("--imagery", type=Path, help="8-bit RGB that scenes are made of")
    parser.add_argument("--work", type=Path, help="keeps the scenes that were made; about 200 MB")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    imagery = Imagery(options.imagery)
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        found = {}
        for part in options.part:
            found[part] = parts[part](options, work, imagery)
            if not options.json:
                print(f"{part}: {json.dumps(found[part], indent=2)}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))
