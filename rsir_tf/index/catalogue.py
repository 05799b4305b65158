"""What a writer knows about the images of its index without opening a segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rsir_tf.index.facts import ImageFacts, place_from
from rsir_tf.index.segment import Segment
from rsir_tf.index.segment_files import ARCHIVE, CRS, TRANSFORM


@dataclass(frozen=True, slots=True)
class Slot:
    """Where in the index a committed image is kept, and its facts."""

    segment: str
    row: int
    facts: ImageFacts


class Catalogue:
    """The committed images by id, and all images by content.

    Attributes:
        slots: Id of each committed image → where it is kept.
    """

    def __init__(self) -> None:
        self.slots: dict[str, Slot] = {}
        self._by_content: dict[str, list[str]] = {}
        self._once: dict[Any, Any] = {}

    def register(self, segment: Segment, removed: set[int]) -> None:
        """Take in the images of a segment.

        Args:
            segment: Of the index.
            removed: Rows that do not belong to the index any more.
        """
        names = ("id", ARCHIVE, "path", "scene", "tags", "content_hash", "file_size", "modified_ns", CRS, TRANSFORM)
        columns = (segment.column(name) for name in names)
        once = self._once.setdefault  # Many images have equal scenes, tags and pixel sizes: one of each serves all.
        for row, (image, archive, path, scene, tags, content, size, time, crs, transform) in enumerate(
            zip(*columns, strict=True)
        ):
            if row not in removed:
                own = None if tags is None else tuple(once(tag, tag) for tag in tags)
                place = place_from(once(crs, crs), transform and [once(number, number) for number in transform])
                known = (once(archive, archive), path, once(scene, scene), own, content, size, time)
                facts = ImageFacts(*known, place=place, placed=transform is not None)
                self.slots[image] = Slot(segment.record.name, row, facts)
                self.add_content(image, content)

    def with_content(self, content_hash: str) -> str | None:
        """The id of the first image that came with these pixels, or None."""
        images = self._by_content.get(content_hash)
        return images[0] if images else None

    def add_content(self, image: str, content_hash: str) -> None:
        """Note that an image has these pixels."""
        self._by_content.setdefault(content_hash, []).append(image)

    def drop_content(self, image: str, content_hash: str) -> None:
        """Forget that an image has these pixels."""
        same = self._by_content[content_hash]
        same.remove(image)
        if not same:
            del self._by_content[content_hash]
