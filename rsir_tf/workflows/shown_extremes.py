"""The best and the worst queries under each scheme, with their first hits, as a page shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rsir_tf.evaluation import extreme_queries
from rsir_tf.presentation import ShownImage
from rsir_tf.presentation.comparison_page import ExtremeQueries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EXTREMES = 3
"""Best and worst queries that are shown of each scheme."""


def extremes_of(
    average_precision: Mapping[str, NDArray[np.float64]],
    first_hits: Mapping[str, NDArray[np.int64]],
    relevant: Callable[[int], NDArray[np.bool_]],
    scenes: Sequence[str | None],
    picture: Callable[[int], tuple[str, NDArray[np.uint8]]],
    queries: NDArray[np.int64] | None = None,
) -> Iterator[ExtremeQueries]:
    """Choose them; images are read as they are asked for. A scheme without figures has none.

    Args:
        average_precision: Scheme → float64 [Q].
        first_hits: Scheme → int64 [Q, ≤ FIRST_HITS], rows.
        relevant: From a row to which images are relevant to it.
        scenes: [N], each row's scene class, where known.
        picture: From a row to the image's id and pixels, uint8 [H, W, 3].
        queries: int64 [Q], the row of each query; None where rows are queries.
    """

    def shown(row: int, relevant: bool | None = None) -> ShownImage:
        return ShownImage(*picture(row), relevant)

    for name, figures in average_precision.items():
        asked = range(len(figures)) if queries is None else queries.tolist()
        groups = [scenes[row] for row in asked]
        for kind, lowest in (("best", False), ("worst", True)):
            rows = []
            for place in extreme_queries(figures, groups, EXTREMES, lowest=lowest):
                query = asked[place]
                answers = relevant(query)
                hits = [shown(hit, bool(answers[hit])) for hit in first_hits[name][place].tolist()]
                rows.append((f"AP {figures[place]:.3f}", shown(query), hits))
            if rows:
                yield ExtremeQueries(name, kind, rows, by_scene=len(set(groups)) > 1)
