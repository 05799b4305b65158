#!/usr/bin/env python
"""Which share of the exact first ten images Qdrant proposes, once it has built its graph (HNSW).

    pip install qdrant-edge-py
    python scripts/measure_candidates.py INDEX [--scheme recnn+] [--metric l1] [--queries 200] [--json]

A Qdrant server searches large collections by a graph, and may miss near images; the Python client's local mode, which
the tests use, compares every vector, and misses none that its distance finds. qdrant-edge has the server's own engine
in this process, without a server. The graph has the server's default settings (m 16, ef_construct 100), and is built
for a collection of any size. The recall is measured as `rsir-tf publish` does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsir_tf.ranking import make_scheme, open_index, proposal_of
from rsir_tf.ranking.images import image_blocks
from rsir_tf.workflows.publishing import measure_recall

NAME = "vectors"
DISTANCES = {"l1": "Manhattan", "l2": "Euclid", "cosine": "Cosine"}


class EdgeCollection:
    """What `measure_recall` needs of a `rsir_tf.databases.Collection`, with Qdrant's engine in this process."""

    def __init__(self, folder: str, channels: int, metric: str, of_regions: bool, ids: Sequence[str]) -> None:
        import qdrant_edge

        self.engine, self.of_regions, self.ids = qdrant_edge, of_regions, ids
        several = qdrant_edge.MultiVectorConfig(qdrant_edge.MultiVectorComparator.MaxSim) if of_regions else None
        vectors = qdrant_edge.EdgeVectorParams(
            channels, getattr(qdrant_edge.Distance, DISTANCES[metric]), multivector_config=several
        )
        self.shard = qdrant_edge.EdgeShard.create(
            folder,
            qdrant_edge.EdgeConfig(
                vectors={NAME: vectors},
                hnsw_config=qdrant_edge.HnswIndexConfig(m=16, ef_construct=100, full_scan_threshold=1),
                optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=1),
            ),
        )

    def put(self, rows: Sequence[int], vectors: Sequence[np.ndarray]) -> None:
        points = [
            self.engine.Point(id=row, vector={NAME: self._lists(each)}, payload={})
            for row, each in zip(rows, vectors, strict=True)
            if len(each)
        ]
        self.shard.update(self.engine.UpdateOperation.upsert_points(points))

    def nearest(self, vectors: np.ndarray, top: int, among: None = None) -> list[str]:
        query = self.engine.Query.Nearest(self._lists(vectors), using=NAME)
        return [self.ids[point.id] for point in self.shard.query(self.engine.QueryRequest(limit=top, query=query))]

    def _lists(self, vectors: np.ndarray) -> Any:
        return vectors.tolist() if self.of_regions else vectors[0].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("index", type=Path)
    parser.add_argument("--scheme", default="recnn+")
    parser.add_argument("--metric")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    index = open_index(options.index)
    scheme = make_scheme(options.scheme, metric=options.metric)
    proposal = proposal_of(scheme)
    with tempfile.TemporaryDirectory() as folder:
        collection = EdgeCollection(
            folder, index.settings.channels, proposal.metric, proposal.of_regions, index.images.ids
        )
        started = time.perf_counter()
        for positions, block in image_blocks(index.vectors, index.vectors.live):
            collection.put(index.vectors.rows[positions].tolist(), [proposal.vectors(each) for each in block])
        sent = time.perf_counter() - started
        print(f"{len(index):,} images sent after {sent:.0f} s; building the graph …", file=sys.stderr, flush=True)
        started = time.perf_counter()
        collection.shard.optimize()
        built = time.perf_counter() - started
        print(f"built after {built:.0f} s; measuring …", file=sys.stderr, flush=True)
        asked, recall = measure_recall(index, scheme, proposal, collection, options.queries)  # type: ignore[arg-type]
        query = proposal.vectors(next(iter(image_blocks(index.vectors, index.vectors.live)[0][1])))
        started = time.perf_counter()
        for _ in range(20):
            collection.nearest(query, 1000)
        proposing = (time.perf_counter() - started) / 20
    result = {
        "images": len(index),
        "scheme": options.scheme,
        "queries": asked,
        "recall_of_first_10": recall,
        "seconds_to_send": round(sent, 1),
        "seconds_to_build": round(built, 1),
        "seconds_to_propose_1000": round(proposing, 4),
    }
    print(json.dumps(result, indent=2) if options.json else result)


if __name__ == "__main__":
    main()
