"""Distances from some vectors to many, a tile of them at a time: what ranking whole archives spends its time on."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike, NDArray

QUERIES_AT_ONCE = 16
_ROWS = 128
"""Of 512 numbers each they stay in a core's cache while the queries of one batch pass over them."""

_SCIPY = {"l1": "cityblock", "l2": "euclidean", "cosine": "sqeuclidean"}


def pairwise_distances(
    queries: NDArray[np.floating], vectors: NDArray[np.floating], metric: str, dtype: DTypeLike = np.float64
) -> NDArray[np.floating]:
    """Distances from each query to each vector, formed in float64 from differences: exactly 0 between equal vectors.

    Several threads may call it at once: most of its time it holds no lock of Python's.

    Args:
        queries: float32 or float64 [Q, d], finite; `QUERIES_AT_ONCE` or about as many.
        vectors: float32 or float64 [N, d], finite.
        metric: "l1", "l2", or "cosine": 1 − cos as ½‖q/‖q‖ − v/‖v‖‖², so that a zero vector is at ½ from others and 0
            from itself.
        dtype: Number type of the answer.

    Returns:
        [Q, N], ≥ 0, rounded to `dtype`.
    """
    from scipy.spatial.distance import cdist

    found = np.empty((len(queries), len(vectors)), dtype=dtype)
    asked = _wide(queries, metric)
    for start in range(0, len(vectors), _ROWS):
        distances = cdist(asked, _wide(vectors[start : start + _ROWS], metric), _SCIPY[metric])
        found[:, start : start + _ROWS] = distances / 2 if metric == "cosine" else distances
    return found


def _wide(vectors: NDArray[np.floating], metric: str) -> NDArray[np.float64]:
    """float64, which is what cdist computes in; of length 1 for cosine."""
    wide = vectors.astype(np.float64)
    if metric == "cosine":
        norms = np.sqrt(np.square(wide).sum(axis=1, keepdims=True))
        wide /= np.where(norms == 0, 1.0, norms)
    return wide
