"""Which images a search looks at: all, or given candidates."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking.content import class_numbers, class_shares
from rsir_tf.ranking.images import image_blocks

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Images that a search is limited to.

    Attributes:
        rows: int64 [k], rows of the index, in any order.
        complete: Whether they are proven to be all images that may be found; an answer is then exact. False where they
            are only likely to be near, for example from a vector database.
    """

    rows: NDArray[np.int64]
    complete: bool = False


def sharing_classes(index: StoredIndex, classes: Collection[int]) -> Candidates:
    """The images that have a region of at least one of these classes: the coarse filter of the paper (IV).

    They are complete: the search then asks for the nearest of these images only.

    Args:
        index: The index that is searched.
        classes: Class indices, usually the query's; if empty, no image shares one.

    Raises:
        InputError: A class that the index does not have.
    """
    known = len(index.settings.class_names)
    asked = np.array(sorted({int(each) for each in classes}), dtype=np.int64)
    if len(asked) and not (asked[0] >= 0 and asked[-1] < known):
        raise InputError(f"share_classes holds {asked.tolist()}", wanted=f"class indices from 0 to {known - 1}")
    rows = index.vectors.rows[index.vectors.with_classes(asked)]
    return Candidates(rows[rows >= 0], complete=True)


def showing_classes(index: StoredIndex, shares: Mapping[str, float]) -> Candidates:
    """The images whose segmentation shows all of these classes.

    They are complete: the search then asks for the nearest of these images only.

    Args:
        index: The index that is searched.
        shares: Name of a class → its least share of the area, 0 to 1; see `class_shares`. At 0 any region is enough.

    Raises:
        InputError: The index has no such class, or there is no such share.
    """
    numbers = class_numbers(index, shares)
    least = np.array(list(shares.values()), dtype=np.float64)
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InputError(f"class {name!r} is to cover {share} of an image", wanted="a share from 0 to 1")
    rows = [np.empty(0, dtype=np.int64)]
    for positions, block in image_blocks(index.vectors, index.vectors.live):
        found = class_shares(block, numbers)
        rows.append(index.vectors.rows[positions[((found > 0) & (found >= least)).all(axis=1)]])
    return Candidates(np.sort(np.concatenate(rows)), complete=True)


def wanted_positions(
    index: StoredIndex, among: Candidates | Sequence[int] | NDArray[np.integer] | None
) -> tuple[NDArray[np.bool_], bool]:
    """Turn candidates into bool [P], true at the positions to look at; and say whether an answer is exact.

    Args:
        index: The index that is searched.
        among: Candidates; or rows, which are not proven to be complete; or None for all images.

    Raises:
        InputError: There is no such row.
    """
    if among is None:
        return index.vectors.live, True
    candidates = among if isinstance(among, Candidates) else Candidates(np.asarray(among, dtype=np.int64))
    rows = candidates.rows
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(index)):
        strange = rows[(rows < 0) | (rows >= len(index))][0]
        raise InputError(f"{index.path}: has no row {strange}", wanted=f"0 to {len(index) - 1}")
    wanted = np.zeros(len(index.vectors), dtype=bool)
    wanted[index.vectors.positions[rows]] = True
    return wanted, candidates.complete
