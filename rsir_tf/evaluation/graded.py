"""ACG, NDCG and WAP for relevance that is graded by shared tags, collected one query at a time. Higher is better.

A query whose gains are all 0 has no figure and is left out of the mean, as in the figures for binary relevance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.evaluation.figures import CUTOFFS
from rsir_tf.evaluation.ranks import check_cutoff, mean_over_queries


class GradedMetrics:
    """Collects the graded figures of one scheme, one row of ranked gains at a time.

    ACG@k = (1/k) Σ_{i≤k} gain_i (Järvelin and Kekäläinen, SIGIR 2000). NDCG@k is DCG@k divided by DCG@k of the best
    order of the whole ranking; DCG@k = Σ_{i≤k} (2^gain_i − 1) / log2(1 + i) (Burges et al., ICML 2005). WAP is the mean
    of ACG@i over the ranks i with a gain; with gains of 0 and 1 it is MAP. All as used for multi-label image retrieval
    by Zhao, Huang, Wang, Tan (Deep semantic ranking based hashing for multi-label image retrieval, CVPR 2015, Section
    4).

    Gains are whole numbers, so that the best order is found by counting instead of sorting.

    Args:
        cutoffs: The k of ACG@k and NDCG@k, at least one.

    Raises:
        InputError: A cut-off is below 1.
    """

    def __init__(self, cutoffs: Sequence[int] = CUTOFFS) -> None:
        for k in cutoffs:
            check_cutoff(k)
        self._cutoffs = tuple(cutoffs)
        self._rows: list[list[float]] = []
        self._discounts = np.log2(np.arange(2, max(self._cutoffs) + 2))
        self._ranks = np.arange(0)

    @property
    def queries(self) -> int:
        """Number of queries with a gain; the others are in no figure."""
        return len(self._rows)

    def add(self, gains: NDArray[np.integer[Any]]) -> None:
        """Take one query's gains; a query without any gain is in no figure.

        Args:
            gains: Whole numbers [N] ≥ 0, the whole ranking in ranked order, for example `TagSets.shared(row)[order]`.

        Raises:
            InputError: The gains are not whole numbers from 0, or are empty.
        """
        whole = np.asarray(gains)
        if whole.ndim != 1 or whole.dtype.kind not in "iu" or len(whole) == 0 or whole.min() < 0:
            raise InputError(f"gains are {whole.dtype} {list(whole.shape)}", wanted="whole numbers [images] from 0")
        whole = whole.astype(np.int64)
        counts = np.bincount(whole)
        if len(counts) == 1:
            return
        most = len(self._discounts)
        best = np.repeat(np.arange(len(counts))[::-1], np.minimum(counts[::-1], most))[:most]
        found, ideal = self._terms(whole[:most]), self._terms(best)
        acg = [whole[:k].mean() if k <= len(whole) else np.nan for k in self._cutoffs]
        ndcg = [found[:k].sum() / ideal[:k].sum() for k in self._cutoffs]
        self._rows.append([*acg, *ndcg, self._wap(whole, len(whole) - int(counts[0]))])

    def figures(self) -> dict[str, float]:
        """Average over the queries so far.

        Returns:
            "acg_at_K" (NaN where K exceeds a ranking) and "ndcg_at_K" for each cut-off, and "wap" of the whole ranking;
            empty where no query has a gain.
        """
        if not self._rows:
            return {}
        names = [*(f"{name}_at_{k}" for name in ("acg", "ndcg") for k in self._cutoffs), "wap"]
        table = np.array(self._rows, dtype=np.float64)
        return {name: float(mean_over_queries(table[:, column])) for column, name in enumerate(names)}

    def _terms(self, gains: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray((np.exp2(gains.astype(np.float64)) - 1) / self._discounts[: len(gains)])

    def _wap(self, gains: NDArray[np.int64], relevant: int) -> float:
        if len(self._ranks) != len(gains):
            self._ranks = np.arange(1, len(gains) + 1)
        average_gain = np.cumsum(gains) / self._ranks
        average_gain *= gains > 0
        return float(average_gain.sum() / relevant)
