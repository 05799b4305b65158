"""What ranking and measuring costs at an archive's size: every image a query, rankings streamed.

    scripts/benchmark_evaluation.py                                   # 2,100 images: the whole of UC Merced
    scripts/benchmark_evaluation.py --images 54580                    # the size of MLRSNet's test part
    scripts/benchmark_evaluation.py --images 54580 --queries 512      # a slice of it, and what the whole would take
    scripts/benchmark_evaluation.py --labels MLRSNet/Labels --queries 512

Vectors are made, so that the right answer is known: images of a scene lie near the scene's own point, and a perfect
ranking's figures are compared with what comes out. The same queries are ranked the plain way too (SciPy's distances and
a stable sort, on one core), and the ratio is told.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from rsir_tf.archives import read_mlrsnet_labels
from rsir_tf.evaluation import RankingMetrics, rankings, shared_tags, tag_matrix

SCIPY = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}
PLAIN_QUERIES = 16


def made_archive(images: int, scenes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scenes by image, and vectors that tell them apart perfectly under every metric."""
    generator = np.random.default_rng(seed)
    codes = np.sort(generator.integers(0, scenes, images))
    return codes, vectors_of(codes, scenes, size, generator)


def vectors_of(codes: np.ndarray, scenes: int, size: int, generator: np.random.Generator) -> np.ndarray:
    centres = generator.random((scenes, size), dtype=np.float32) * 20
    return centres[codes] + generator.random((len(codes), size), dtype=np.float32)


def measure(vectors: np.ndarray, codes: np.ndarray, tags: np.ndarray | None, metric: str, queries: int) -> dict:
    metrics, by_tags = RankingMetrics(), RankingMetrics()
    started, worked = time.perf_counter(), time.process_time()
    for row, order in rankings(vectors, metric, queries=range(queries)):
        metrics.add((codes == codes[row])[order])
        if tags is not None:
            by_tags.add((shared_tags(tags, tags[row]) > 0)[order])
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    started = time.process_time()
    plain = plainly(vectors, metric, min(PLAIN_QUERIES, queries))
    plain_work = (time.process_time() - started) / len(plain)
    found = metrics.figures()
    return {
        "metric": metric,
        "queries": queries,
        "seconds": seconds,
        "seconds for all": seconds / queries * len(vectors),
        "core seconds a query": work / queries,
        "core seconds for all": work / queries * len(vectors),
        "plain core seconds a query": plain_work,
        "ratio": plain_work / (work / queries),
        "anmrr": found.anmrr,
        "map": found.map,
        **({"map by tags": by_tags.figures().map} if tags is not None else {}),
    }


def plainly(vectors: np.ndarray, metric: str, queries: int) -> np.ndarray:
    from scipy.spatial.distance import cdist

    every = vectors.astype(np.float64)
    return np.stack(
        [np.argsort(cdist(every[q : q + 1], every, SCIPY[metric])[0], kind="stable") for q in range(queries)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2100)
    parser.add_argument("--scenes", type=int, default=21)
    parser.add_argument("--size", type=int, default=512, help="numbers a vector")
    parser.add_argument("--queries", type=int, help="only so many; all where not given")
    parser.add_argument("--metric", action="append", choices=sorted(SCIPY), help="l1 and cosine where not given")
    parser.add_argument("--labels", type=Path, help="MLRSNet's CSVs: half of its images, their scenes and tags")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tags = None
    if arguments.labels:
        labels = read_mlrsnet_labels(arguments.labels)
        names = sorted(labels.rows)[::2]
        known = sorted(set(labels.categories.values()))
        codes = np.array([known.index(labels.categories[name]) for name in names])
        vectors = vectors_of(codes, len(known), arguments.size, np.random.default_rng(arguments.seed))
        tags = tag_matrix([labels.rows[name] for name in names], labels.names)[0]
    else:
        codes, vectors = made_archive(arguments.images, arguments.scenes, arguments.size, arguments.seed)
    queries = min(arguments.queries or len(vectors), len(vectors))
    results = [measure(vectors, codes, tags, metric, queries) for metric in arguments.metric or ("l1", "cosine")]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if arguments.json:
        print(json.dumps({"images": len(vectors), "size": arguments.size, "peak GiB": peak, "runs": results}, indent=2))
        return
    print(f"{len(vectors):,} images, {arguments.size} numbers each, {queries:,} queries, peak {peak:.2f} GiB")
    print("core s: the processor's time, which a busy machine does not stretch; two idle cores halve it")
    print(
        f"{'metric':8} {'all, s':>9} {'all, core s':>12} {'core s/query':>13} {'plain':>9} {'ratio':>6} "
        f"{'ANMRR':>7} {'mAP':>7}"
    )
    for run in results:
        print(
            f"{run['metric']:8} {run['seconds for all']:9.1f} {run['core seconds for all']:12.1f} "
            f"{run['core seconds a query']:13.5f} {run['plain core seconds a query']:9.5f} {run['ratio']:6.1f} "
            f"{run['anmrr']:7.4f} {run['map']:7.4f}"
        )


if __name__ == "__main__":
    main()
