#!/usr/bin/env python
"""What relations between regions bring to rankings: schemes with them and without, on the images of an index.

    python scripts/measure_relations.py INDEX [--half 0|1] [--share 0.05] [--graph 0.5]

Each image is the query once, and all images are ranked, the query too; images of its scene class are relevant. Each row
is one scheme, with its mAP and ANMRR. A row with relations also has the gain in average precision over the row before
that it is compared with, and its 95% interval: percentile bootstrap of the paired differences over queries. `--half`
lets only every second image of each class ask, so that shares can be chosen on one half and reported on the other one.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from rsir_tf.evaluation import RankingMetrics, bootstrap_interval
from rsir_tf.ranking import Expanded, Index, Mixed, Reranked, Scheme, make_scheme, open_index, rankings_among


def asking_rows(index: Index, half: int | None) -> NDArray[np.int64]:
    """Rows of the queries: all, or every second image of each scene class."""
    if half is None:
        return np.arange(len(index))
    scenes = np.array(index.images.scenes)
    return np.sort(np.concatenate([np.flatnonzero(scenes == scene)[half::2] for scene in np.unique(scenes)]))


def compared(share: float, graph: float) -> list[tuple[Scheme, Scheme | None]]:
    """Schemes, each with the one that it is compared with."""
    cosine, irm = make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    relations, nodes = make_scheme("relations"), make_scheme("relations-graph")
    both, expanded = Mixed(cosine, irm, 0.5), Expanded(cosine, 5)
    pairs: list[tuple[Scheme, Scheme | None]] = [(relations, None)]
    for scheme in (cosine, irm, both, expanded):
        pairs += [(scheme, None), (Mixed(scheme, relations, share), scheme)]
    pairs += [(nodes, irm), (Mixed(cosine, nodes, graph), Mixed(cosine, irm, graph))]
    return [*pairs, (Reranked(cosine, irm), None), (Reranked(cosine, nodes), Reranked(cosine, irm))]


def measure(index: Index, scheme: Scheme, rows: NDArray[np.int64]) -> tuple[NDArray[np.float64], float]:
    """Average precision of each query, and ANMRR."""
    scenes = np.array(index.images.scenes)
    metrics = RankingMetrics()
    for row, order in rankings_among(index, scheme, rows, np.arange(len(index))):
        metrics.add(scenes[order] == scenes[row])
    return metrics.per_query("map"), float(metrics.per_query("anmrr").mean())


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index")
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--graph", type=float, default=0.5)
    given = parser.parse_args()
    index = open_index(given.index)
    rows = asking_rows(index, given.half)
    print(f"{len(rows)} queries, {len(index)} images\n")
    print("| scheme | mAP | ANMRR | gain in mAP (95% interval) | over |\n|---|---|---|---|---|")
    known: dict[str, tuple[NDArray[np.float64], float]] = {}
    for scheme, without in compared(given.share, given.graph):
        for each in (without, scheme):
            if each is not None and each.name not in known:
                known[each.name] = measure(index, each, rows)
        found, anmrr = known[scheme.name]
        gain = over = ""
        if without is not None:
            gains, over = found - known[without.name][0], without.name
            low, high = bootstrap_interval(gains)
            gain = f"{gains.mean():+.4f} ({low:+.4f} to {high:+.4f})"
        print(f"| {scheme.name} | {found.mean():.4f} | {anmrr:.4f} | {gain} | {over} |", flush=True)


if __name__ == "__main__":
    main()
