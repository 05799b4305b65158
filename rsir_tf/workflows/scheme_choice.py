"""Which scheme a query is ranked by."""

from __future__ import annotations

from rsir_tf.errors import InputError
from rsir_tf.ranking import DEFAULT_REGION_SCHEME, DEFAULT_SCHEME, Scheme, make_scheme
from rsir_tf.ranking.schemes import metrics_of

EXAMPLES_METRIC = "cosine"
"""The metric of several examples, if none is chosen: their distances count together, whatever the length of vectors."""


def query_scheme(
    scheme: str | Scheme | None = None,
    *,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    one_region: bool = False,
    several: bool = False,
) -> Scheme:
    """Build the scheme of a query.

    Args:
        scheme: A name, or a scheme with its own options; None takes the default for the query.
        metric: As for `query_image`.
        direction: As for `query_image`.
        vectors: As for `query_image`.
        one_region: Whether one region of the query is picked.
        several: Whether several examples ask; the default metric is cosine then, where the scheme has it.

    Raises:
        InputError: As `rsir_tf.ranking.make_scheme`; or a region is picked under a scheme that asks with whole images.
    """
    chosen = scheme or (DEFAULT_REGION_SCHEME if one_region else DEFAULT_SCHEME)
    if several and metric is None and isinstance(chosen, str) and EXAMPLES_METRIC in metrics_of(chosen):
        metric = EXAMPLES_METRIC
    built = make_scheme(chosen, metric=metric, direction=direction, vectors=vectors)
    if one_region and built.asks_with != "regions":
        raise InputError(
            f"one region is picked under scheme {built.name}", wanted=f"scheme {DEFAULT_REGION_SCHEME} alone"
        )
    return built
