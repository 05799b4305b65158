"""Images that a writer has taken and that fill no segment yet: in memory, and from time to time staged on disk."""

from __future__ import annotations

import time
from pathlib import Path

from rsir_tf import artifacts
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.layout import STAGED
from rsir_tf.index.staging import write_staged

REGIONS_PER_SEGMENT = 1 << 16
"""Pending vectors are kept in memory: 65,536 of 512 float32 are 128 MB."""

SECONDS_BETWEEN_STAGINGS = 30.0
"""A killed writer loses at most the images that were added in this time."""


class Pending:
    """The images in the order in which they were added.

    Args:
        index: The index's folder.

    Attributes:
        entries: Id → the image.
    """

    def __init__(self, index: Path) -> None:
        self.entries: dict[str, ImageEntry] = {}
        self._file = index / STAGED
        self._regions = 0
        self._staged_at = time.monotonic()

    def add(self, entry: ImageEntry) -> None:
        """Take in an image that is not among them."""
        self.entries[entry.id] = entry
        self._regions += len(entry.classes)

    def with_content(self, content_hash: str) -> ImageEntry | None:
        """The first of them that came with these pixels, or None."""
        return next((entry for entry in self.entries.values() if entry.content_hash == content_hash), None)

    def drop(self, image: str) -> bool:
        """Forget an image, if it is among them; whether it was."""
        entry = self.entries.pop(image, None)
        if entry is not None:
            self._regions -= len(entry.classes)
        return entry is not None

    def fill_segment(self, images: int) -> bool:
        """Whether they are enough for a segment of this number of images."""
        return len(self.entries) >= images or self._regions >= REGIONS_PER_SEGMENT

    def stage_if_due(self, next_segment: int) -> None:
        """Bring them to disk if that was last done a while ago.

        Args:
            next_segment: The number of the segment that they are meant for.

        Raises:
            ArtifactError: The disk is full or read-only.
        """
        if time.monotonic() - self._staged_at >= SECONDS_BETWEEN_STAGINGS:
            write_staged(self._file, list(self.entries.values()), next_segment)
            self._staged_at = time.monotonic()

    def forget_staged(self) -> None:
        """Remove what is staged: it is in the index now, or was removed from it.

        Raises:
            ArtifactError: The disk is read-only.
        """
        with artifacts.disk_errors(self._file):
            self._file.unlink(missing_ok=True)
        self._staged_at = time.monotonic()

    def clear(self) -> None:
        """Forget all of them; what is staged stays."""
        self.entries, self._regions = {}, 0
