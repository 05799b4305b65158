"""The rankings of an evaluation, by this process or on the workers of a Ray cluster: the same in both.

A worker opens the whole index, memory-mapped, and ranks all images for some of the queries at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.cluster import Failed, WorkerPool, use_all_cores
from rsir_tf.errors import ClusterError, MismatchError
from rsir_tf.ranking import Index, Scheme, archive_rankings, open_index, rankings_among
from rsir_tf.ranking.scheme import check_index
from rsir_tf.workflows.measuring import Ranked, seconds_per_query

if TYPE_CHECKING:
    from rsir_tf.workflows.query_sets import QuerySets

QUERIES_PER_JOB = 64
"""Few enough that their rankings, four bytes an image each, are small beside the memory of a machine."""

JOBS_AHEAD = 4
"""How many jobs for each worker may be begun after the first one that is not done: so many rankings wait here."""


@dataclass(frozen=True, slots=True)
class WholeIndex:
    """An index that each worker opens; make one with `of`.

    Attributes:
        path: The index's folder, an absolute path.
        state: Of its segments, when it was opened here.
    """

    path: Path
    state: str

    @classmethod
    def of(cls, index: Index) -> WholeIndex:
        """What workers are to open for an index that is opened here."""
        return cls(index.path.absolute(), _state(index))

    def __call__(self) -> Index:
        """Open the index.

        Raises:
            ArtifactError: It is not there, or damaged.
            MismatchError: It is another one here, or has changed.
        """
        use_all_cores()
        index = open_index(self.path)
        if _state(index) != self.state:
            raise MismatchError(
                f"{self.path}: is not the index that was opened on the first machine, or has changed since then",
                wanted="one index on storage that all machines share, which nobody changes",
                cure="run the command again",
            )
        return index


@dataclass(frozen=True, slots=True)
class RankingQuestion:
    """What is ranked for each query.

    Attributes:
        scheme: How.
        sets: Which images are queries and which are ranked; None for all.
        tags_overlap: Whether images that share no class with the query come last.
    """

    scheme: Scheme
    sets: QuerySets | None
    tags_overlap: bool

    def rankings(self, index: Index, places: range) -> Ranked:
        """Rank for some of the queries, as `archive_rankings` and `rankings_among` do."""
        if self.sets is None:
            rows = np.arange(len(index), dtype=np.int64)
            return archive_rankings(index, self.scheme, rows, places, sharing_first=self.tags_overlap)
        queries = self.sets.queries[places.start : places.stop]
        return rankings_among(index, self.scheme, queries, self.sets.gallery, sharing_first=self.tags_overlap)


class SpreadRankings:
    """Rankings for all queries, by workers.

    Args:
        pool: Workers that hold the index; see `WholeIndex`.
        index: The same here.
        question: What is ranked.

    Raises:
        InputError: The index lacks what the scheme reads.
    """

    def __init__(self, pool: WorkerPool[Index], index: Index, question: RankingQuestion) -> None:
        check_index(question.scheme, index)
        self.pool, self.question = pool, question

    def rankings(self, places: range) -> Ranked:
        """Rank for some of the queries.

        Raises:
            ClusterError: Workers failed.
        """
        starts = places[::QUERIES_PER_JOB]
        jobs = ((self.question, range(start, min(start + QUERIES_PER_JOB, places.stop))) for start in starts)
        done: dict[int, list[tuple[int, NDArray[np.uint32]]]] = {}
        first = 0
        for number, result in self.pool.run(_rank, jobs, ahead=JOBS_AHEAD * self.pool.workers):
            if isinstance(result, Failed):
                raise ClusterError(f"queries from {starts[number]} on cannot be ranked: {result.reason}")
            done[number] = result
            while first in done:
                yield from ((place, order.astype(np.int64)) for place, order in done.pop(first))
                first += 1

    def seconds(self, queries: int) -> float:
        """As `seconds_per_query`, in one of the workers.

        Args:
            queries: How many there are.

        Raises:
            ClusterError: It failed.
        """
        ((_, result),) = self.pool.run(_time, [(self.question, queries)])
        if isinstance(result, Failed):
            raise ClusterError(f"a query cannot be timed: {result.reason}")
        return result


def _rank(index: Index, job: tuple[RankingQuestion, range]) -> list[tuple[int, NDArray[np.uint32]]]:
    question, places = job
    return [(place, order.astype(np.uint32)) for place, order in question.rankings(index, places)]


def _time(index: Index, job: tuple[RankingQuestion, int]) -> float:
    question, queries = job

    def rank(places: range) -> Iterator[object]:
        return question.rankings(index, places)

    return seconds_per_query(rank, queries)


def _state(index: Index) -> str:
    """A hash of what the manifest says of the segments: of their bytes, and of which images are removed."""
    records = [dataclasses.asdict(segment.record) for segment in index.vectors.segments]
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()
