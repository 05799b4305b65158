"""Which region lies within which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def enclosing(borders: NDArray[np.integer], edge: NDArray[np.integer]) -> NDArray[np.int64]:
    """Find the region that each region lies within.

    A region lies within another one if every way from it to the end of the picture, from region to touching region,
    leads through that other one. Of several such regions, which then lie within each other, the innermost is given.

    Args:
        borders: integer [e, 3], rows of (region, another region that it touches, pixel edges), both directions, in
            order of regions; of one image, or of several, whose regions do not touch.
        edge: integer [m], pixel edges of each region at which the picture ends.

    Returns:
        int64 [m], the region around each region, −1 where there is none. A region that no way leads from to the end of
        the picture, because all around it was dropped, lies within nothing.
    """
    around = np.full(len(edge), -1, np.int64)
    if not (edge == 0).any():
        return around
    # A depth-first search from the end of the picture. The lowest number of a region is that of the first region, in
    # the order of the search, that it or a region below it touches; −1 is the end of the picture. If this is not before
    # its parent, all ways lead through the parent (Hopcroft and Tarjan 1973).
    starts = np.searchsorted(borders[:, 0], np.arange(len(edge) + 1)).tolist()
    others = borders[:, 1].tolist()
    order: list[int] = []
    number, lowest, parent = ([-1] * len(edge) for _ in range(3))
    at_end = (edge > 0).tolist()
    cursor = starts[:-1]
    for root in np.flatnonzero(edge > 0).tolist():
        if number[root] >= 0:
            continue
        number[root] = len(order)
        order.append(root)
        stack = [root]
        while stack:
            region = stack[-1]
            if cursor[region] < starts[region + 1]:
                other = others[cursor[region]]
                cursor[region] += 1
                if number[other] < 0:
                    number[other] = len(order)
                    lowest[other] = -1 if at_end[other] else number[other]
                    parent[other] = region
                    order.append(other)
                    stack.append(other)
                elif other != parent[region]:
                    lowest[region] = min(lowest[region], number[other])
            else:
                stack.pop()
                if stack:
                    lowest[stack[-1]] = min(lowest[stack[-1]], lowest[region])
    for region in order:
        above = parent[region]
        if above >= 0:
            around[region] = above if lowest[region] >= number[above] else around[above]
    return around
