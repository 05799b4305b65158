#!/usr/bin/env python
"""Measure what `rsir-tf index` and `segment` cost on scenes, and that a map's pixels and polygons agree.

    python scripts/benchmark_scene_commands.py [--part memory overlap round_trip] [--size 20000]
        [--command index segment polygons] [--imagery FILE] [--saved-model DIR] [--work DIR] [--json]

memory      the largest memory of `rsir-tf index` and `rsir-tf segment` (--command names one, or `polygons`: segment
            with --polygons, whose areas grow with the scene) for scenes of a quarter, half and all of the size a side:
            the whole resident memory, and its anonymous part. The rest are pages of files (libraries, and files of the
            index), which the system may take away at any time.
overlap     the time of `rsir-tf segment` at its default overlap, beside that of the same scene without overlap
round_trip  a class raster's pixels beside the polygons at their places; corners of footprints beside rasterio's

Scenes are made of FILE, which is repeated with turns and flips; without it, of coloured noise. The model is a process
that answers any image at once with the same classes and features. For `overlap` it waits as long as a network would
compute, in proportion to the pixels; --saved-model takes a real one for that part, whose processor time counts where
other work shares the machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from canned_model import canned_model
from made_scenes import BLOCK, Imagery, make_scene, measure

MEASURED = ("index", "segment")
SECONDS_PER_PIXEL = 4e-6
"""Of a network on two cores: 0.26 s for 256×256 pixels."""


def run(*line: object) -> dict[str, float]:
    """Run `rsir-tf` to its end: its seconds by the clock and of processor time, and in MiB the largest memory it had.

    Linux keeps the maximum of resident memory. Anonymous memory is looked at every 5 ms; it is 0 on other systems.
    """
    program = [sys.executable, "-c", "from rsir_tf.cli import main; main()"]
    start = time.perf_counter()
    process = subprocess.Popen([*program, *map(str, line)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    ended, anonymous = threading.Event(), [0.0]
    looking = threading.Thread(target=watch, args=(process.pid, ended, anonymous))
    looking.start()
    errors = process.stderr.read().decode()
    ended.set()
    looking.join()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"rsir-tf {' '.join(map(str, line))} has failed:\n{errors}")
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds, "processor_seconds": usage.ru_utime + usage.ru_stime,
        "mebibytes": usage.ru_maxrss / 1024, "anonymous_mebibytes": anonymous[0],
    }  # fmt: skip


def watch(process: int, ended: threading.Event, largest: list[float]) -> None:
    """Keep the largest anonymous memory of a process in `largest`, until it has ended."""
    file = Path(f"/proc/{process}/status")
    while file.exists() and not ended.wait(0.005):
        found = [int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith("RssAnon:")]
        largest[0] = max(largest[0], *(kibibytes / 1024 for kibibytes in found), 0.0)


def memory(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """The largest memory of commands for scenes of three sizes, and how far these are apart."""
    found: dict[str, Any] = {}
    sides = [options.size // 4, options.size // 2, options.size]
    with canned_model() as server:
        for side in sides:
            scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
            with tempfile.TemporaryDirectory(dir=work) as folder:
                index = ("index", scene, "--to", Path(folder, "index"), "--tile", BLOCK, "--server", server.address)
                segment = ("segment", scene, "--to", Path(folder, "classes.tif"), "--server", server.address)
                polygons = (*segment, "--polygons", Path(folder, "areas.gpkg"))
                for name, line in (("index", index), ("segment", segment), ("polygons", polygons)):
                    if name in options.command:
                        found.setdefault(name, {})[str(side)] = run(*line)
    for name in options.command:
        for ratio, figure in (("ratio", "mebibytes"), ("anonymous_ratio", "anonymous_mebibytes")):
            taken = [found[name][str(side)][figure] for side in sides]
            found[name][ratio] = max(taken) / min(taken) if min(taken) else 0.0
    return {**found, "ratio": max(found[name]["ratio"] for name in options.command), "wanted": "ratio <= 1.1"}


def overlap(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Seconds of `segment` with its default overlap and without any, on the same scene."""
    side = options.size // 4
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    found: dict[str, Any] = {"side": side}
    with canned_model(SECONDS_PER_PIXEL) as server, tempfile.TemporaryDirectory(dir=work) as folder:
        model = ("--saved-model", options.saved_model) if options.saved_model else ("--server", server.address)
        for name, more in (("default", ()), ("none", ("--margin", 0))):
            target = Path(folder, f"{name}.tif")
            found[name] = run("segment", scene, "--to", target, *more, *model)
    for ratio, figure in (("ratio", "seconds"), ("processor_ratio", "processor_seconds")):
        found[ratio] = found["default"][figure] / found["none"][figure]
    return {**found, "wanted": "ratio <= 1.3"}


def round_trip(options: argparse.Namespace, work: Path, imagery: Imagery) -> dict[str, Any]:
    """Pixels of a class raster beside the polygons at their places, and corners of footprints beside rasterio's."""
    import pyogrio
    import shapely
    from rasterio.warp import transform

    from rsir_tf.rasters import footprint, open_source

    side = min(options.size, 3000)
    scene = make_scene(imagery, work / f"jpeg_{side}.tif", side)
    with canned_model() as server, tempfile.TemporaryDirectory(dir=work) as folder:
        classes, areas = Path(folder, "classes.tif"), Path(folder, "areas.gpkg")
        run("segment", scene, "--to", classes, "--polygons", areas, "--server", server.address)
        with rasterio.open(classes) as dataset:
            values, grid = dataset.read(1), dataset.transform
        _, _, outlines, (numbers,) = pyogrio.raw.read(areas, columns=["index"])
        shapes = shapely.from_wkb(outlines)
        rows, columns = np.random.default_rng(0).integers(0, side, (2, 20_000))
        x, y = grid * (columns + 0.5, rows + 0.5)
        points, found = shapely.STRtree(shapes).query(shapely.points(x, y), predicate="within")
    once = len(points) == len(rows) and (points == np.arange(len(rows))).all()
    agree = bool(once and (numbers[found] == values[rows[points], columns[points]]).all())
    source = open_source(scene)
    assert source.place is not None
    corners = np.array([(0, 0), (side, 0), (0, side), (side, side)])
    x, y = rasterio.Affine(*source.place.transform) * corners.T
    wanted = np.array(transform(source.place.crs, "EPSG:4326", x, y)).T
    outline = shapely.get_coordinates(footprint(source.place, source.shape))
    apart = np.abs(outline[:, None] - wanted[None]).max(axis=2).min(axis=0).max()
    return {
        "pixels": len(rows), "polygons": len(shapes), "agree": agree, "corner_degrees": float(apart),
        "wanted": "agree, corner_degrees <= 1e-9",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--command", nargs="+", choices=(*MEASURED, "polygons"), default=MEASURED, help="of the part memory"
    )
    parser.add_argument("--saved-model", type=Path, help="a real model for the part overlap")
    measure(parser, {"memory": memory, "overlap": overlap, "round_trip": round_trip})


if __name__ == "__main__":
    main()
