"""Which images of an index ask and which are ranked, where the two are parts of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.artifacts import content_hash
from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives import Split
    from rsir_tf.ranking import Index

EVERYTHING = "all"


@dataclass(frozen=True, slots=True, eq=False)
class QuerySets:
    """Queries and the images that are ranked for them.

    Attributes:
        queries: int64 [Q], rows of the index, ascending.
        gallery: int64 [G], rows of the index, ascending; some or all of them may be queries too.
        details: What to record of the choice, JSON types.
    """

    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    details: dict[str, Any]

    @property
    def disjoint(self) -> bool:
        """Whether no query is ranked."""
        return not np.isin(self.queries, self.gallery).any()


def sets_of_split(index: Index, split: Split, part: str, gallery: str) -> QuerySets:
    """Find the parts of a split in an index.

    Args:
        index: It may hold further images.
        split: Of the archive that was indexed.
        part: Of the queries: "train", "validation" or "test".
        gallery: Of the images that are ranked: a part, or "all" for all images of the index.

    Raises:
        InputError: The split has no such part, or the index lacks images of it; the first are named.
    """
    everything = np.arange(len(index), dtype=np.int64)
    return QuerySets(
        queries=_rows(index, split, part),
        gallery=everything if gallery == EVERYTHING else _rows(index, split, gallery),
        details={"query_part": part, "gallery_part": gallery, "split_hash": content_hash(split.to_json())},
    )


def _rows(index: Index, split: Split, part: str) -> NDArray[np.int64]:
    parts: dict[str, Sequence[str]] = {"train": split.train, "validation": split.validation, "test": split.test}
    wanted = parts.get(part)
    if not wanted:
        has = ", ".join(name for name, images in parts.items() if images)
        raise InputError(f"the split has no {part} part", wanted=f"one of {has}")
    held = set(index.images.ids)
    missing = [name for name in wanted if name not in held]
    if missing:
        some = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
        raise InputError(
            f"{index.path}: lacks {len(missing)} of the split's {len(wanted)} {part} images ({some})",
            cure="index that part of the archive too",
        )
    return np.array(sorted(index.row_of(name) for name in wanted), dtype=np.int64)
