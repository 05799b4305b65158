#!/usr/bin/env python
"""The time of an exact search, compared with brute force and with reading all vectors once, for several sizes.

    python scripts/benchmark_search.py --maps MAPS.npy [MAPS.npy …] [--images 10000 30000 109161] [--work DIR] [--json]

MAPS is float [n, h, w, C], conv5_3 of n real images (`model.predict(images)[i].conv5_3`, stacked). Maps of a network
that was trained on such images and of one that was not, like VGG-16 as downloaded, are two different cases: the vectors
of the second do not compress. Each map is cut into regions in several ways. An indexed image has the regions of one
such cut, with some of them replaced by regions of another image, and each channel changed by about a tenth. The queries
come from maps that no indexed image was made of.
Without --maps the vectors are random: they are much farther from each other than real ones, and only show that
everything works.

The search, brute force and the reading take turns, so that a busy machine slows all of them; figures are medians of
their ratios. Seconds are elapsed time; "ratio_to_reading_cpu" compares processor time, which depends less on other
programs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.processors import usable_cores
from rsir_tf.ranking import (
    ImageFeatures,
    Index,
    brute_force,
    derived_files,
    make_scheme,
    open_index,
    region_set_distance,
    search,
)

HELD_BACK = 40
CUTS = 6
CLASSES = 17
PIXELS_PER_CELL = 256
THREADS = usable_cores()

COLD = """
import sys, time
from pathlib import Path
started = time.perf_counter()
def anonymous():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1e3
before = anonymous()
import numpy as np
from rsir_tf.ranking import open_index
query = np.load(sys.argv[2])
hits = open_index(sys.argv[1]).search(query if sys.argv[3] == "recnn" else query.max(axis=0), scheme=sys.argv[3])
print(time.perf_counter() - started, anonymous() - before)
"""


class Material:
    """Regions of real images, and images that are composed of them."""

    def __init__(self, maps: np.ndarray, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.cuts = [[self._cut(np.asarray(each, dtype=np.float32)) for _ in range(CUTS)] for each in maps]
        channels = maps.shape[-1]
        self.noise = np.exp(self.rng.normal(0, 0.1, (8192, channels))).astype(np.float32)
        self.axes = self.rng.normal(size=(channels, CLASSES)).astype(np.float32)
        self.mean = np.concatenate([cuts[0][0] for cuts in self.cuts]).mean(axis=0)

    def _cut(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut a map into about ten regions around random places; pool each, and count its pixels."""
        height, width, channels = features.shape
        count = min(60, 1 + int(self.rng.negative_binomial(2, 2 / 13)))
        places = self.rng.uniform(0, (height, width), (count, 2))
        rows, columns = np.mgrid[:height, :width]
        apart = (rows[..., None] - places[:, 0]) ** 2 + (columns[..., None] - places[:, 1]) ** 2
        label = apart.argmin(axis=-1).ravel()
        cells = features.reshape(-1, channels)
        numbers, sizes = np.unique(label, return_counts=True)
        return np.stack([cells[label == each].max(axis=0) for each in numbers]), sizes * PIXELS_PER_CELL

    def image(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """An image made of maps first to last: vectors float32 [m, C] and areas int64 [m]."""
        (one, areas), (other, _) = (self.cuts[at][self.rng.integers(CUTS)] for at in self.rng.integers(first, last, 2))
        regions = np.array(one)
        mixed = np.flatnonzero(self.rng.random(len(regions)) < 0.2)
        regions[mixed] = other[self.rng.integers(0, len(other), len(mixed))]
        return regions * self.noise[self.rng.integers(0, len(self.noise), len(regions))], areas

    def classes(self, regions: np.ndarray) -> np.ndarray:
        return ((regions - self.mean) @ self.axes).argmax(axis=1).astype(np.int32)


def build(path: Path, material: Material, images: int, dtype: str) -> None:
    names = tuple(f"class {at}" for at in range(CLASSES))
    settings = IndexSettings("benchmark", names, dtype=dtype, channels=len(material.mean))
    with IndexWriter.open(path, settings, derived=derived_files()) as writer:
        for at in range(images):
            regions, areas = material.image(HELD_BACK, len(material.cuts))
            writer.add(
                ImageEntry(
                    id=f"scene_{at % 46:02d}/image_{at:06d}.jpg",
                    path=f"/archive/scene_{at % 46:02d}/image_{at:06d}.jpg",
                    height=256,
                    width=256,
                    scene=f"scene_{at % 46:02d}",
                    tags=None,
                    content_hash=os.urandom(32).hex(),
                    file_size=50_000,
                    modified_ns=at,
                    classes=material.classes(regions),
                    areas=areas,
                    boxes=np.tile([0, 0, 64, 64], (len(regions), 1)),
                    recnn=regions,
                    recnn_plus=regions.max(axis=0),
                )
            )
        writer.merge()


def read_once(arrays: list[np.ndarray]) -> None:
    """Read vectors from memory once, on all processors."""
    chunks = [each[at : at + 8192] for each in arrays for at in range(0, len(each), 8192)]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda chunk: chunk.view(np.uint8).reshape(-1).view(np.uint64).max(), chunks))


def norms_of(index: Index) -> list[np.ndarray]:
    """Squared norms of all regions, which the product of `brute_recnn` needs; they are computed once."""
    return [
        np.concatenate(
            [
                np.einsum("ij,ij->i", block, block)
                for at in range(0, len(segment.recnn), 8192)
                for block in [segment.recnn[at : at + 8192].astype(np.float32, copy=False)]
            ]
        )
        for segment in index.vectors.segments
    ]


def brute_recnn(index: Index, norms: list[np.ndarray], query: np.ndarray, top: int) -> np.ndarray:
    """The first positions by Eq. 3, from matrix products block by block, without care for ties and rounding."""
    distances = []
    squared = np.einsum("ij,ij->i", query, query)
    for segment, kept in zip(index.vectors.segments, norms, strict=True):
        offsets = segment.offsets
        for begin in range(0, len(offsets) - 1, 512):
            bounds = offsets[begin : begin + 513]
            vectors = segment.recnn[bounds[0] : bounds[-1]].astype(np.float32, copy=False)
            products = vectors @ (query.T * -2)
            products += kept[bounds[0] : bounds[-1], None]
            nearest = np.minimum.reduceat(products, bounds[:-1] - bounds[0], axis=0) + squared
            distances.append(np.sqrt(np.maximum(nearest, 0)).mean(axis=1))
    return np.argsort(np.concatenate(distances), kind="stable")[:top]


def brute_recnn_plus(index: Index, query: np.ndarray, top: int) -> np.ndarray:
    """The first positions by L1 in float32, block by block."""
    distances = [
        np.abs(segment.recnn_plus[at : at + 256].astype(np.float32, copy=False) - query).sum(axis=1)
        for segment in index.vectors.segments
        for at in range(0, segment.record.images, 256)
    ]
    return np.argsort(np.concatenate(distances), kind="stable")[:top]


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def as_image(regions: np.ndarray, areas: np.ndarray) -> ImageFeatures:
    """A query that is a whole image."""
    m = len(regions)
    return ImageFeatures(
        classes=np.zeros(m, np.int32),
        areas=areas,
        boxes=np.zeros((m, 4), np.int32),
        centroids=np.zeros((m, 2), np.float32),
        recnn=regions,
        recnn_plus=regions.max(axis=0),
    )


def measure(path: Path, images: list[ImageFeatures], classes: list[np.ndarray], top: int, brute_too: bool) -> dict:
    index = open_index(path)
    queries = [image.recnn for image in images]
    norms = norms_of(index)
    irm = {f"irm_{vectors}_vectors": make_scheme("irm", vectors=vectors) for vectors in ("unit", "raw")}
    vectors = [segment.recnn for segment in index.vectors.segments]
    whole = [segment.recnn_plus for segment in index.vectors.segments]
    raw = sum(each.nbytes for each in (*vectors, *whole))
    disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    walls: dict[str, list[float]] = {}
    cpus: dict[str, list[float]] = {}
    for at, (image, query, shared) in enumerate(zip(images, queries, classes, strict=True)):
        plus = query.max(axis=0)
        works: dict[str, Callable[[], Any]] = {
            "read_recnn": lambda: read_once(vectors),
            "recnn": lambda query=query: index.search(query, top=top, scheme="recnn"),
            "recnn_shared_classes": lambda query=query, shared=shared: index.search(
                query, top=top, share_classes=shared.tolist(), scheme="recnn"
            ),
            "recnn_both_directions": lambda query=query: index.search(query, top=top, direction="both", scheme="recnn"),
            "recnn_ten_queries_at_once": lambda: index.search_many(queries[:10], top=top, scheme="recnn"),
            **{
                name: lambda image=image, scheme=scheme: search(index, image, scheme, top=top)
                for name, scheme in irm.items()
            },
            "read_recnn_plus": lambda: read_once(whole),
            "recnn_plus_l1": lambda plus=plus: index.search(plus, scheme="recnn+", top=top),
        }
        if brute_too:
            works["brute_recnn"] = lambda query=query: brute_recnn(index, norms, query, top)
            works["brute_recnn_plus_l1"] = lambda plus=plus: brute_recnn_plus(index, plus, top)
        answers = {}
        for name, work in works.items():
            wall, cpu, answers[name] = timed(work)
            if at:  # The first round warms the memory.
                walls.setdefault(name, []).append(wall)
                cpus.setdefault(name, []).append(cpu)
        if brute_too:
            check(index, query, answers["recnn"], answers["brute_recnn"])
            if not at:
                check_irm(index, image, irm["irm_unit_vectors"], answers["irm_unit_vectors"].hits)
    found: dict[str, Any] = {
        "images": len(index),
        "regions": sum(map(len, vectors)),
        "disk_per_raw_vectors": disk / raw,
        "seconds": {name: statistics.median(values) for name, values in walls.items()},
    }
    for kind, times in (("ratio_to_reading", walls), ("ratio_to_reading_cpu", cpus)):
        found[kind] = {
            name: statistics.median(
                mine / read
                for mine, read in zip(
                    values, times["read_recnn_plus" if "recnn_plus" in name else "read_recnn"], strict=True
                )
            )
            for name, values in times.items()
            if not name.startswith("read")
        }
    return found


def check(index: Index, query: np.ndarray, hits: list, brute: np.ndarray) -> None:
    """Check with the reference's distances that no hit is farther away than brute force's hit in the same place."""
    exact = sorted(region_set_distance(query, index.vectors.recnn(int(position))) for position in brute)
    for hit, reference in zip(hits, exact, strict=True):
        if hit.distance > reference:
            raise SystemExit(f"{hit.id} at {hit.distance} where brute force found {reference}")


def check_irm(index: Index, image: ImageFeatures, scheme: Any, hits: tuple) -> None:
    """Check that these are the hits of a search that measures every image, with the same distances."""
    (slow,) = brute_force.nearest(scheme, index.vectors, [image], len(hits), [index.vectors.live])
    if [(int(index.vectors.positions[hit.row]), hit.distance) for hit in hits] != slow:
        raise SystemExit(f"integrated matching found {hits} where brute force found {slow}")


def cold_process(path: Path, query: np.ndarray, scheme: str) -> dict[str, float]:
    """What a new process needs from its first import to the first hits; the system may have cached the files.

    Returns:
        "seconds", and "megabytes" of memory that the libraries and the index take, without mapped files (Linux).
    """
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, query)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-c", COLD, str(path), file.name, scheme], check=True, capture_output=True, text=True
        )
    seconds, memory = map(float, done.stdout.split())
    return {"seconds": seconds, "megabytes": memory}


def all_against_all(path: Path) -> dict[str, float]:
    """Rank with every image as a ReCNN+ query, and compare with a plain computation in float64."""
    index = open_index(path)

    def rank_all() -> None:
        for _row, distances in index.all_distances("recnn+"):
            np.argsort(distances, kind="stable")

    vectors = index.recnn_plus.astype(np.float64)
    some = vectors[:: max(1, len(vectors) // 100)]

    def rank_some() -> None:
        for query in some:
            np.argsort(np.abs(vectors - query).sum(axis=1), kind="stable")

    wall, cpu, _ = timed(rank_all)
    plain_wall, plain_cpu, _ = timed(rank_some)
    share = len(vectors) / len(some)
    return {
        "images": len(vectors),
        "seconds": wall,
        "cpu_seconds": cpu,
        "plain_seconds_estimated": plain_wall * share,
        "ratio": wall / plain_wall / share,
        "ratio_cpu": cpu / plain_cpu / share,
    }


def show(found: dict) -> None:
    for size in found["sizes"]:
        print(f"{found['maps']}: {size['images']:,} images, {size['regions']:,} regions, {found['dtype']}")
        print(f"  on disk {size['disk_per_raw_vectors']:.3f} of the raw vectors")
        for scheme, cold in size["cold_process"].items():
            print(
                f"  cold process to first hits, {scheme}: {cold['seconds']:.2f} s, "
                f"{cold['megabytes']:.0f} MB without mapped files"
            )
        print(f"  {'':26} {'seconds':>9} {'of a read':>10} {'cpu':>8}")
        for name, seconds in size["seconds"].items():
            ratio = size["ratio_to_reading"].get(name, 1.0)
            cpu = size["ratio_to_reading_cpu"].get(name, 1.0)
            print(f"  {name.replace('_', ' '):26} {seconds:9.4f} {ratio:10.2f} {cpu:8.2f}")
    print(
        "all against all, recnn+: "
        + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in found["all_against_all"].items())
    )


def plot(found: dict, file: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    images = [size["images"] for size in found["sizes"]]
    for name in found["sizes"][0]["seconds"]:
        left.plot(images, [size["seconds"][name] for size in found["sizes"]], marker="o", label=name)
    for scheme in ("recnn", "recnn+"):
        memory = [size["cold_process"][scheme]["megabytes"] for size in found["sizes"]]
        right.plot(images, memory, marker="o", label=scheme)
    right.legend()
    left.set(xlabel="images", ylabel="seconds a query", xscale="log", yscale="log")
    right.set(xlabel="images", ylabel="own memory of a process that asked once, MB", ylim=(0, None))
    figure.legend(*left.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.92, 0.5), fontsize="small")
    figure.savefig(file, dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=Path, nargs="+", default=[None], metavar="FILE")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 30_000, 109_161])
    parser.add_argument("--queries", type=int, default=9)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument(
        "--work", type=Path, help="folder in which the indexes are kept for another run; without it they are removed"
    )
    parser.add_argument("--no-brute", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, help="draw the figures of the first maps")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    try:
        cases = [run(file, work, options) for file in options.maps]
    finally:
        if options.work is None:
            shutil.rmtree(work)
    if options.plot:
        plot(cases[0], options.plot)
    if options.json:
        print(json.dumps(cases, indent=2))
    else:
        for found in cases:
            show(found)


def run(file: Path | None, work: Path, options: argparse.Namespace) -> dict:
    """Measure everything on the maps of one file."""
    if file is None:
        maps = np.random.default_rng(0).gamma(0.1, 8, (400, 8, 8, 512)).astype(np.float16)
    else:
        maps = np.load(file, mmap_mode="r")
    name = file.stem if file else "random"
    material = Material(maps)
    asked = []
    while len(asked) < options.queries + 1:
        regions, areas = material.image(0, HELD_BACK)
        if 9 <= len(regions) <= 11:
            asked.append(as_image(regions.astype(options.dtype).astype(np.float32), areas))  # As the index rounds them.
    sizes = []
    for images in [2100, *options.images]:
        path = work / f"{name}-{images}-{options.dtype}"
        if not path.exists():
            build(path, material, images, options.dtype)
        if images not in options.images:
            continue
        first = {
            scheme: min((cold_process(path, asked[0].recnn, scheme) for _ in range(2)), key=lambda one: one["seconds"])
            for scheme in ("recnn", "recnn+")
        }
        classes = [np.unique(material.classes(image.recnn)) for image in asked]
        size = measure(path, asked, classes, options.top, not options.no_brute)
        sizes.append({**size, "cold_process": first})
    return {
        "maps": name,
        "dtype": options.dtype,
        "threads": THREADS,
        "sizes": sizes,
        "all_against_all": all_against_all(work / f"{name}-2100-{options.dtype}"),
    }


if __name__ == "__main__":
    main()
