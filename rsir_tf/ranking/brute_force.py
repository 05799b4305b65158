"""Measure every wanted image with a scheme's own distances: exact for any scheme; quicker ways must agree with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking.images import image_blocks
from rsir_tf.ranking.scheme import Found, ImageFeatures, Scheme


def nearest(
    scheme: Scheme,
    stored: StoredVectors,
    queries: Sequence[ImageFeatures],
    top: int,
    wanted: Sequence[NDArray[np.bool_]],
) -> list[Found]:
    """Like `Quick.nearest`, but for any scheme."""
    found = []
    for query, mask in zip(queries, wanted, strict=True):
        (distances,) = all_distances(scheme, stored, [query], mask)
        positions = np.flatnonzero(mask)
        found.append(first(stored, positions, distances[positions], top))
    return found


def all_distances(
    scheme: Scheme, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """Like `RanksArchives.all_distances`, but for any scheme; blocks are read once for all queries."""
    blocks = image_blocks(stored, wanted)
    for query in queries:
        distances = np.full(len(stored), np.nan)
        for places, block in blocks:
            distances[places] = scheme.distances(query, block)
        yield distances


def first(stored: StoredVectors, positions: NDArray[np.int64], distances: NDArray[np.float64], top: int) -> Found:
    """The nearest of the measured images; equal distances are in the order of the index's rows.

    Args:
        stored: The vectors of the index.
        positions: int64 [k].
        distances: float64 [k], not NaN.
        top: At least 1.
    """
    order = np.lexsort((stored.rows[positions], distances))[:top]
    return [(int(positions[at]), float(distances[at])) for at in order]
