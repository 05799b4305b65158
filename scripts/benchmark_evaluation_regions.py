#!/usr/bin/env python
"""What it costs to rank an archive for each of its images by a scheme of regions, beside the product of all vectors.

    scripts/benchmark_evaluation_regions.py --index DIR --maps MAPS.npy            # the size of MLRSNet's test part
    scripts/benchmark_evaluation_regions.py --index DIR --maps MAPS.npy --images 20000 --queries 200 --scheme irm

The index in DIR is made as by `benchmark_search.py`, of as many images as are named, unless it is there. Some of its
images are queries, all of them are ranked, as `evaluate` does it. No way of comparing all regions that looks at each
number of their vectors can be quicker than their matrix product in the same precision, float64: it is timed too, in
turns with the rankings, and so is the product in float32. Times for all queries follow from those of some, because each
query costs the same.

The rankings of the first two queries are compared with those by distances that are computed directly. The exit code is
1 if they differ, or if the process needs more than 4 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_index import Material, build, maps_of

from rsir_tf.ranking import Index, Scheme, archive_rankings, brute_force, make_scheme, open_index
from rsir_tf.ranking.images import image_at
from rsir_tf.vector_rankings import nearest_first

MOST_GIB = 4.0
COMPARED = 2
BLOCK = 8192


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def rank(index: Index, scheme: Scheme, queries: int) -> list[np.ndarray]:
    """The first rankings; the others are thrown away."""
    found = []
    for place, order in archive_rankings(index, scheme, np.arange(len(index)), range(queries)):
        if place < COMPARED:
            found.append(order)
    return found


def multiply(index: Index, queries: int, number: type[np.floating]) -> tuple[float, float]:
    """Wall and processor seconds of the products of the queries' regions with all regions, and of nothing else."""
    stored = index.vectors
    columns = np.concatenate([stored.recnn(int(at)) for at in stored.positions[:queries]]).astype(number).T
    spent = np.zeros(2)
    for segment in stored.segments:
        for at in range(0, len(segment.recnn), BLOCK):
            block = segment.recnn[at : at + BLOCK].astype(number)
            spent += seconds(lambda block=block: block @ columns)
    return float(spent[0]), float(spent[1])


def differences(index: Index, scheme: Scheme, found: list[np.ndarray]) -> list[str]:
    stored, wrong = index.vectors, []
    for place, order in enumerate(found):
        query = image_at(stored, int(stored.positions[place]))
        (distances,) = brute_force.all_distances(scheme, stored, [query], stored.live)
        if not np.array_equal(nearest_first(distances[stored.positions]), order):
            wrong.append(f"{scheme.name}: the ranking of query {place} is not that of the distances")
    return wrong


def measure(index: Index, scheme: Scheme, queries: int, rounds: int) -> dict:
    found: list[np.ndarray] = []
    works = {
        "": lambda: seconds(lambda: found.__setitem__(slice(None), rank(index, scheme, queries))),
        "product_": lambda: multiply(index, queries, np.float64),
        "float32_product_": lambda: multiply(index, queries, np.float32),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(work())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    run: dict = {"scheme": scheme.name}
    for at, kind in enumerate(("seconds", "core_seconds")):
        for name, values in times.items():
            run[f"{name}{kind}_for_all"] = statistics.median(each[at] for each in values) * len(index) / queries
    for at, kind in enumerate(("ratio", "ratio_cpu")):
        for name in ("product_", "float32_product_"):
            ratios = [mine[at] / own[at] for mine, own in zip(times[""], times[name], strict=True)]
            run[f"{kind}_to_{name[:-1]}"] = statistics.median(ratios)
    return {**run, "peak_gib": peak, "wrong": differences(index, scheme, found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, required=True, metavar="DIR", help="made if it is missing")
    parser.add_argument("--maps", type=Path, help="as for benchmark_search.py; random without it")
    parser.add_argument("--images", type=int, default=54_580)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--scheme", action="append", choices=("recnn", "irm"), help="default: both")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.index.exists():
        build(given.index, Material(maps_of(given.maps)), given.images, "float32")
    index = open_index(given.index)
    regions = int(index.vectors.region_counts.sum())
    results = [
        measure(index, make_scheme(name), given.queries, given.rounds) for name in given.scheme or ("recnn", "irm")
    ]
    if given.json:
        print(
            json.dumps({"images": len(index), "regions": regions, "queries": given.queries, "runs": results}, indent=2)
        )
    else:
        print(f"{len(index):,} images, {regions:,} regions, {given.queries:,} queries; for all of them:")
        for run in results:
            print(
                f"{run['scheme']:6} {run['seconds_for_all']:9.0f} s, {run['core_seconds_for_all']:9.0f} core s; "
                f"peak {run['peak_gib']:.2f} GiB"
            )
            for name in ("product", "float32_product"):
                print(
                    f"  {name.replace('_', ' '):16} {run[f'{name}_seconds_for_all']:9.0f} s, "
                    f"{run[f'{name}_core_seconds_for_all']:9.0f} core s; "
                    f"ratio {run[f'ratio_to_{name}']:.2f}, {run[f'ratio_cpu_to_{name}']:.2f}"
                )
    wrong = [line for run in results for line in run["wrong"]]
    wrong += [f"{run['peak_gib']:.2f} GiB" for run in results if run["peak_gib"] > MOST_GIB]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
