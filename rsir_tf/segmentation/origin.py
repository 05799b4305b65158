"""What a run is trained on, in a form that tells whether it is still the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import content_hash
from rsir_tf.processors import in_threads
from rsir_tf.rasters import FileSource

if TYPE_CHECKING:
    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Archive, Record
    from rsir_tf.archives.splits import Split
    from rsir_tf.progress import Progress

Digests = dict[str, list[str | None]]
"""By image: digests of what its source and its mask's file hold; None where there is none, or it cannot be read."""

_TOLD_EVERY = 256
"""Images between two signs of progress."""


def digest_files(archive: Archive, progress: Progress) -> Digests:
    """Read all images and masks once: a size alone would not tell one uncompressed image from another.

    Args:
        archive: Any.
        progress: Called with the images that are done.
    """
    found: Digests = {}
    for record, digests in zip(archive, in_threads(_digests, archive), strict=True):
        found[record.id] = digests
        if len(found) % _TOLD_EVERY == 0:
            progress(len(found), len(archive), "reading the archive's files")
    return found


def describe_origin(
    archive: Archive, label_set: LabelSet, split: Split, digests: Mapping[str, Any], *, tagged: bool
) -> dict[str, Any]:
    """Describe an archive and its split for a run's manifest.

    Args:
        archive: Any.
        label_set: What is learned.
        split: Which images are for what.
        digests: From `digest_files`.
        tagged: Whether the images' tags are learned from.

    Returns:
        JSON types: where the archive lies, its format and size, and hashes of all that training depends on.
    """
    return {
        **({"tags": content_hash([record.tags for record in archive])} if tagged else {}),
        "path": str(archive.root),
        "format": archive.format,
        "images": len(archive),
        "records": content_hash([record.id for record in archive]),
        "files": content_hash(digests),
        "label_set": label_set.content_hash(),
        "split": content_hash([list(part) for part in (split.train, split.test, split.validation) if part]),
    }


def first_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Name the first image whose file or mask is another; None where all are the same."""
    return next((name for name in now if before.get(name) != now[name]), None)


def _digests(record: Record) -> list[str | None]:
    return [record.source.digest(), None if record.mask is None else FileSource(record.mask).digest()]
