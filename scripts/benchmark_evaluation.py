"""What it costs to rank and measure an archive of a given size: every image is a query, one ranking is held at a time.

    scripts/benchmark_evaluation.py                                   # 2,100 images: the whole of UC Merced
    scripts/benchmark_evaluation.py --images 54580                    # the size of MLRSNet's test part
    scripts/benchmark_evaluation.py --images 54580 --queries 512      # some of its queries, all estimated
    scripts/benchmark_evaluation.py --labels MLRSNet/Labels --queries 512
    scripts/benchmark_evaluation.py --images 54580 --index DIR        # as a user does it: `evaluate_index`

Relevance is judged and measured as `rsir-tf evaluate` does it. The vectors are made up, so that the right answer is
known: the images of a scene are close to each other and far from all others, therefore ANMRR is 0 and mAP is 1. With
--labels, all images of a category have the same vector, and all categories have the same distance from each other: the
query's category comes first, then all other images, both in the order of rows. AP by shared tags is computed from that
order with a few lines of NumPy. Some queries are also ranked in a simple way (SciPy's distances and a stable sort, on
one core), and the ratio of the times is printed. With --index, the images are written to an index in DIR, unless it is
there already, and `evaluate_index` evaluates it by ReCNN+; where only some queries are asked for, this gives times
only.

The exit code is 1 if the figures do not agree to 1e-9. It is also 1 if an archive of half of MLRSNet's size or less
takes more than 15 minutes (estimated, where only some queries are asked for; a busy machine takes longer) or 4 GiB.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np

from rsir_tf.archives import read_mlrsnet_labels
from rsir_tf.evaluation import GradedMetrics, RankingMetrics, TagSets, rankings, tag_matrix
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.ranking import Index, open_index
from rsir_tf.workflows.evaluating import evaluate_index
from rsir_tf.workflows.measuring import judge_relevance

SCIPY = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}
PLAIN_QUERIES = 16
AGREE = 1e-9
MOST_IMAGES, MOST_SECONDS, MOST_GIB = 54_581, 900.0, 4.0

Tags = list[tuple[str, ...]]


def made_archive(images: int, scenes: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The scene of each image, and vectors from which every metric gives a perfect ranking."""
    generator = np.random.default_rng(seed)
    codes = np.sort(generator.integers(0, scenes, images))
    centres = generator.random((scenes, size), dtype=np.float32) * 20
    return codes, centres[codes] + generator.random((images, size), dtype=np.float32)


def measure(vectors: np.ndarray, codes: np.ndarray, tags: Tags | None, metric: str, queries: int) -> dict:
    scenes = [f"scene {code}" for code in codes]
    metrics, by_tags, graded = RankingMetrics(), RankingMetrics(), GradedMetrics()
    started, worked = time.perf_counter(), time.process_time()
    same_scene = judge_relevance(scenes, tags or [], "scene", "made")
    shared_tag = judge_relevance(scenes, tags, "tags", "made") if tags else None
    sets = TagSets(tags) if tags else None
    for row, order in rankings(vectors, metric, queries=range(queries)):
        metrics.add(same_scene(row)[order], scene=scenes[row])
        if shared_tag and sets:
            by_tags.add(shared_tag(row)[order])
            graded.add(sets.shared(row)[order])
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    started = time.process_time()
    plain = plainly(vectors, metric, min(PLAIN_QUERIES, queries))
    plain_work = (time.process_time() - started) / len(plain)
    found = metrics.figures()
    return {
        "metric": metric,
        "queries": queries,
        "seconds": seconds,
        "seconds_for_all": seconds / queries * len(vectors),
        "core_seconds_per_query": work / queries,
        "core_seconds_for_all": work / queries * len(vectors),
        "plain_core_seconds_per_query": plain_work,
        "ratio": plain_work / (work / queries),
        "anmrr": found.anmrr,
        "map": found.map,
        **({"map_by_tags": by_tags.figures().map, **graded.figures()} if tags else {}),
        "disagrees": disagreements(metrics, by_tags, codes, tags),
    }


def disagreements(metrics: RankingMetrics, by_tags: RankingMetrics, codes: np.ndarray, tags: Tags | None) -> list[str]:
    """One sentence for each figure that is wrong."""
    found = metrics.figures()
    wrong = [
        f"{name} by scene is {value!r}, not {wanted}"
        for name, value, wanted in (("ANMRR", found.anmrr, 0), ("mAP", found.map, 1))
        if not abs(value - wanted) <= AGREE
    ]
    if tags:
        matrix = tag_matrix(tags)[0]
        for row, value in enumerate(by_tags.per_query("map")):
            wanted = plain_average_precision(codes, matrix, row)
            if not (abs(value - wanted) <= AGREE or (np.isnan(value) and np.isnan(wanted))):
                wrong.append(f"AP by tags of query {row} is {value!r}, not {wanted!r}")
    return wrong


def plain_average_precision(codes: np.ndarray, matrix: np.ndarray, query: int) -> float:
    own = codes == codes[query]
    order = np.concatenate([np.flatnonzero(own), np.flatnonzero(~own)])
    relevant = (matrix[order] & matrix[query]).any(axis=1)
    if not relevant.any():
        return float("nan")
    precision = np.cumsum(relevant) / np.arange(1, len(order) + 1)
    return float(precision[relevant].mean())


def plainly(vectors: np.ndarray, metric: str, queries: int) -> np.ndarray:
    from scipy.spatial.distance import cdist

    every = vectors.astype(np.float64)
    return np.stack(
        [np.argsort(cdist(every[q : q + 1], every, SCIPY[metric])[0], kind="stable") for q in range(queries)]
    )


class _EnoughError(Exception):
    """Ends an evaluation after some of its queries."""


def made_index(to: Path, vectors: np.ndarray, codes: np.ndarray, tags: Tags | None) -> Index:
    """Open the index in this folder. Another process writes it if it is missing, so that its memory is not counted."""
    if not to.exists():
        writing = multiprocessing.get_context("fork").Process(target=write_index, args=(to, vectors, codes, tags))
        writing.start()
        writing.join()
    index = open_index(to)
    if not np.array_equal(index.recnn_plus[:: len(vectors) // 7], vectors[:: len(vectors) // 7]):
        sys.exit(f"{to}: is an index of other images; name another folder")
    return index


def write_index(to: Path, vectors: np.ndarray, codes: np.ndarray, tags: Tags | None) -> None:
    """Write an index in which each image has one region; its vector is both ReCNN and ReCNN+."""
    with IndexWriter.open(to, IndexSettings("made", ("made",), channels=vectors.shape[1])) as writer:
        one, box = np.ones(1, dtype=np.int64), np.array([[0, 0, 1, 1]], dtype=np.int32)
        for row, vector in enumerate(vectors):
            name = f"{row:08}"
            writer.add(
                ImageEntry(
                    name, path=name, height=1, width=1, scene=f"scene {codes[row]}", tags=tags[row] if tags else None,
                    content_hash=name, file_size=1, modified_ns=1, classes=np.zeros(1, np.int32), areas=one, boxes=box,
                    recnn=vector[None], recnn_plus=vector,
                )
            )  # fmt: skip


def measure_index(index: Index, metric: str, queries: int) -> dict:
    """Time `evaluate_index` with all its figures; where it ends after some queries, only the time is known."""
    stamps: list[tuple[float, float]] = []

    def stamp() -> None:
        stamps.append((time.perf_counter(), time.process_time()))

    def tell(done: int, _total: int, _words: str) -> None:
        if done in (1, queries):
            stamp()
        if done == queries < len(index):
            raise _EnoughError

    stamp()
    found = None
    with contextlib.suppress(_EnoughError):
        found = evaluate_index(index, schemes=("recnn+",), metric=metric, progress=tell).schemes["recnn+"]
    begun, first, last = (np.array(each) for each in (stamps[0], stamps[1], stamps[-1]))
    # What happens before the first ranking is done once for any number of queries.
    seconds, work = first - begun + (last - first) * (len(index) - 1) / max(1, queries - 1)
    wrong = []
    if found is not None:
        wrong = [
            f"{name} by scene is {value!r}, not {wanted}"
            for name, value, wanted in (("ANMRR", found.anmrr, 0), ("mAP", found.map, 1))
            if not abs(value - wanted) <= AGREE
        ]
    return {
        "metric": metric,
        "queries": queries,
        "seconds": float((last - begun)[0]),
        "seconds_for_all": float(seconds),
        "core_seconds_per_query": float(work / len(index)),
        "core_seconds_for_all": float(work),
        **({"anmrr": found.anmrr, "map": found.map, **found.graded} if found else {}),
        "disagrees": wrong,
    }


def made_from_labels(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, Tags]:
    """Half of MLRSNet's images: the category, the vector and the tags of each."""
    labels = read_mlrsnet_labels(folder)
    names = sorted(labels.rows)[::2]
    known = sorted(set(labels.categories.values()))
    codes = np.array([known.index(labels.categories[name]) for name in names])
    if size < len(known):
        sys.exit(f"--size {size}: wanted {len(known)} or more, one for each category")
    return codes, np.eye(len(known), size, dtype=np.float32)[codes], [labels.rows[name] for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2100)
    parser.add_argument("--scenes", type=int, default=21)
    parser.add_argument("--size", type=int, default=512, help="numbers in a vector")
    parser.add_argument("--queries", type=int, help="how many images are queries; default: all")
    parser.add_argument("--metric", action="append", choices=sorted(SCIPY), help="default: l1 and cosine")
    parser.add_argument(
        "--labels", type=Path, help="folder with MLRSNet's CSV files: takes the scenes and tags of half of its images"
    )
    parser.add_argument(
        "--index", type=Path, metavar="DIR", help="evaluate the index in DIR, which is made if it is missing"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tags = None
    if arguments.labels:
        codes, vectors, tags = made_from_labels(arguments.labels, arguments.size)
    else:
        codes, vectors = made_archive(arguments.images, arguments.scenes, arguments.size, arguments.seed)
    queries = min(arguments.queries or len(vectors), len(vectors))
    metrics = arguments.metric or ("l1", "cosine")
    if arguments.index:
        index = made_index(arguments.index, vectors, codes, tags)
        results = [measure_index(index, metric, queries) for metric in metrics]
    else:
        results = [measure(vectors, codes, tags, metric, queries) for metric in metrics]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if arguments.json:
        print(json.dumps({"images": len(vectors), "size": arguments.size, "peak_gib": peak, "runs": results}, indent=2))
    else:
        print(f"{len(vectors):,} images, {arguments.size} numbers each, {queries:,} queries, peak {peak:.2f} GiB")
        show(results)
    wrong = [f"{run['metric']}: {line}" for run in results for line in run["disagrees"]]
    if wrong:
        sys.exit("\n".join([*wrong[:10], f"{len(wrong)} figures do not agree"]))
    slowest = max(run["seconds_for_all"] for run in results)
    if len(vectors) <= MOST_IMAGES and (slowest > MOST_SECONDS or peak > MOST_GIB):
        sys.exit(f"{slowest:.0f} s and {peak:.2f} GiB; wanted at most {MOST_SECONDS:.0f} s and {MOST_GIB:g} GiB")


def show(results: list[dict]) -> None:
    print("core s: processor time, which depends little on other programs; two idle cores need half of it")
    print(
        f"{'metric':8} {'all, s':>9} {'all, core s':>12} {'core s/query':>13} {'plain':>9} {'ratio':>6} "
        f"{'ANMRR':>7} {'mAP':>7}"
    )
    names = {"plain_core_seconds_per_query": "9.5f", "ratio": "6.1f", "anmrr": "7.4f", "map": "7.4f"}
    for run in results:
        rest = (f"{run[name]:{form}}" if name in run else "–".rjust(int(form[0])) for name, form in names.items())
        print(
            f"{run['metric']:8} {run['seconds_for_all']:9.1f} {run['core_seconds_for_all']:12.1f} "
            f"{run['core_seconds_per_query']:13.5f} {' '.join(rest)}"
        )


if __name__ == "__main__":
    main()
