"""Measure every wanted image with a scheme's own distances: exact for any scheme; quicker ways must agree with it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import QUERIES_AT_ONCE
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.processors import in_threads
from rsir_tf.ranking.images import ImageBlock, image_blocks
from rsir_tf.ranking.scheme import Found, ImageFeatures, Scheme

Asked = TypeVar("Asked")


def nearest_measured(
    measure: Callable[[StoredVectors, Iterable[ImageFeatures], NDArray[np.bool_]], Iterator[NDArray[np.float64]]],
    stored: StoredVectors,
    queries: Sequence[ImageFeatures],
    top: int,
    wanted: Sequence[NDArray[np.bool_]],
) -> list[Found]:
    """Like `Quick.nearest`, from the distances of all wanted images; queries with one mask are measured together.

    Args:
        measure: As `RanksArchives.all_distances`.
        stored: As for `Quick.nearest`.
        queries: As for `Quick.nearest`.
        top: As for `Quick.nearest`.
        wanted: As for `Quick.nearest`.
    """
    found: list[Found] = []
    for _, group in itertools.groupby(zip(queries, wanted, strict=True), key=lambda asked: id(asked[1])):
        asked, (mask, *_) = zip(*group, strict=True)
        positions = np.flatnonzero(mask)
        found.extend(first(stored, positions, each[positions], top) for each in measure(stored, asked, mask))
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


def all_distances_in_threads(
    measure: Callable[[Sequence[Asked], ImageBlock], NDArray[np.float64]],
    stored: StoredVectors,
    queries: Iterable[Asked],
    wanted: NDArray[np.bool_],
) -> Iterator[NDArray[np.float64]]:
    """Like `RanksArchives.all_distances`: blocks of images are spread over the cores, several queries at a time.

    Args:
        measure: Gives float64 [Q, k], the distances from queries to the images of a block.
        stored: The vectors of the index.
        queries: Any number, in any form that `measure` takes.
        wanted: bool [P].
    """
    blocks = image_blocks(stored, wanted)
    waiting = iter(queries)
    while asked := list(itertools.islice(waiting, QUERIES_AT_ONCE)):
        distances = np.full((len(asked), len(wanted)), np.nan)
        work = functools.partial(measure, asked)
        for (places, _), found in zip(blocks, in_threads(work, (block for _, block in blocks)), strict=True):
            distances[:, places] = found
        yield from distances


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
