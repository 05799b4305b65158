"""Ranking figures for graded relevance, where images share more or fewer tags with the query. Higher is better.

Gains come in ranked order, usually `shared_tags(matrix, query)[ranking]`. A query whose gains are all 0 has no figure
and is left out of the mean, as in the figures for binary relevance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError
from rsir_tf.evaluation.ranks import check_cutoff, mean_over_queries


def acg_at(gains: ArrayLike, k: int) -> float:
    """Average cumulative gain: ACG@k = (1/k) Σ_{i≤k} gain_i, averaged over queries.

    Source: Järvelin and Kekäläinen (SIGIR 2000); as used for multi-label image retrieval by Zhao, Huang, Wang, Tan
    (Deep semantic ranking based hashing for multi-label image retrieval, CVPR 2015, Section 4).

    Args:
        gains: [Q, N] numbers ≥ 0, each row in ranked order.
        k: From 1.

    Returns:
        From 0 to the largest gain; NaN where k > N, or no query has a gain.

    Raises:
        InputError: `gains` is not [Q, N] of numbers ≥ 0, or k < 1.
    """
    rows = _gain_matrix(gains)
    check_cutoff(k)
    if k > rows.shape[1]:
        return float("nan")
    return _mean(rows, rows[:, :k].mean(axis=1))


def ndcg_at(gains: ArrayLike, k: int) -> float:
    """Normalised discounted cumulative gain: NDCG@k = DCG@k over that of the best order, averaged over queries.

    DCG@k = Σ_{i≤k} (2^gain_i − 1) / log2(1 + i); the best order sorts the whole row by gain (Burges et al., ICML 2005;
    Zhao et al., CVPR 2015). Where k > N the whole ranking counts.

    Args:
        gains: [Q, N] numbers ≥ 0, each row the whole ranking in ranked order.
        k: From 1.

    Returns:
        0..1; NaN where no query has a gain.

    Raises:
        InputError: `gains` is not [Q, N] of numbers ≥ 0, or k < 1.
    """
    rows = _gain_matrix(gains)
    check_cutoff(k)
    best = -np.sort(-rows, axis=1)
    ideal = _discounted(best, k)
    return _mean(rows, np.divide(_discounted(rows, k), ideal, out=np.zeros(len(rows)), where=ideal > 0))


def wap_at(gains: ArrayLike, k: int | None = None) -> float:
    """Weighted average precision: WAP@k = mean of ACG@i over the ranks i ≤ k with a gain, averaged over queries.

    With gains of 0 and 1 and k = N it is MAP (Zhao et al., CVPR 2015, Section 4).

    Args:
        gains: [Q, N] numbers ≥ 0, each row in ranked order.
        k: From 1; None or more than N takes the whole ranking.

    Returns:
        From 0 to the largest gain; a query whose first k hold no gain counts 0. NaN where no query has a gain at all.

    Raises:
        InputError: `gains` is not [Q, N] of numbers ≥ 0, or k < 1.
    """
    rows = _gain_matrix(gains)
    if k is not None:
        check_cutoff(k)
    first = rows[:, :k]
    average_gain = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    relevant = first > 0
    counts = relevant.sum(axis=1)
    sums = (average_gain * relevant).sum(axis=1)
    return _mean(rows, np.divide(sums, counts, out=np.zeros(len(rows)), where=counts > 0))


def _discounted(rows: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    first = rows[:, :k]
    return np.asarray(((np.exp2(first) - 1) / np.log2(np.arange(2, first.shape[1] + 2))).sum(axis=1))


def _mean(rows: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(mean_over_queries(np.where(rows.any(axis=1), values, np.nan)))


def _gain_matrix(gains: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(gains)
    if rows.ndim != 2 or rows.shape[1] == 0 or rows.dtype.kind not in "biuf":
        raise InputError(
            f"gains are {rows.dtype} {list(rows.shape)}",
            wanted="numbers [queries, images] in ranked order, one image or more",
        )
    rows = rows.astype(np.float64)
    if not (rows >= 0).all():
        raise InputError("gains hold NaN or negative numbers", wanted="numbers from 0")
    return rows
