"""Components of a segment laid out for matrix products: several groups of images in one matrix at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rsir_tf.ranking.bounds.components import groups

_ROWS = 8192
"""Rows of one matrix product: enough that threads rarely wait for each other, few enough for the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """k images of c regions each: first the first regions of all, then the second ones, and so on.

    Attributes:
        rows: Their regions, in the rows of the batch.
        images: Their places in the order of groups.
        shape: (c, k).
    """

    rows: slice
    images: slice
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Regions that are multiplied together.

    Attributes:
        points: float32 [rows, K + 1]: the levels, and the squares last.
        regions: int32 [rows], the regions, in the order of the segment.
        errors: float32 [rows], how far each point is from the true one at most.
        pieces: What the rows hold, in order.
    """

    points: NDArray[np.float32]
    regions: NDArray[np.int32]
    errors: NDArray[np.float32]
    pieces: tuple[Piece, ...]


def batches(
    counts: NDArray[np.int64], levels: NDArray[np.int8], squares: NDArray[np.float32], errors: NDArray[np.float32]
) -> Iterator[Batch]:
    """Put several groups, or parts of large ones, into one matrix at a time.

    Args:
        counts: int64 [P], the regions of each image.
        levels: int8 [n, K], in the order of groups.
        squares: float32 [n], in the same order.
        errors: float32 [P].
    """
    offsets = np.cumsum(counts) - counts
    row = filled = place = 0
    parts: list[tuple[Piece, Batch]] = []
    for count, images in groups(counts):
        rows = slice(row, row + count * len(images))
        row = rows.stop
        points = np.empty((count, len(images), levels.shape[1] + 1), dtype=np.float32)
        points[..., :-1] = levels[rows].reshape(count, len(images), -1)
        points[..., -1] = squares[rows].reshape(count, len(images))
        step = max(1, _ROWS // count)
        for begin in range(0, len(images), step):
            chosen = images[begin : begin + step]
            size = count * len(chosen)
            if filled + size > _ROWS and filled:
                yield _joined(parts)
                parts, filled = [], 0
            piece = Piece(slice(filled, filled + size), slice(place, place + len(chosen)), (count, len(chosen)))
            regions = (offsets[chosen] + np.arange(count)[:, None]).astype(np.int32).ravel()
            one = points[:, begin : begin + step].reshape(size, -1)
            parts.append((piece, Batch(one, regions, np.tile(errors[chosen], count), (piece,))))
            filled, place = filled + size, place + len(chosen)
    if parts:
        yield _joined(parts)


def _joined(parts: list[tuple[Piece, Batch]]) -> Batch:
    pieces = tuple(piece for piece, _ in parts)
    if len(parts) == 1:
        return replace(parts[0][1], points=np.ascontiguousarray(parts[0][1].points))
    return Batch(
        np.concatenate([batch.points for _, batch in parts]),
        np.concatenate([batch.regions for _, batch in parts]),
        np.concatenate([batch.errors for _, batch in parts]),
        pieces,
    )
