#!/usr/bin/env python
"""Measure indexing and searching on a Ray cluster of two nodes on this machine.

    python scripts/benchmark_cluster.py index [--images 10000] [--seconds 0.005] [--json]
    python scripts/benchmark_cluster.py memory [--images 100000] [--json]
    python scripts/benchmark_cluster.py search --index INDEX [--queries 9] [--json]

index: 10,000 pictures of 256×256 pixels, 12 regions each, by one worker, by two, and without a cluster. The model
answers with prepared tensors after some time for each image, during which it leaves the processor alone, as a model on
a GPU would. All three indexes must be equal in every byte. The overhead of a part is what one worker takes longer than
this process without a cluster, start of the worker excluded, divided by the number of parts.

memory: the resident memory of the process that directs two workers, while it indexes 100,000 pictures of 16×16 pixels
and one region, with a model that answers at once.

search: an index of `benchmark_search.py --work`, by this process and by four workers on the same cores, in turns, each
query once, or as often as fills three seconds. All hits and distances must be equal. Also: how many images the parts
measure exactly, and how many one process does; and how long the way to some workers and back takes.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from rsir_tf.archives import Archive, open_archive
from rsir_tf.cluster import Holders, WorkerPool
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.presentation import save_png
from rsir_tf.ranking import Expanded, ImageFeatures, Index, Mixed, Reranked, Scheme, make_scheme, open_index, search
from rsir_tf.ranking.divided import divide
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.schemes import irm, recnn
from rsir_tf.ranking.whole_archives import nearest
from rsir_tf.workflows import ModelOnWorkers, index_archive, open_index_on_cluster
from rsir_tf.workflows.clustered_indexing import IMAGES_PER_PART

REGIONS = (3, 4)
"""Rows and columns of one region each, of most images here."""

SECONDS_OF_A_SCHEME = 3.0
"""Quick schemes are asked again until this time is filled."""


class Canned:
    """Answers with prepared tensors.

    Args:
        side: Pixels of a side of the images.
        seconds: How long it takes for an image.
        told: A folder; a file in it is named as the process.
        regions: Rows and columns of one region each.
    """

    def __init__(
        self, side: int, seconds: float = 0.0, told: Path | None = None, regions: tuple[int, int] = REGIONS
    ) -> None:
        rng = np.random.default_rng(0)
        rows, columns = (np.linspace(0, count, side, endpoint=False).astype(np.uint8) for count in regions)
        self.segmentation = rows[:, None] * np.uint8(regions[1]) + columns
        self.features = rng.random((-(-side // 16), -(-side // 16), 512), dtype=np.float32)
        self.seconds = seconds
        if told is not None:
            (told / str(os.getpid())).touch()

    def describe(self) -> ModelDescription:
        return ModelDescription("canned", tuple(f"class {number}" for number in range(REGIONS[0] * REGIONS[1])))

    def predict_stream(self, images: Iterable[np.ndarray], layers: Iterable[str] = ()) -> Iterator[Prediction]:
        for image in images:
            time.sleep(self.seconds)
            yield Prediction(self.segmentation, self.features * np.float32(1 + int(image[0, 0, 0]) / 256))


@contextmanager
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes with a processor each; its address."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ.update(PYTHONPATH=os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    # Workers are to have the priority of this process, and not Ray's low one, with which other programs count more.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0")
    node = {"num_cpus": 1, "object_store_memory": 200_000_000}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    cluster.add_node(**node)
    try:
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()


def render(folder: Path, images: int, side: int) -> Archive:
    """Pictures of which each is unlike all others."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 2 :] = 90
    for at in range(images):
        file = folder / f"{at:06d}.png"
        if not file.exists():
            pixels[0, :4, :] = np.array([at % 251, at // 251 % 251, at // 63001, 7], np.uint8)[:, None]
            save_png(file, pixels)
    return open_archive(folder)


def contents(index: Path) -> dict[str, bytes]:
    return {str(file.relative_to(index)): file.read_bytes() for file in sorted((index / "segments").rglob("*.*"))}


def measure_index(work: Path, images: int, seconds: float) -> dict[str, Any]:
    archive = render(work / "archive", images, 256)
    model = partial(Canned, 256, seconds)
    found: dict[str, Any] = {"images": images, "seconds_per_image_of_the_model": seconds, "seconds": {}}
    started = time.perf_counter()
    index_archive(archive, model(), work / "alone")
    found["seconds"]["without a cluster"] = time.perf_counter() - started
    wanted = contents(work / "alone")
    with two_nodes() as address:
        for workers in (1, 2):
            to = work / f"by {workers}"
            with WorkerPool(address, model, workers=workers) as pool:
                there = ModelOnWorkers(pool)
                started = time.perf_counter()
                index_archive(archive, there, to)
                found["seconds"][f"{workers} worker{'s' * (workers > 1)}"] = time.perf_counter() - started
            if contents(to) != wanted:
                raise SystemExit(f"the index of {workers} workers differs from that of this process")
    alone, one, two = found["seconds"].values()
    found["times_one_worker"] = one / two
    found["overhead_of_a_part"] = (one - alone) / -(-images // IMAGES_PER_PART)
    return found


def measure_memory(work: Path, images: int) -> dict[str, Any]:
    archive = render(work / "small", images, 16)
    kept: list[tuple[int, float]] = []

    def look(done: int, total: int, words: str = "") -> None:
        if done % max(1, total // 20) == 0:
            kept.append((done, resident()))

    before = resident()
    with two_nodes() as address, WorkerPool(address, partial(Canned, 16, regions=(1, 1)), workers=2) as pool:
        index_archive(archive, ModelOnWorkers(pool), work / "memory", progress=look)
    return {"images": images, "megabytes_before": before, "megabytes": dict(kept)}


def resident() -> float:
    """Resident memory of this process, MB, without what is mapped from files."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) / 1e3


def measure_search(path: Path, queries: int, workers: int, top: int) -> dict[str, Any]:
    cosine, matching = make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    schemes = {
        "recnn": make_scheme("recnn"),
        "recnn+ l1": make_scheme("recnn+"),
        "recnn+ cosine": cosine,
        "irm": matching,
        "expanded, reranked by irm": Reranked(Expanded(cosine, 5), matching, top=100),
        "recnn mixed with recnn+": Mixed(make_scheme("recnn"), cosine, share=0.5),
    }
    alone = open_index(path)
    asked = [image_at(alone.vectors, position) for position in np.linspace(5, len(alone) - 5, queries).astype(int)]
    found: dict[str, Any] = {"images": len(alone), "workers": workers, "schemes": {}}
    with two_nodes() as address:
        started = time.perf_counter()
        spread = open_index_on_cluster(path, address, workers=workers)
        found["seconds_to_open"] = time.perf_counter() - started
        for name, scheme in schemes.items():
            both(alone, spread, asked[0], scheme, top)  # Memory is warm then.
            times = [both(alone, spread, query, scheme, top) for query in asked]
            while sum(map(sum, times)) < SECONDS_OF_A_SCHEME:
                times += [both(alone, spread, query, scheme, top) for query in asked]
            one, many = np.array(times).T
            found["schemes"][name] = {
                "questions": len(times),
                "seconds_alone": float(np.median(one)),
                "seconds_spread": float(np.median(many)),
                "ratio": float(np.median(many / one)),
            }
        del spread
        found["seconds_of_a_trip"] = {f"{each} workers": trip(address, each) for each in (2, 4, 8, 16)}
    return {**found, "images_measured_exactly": measured_exactly(alone, asked[0], workers, top)}


def both(alone: Index, spread: Index, query: ImageFeatures, scheme: Scheme, top: int) -> tuple[float, float]:
    """The seconds in which this process and the workers answer, one after the other, which must be the same answer."""
    answers, times = [], []
    for index in (alone, spread):
        started = time.perf_counter()
        answers.append(search(index, query, scheme, top=top))
        times.append(time.perf_counter() - started)
    if answers[0] != answers[1]:
        raise SystemExit(f"{scheme.name}: the workers' hits or distances differ from those of this process")
    return times[0], times[1]


def trip(address: str, workers: int) -> float:
    """The median time to ask some workers who have nothing to do, and to hear from all of them."""
    holders, times = Holders(address, [int] * workers), []
    for _ in range(100):
        started = time.perf_counter()
        holders.ask(operator.add, dict.fromkeys(range(workers), 0))
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measured_exactly(index: Index, query: ImageFeatures, parts: int, top: int) -> dict[str, dict[str, int]]:
    """How many images are measured exactly, where bounds rule the others out: in one search, and in those of parts.

    What is more in the parts is all that they could save if each knew from the start how far the last hit is away.
    """
    counts: Counter[str] = Counter()
    direct, matched = recnn.direct_set_distance, irm.IRM._measure

    def count_direct(*given: Any) -> float:
        counts["recnn"] += 1
        return direct(*given)

    def count_matched(self: irm.IRM, stored: Any, query: Any, some: np.ndarray) -> np.ndarray:
        counts["irm"] += len(some)
        return matched(self, stored, query, some)

    found: dict[str, dict[str, int]] = {"recnn": {}, "irm": {}}
    _, openers = divide(index.path, index.settings, index.vectors, parts)
    with (
        mock.patch.object(recnn, "direct_set_distance", count_direct),
        mock.patch.object(irm.IRM, "_measure", count_matched),
    ):
        for where, vectors in (("alone", [index.vectors]), ("in parts", [opener() for opener in openers])):
            counts.clear()
            for name, measured in found.items():
                for stored in vectors:
                    nearest(make_scheme(name), stored, [query], top, [stored.live])
                measured[where] = counts[name]
    return found


def show(found: dict[str, Any]) -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{name.replace('_', ' ')}:")
            for key, each in value.items():
                figures = each if isinstance(each, dict) else {"": each}
                words = (f"{what.replace('_', ' ')} {figure:.4g}".strip() for what, figure in figures.items())
                print(f"  {key}: {', '.join(words)}")
        else:
            print(f"{name.replace('_', ' ')}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["index", "memory", "search"])
    parser.add_argument("--images", type=int)
    parser.add_argument("--seconds", type=float, default=0.005, help="that the model takes for an image")
    parser.add_argument("--index", type=Path)
    parser.add_argument("--queries", type=int, default=9)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--work", type=Path, help="folder for pictures and indexes; without it they are removed")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        if options.what == "search":
            found = measure_search(options.index, options.queries, options.workers, options.top)
        elif options.what == "index":
            found = measure_index(work, options.images or 10_000, options.seconds)
        else:
            found = measure_memory(work, options.images or 100_000)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
