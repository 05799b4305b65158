"""A description of what a run is trained on, which shows whether it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rsir_tf.archives.record_masks import mask_of
from rsir_tf.artifacts import content_hash
from rsir_tf.processors import in_threads

if TYPE_CHECKING:
    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Archive, Record
    from rsir_tf.archives.splits import Split
    from rsir_tf.progress import Progress

Digests = dict[str, list[str | None]]
"""Image → digests of the content of its source and its mask; None where one is missing or cannot be read."""

_TOLD_EVERY = 256
"""Number of images between two progress reports."""


def digest_files(archive: Archive, progress: Progress) -> Digests:
    """Read all images and masks once: uncompressed images may have the same size but another content.

    Args:
        archive: The archive.
        progress: Called with the number of finished images.
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
        archive: The archive.
        label_set: The classes that are learned.
        split: The parts of the archive.
        digests: From `digest_files`.
        tagged: Whether the tags of the images are used for training.

    Returns:
        JSON types: path, format and size of the archive, how its scenes are read and which polygons label them where
        that is said, and hashes of everything that training depends on.
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
        **({"reading": reading} if (reading := archive.reading.to_json()) else {}),
        **({"label_polygons": archive.label_polygons.to_json()} if archive.label_polygons else {}),
    }


def first_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Name the first image whose file or mask has changed; None where all are the same."""
    return next((name for name in now if before.get(name) != now[name]), None)


def _digests(record: Record) -> list[str | None]:
    mask = mask_of(record)
    return [record.source.digest(), None if mask is None else mask.digest()]
