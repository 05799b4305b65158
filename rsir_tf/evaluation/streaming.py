"""Ranking figures, collected one query at a time: memory holds one row of relevance, never the whole matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError
from rsir_tf.evaluation.figures import CUTOFFS, INTERVAL_LEVEL, SceneFigures, SchemeFigures
from rsir_tf.evaluation.precision import average_precision_of_ranks, curve_of_ranks, precision_of_ranks, recall_of_ranks
from rsir_tf.evaluation.rank_error import anmrr_variant, nmrr_of_ranks
from rsir_tf.evaluation.ranks import check_cutoff, mean_over_queries, relevance_matrix, relevant_ranks
from rsir_tf.evaluation.significance import bootstrap_interval


class RankingMetrics:
    """Collects the figures of one scheme, one ranked relevance row at a time.

    The figures equal those of the functions on the whole matrix (`anmrr`, `mean_average_precision`, …). About 25
    numbers per query are kept, so rows may have any length and different lengths.

    Args:
        variant: A name of `ANMRR_VARIANTS`.
        cutoffs: The k of P@k and recall@k.
        max_relevant: The largest number of relevant images of any query; the variants "mpeg7" and "2max" need it before
            the first query.

    Raises:
        InputError: The variant is not known, it needs `max_relevant`, or a cut-off is below 1.
    """

    def __init__(
        self, *, variant: str = "2ng", cutoffs: Sequence[int] = CUTOFFS, max_relevant: int | None = None
    ) -> None:
        self._variant = anmrr_variant(variant)
        if self._variant.needs_largest and max_relevant is None:
            raise InputError(
                f"ANMRR variant {variant!r} needs the largest number of relevant images of all queries",
                cure="pass max_relevant, or choose '2ng'",
            )
        for k in cutoffs:
            check_cutoff(k)
        self._cutoffs = tuple(cutoffs)
        self._max_relevant = max_relevant
        self._scenes: list[str | None] = []
        self._rows: list[NDArray[np.float64]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """What `per_query` knows."""
        return ("anmrr", "map", *(f"{name}_at_{k}" for name in ("p", "recall") for k in self._cutoffs))

    @property
    def queries(self) -> int:
        """Number of queries so far, including those without relevant images."""
        return len(self._rows)

    @property
    def left_out(self) -> int:
        """Number of queries without relevant images; they are in no figure."""
        return int(np.isnan(self.per_query("map")).sum())

    def add(self, relevance: ArrayLike, *, scene: str | None = None) -> None:
        """Take one query's ranking.

        Args:
            relevance: bool [N], the whole ranking in ranked order.
            scene: The query's scene class, for figures by scene.

        Raises:
            InputError: The row is not bool [N], or has more relevant images than `max_relevant`.
        """
        row = relevance_matrix(np.asarray(relevance)[None])[0]
        ranks = relevant_ranks(row)
        if self._max_relevant is not None and len(ranks) > self._max_relevant:
            raise InputError(
                f"query {self.queries} has {len(ranks)} relevant images",
                wanted=f"at most max_relevant = {self._max_relevant}",
            )
        figures = [nmrr_of_ranks(ranks, self._variant, self._max_relevant or 0), average_precision_of_ranks(ranks)]
        figures += [precision_of_ranks(ranks, k, len(row)) for k in self._cutoffs]
        figures += [recall_of_ranks(ranks, k) for k in self._cutoffs]
        self._rows.append(np.concatenate([figures, curve_of_ranks(ranks)]))
        self._scenes.append(scene)

    def per_query(self, figure: str) -> NDArray[np.float64]:
        """One figure of every query, in the order they were added: for intervals, paired tests, best and worst queries.

        Args:
            figure: "anmrr" (the query's NMRR), "map" (its AP), "p_at_K" or "recall_at_K" of a chosen cut-off.

        Returns:
            float64 [Q]; NaN where the query has no such figure.

        Raises:
            InputError: There is no such figure.
        """
        if figure not in self.names:
            raise InputError(f"no figure is named {figure!r}", wanted=f"one of {', '.join(self.names)}")
        return self._table()[:, self.names.index(figure)]

    def figures(self, *, intervals: bool = False, seed: int = 0) -> SchemeFigures:
        """Average over the queries so far.

        Args:
            intervals: Whether to add 95% bootstrap intervals over queries.
            seed: Random seed of the bootstrap.

        Returns:
            The figures; NaN where no query has one.
        """
        anmrr, mean_ap = self.per_query("anmrr"), self.per_query("map")
        precision = {k: float(mean_over_queries(self.per_query(f"p_at_{k}"))) for k in self._cutoffs}
        recall = {k: float(mean_over_queries(self.per_query(f"recall_at_{k}"))) for k in self._cutoffs}
        scenes = np.array(self._scenes, dtype=object)
        by_scene = {}
        for scene in sorted({scene for scene in self._scenes if scene is not None}):
            chosen = (scenes == scene) & ~np.isnan(mean_ap)
            if chosen.any():
                by_scene[scene] = SceneFigures(
                    int(chosen.sum()), float(anmrr[chosen].mean()), float(mean_ap[chosen].mean())
                )
        found = {}
        if intervals:
            for name in ("anmrr", "map", *(f"p_at_{k}" for k in self._cutoffs)):
                values = self.per_query(name)
                if not np.isnan(values).all():
                    found[name] = bootstrap_interval(values, level=INTERVAL_LEVEL, seed=seed)
        return SchemeFigures(
            anmrr=float(mean_over_queries(anmrr)),
            map=float(mean_over_queries(mean_ap)),
            precision=precision,
            recall=recall,
            pr_curve=tuple(float(value) for value in mean_over_queries(self._table()[:, -11:])),
            by_scene=by_scene,
            intervals=found,
        )

    def _table(self) -> NDArray[np.float64]:
        width = 2 + 2 * len(self._cutoffs) + 11
        return np.array(self._rows, dtype=np.float64).reshape(-1, width)
