"""Measure rankings: the loop of `evaluate` and `compare` with each image as the query, for any scheme."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    CUTOFFS,
    GradedMetrics,
    RankingMetrics,
    SceneConfusion,
    SchemeFigures,
    TagSets,
    rank_error,
)
from rsir_tf.evaluation.figures import TIMED_QUERIES
from rsir_tf.ranking.stages import needs_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index, Scheme

Ranked = Iterator[tuple[int, "NDArray[np.int64]"]]
"""For each query, in order: its row, and all rows, nearest first."""

FIRST_HITS = 5
"""Number of hits per query that are kept for pictures, without the query itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """The quality of the rankings of one scheme or descriptor.

    Attributes:
        figures: Averages over the queries, and what a query costs.
        queries: int64 [Q], the row of each query.
        per_query: From a name of `RankingMetrics.names` to that figure of each query, float64 [Q], NaN where it has
            none.
        first_hits: int64 [Q, ≤ FIRST_HITS], rows of each query's first hits without the query itself.
        left_out: Number of queries without a relevant image; they are in no figure.
        cannot_ask: Number of queries without what the scheme asks with; they are in no figure either.
        graded_queries: Number of queries that share a tag with a ranked image.
        confusion: Which scenes the hits confuse; None if it was not wanted.
        rankings: For each query int32 [≤ depth], the rows that count for its figures, nearest first; empty where they
            were not to be kept.
    """

    figures: SchemeFigures
    queries: NDArray[np.int64]
    per_query: Mapping[str, NDArray[np.float64]]
    first_hits: NDArray[np.int64]
    left_out: int
    graded_queries: int
    confusion: SceneConfusion | None
    cannot_ask: int = 0
    rankings: Sequence[NDArray[np.int32]] = ()

    @property
    def average_precision(self) -> NDArray[np.float64]:
        """float64 [Q], AP of each query, NaN where nothing is relevant."""
        return self.per_query["map"]


class Judge:
    """Measures rankings of images by their scenes or tags.

    Args:
        scenes: [N], each image's scene class, where known.
        tags: [N], each image's tags, where known.
        relevance: "scene", "tags" or "jaccard".
        where: The archive or index of the images, for error texts.
        jaccard_at: As for `judge_relevance`.
        anmrr_variant: A name of `rsir_tf.evaluation.ANMRR_VARIANTS`.
        cutoffs: The k of P@k and recall@k.
        graded_cutoffs: The k of ACG@k and NDCG@k.
        query_counts: Whether the query itself is ranked and counts as relevant.
        intervals: Whether to add bootstrap intervals over queries.
        confusion: Whether to count which scenes the hits confuse.
        queries: Rows of the images that are queries; None takes all.
        gallery: bool [N], which images are ranked; None ranks all.

    Attributes:
        relevant: From a row to which images are relevant to it, bool [N]; images that are not ranked are not.
        queries: How many queries there are.
        graded: Whether there are tags to grade rankings by.
        ranked: How many images each query ranks.

    Raises:
        InputError: No image has a scene, or tags, to tell relevance by; or an option has no such value.
    """

    def __init__(
        self,
        scenes: Sequence[str | None],
        tags: Sequence[tuple[str, ...] | None],
        relevance: str,
        where: str,
        *,
        jaccard_at: float = 0.5,
        anmrr_variant: str = "2ng",
        cutoffs: Sequence[int] = CUTOFFS,
        graded_cutoffs: Sequence[int] = CUTOFFS,
        query_counts: bool = True,
        intervals: bool = False,
        confusion: bool = False,
        queries: Sequence[int] | None = None,
        gallery: NDArray[np.bool_] | None = None,
    ) -> None:
        judge = judge_relevance(scenes, tags, relevance, where, jaccard_at=jaccard_at)
        self.relevant = judge if gallery is None else lambda row: judge(row) & gallery
        self.graded = any(tags)
        asked = range(len(scenes)) if queries is None else queries
        self.queries = len(asked)
        self.ranked = len(scenes) if gallery is None else int(gallery.sum())
        if not query_counts and (gallery is None or any(gallery[row] for row in asked)):
            self.ranked -= 1
        self._scenes, self._by_scene = scenes, relevance == "scene"
        self._tags = TagSets(tags) if self.graded else None
        self._variant, self._cutoffs, self._graded_cutoffs = anmrr_variant, cutoffs, graded_cutoffs
        self._query_counts, self._intervals, self._confuses = query_counts, intervals, confusion
        self._largest: int | None = None
        if rank_error.anmrr_variant(anmrr_variant).needs_largest:
            self._largest = largest_relevant(self.relevant, asked, query_counts)

    def measure(
        self,
        rank: Callable[[range], Ranked],
        costs: Mapping[str, float],
        tell: Callable[[int], None],
        *,
        can_ask: NDArray[np.bool_] | None = None,
        depth: int = 0,
        seconds: Callable[[], float] | None = None,
    ) -> Measured:
        """Let each query ask once, and then time a few queries more.

        Args:
            rank: From places among the queries to rankings for each of them.
            costs: What else is known of the costs.
            tell: Called after each query with how many are done.
            can_ask: bool [N], which images have what the scheme asks with: the others are ranked, but are no queries.
            depth: How many images of each ranking to keep.
            seconds: Measures the time of a query, where others rank; None for `seconds_per_query` here.
        """
        metrics = RankingMetrics(variant=self._variant, cutoffs=self._cutoffs, max_relevant=self._largest)
        graded = GradedMetrics(self._graded_cutoffs)
        confusion = SceneConfusion(self._scenes) if self._confuses else None
        hits, rows, kept, cannot_ask = [], [], [], 0
        for row, order in rank(range(self.queries)):
            rows.append(row)
            asks = can_ask is None or bool(can_ask[row])
            cannot_ask += not asks
            counted = order if self._query_counts else order[order != row]
            if depth:
                kept.append(counted[: depth * asks].astype(np.int32))
            # Without a relevant image it is in no figure, and keeps its place among the figures of single queries.
            metrics.add(self.relevant(row)[counted] & asks, scene=self._scenes[row] if self._by_scene else None)
            if self._tags is not None:
                graded.add(self._tags.shared(row)[counted] * asks)
            if confusion is not None and asks:
                confusion.add(row, order[order != row])
            first = order[: FIRST_HITS + 1]
            hits.append(first[first != row][:FIRST_HITS])
            tell(len(rows))
        # After all queries, so that everything that is read from disk lies in memory.
        each = seconds_per_query(rank, self.queries) if seconds is None else seconds()
        costs = {**costs, "seconds_per_query": each}
        return Measured(
            figures=replace(metrics.figures(intervals=self._intervals), graded=graded.figures(), costs=costs),
            queries=np.array(rows, dtype=np.int64),
            per_query={name: metrics.per_query(name) for name in metrics.names},
            first_hits=np.array(hits, dtype=np.int64).reshape(len(hits), -1),
            left_out=metrics.left_out - cannot_ask,
            graded_queries=graded.queries,
            confusion=confusion,
            cannot_ask=cannot_ask,
            rankings=kept,
        )


def seconds_per_query(rank: Callable[[range], Iterator[object]], queries: int) -> float:
    """Measure the time of ranking alone: nothing else is done with the rankings.

    Args:
        rank: From rows to an iterator that ranks all images for each of them.
        queries: How many there are; the first `TIMED_QUERIES` are timed.

    Returns:
        Seconds per query on one core; the times of several threads are added.
    """
    timed = range(min(queries, TIMED_QUERIES))
    ranked = rank(timed)
    started = time.process_time()
    for _ in ranked:
        pass
    return (time.process_time() - started) / len(timed)


def can_ask(index: Index, scheme: Scheme, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Which images have what a scheme asks with, bool [N]; None where all have.

    An image without regions, because all of it is void or its regions are below the minimum area, is infinitely far
    from all images under a scheme that compares regions alone: their order would be that of their ids.

    Args:
        index: From `rsir_tf.open_index`.
        scheme: How images are ranked.
        rows: int64 [N], of the images in the index.
    """
    return np.asarray(index.images.region_counts[rows] > 0) if needs_regions(scheme) else None


def judge_relevance(
    scenes: Sequence[str | None],
    tags: Sequence[tuple[str, ...] | None],
    relevance: str,
    where: str,
    *,
    jaccard_at: float = 0.5,
) -> Callable[[int], NDArray[np.bool_]]:
    """Return a function that takes a row and gives which images are relevant to it, bool [N].

    Args:
        scenes: [N], each image's scene class, where known.
        tags: [N], each image's tags, where known.
        relevance: "scene", "tags" or "jaccard".
        where: What the images are of, for the error's text.
        jaccard_at: For "jaccard": from which Jaccard index of the tags on an image is relevant; above 0, at most 1.

    Raises:
        InputError: No image has a scene, or tags; or `relevance` or `jaccard_at` is another.
    """
    if relevance == "scene":
        if all(scene is None for scene in scenes):
            raise InputError(
                f"{where}: its images have no scene class",
                cure="use --relevance tags, or index an archive with one folder a scene",
            )
        numbers = {scene: number for number, scene in enumerate(dict.fromkeys(scenes)) if scene is not None}
        codes = np.array([-1 if scene is None else numbers[scene] for scene in scenes], dtype=np.int32)
        return lambda row: (codes == codes[row]) & (codes[row] >= 0)
    if relevance not in ("tags", "jaccard"):
        raise InputError(f"relevance {relevance!r}", wanted="'scene', 'tags' or 'jaccard'")
    if not any(tags):
        raise InputError(f"{where}: its images have no tags", cure="use --relevance scene")
    if not 0 < jaccard_at <= 1:
        raise InputError(f"a Jaccard index of {jaccard_at}", wanted="above 0 and at most 1")
    sets = TagSets(tags)
    if relevance == "tags":
        return lambda row: sets.shared(row) > 0
    return lambda row: sets.jaccard(row) >= jaccard_at


def largest_relevant(judge: Callable[[int], NDArray[np.bool_]], queries: Sequence[int], query_counts: bool) -> int:
    """The largest number of relevant images of any query; `RankingMetrics` may need it before the first.

    Args:
        judge: From `judge_relevance`.
        queries: Their rows, at least one.
        query_counts: Whether the query itself is ranked; one that is not is not relevant either.
    """

    def count(row: int) -> int:
        relevant = judge(row)
        return int(np.count_nonzero(relevant)) - (not query_counts and bool(relevant[row]))

    return max(map(count, queries))
