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

Right before each search all vectors are read once, so that a busy machine slows both; figures are medians of their
ratios, and the largest ones. Seconds are elapsed time; "ratio_to_reading_cpu" compares processor time, which depends
less on other programs.
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

SHORT, REPEATS = ("recnn_plus_l1", "brute_recnn_plus_l1"), 5
"""Works of a few milliseconds, which take turns this many times: a single time says little. They are compared with
reading the vectors of whole images."""

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
    index, top, brute_too = open_index(path), options.top, not (options.no_brute or options.only)
    queries = [image.recnn for image in images]
    norms = norms_of(index) if brute_too else []
    irm = {f"irm_{vectors}_vectors": make_scheme("irm", vectors=vectors) for vectors in ("unit", "raw")}
    vectors = [segment.recnn for segment in index.vectors.segments]
    whole = [segment.recnn_plus for segment in index.vectors.segments]
    raw = sum(each.nbytes for each in (*vectors, *whole))
    disk = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    measured: dict[str, list[tuple[float, float, float, float]]] = {}
    for at, (image, query, shared) in enumerate(zip(images, queries, classes, strict=True)):
        plus = query.max(axis=0)
        works: dict[str, Callable[[], Any]] = {
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
            "recnn_plus_l1": lambda plus=plus: index.search(plus, scheme="recnn+", top=top),
        }
        if brute_too:
            works["brute_recnn"] = lambda query=query: brute_recnn(index, norms, query, top)
            works["brute_recnn_plus_l1"] = lambda plus=plus: brute_recnn_plus(index, plus, top)
        works = {name: work for name, work in works.items() if not options.only or name in options.only}
        answers = {}
        for name in sorted(
            (*works, *[name for name in works if name in SHORT] * (REPEATS - 1)), key=SHORT.__contains__
        ):
            read, read_cpu, _ = timed(lambda name=name: read_once(whole if name in SHORT else vectors))
            wall, cpu, answers[name] = timed(works[name])
            if at:  # The first round warms the memory.
                measured.setdefault(name, []).append((wall, cpu, read, read_cpu))
        if brute_too:
            check(index, query, answers["recnn"], answers["brute_recnn"])
        if at < options.check_irm:
            for name in answers.keys() & irm.keys():
                check_irm(index, image, irm[name], answers[name].hits)
    found: dict[str, Any] = {
        "images": len(index),
        "regions": sum(map(len, vectors)),
        "disk_per_raw_vectors": disk / raw,
        "seconds": {name: statistics.median(wall for wall, *_ in times) for name, times in measured.items()},
        "reading_seconds": {
            name: statistics.median(read for _, _, read, _ in times) for name, times in measured.items()
        },
    }
    for kind, at in (("ratio_to_reading", 0), ("ratio_to_reading_cpu", 1)):
        ratios = {name: [each[at] / each[2 + at] for each in times] for name, times in measured.items()}
        found[kind] = {name: statistics.median(values) for name, values in ratios.items()}
        found[f"largest_{kind}"] = {name: max(values) for name, values in ratios.items()}
    return found


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
        print(f"  {'':26} {'seconds':>9} {'a read':>9} {'ratio':>8} {'at most':>8} {'cpu':>8} {'at most':>8}")
        for name, seconds in size["seconds"].items():
            kinds = (
                "ratio_to_reading",
                "largest_ratio_to_reading",
                "ratio_to_reading_cpu",
                "largest_ratio_to_reading_cpu",
            )
            ratios = " ".join(f"{size[kind][name]:8.2f}" for kind in kinds)
            print(f"  {name.replace('_', ' '):26} {seconds:9.4f} {size['reading_seconds'][name]:9.4f} {ratios}")
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
    left.plot(images, [max(size["reading_seconds"].values()) for size in found["sizes"]], marker="o", label="reading")
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
        "--only", nargs="+", metavar="NAME", help="such as irm_raw_vectors: time these, and no brute force"
    )
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
