"""Which regions of an image touch, along how many pixel edges, and where they reach the end of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Adjacency(NamedTuple):
    """How the m regions of one image lie against each other.

    Attributes:
        borders: int32 [e, 3], rows of (region, another region that it touches, pixel edges between them): regions are
            numbers from 0, each border stands there twice, once from each side, and rows are in order of both regions.
        edge: int32 [m], pixel edges of each region at which the picture ends.
    """

    borders: NDArray[np.int32]
    edge: NDArray[np.int32]


def region_adjacency(labels: NDArray[np.integer[Any]], void: NDArray[np.bool_] | None = None) -> Adjacency:
    """Count the pixel edges between regions.

    Two regions touch where a pixel of one lies above, below or beside a pixel of the other; a common corner is no
    border. The picture ends at the border of the image, and at pixels that show nothing. Edges towards pixels of
    regions that were dropped because they are small are not counted: neither as a border nor as an end of the picture.

    Args:
        labels: integer [H, W], region i + 1 for the pixels of region i, and 0 for pixels in no region; as `Regions`
            has them.
        void: bool [H, W], pixels that show nothing; None where all of them show something.

    Raises:
        InputError: The labels are not an integer [H, W], are negative, or the other array has another shape.
    """
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer) or (labels.size and labels.min() < 0):
        raise InputError(f"labels: is {labels.dtype} {list(labels.shape)}", wanted="whole numbers from 0, [H, W]")
    if void is not None and void.shape != labels.shape:
        raise InputError(f"void pixels: is {list(void.shape)}", wanted=f"{list(labels.shape)}, as the labels")
    count = int(labels.max(initial=0))
    # One line of pixels more on each side, with a label of its own, makes the end of the picture a border like others.
    ended = np.full((labels.shape[0] + 2, labels.shape[1] + 2), count + 1, np.int32)
    ended[1:-1, 1:-1] = labels if void is None else np.where(void & (labels == 0), count + 1, labels)
    codes = []
    for one, other in ((ended[:-1], ended[1:]), (ended[:, :-1], ended[:, 1:])):
        differs = np.flatnonzero(one != other)
        pair = one.ravel()[differs], other.ravel()[differs]
        codes.append(np.minimum(*pair).astype(np.int64) * (count + 2) + np.maximum(*pair))
    pairs, edges = np.unique(np.concatenate(codes), return_counts=True)
    low, high = np.divmod(pairs, count + 2)
    ends, inside = (low > 0) & (high > count), (low > 0) & (high <= count)
    edge = np.zeros(count, np.int32)
    edge[low[ends] - 1] = edges[ends]
    rows = np.stack([low - 1, high - 1, edges], axis=1)[inside].astype(np.int32)
    borders = np.concatenate([rows, rows[:, [1, 0, 2]]])
    return Adjacency(borders[np.lexsort((borders[:, 1], borders[:, 0]))], edge)
