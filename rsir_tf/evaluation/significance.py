"""Several descriptors tested against one: p-values, corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rsir_tf.errors import InputError
from rsir_tf.evaluation.bootstrap import paired_test
from rsir_tf.evaluation.published import SCHEME_TITLES


@dataclass(frozen=True, slots=True)
class PairedTests:
    """Paired randomisation tests of AP, query by query, each descriptor against the same one.

    Attributes:
        against: The descriptor that the others are tested against.
        chosen_as_best: Whether it was chosen because its mAP is the highest on these very queries.
        p_values: Each other descriptor → two-sided p of `paired_test`.
        corrected: The same by Holm's correction; see `holm`.
    """

    against: str
    chosen_as_best: bool
    p_values: Mapping[str, float]
    corrected: Mapping[str, float]

    def sentence(self) -> str:
        """What was tested, and how it is to be read."""
        chosen = (
            ", the best by mAP, which was chosen on the same queries: the p-values are too small for a claim about it"
            if self.chosen_as_best
            else ""
        )
        return (
            f"Paired randomisation tests of AP, two-sided, against {SCHEME_TITLES.get(self.against, self.against)}"
            f"{chosen}; Holm's correction is over the {len(self.p_values)} tests of this table."
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "figure": "map",
            "against": self.against,
            "chosen_as_best": self.chosen_as_best,
            "p_values": dict(self.p_values),
            "p_values_holm": dict(self.corrected),
        }


def paired_tests(figures: Mapping[str, ArrayLike], against: str | None = None) -> PairedTests | None:
    """Test each descriptor against one.

    Args:
        figures: Descriptor → float [Q], one figure a query (higher is better), NaN where a query has none.
        against: A key of `figures`; None takes the one with the highest mean.

    Returns:
        The tests; None where there is nothing to test: one descriptor, or no query with a figure.

    Raises:
        InputError: `against` is no key of `figures`.
    """
    if against is not None and against not in figures:
        raise InputError(f"{against!r} was not compared", wanted=f"one of {', '.join(figures)}")
    values = {name: np.asarray(found, dtype=np.float64) for name, found in figures.items()}
    means = {name: float(found[~np.isnan(found)].mean()) for name, found in values.items() if not np.isnan(found).all()}
    if len(values) < 2 or not means:
        return None
    reference = against or max(means, key=means.__getitem__)
    p_values = {name: paired_test(found, values[reference]) for name, found in values.items() if name != reference}
    return PairedTests(reference, against is None, p_values, holm(p_values))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct p-values for their number: rejecting where the result is ≤ α keeps the chance of any false rejection ≤ α.

    The k-th smallest of m is multiplied by m − k + 1, is at least the one before it, and at most 1 (Holm, A simple
    sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6(2), 1979).

    Args:
        p_values: Name → p, 0..1.

    Returns:
        Name → corrected p, in the same order.
    """
    corrected: dict[str, float] = {}
    reached = 0.0
    for place, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - place) * p_values[name]))
        corrected[name] = reached
    return {name: corrected[name] for name in p_values}
