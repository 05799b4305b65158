"""Figures by their definitions, for whole matrices: what the evaluation's streamed ones are tested against."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError
from rsir_tf.evaluation.ranks import check_cutoff, mean_over_queries, relevance_matrix


def recall_at(relevance: ArrayLike, k: int) -> float:
    """Recall@k: the share of a query's relevant images that stand among the first k, averaged over queries.

    Args:
        relevance: bool [Q, N], each row the whole ranking in ranked order (its relevant images are all there are).
        k: From 1; from k = N on it is 1.

    Returns:
        0..1; NaN where no query has a relevant image.

    Raises:
        InputError: `relevance` is not bool [Q, N], or k < 1.
    """
    rows = relevance_matrix(relevance)
    check_cutoff(k)
    relevant = rows.sum(axis=1)
    found = rows[:, :k].sum(axis=1)
    values = np.divide(found, relevant, out=np.full(len(rows), np.nan), where=relevant > 0)
    return float(mean_over_queries(values))


def relevance_by_tags(tags: Sequence[Collection[str] | None], query_tags: Collection[str]) -> NDArray[np.bool_]:
    """Images that share at least one tag with the query.

    For many queries, build a `tag_matrix` once and use `shared_tags(…) > 0`.

    Args:
        tags: [N], each image's tags; None (not known) and an empty collection share nothing.
        query_tags: The query's.

    Returns:
        bool [N].

    Raises:
        InputError: The query's tags are a single string instead of a collection.
    """
    if isinstance(query_tags, str):
        raise InputError(f"tags are the text {query_tags!r}", wanted="a collection of tags")
    wanted = frozenset(query_tags)
    return np.array([bool(own) and not wanted.isdisjoint(own or ()) for own in tags], dtype=np.bool_)


def shared_tags(matrix: NDArray[np.bool_], query: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of tags that each image shares with the query: the gain of ACG, NDCG and WAP.

    Args:
        matrix: bool [N, T], from `tag_matrix`.
        query: bool [T].

    Returns:
        int64 [N].

    Raises:
        InputError: The widths differ.
    """
    _check_width(matrix, query)
    return np.asarray(matrix[:, query].sum(axis=1), dtype=np.int64)


def jaccard(matrix: ArrayLike, query: ArrayLike) -> NDArray[np.float64]:
    """Shared tags over tags of either: |A ∩ B| / |A ∪ B| of the tag sets, graded relevance.

    Args:
        matrix: bool [N, T], from `tag_matrix`.
        query: bool [T].

    Returns:
        float64 [N] in 0..1; 0 where neither has a tag (they have nothing in common that was seen).

    Raises:
        InputError: The widths differ.
    """
    images, own = np.asarray(matrix, dtype=np.bool_), np.asarray(query, dtype=np.bool_)
    both = shared_tags(images, own)
    either = images.sum(axis=1) + own.sum() - both
    return np.asarray(np.divide(both, either, out=np.zeros(len(images)), where=either > 0))


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


def _check_width(matrix: NDArray[np.bool_], query: NDArray[np.bool_]) -> None:
    if matrix.ndim != 2 or query.shape != matrix.shape[1:]:
        raise InputError(
            f"the images' tags are {list(matrix.shape)} and the query's {list(query.shape)}",
            wanted="[images, tags] and [tags]",
        )
