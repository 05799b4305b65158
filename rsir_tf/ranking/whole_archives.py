"""Rank all images for all images, by any scheme: quickly where the scheme can, otherwise by brute force."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.store import StoredIndex
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.divided import DividedVectors
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.scheme import Found, ImageFeatures, Quick, RanksAlone, RanksArchives, Scheme, check_index
from rsir_tf.vector_rankings import nearest_first


def nearest(
    scheme: Scheme,
    stored: StoredVectors,
    queries: Sequence[ImageFeatures],
    top: int,
    wanted: Sequence[NDArray[np.bool_]],
) -> list[Found]:
    """Like `Quick.nearest`, but for any scheme: quickly where it can; otherwise all wanted images are measured."""
    if isinstance(stored, DividedVectors) and stored.asks_parts(scheme):
        return stored.nearest(scheme, queries, top, wanted)
    if isinstance(scheme, Quick):
        return scheme.nearest(stored, queries, top, wanted)
    return brute_force.nearest_measured(functools.partial(all_distances, scheme), stored, queries, top, wanted)


def all_distances(
    scheme: Scheme, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
) -> Iterator[NDArray[np.float64]]:
    """Like `RanksArchives.all_distances`, but for any scheme."""
    if isinstance(stored, DividedVectors) and stored.asks_parts(scheme):
        return stored.all_distances(scheme, queries, wanted)
    if isinstance(scheme, RanksArchives):
        return scheme.all_distances(stored, queries, wanted)
    return brute_force.all_distances(scheme, stored, queries, wanted)


def rankings_by_distance(
    scheme: Scheme, stored: StoredVectors, positions: NDArray[np.int64], queries: range
) -> Iterator[NDArray[np.int64]]:
    """Like `RanksAlone.rankings`, for any scheme, from its distances."""
    wanted = np.zeros(len(stored), dtype=bool)
    wanted[positions] = True
    asked = (image_at(stored, position) for position in positions[queries.start : queries.stop].tolist())
    for distances in all_distances(scheme, stored, asked, wanted):
        yield nearest_first(distances[positions])


def archive_rankings(
    index: StoredIndex, scheme: Scheme, rows: NDArray[np.int64], queries: range, *, sharing_first: bool = False
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rank some images of an index for queries among them; other images of the index are not searched.

    Args:
        index: From `rsir_tf.open_index`.
        scheme: From `make_scheme`, or any other.
        rows: int64 [N], the index's rows of the images to rank, ascending, so that equal distances are in order of id.
        queries: The queries, as consecutive places in `rows`.
        sharing_first: Put images whose segmentation shares no class with the query's last, in order of id.

    Returns:
        For each query in order: its place in `rows`, and int64 [N], places in `rows`, nearest first.
    """
    check_index(scheme, index)
    positions = index.vectors.positions[rows]
    if isinstance(scheme, RanksAlone):
        ranked = scheme.rankings(index.vectors, positions, queries)
    else:
        ranked = rankings_by_distance(scheme, index.vectors, positions, queries)
    found = zip(queries, ranked, strict=True)
    return _sharing_first(found, index.shown_classes[rows]) if sharing_first else found


def rankings_among(
    index: StoredIndex,
    scheme: Scheme,
    queries: NDArray[np.int64],
    gallery: NDArray[np.int64],
    *,
    sharing_first: bool = False,
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rank images of a gallery for queries that need not be among them; only the gallery is searched.

    Args:
        index: From `rsir_tf.open_index`.
        scheme: From `make_scheme`, or any other.
        queries: int64 [Q], the index's rows of the queries.
        gallery: int64 [G], the index's rows of the images to rank, ascending: equal distances go by id.
        sharing_first: As for `archive_rankings`.

    Returns:
        A query's row, in order, and int64 [G], rows of the gallery, nearest first.
    """
    check_index(scheme, index)
    stored = index.vectors
    wanted = np.zeros(len(stored), dtype=bool)
    wanted[stored.positions[gallery]] = True
    asked = (image_at(stored, int(position)) for position in stored.positions[queries])
    measured = all_distances(scheme, stored, asked, wanted)
    found = (
        (int(row), gallery[nearest_first(distances[stored.positions[gallery]])])
        for row, distances in zip(queries, measured, strict=True)
    )
    return _sharing_first(found, index.shown_classes) if sharing_first else found


def _sharing_first(
    found: Iterator[tuple[int, NDArray[np.int64]]], shown: NDArray[np.bool_]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    by_class = np.ascontiguousarray(shown.T)
    for place, order in found:
        last = ~by_class[shown[place]].any(axis=0)[order]
        yield place, np.concatenate([order[~last], np.sort(order[last])])
