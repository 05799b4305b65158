"""Where a descriptor fails: the scene classes that it confuses, and its best and worst queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError


class SceneConfusion:
    """Collects, one ranking at a time, the scenes of each query's first NG hits.

    NG is the number of other images of the query's scene; the query itself is left out. So the first NG hits of a
    perfect ranking are all of the query's scene, and the diagonal is the mean R-precision (Manning, Raghavan, Schütze:
    Introduction to Information Retrieval, 2008, Section 8.4) of a scene's queries.

    Args:
        scenes: [N], each image's scene class; None (not known) counts for no scene.
    """

    def __init__(self, scenes: Sequence[str | None]) -> None:
        self.names = tuple(sorted({scene for scene in scenes if scene is not None}))
        place = {name: number for number, name in enumerate(self.names)}
        unknown = len(self.names)
        self._codes = np.array([unknown if scene is None else place[scene] for scene in scenes], dtype=np.int64)
        self._others = np.bincount(self._codes, minlength=unknown + 1) - 1
        self._sums = np.zeros((unknown + 1, unknown + 1))
        self._queries = np.zeros(unknown + 1, dtype=np.int64)

    def add(self, query: int, order: NDArray[np.int64]) -> None:
        """Take one ranking.

        Args:
            query: Row of the query.
            order: int64 [N] or [N − 1], rows nearest first, with or without the query.

        Raises:
            InputError: The ranking has fewer rows.
        """
        scene, wanted = self._codes[query], self._others[self._codes[query]]
        if len(order) < len(self._codes) - 1:
            raise InputError(f"a ranking of {len(order)} images", wanted=f"all {len(self._codes)}")
        if scene == len(self.names) or wanted == 0:
            return
        first = order[: wanted + 1]
        first = first[first != query][:wanted]
        self._sums[scene] += np.bincount(self._codes[first], minlength=len(self._sums)) / wanted
        self._queries[scene] += 1

    def shares(self) -> NDArray[np.float64]:
        """Mean share of each scene among the first NG hits.

        Returns:
            float64 [S, S], 0..1: rows are the queries' scenes in the order of `names`, columns the hits'. A row sums to
            1, minus the share of images without a known scene. NaN for a scene without queries, or with one image.
        """
        counts = self._queries[:-1, None].astype(np.float64)
        found = np.full((len(self.names), len(self.names)), np.nan)
        return np.asarray(np.divide(self._sums[:-1, :-1], counts, out=found, where=counts > 0))

    def to_json(self) -> dict[str, Any]:
        """The names and `shares` as JSON types, with null for NaN."""
        rows = [[None if np.isnan(share) else share for share in row] for row in self.shares().tolist()]
        return {"scenes": list(self.names), "shares": rows}

    def most_confused(self, count: int) -> list[tuple[str, str, float]]:
        """The largest shares off the diagonal: (query's scene, hits' scene, share), largest first, ties by name."""
        shares = self.shares()
        pairs = [
            (name, other, float(shares[row, column]))
            for row, name in enumerate(self.names)
            for column, other in enumerate(self.names)
            if row != column and shares[row, column] > 0
        ]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))[:count]


def extreme_queries(figures: ArrayLike, groups: Sequence[str | None], count: int, *, lowest: bool) -> list[int]:
    """Choose the queries with the highest or lowest figure, from different groups where possible.

    Args:
        figures: [Q], one per query; queries with NaN are never chosen.
        groups: [Q], for example scene classes; None is a group too.
        count: The largest number of queries to choose.
        lowest: Whether to choose low figures instead of high ones.

    Returns:
        Rows, most extreme first, ties by row; each group's most extreme before any group's second.
    """
    values = np.asarray(figures, dtype=np.float64)
    order = np.argsort(values if lowest else -values, kind="stable")
    seen: dict[str | None, int] = {}
    turns: list[tuple[int, int, int]] = []
    for row in order[~np.isnan(values[order])].tolist():
        seen[groups[row]] = seen.get(groups[row], 0) + 1
        turns.append((seen[groups[row]], len(turns), row))
    return [row for _, _, row in sorted(turns)[:count]]
