"""What several examples gain: rounds in which a simulated user marks what was found, by the images' scene classes.

    scripts/feedback_rounds.py INDEX                                  # ReCNN+ by cosine and IRM, three rounds of 20
    scripts/feedback_rounds.py INDEX --scheme recnn --plot rounds     # also writes rounds-all.png, rounds-unmarked.png

Each image that has a scene class is the query once; it is not in its own ranking. Before the first round, images are
ranked by the query alone. In each round the user marks the first images that are not marked yet: those of the query's
scene class as liked, the others as not liked. Then all examples ask together. Two figures are measured after each
round:

all         mAP of the whole archive as the user has it before them: first the images marked as liked, then those not
            marked, in the order of the method, and last the images marked as not liked. Marking alone raises it.
unmarked    mAP of the images that are not marked yet (the residual collection), over the queries that still have
            relevant images there; and the same images in the order of the first ranking. Their difference is what the
            method gains. The queries differ from method to method, because a good method leaves fewer.

The method "none" only marks: its user goes on down the first ranking. Everything is exact and repeatable.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rsir_tf.evaluation.precision import average_precision_of_ranks
from rsir_tf.presentation.plots import rounds_plot
from rsir_tf.ranking import open_index
from rsir_tf.ranking.examples import classifier_distances, rocchio_distances, sample_rows
from rsir_tf.workflows import query_scheme

Method = Callable[[np.ndarray, list[int], list[int]], np.ndarray]


def by_rocchio(apart: np.ndarray, likes: list[int], unlikes: list[int]) -> np.ndarray:
    return rocchio_distances(apart[likes], apart[unlikes])


def by_classifier(apart: np.ndarray, likes: list[int], unlikes: list[int]) -> np.ndarray:
    examples = likes + unlikes
    sample = sample_rows(len(apart), examples)
    return classifier_distances(apart[np.ix_(examples, [*examples, *sample])], len(likes), apart[examples])


def by_nothing(apart: np.ndarray, likes: list[int], unlikes: list[int]) -> np.ndarray:
    return apart[likes[0]]


METHODS: dict[str, Method] = {"none": by_nothing, "rocchio": by_rocchio, "classifier": by_classifier}
TITLES = {"none": "marking alone"}


def simulate(
    apart: np.ndarray, scenes: np.ndarray, query: int, method: Method, rounds: int, marks: int
) -> list[tuple[float, float, float]]:
    """Before and after each round: AP of all images, of the unmarked ones, and of the latter in the first order.

    Args:
        apart: float64 [N, N], row q holds the distances from image q to all.
        scenes: [N], the scene class of each image.
        query: From 0.
        method: Of `METHODS`.
        rounds: How many.
        marks: How many images are marked in each.
    """
    relevant, likes, unlikes, figures = scenes == scenes[query], [query], [], []
    distances = first = apart[query]
    for number in range(rounds + 1):
        marked = np.zeros(len(scenes), dtype=bool)
        marked[[*likes, *unlikes]] = True
        unmarked, before = (rest[~marked[rest]] for rest in map(order_of, (distances, first)))
        whole = np.array([*likes[1:], *unmarked, *unlikes])
        figures.append(tuple(average_precision(relevant[order]) for order in (whole, unmarked, before)))
        if number < rounds:
            shown = unmarked[:marks].tolist()
            likes = likes + [image for image in shown if relevant[image]]
            unlikes = unlikes + [image for image in shown if not relevant[image]]
            distances = method(apart, likes, unlikes)
    return figures


def order_of(distances: np.ndarray) -> np.ndarray:
    return np.argsort(distances, kind="stable")


def average_precision(relevant: np.ndarray) -> float:
    ranks = np.flatnonzero(relevant) + 1
    return average_precision_of_ranks(ranks) if len(ranks) else math.nan


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--scheme", action="append", help="recnn+ and irm if none is named")
    parser.add_argument("--method", action="append", choices=METHODS, help="all if none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--marks", type=int, default=20, help="images that are marked in each round")
    parser.add_argument("--queries", type=int, help="only so many queries, drawn with seed 0")
    parser.add_argument("--plot", metavar="PREFIX", help="write PREFIX-all.png and PREFIX-unmarked.png")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    index = open_index(options.index)
    scenes = np.array([scene or "" for scene in index.images.scenes])
    queries = np.flatnonzero(scenes != "")
    if options.queries is not None and options.queries < len(queries):
        queries = np.sort(np.random.default_rng(0).choice(queries, options.queries, replace=False))
    found = []
    for name in options.scheme or ["recnn+", "irm"]:
        scheme = query_scheme(name, several=True)
        apart = np.array([distances for _, distances in index.all_distances(scheme)])
        for method in options.method or METHODS:
            each = []
            for query in queries.tolist():
                if sys.stderr.isatty():
                    print(f"\r{name}, {method}: {len(each)}/{len(queries)}", end="", file=sys.stderr)
                each.append(simulate(apart, scenes, query, METHODS[method], options.rounds, options.marks))
            figures = np.array(each)  # [queries, rounds + 1, 3]
            means = np.nanmean(figures, axis=0)
            found.append(
                {
                    "scheme": scheme.title,
                    "method": method,
                    "queries": len(queries),
                    "all": means[:, 0].tolist(),
                    "unmarked": means[:, 1].tolist(),
                    "unmarked_in_first_order": means[:, 2].tolist(),
                    "queries_with_unmarked": (~np.isnan(figures[:, :, 1])).sum(axis=0).tolist(),
                }
            )
            if not options.json:
                print(f"{scheme.title}, {method}, {len(queries)} queries")
                for number, (every, rest, before) in enumerate(means.tolist()):
                    left = found[-1]["queries_with_unmarked"][number]
                    words = f"unmarked {rest:.3f}, in the first order {before:.3f}, {left} queries"
                    print(f"  after {number} rounds: all {every:.3f}; {words}", flush=True)
    if options.json:
        print(json.dumps(found, indent=2))
    for figure, words in (("all", "mAP of all images"), ("unmarked", "mAP of unmarked images")):
        if options.plot:
            curves = {f"{each['scheme']}, {TITLES.get(each['method'], each['method'])}": each[figure] for each in found}
            Path(f"{options.plot}-{figure}.png").write_bytes(rounds_plot(curves, words))
    return 0


if __name__ == "__main__":
    sys.exit(main())
