"""From relevance rows to ranks: the first step of every ranking figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError


def relevance_matrix(relevance: ArrayLike) -> NDArray[np.bool_]:
    """Check relevance rows.

    Args:
        relevance: bool [Q, N]: one row per query, in ranked order, True where the image at that rank is relevant.

    Returns:
        The same as an array.

    Raises:
        InputError: It is not bool, not two-dimensional, or has no column.
    """
    rows = np.asarray(relevance)
    if rows.ndim != 2 or rows.dtype != np.bool_:
        raise InputError(
            f"relevance is {rows.dtype} {list(rows.shape)}",
            wanted="bool [queries, images] in ranked order",
            cure="compare with the query's scene or tags first; for a single row pass relevance[None]",
        )
    if rows.shape[1] == 0:
        raise InputError("relevance ranks no image at all", wanted="at least one column")
    return rows


def relevant_ranks(row: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Ranks of the relevant images, from 1 and ascending.

    Args:
        row: bool [N], in ranked order.

    Returns:
        int64 [NG], NG the number of relevant images.
    """
    return np.flatnonzero(row).astype(np.int64) + 1


def mean_over_queries(values: NDArray[np.float64]) -> Any:
    """Mean along the first axis over the queries that have a figure (not NaN); NaN where none has.

    Args:
        values: float64 [Q] or [Q, …]; either all or none of a query's entries are NaN.

    Returns:
        float64 of the remaining shape.
    """
    known = ~np.isnan(values).reshape(len(values), -1).any(axis=1) if values.size else np.zeros(len(values), bool)
    if not known.any():
        return np.full(values.shape[1:], np.nan)[()]
    return values[known].mean(axis=0)


def check_cutoff(k: int) -> None:
    """Refuse a cut-off below 1.

    Raises:
        InputError: `k` is not a positive whole number.
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise InputError(f"cut-off k is {k!r}", wanted="a whole number from 1")
