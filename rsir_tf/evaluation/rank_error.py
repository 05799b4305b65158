"""ANMRR, the figure of MPEG-7: how far down the ranking the relevant images are. Lower is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError
from rsir_tf.evaluation.ranks import mean_over_queries, relevance_matrix, relevant_ranks


@dataclass(frozen=True, slots=True)
class AnmrrVariant:
    """One definition of ANMRR; definitions differ in the number K of ranks that count, and in the penalty beyond.

    Attributes:
        name: Its name in options and reports.
        definition: The definition as text.
        window: Takes NG of this query and the largest NG of all queries, and gives K.
        penalty: Takes K and gives the rank that counts for an image beyond rank K.
        needs_largest: Whether `window` uses the largest NG.
    """

    name: str
    definition: str
    window: Callable[[int, int], int]
    penalty: Callable[[int], float]
    needs_largest: bool = False


ANMRR_VARIANTS = {
    variant.name: variant
    for variant in (
        AnmrrVariant("2ng", "K = 2·NG, rank 1.25·K beyond", lambda ng, _: 2 * ng, lambda k: 1.25 * k),
        AnmrrVariant("4ng", "K = 4·NG, rank 1.25·K beyond", lambda ng, _: 4 * ng, lambda k: 1.25 * k),
        AnmrrVariant("2max", "K = 2·max NG, rank 1.25·K beyond", lambda _, most: 2 * most, lambda k: 1.25 * k, True),
        AnmrrVariant(
            "mpeg7",
            "K = min(4·NG, 2·max NG), rank 1.25·K beyond",
            lambda ng, most: min(4 * ng, 2 * most),
            lambda k: 1.25 * k,
            True,
        ),
        AnmrrVariant("2ng-k+1", "K = 2·NG, rank K + 1 beyond", lambda ng, _: 2 * ng, lambda k: k + 1.0),
    )
}
"""Name → variant; "2ng" is the default, because it reproduces the published table of ReCNN and ReCNN+ best."""


def anmrr_variant(name: str) -> AnmrrVariant:
    """Look up a variant.

    Raises:
        InputError: No variant has this name.
    """
    if name not in ANMRR_VARIANTS:
        raise InputError(f"ANMRR variant {name!r} is not known", wanted=f"one of {', '.join(ANMRR_VARIANTS)}")
    return ANMRR_VARIANTS[name]


def nmrr_of_ranks(ranks: NDArray[np.int64], variant: AnmrrVariant, largest: int) -> float:
    """NMRR of one query; see `nmrr` for the formula.

    Args:
        ranks: int64 [NG], ranks of the relevant images from 1.
        variant: The definition.
        largest: The largest NG over all queries, ≥ NG; read only by variants that need it.

    Returns:
        0..1, NaN where NG is 0.
    """
    ng = len(ranks)
    if ng == 0:
        return float("nan")
    window = variant.window(ng, largest)
    penalty = variant.penalty(window)
    average_rank = float(np.where(ranks > window, penalty, ranks).mean())
    best = 0.5 * (1 + ng)
    return (average_rank - best) / (penalty - best)


def nmrr(relevance: ArrayLike, *, variant: str = "2ng") -> NDArray[np.float64]:
    """Normalised modified retrieval rank of each query.

    With NG relevant images, K from the variant, and Rank* = the image's rank where that is ≤ K, otherwise the penalty
    P: AVR = Σ Rank* / NG, NMRR = (AVR − 0.5·(1 + NG)) / (P − 0.5·(1 + NG)). 0 means that all relevant images come
    first, 1 that none is among the first K. In the default variant "2ng", K = 2·NG and P = 1.25·K.

    Source: MPEG-7 (Manjunath, Ohm, Vasudevan, Yamada: Color and texture descriptors, IEEE TCSVT 11(6), 2001, Section
    II), which has K = min(4·NG, 2·max NG): variant "mpeg7".

    The rows are in ranked order already: whoever ranks breaks ties. K > N is no special case, because K only limits
    ranks.

    Args:
        relevance: bool [Q, N], each row the whole ranking in ranked order.
        variant: A name of `ANMRR_VARIANTS`. In "2max" and "mpeg7", max NG is taken over these Q queries.

    Returns:
        float64 [Q] in 0..1; NaN for a query without relevant images.

    Raises:
        InputError: `relevance` is not bool [Q, N], or the variant is not known.
    """
    rows = relevance_matrix(relevance)
    chosen = anmrr_variant(variant)
    largest = int(rows.sum(axis=1).max(initial=0))
    return np.array([nmrr_of_ranks(relevant_ranks(row), chosen, largest) for row in rows], dtype=np.float64)


def anmrr(relevance: ArrayLike, *, variant: str = "2ng") -> float:
    """Average of `nmrr` over the queries; lower is better, 0 is perfect.

    Queries without relevant images are left out.

    Args:
        relevance: bool [Q, N], each row the whole ranking in ranked order.
        variant: A name of `ANMRR_VARIANTS`.

    Returns:
        0..1; NaN where no query has a relevant image.

    Raises:
        InputError: `relevance` is not bool [Q, N], or the variant is not known.
    """
    return float(mean_over_queries(nmrr(relevance, variant=variant)))
