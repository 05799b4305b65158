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
their ratios, and the largest ones. Seconds are elapsed time; "ratio_to_reading_cpu" compares processor time, which
depends less on other programs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from made_index import Material, build, maps_of, queries_of
from plain_search import (
    THREADS,
    brute_recnn,
    brute_recnn_plus,
    check,
    check_irm,
    norms_of,
    read_once,
)

from rsir_tf.ranking import ImageFeatures, make_scheme, open_index, search

SHORT, REPEATS = ("read_recnn_plus", "recnn_plus_l1", "brute_recnn_plus_l1"), 5
"""Works of a few milliseconds, which take turns this many times: a single time says little."""

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


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def measure(path: Path, images: list[ImageFeatures], classes: list[np.ndarray], options: argparse.Namespace) -> dict:
    index, top, brute_too = open_index(path), options.top, not options.no_brute
    queries = [image.recnn for image in images]
    norms = norms_of(index) if brute_too else []
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
        short = [name for name in SHORT if name in works]
        for name in (*(name for name in works if name not in SHORT), *short * REPEATS):
            wall, cpu, answers[name] = timed(works[name])
            if at:  # The first round warms the memory.
                walls.setdefault(name, []).append(wall)
                cpus.setdefault(name, []).append(cpu)
        if brute_too:
            check(index, query, answers["recnn"], answers["brute_recnn"])
        if at < options.check_irm:
            for name, scheme in irm.items():
                check_irm(index, image, scheme, answers[name].hits)
    found: dict[str, Any] = {
        "images": len(index),
        "regions": sum(map(len, vectors)),
        "disk_per_raw_vectors": disk / raw,
        "seconds": {name: statistics.median(values) for name, values in walls.items()},
    }
    for kind, times in (("ratio_to_reading", walls), ("ratio_to_reading_cpu", cpus)):
        ratios = {
            name: [mine / read for mine, read in zip(values, times[read_of(name)], strict=True)]
            for name, values in times.items()
            if not name.startswith("read")
        }
        found[kind] = {name: statistics.median(values) for name, values in ratios.items()}
        found[f"largest_{kind}"] = {name: max(values) for name, values in ratios.items()}
    return found


def read_of(name: str) -> str:
    """The reading that a search is compared with."""
    return "read_recnn_plus" if name in SHORT else "read_recnn"


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
        print(f"  {'':26} {'seconds':>9} {'of a read':>10} {'at most':>8} {'cpu':>8} {'at most':>8}")
        for name, seconds in size["seconds"].items():
            ratio = size["ratio_to_reading"].get(name, 1.0)
            cpu = size["ratio_to_reading_cpu"].get(name, 1.0)
            most, most_cpu = (size[f"largest_ratio_to_reading{kind}"].get(name, 1.0) for kind in ("", "_cpu"))
            print(f"  {name.replace('_', ' '):26} {seconds:9.4f} {ratio:10.2f} {most:8.2f} {cpu:8.2f} {most_cpu:8.2f}")
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
    parser.add_argument(
        "--check-irm",
        type=int,
        default=1,
        metavar="QUERIES",
        help="compare integrated matching with brute force for the first queries: half a minute each at 109,161 images",
    )
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
    name = file.stem if file else "random"
    material = Material(maps_of(file))
    asked = queries_of(material, options.queries + 1, options.dtype)
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
        size = measure(path, asked, classes, options)
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
