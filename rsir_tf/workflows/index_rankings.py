"""The images of an index ranked for one of them after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.evaluation import nearest_first, rankings
from rsir_tf.index.distances import require_direction, require_metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.index import Index


def index_rankings(
    index: Index,
    scheme: str,
    rows: NDArray[np.int64],
    queries: range,
    *,
    metric: str | None = None,
    direction: str = "query",
    tags_overlap: bool = False,
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rank some of an index's images for some of these; only those are searched, whatever else the index holds.

    Under "recnn+" queries go through the vectors in batches, in one thread a core; see `rankings` for the rounding.

    Args:
        index: From `rsir_tf.open_index`.
        scheme: "recnn" or "recnn+".
        rows: int64 [N], the index's rows of the images to rank, ascending: equal distances go by id.
        queries: Consecutive places in `rows`, of the images to rank them for.
        metric: For "recnn+": None or "l1", "l2", "cosine".
        direction: For "recnn".
        tags_overlap: Rank images last, in order of id, whose segmentation shares no class with the query's.

    Returns:
        A query's place in `rows`, in order, and int64 [N], places in `rows`, nearest first.

    Raises:
        InputError: There is no such scheme, metric or direction.
    """
    require_direction(direction)
    if metric is not None:
        require_metric(metric)
    if scheme == "recnn+":
        # All rows are the common case: their vectors are not copied.
        vectors = index.recnn_plus if len(rows) == len(index) else index.recnn_plus[rows]
        found = rankings(vectors, metric or "l1", queries=queries)
    else:
        asked = rows[queries.start : queries.stop].tolist()
        measured = index.all_distances(scheme, asked, direction=direction, among=rows.tolist())
        found = ((place, nearest_first(far[rows])) for place, (_, far) in zip(queries, measured, strict=True))
    return _sharing_first(found, index.shown_classes[rows]) if tags_overlap else found


def _sharing_first(
    found: Iterator[tuple[int, NDArray[np.int64]]], shown: NDArray[np.bool_]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    by_class = np.ascontiguousarray(shown.T)
    for place, order in found:
        last = ~by_class[shown[place]].any(axis=0)[order]
        yield place, np.concatenate([order[~last], np.sort(order[last])])
