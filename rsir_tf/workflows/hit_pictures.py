"""Whether the pictures of hits are still there: an index outlives files that are moved, removed or changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError
from rsir_tf.rasters import MISSING, content_hash, open_source, path_of, read_pixels

if TYPE_CHECKING:
    from rsir_tf.ranking import Index

GONE = "no such file"
UNREADABLE = "cannot be read"
CHANGED = "has changed since it was indexed"


@dataclass(frozen=True, slots=True)
class HitPicture:
    """Where the picture of a hit is.

    Attributes:
        address: Of its source; for a file, its absolute path.
        problem: Why it is not what was indexed, as words after the address; None if it is.
    """

    address: str
    problem: str | None

    @property
    def path(self) -> str:
        """The file or URL that the picture is in: for a window of a scene, the scene's; else the address."""
        return path_of(self.address) or self.address


def look_up(index: Index, row: int) -> HitPicture:
    """Check whether the picture of an image of an index is still what was indexed.

    Pixels are read only if the size or the time of change of the source is not the same.

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
        same = content_hash(read_pixels(source)) == facts.content_hash
    except InputError:
        return HitPicture(path, UNREADABLE)
    return HitPicture(path, None if same else CHANGED)
