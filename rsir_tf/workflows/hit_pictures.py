"""Whether the pictures of hits are still there: an index outlives files that are moved, removed or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError
from rsir_tf.rasters import MISSING, open_source, pixel_hash

if TYPE_CHECKING:
    from rsir_tf.ranking import Index

GONE = "no such file"
UNREADABLE = "cannot be read"
CHANGED = "has changed since it was indexed"


@dataclass(frozen=True, slots=True)
class HitPicture:
    """Where a hit's picture lies.

    Attributes:
        path: The address of its source: of a file, its absolute path.
        problem: Why it is not what was indexed, in words that follow the path; None where it is.
    """

    path: str
    problem: str | None


def look_up(index: Index, row: int) -> HitPicture:
    """Find out cheaply whether the picture of an image of an index is there as it was indexed.

    Pixels are read only where the source has another size or time of change than it had.

    Args:
        index: From `rsir_tf.open_index`.
        row: Of the image.
    """
    path, facts = index.address_of(row), index.facts_of(row)
    source = open_source(path)
    fingerprint = source.fingerprint
    if fingerprint == MISSING:
        return HitPicture(path, GONE)
    if fingerprint == (facts.file_size, facts.modified_ns):
        return HitPicture(path, None)
    try:
        same = pixel_hash(source.read()) == facts.content_hash
    except InputError:
        return HitPicture(path, UNREADABLE)
    return HitPicture(path, None if same else CHANGED)
