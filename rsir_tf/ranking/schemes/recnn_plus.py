"""ReCNN+: whole images, by the distance between their global vectors.

The paper uses L1. Where segments have levels (`bounds.levels`), a search by L1 computes only the few distances that the
bounds leave open; a search by L2 or cosine computes all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import (
    METRICS,
    QUERIES_AT_ONCE,
    distances_from,
    pairwise_distances,
    require_metric,
    to_float32,
)
from rsir_tf.index.derived import DerivedFile
from rsir_tf.processors import in_threads
from rsir_tf.ranking.bounds.levels import LEVELS
from rsir_tf.ranking.bounds.search_bounds import reach
from rsir_tf.ranking.brute_force import first
from rsir_tf.ranking.proposals import Proposal
from rsir_tf.ranking.scheme import Field, Found, ImageFeatures, Match
from rsir_tf.vector_rankings import rankings

if TYPE_CHECKING:
    from rsir_tf.index.vectors import StoredVectors
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True, slots=True)
class ReCNNPlus:
    """Ranks by the distance between global vectors, one per image.

    Attributes:
        metric: "l1" (the paper's), "l2" or "cosine", as `global_distance` defines them.

    Raises:
        InputError: The metric is none of these.
    """

    metric: str = "l1"

    name: ClassVar[str] = "recnn+"
    title: ClassVar[str] = "ReCNN+"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    reads: ClassVar[tuple[Field, ...]] = ("recnn_plus",)
    metrics: ClassVar[tuple[str, ...]] = METRICS
    derived_files: ClassVar[tuple[DerivedFile[Any], ...]] = (LEVELS,)

    def __post_init__(self) -> None:
        require_metric(self.metric)

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """See `global_distance`."""
        return distances_from(query.recnn_plus.astype(np.float64), images.recnn_plus, self.metric)

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """No region explains the distance of two whole images."""
        return ()

    def proposal(self) -> Proposal:
        """See `Proposable.proposal`: the same distance."""
        return Proposal("recnn_plus", self.metric)

    def nearest(
        self, stored: StoredVectors, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """See `Quick.nearest`."""
        asked = [query.recnn_plus.astype(np.float64) for query in queries]
        return [self._nearest(stored, query, top, mask) for query, mask in zip(asked, wanted, strict=True)]

    def _nearest(self, stored: StoredVectors, query: NDArray[np.float64], top: int, wanted: NDArray[np.bool_]) -> Found:
        open_still = wanted
        if self.metric == "l1":
            low, high = np.where(wanted, 0.0, np.inf), np.full(len(wanted), np.inf)
            for part, segment in stored.parts():
                levels = segment.derived(LEVELS) if wanted[part].any() else None
                if levels is not None:
                    low[part], high[part] = levels.bounds(query)
            high[~wanted] = np.inf
            open_still = wanted & (low <= reach(high, top))
        distances = np.empty(len(stored))
        for positions, vectors in stored.global_blocks(open_still):
            distances[positions] = distances_from(query, vectors, self.metric)
        measured = np.flatnonzero(open_still)
        return first(stored, measured, distances[measured], top)

    def all_distances(
        self, stored: StoredVectors, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """See `RanksArchives.all_distances`. Distances are computed directly, with one thread per core."""
        blocks = [(places, to_float32(vectors)) for places, vectors in stored.global_blocks(wanted)]

        def measure(asked: NDArray[np.float32]) -> NDArray[np.float64]:
            distances = np.full((len(asked), len(wanted)), np.nan)
            for places, vectors in blocks:
                distances[:, places] = pairwise_distances(asked, vectors, self.metric)
            return distances

        waiting = (query.recnn_plus for query in queries)
        batches = iter(lambda: list(itertools.islice(waiting, QUERIES_AT_ONCE)), [])
        for batch in in_threads(measure, map(np.array, batches)):
            yield from batch

    def rankings(
        self, stored: StoredVectors, positions: NDArray[np.int64], queries: range
    ) -> Iterator[NDArray[np.int64]]:
        """See `RanksAlone.rankings`. It uses `rsir_tf.vector_rankings` and has the same rounding."""
        rows = stored.rows[positions]
        # All images are the common case: their vectors are not copied.
        every = len(rows) == len(stored.global_vectors)
        vectors = stored.global_vectors if every else stored.global_vectors[rows]
        return (order for _, order in rankings(vectors, self.metric, queries=queries))
