"""What `benchmark_search.py` compares a search with: reading all vectors once, and looking at every image."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from rsir_tf.processors import usable_cores
from rsir_tf.ranking import ImageFeatures, Index, brute_force, region_set_distance

THREADS = usable_cores()


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


def check(index: Index, query: np.ndarray, hits: list, brute: np.ndarray) -> None:
    """Check with the reference's distances that no hit is farther away than brute force's hit in the same place."""
    exact = sorted(region_set_distance(query, index.vectors.recnn(int(position))) for position in brute)
    for hit, reference in zip(hits, exact, strict=True):
        if hit.distance > reference:
            raise SystemExit(f"{hit.id} at {hit.distance} where brute force found {reference}")


def check_irm(index: Index, image: ImageFeatures, scheme: Any, hits: tuple) -> None:
    """Check that these are the hits of a search that measures every image, with the same distances."""
    measure = partial(brute_force.all_distances, scheme)
    (slow,) = brute_force.nearest_measured(measure, index.vectors, [image], len(hits), [index.vectors.live])
    if [(int(index.vectors.positions[hit.row]), hit.distance) for hit in hits] != slow:
        raise SystemExit(f"integrated matching found {hits} where brute force found {slow}")
