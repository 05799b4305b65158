"""Which regions touch, in the index: the columns of regions.parquet that say so, and the check before they are stored.

In memory the borders of an image are rows of (region, another region, pixel edges between them), each border from both
sides, in order of both regions; see `rsir_tf.regions.region_adjacency`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.index.entry import ImageEntry

BORDER_COLUMNS = TOUCHES, BORDERS, EDGE = "touches", "borders", "edge"
UNKNOWN = -1
"""The edge of a region of which nobody has looked where it touches others."""


def border_columns(entries: Sequence[ImageEntry]) -> dict[str, Any]:
    """The columns of some images' regions (pyarrow), null where they are not known.

    Args:
        entries: Checked entries.
    """
    import pyarrow as pa

    counts = [np.bincount(entry.borders[:, 0], minlength=len(entry.edge)) for entry in entries]
    ends = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int32)
    borders = np.concatenate([entry.borders for entry in entries])
    edge = np.concatenate([entry.edge for entry in entries])
    unknown = pa.array(edge == UNKNOWN)
    return {
        **{
            name: pa.ListArray.from_arrays(ends, np.ascontiguousarray(borders[:, at]), mask=unknown)
            for name, at in ((TOUCHES, 1), (BORDERS, 2))
        },
        EDGE: pa.array(edge, mask=edge == UNKNOWN),
    }


def borders_in(table: Any, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Read the columns of a segment back.

    Args:
        table: Of its regions (pyarrow).
        offsets: int64 [images + 1], where each image's regions begin.

    Returns:
        int32 [e, 3], the borders, where regions are rows of the table; and int32 [n], the edge of each region:
        `UNKNOWN` where the segment, or a part of it, is older than format 4.

    Raises:
        ValueError: The columns do not fit each other.
    """
    if EDGE not in table.column_names:
        return np.empty((0, 3), np.int32), np.full(table.num_rows, UNKNOWN, np.int32)
    import pyarrow.compute as pc

    def numbers(column: Any) -> NDArray[np.int32]:
        return np.asarray(column.combine_chunks().to_numpy(zero_copy_only=False), dtype=np.int32)

    others, lengths = (numbers(pc.list_flatten(table.column(name))) for name in (TOUCHES, BORDERS))
    counts = numbers(pc.fill_null(pc.list_value_length(table.column(TOUCHES)), 0))
    edge = numbers(pc.fill_null(table.column(EDGE), UNKNOWN))
    first = np.repeat(offsets[:-1], np.diff(offsets))
    last = np.repeat(offsets[1:], np.diff(offsets))
    own = np.repeat(np.arange(table.num_rows), counts)
    other = others + first[own]
    if len(lengths) != len(own) or (others < 0).any() or (other >= last[own]).any():
        raise ValueError("its regions touch regions that are not there")
    return np.stack([own, other, lengths], axis=1).astype(np.int32), edge


def checked_borders(entry: ImageEntry) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Check the borders of an entry and convert them to their types.

    Raises:
        InputError: A shape or type is wrong; regions touch themselves, or others that are not there, or are not
            touched back as much; rows are out of order; or the borders of only some regions are known.
    """
    count = np.size(entry.classes)
    borders, edge = np.asarray(entry.borders), np.asarray(entry.edge)
    for name, array, wanted in (("borders", borders, (len(borders), 3)), ("edge", edge, (count,))):
        if array.shape != wanted or not np.issubdtype(array.dtype, np.integer):
            found = f"{array.dtype} {list(array.shape)}"
            raise InputError(f"{entry.id}: {name} is {found}", wanted=f"int32 {list(wanted)}")
    unknown = edge == UNKNOWN
    if (edge < UNKNOWN).any() or (unknown.any() and (len(borders) or not unknown.all())):
        raise InputError(f"{entry.id}: edge holds {edge.min()}", wanted="at least 0, or -1 for all regions")
    numbers, lengths = borders[:, :2], borders[:, 2]
    one, other = numbers.T.astype(np.int64)
    fits = len(borders) == 0 or (
        (numbers >= 0).all()
        and (numbers < count).all()
        and (one != other).all()
        and (np.diff(one * count + other) > 0).all()
        and lengths.min() > 0
        and np.array_equal(borders[np.lexsort((one, other))][:, [1, 0, 2]], borders)
    )
    if not fits:
        raise InputError(
            f"{entry.id}: its borders are impossible",
            wanted="rows (region, another region, pixel edges), each border from both sides, in order of both regions",
        )
    return np.array(borders, np.int32, order="C"), np.array(edge, np.int32, order="C")
