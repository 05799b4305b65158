"""From an archive to an index on disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.artifacts import MANIFEST
from rsir_tf.errors import InputError
from rsir_tf.index import (
    Dropped,
    ImageEntry,
    ImageFacts,
    IndexSettings,
    IndexWriter,
    address_of,
    path_to_store,
    repair_index,
)
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import derived_files
from rsir_tf.rasters import MISSING, Fingerprint, open_source, pixel_hash, resize_image
from rsir_tf.workflows.archive_roots import ArchiveInIndex, belongs, find_archive
from rsir_tf.workflows.describing import describe_prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive, Record
    from rsir_tf.contract import Model


@dataclass(slots=True)
class IndexSummary:
    """What `index_archive` did.

    Attributes:
        index: The index's folder.
        images: Number of images in the index now.
        added: Number of images that the model described.
        reused: Number of images that were added without the model, because the index has one with the same pixels.
        unchanged: Number of images that were in the index already.
        refreshed: Number of images that were in the index with other facts: tags, scene, path, or time of change.
        removed: Number of images that were removed, because the archive no longer has them.
        absent: Number of images of this archive in the index that are not among the given images.
        gone: How many of the absent images have no file any more.
        skipped: Id → why an image could not be read, for all images that the index lists.
        dropped: Damaged segments that repairing took out.
        moved_from: Where the archive was when it was indexed last; None where that is where it is.
    """

    index: str
    images: int = 0
    added: int = 0
    reused: int = 0
    unchanged: int = 0
    refreshed: int = 0
    removed: int = 0
    absent: int = 0
    gone: int = 0
    skipped: dict[str, str] | None = None
    dropped: list[Dropped] = field(default_factory=list)
    moved_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Read:
    """A record whose pixels have been read; the pixels themselves are only sent to the model.

    The hash is that of the source's pixels; the shape is that of the image for the model, in which regions are counted.
    """

    record: Record
    shape: tuple[int, int]
    content_hash: str
    fingerprint: Fingerprint


def index_archive(
    archive: Archive,
    model: Model,
    to: Path,
    *,
    connectivity: int = 8,
    min_area: int = 0,
    convention: str = "half_pixel",
    dtype: str = "float32",
    resize: tuple[int, int] | None = None,
    strict: bool = False,
    prune: bool = False,
    repair: bool = False,
    merge: bool = False,
    rehash: bool = False,
    name: str | None = None,
    root: Path | None = None,
    progress: Progress = silent,
) -> IndexSummary:
    """Describe each image of an archive with a model and keep its descriptors.

    Images that are in the index and whose sources have not changed are not described again, so that a killed run can be
    continued. Their tags, scenes and paths are updated. One bad image does not stop the others.

    Args:
        archive: Any; scenes and tags are kept with the images.
        model: From `rsir_tf.connect` or `rsir_tf.load`.
        to: The index's folder; made, or continued.
        connectivity: 4 or 8.
        min_area: Smallest region kept, in pixels.
        convention: Bilinear convention of region pooling.
        dtype: Number type of stored vectors.
        resize: (height, width) to which each image is resized for the model, so that all fit into one batch; its
            regions are then counted in these pixels. None keeps the size of each image.
        strict: Fail at the first image that cannot be read; the work up to then is kept.
        prune: Remove images that the archive does not have, also those of other parts if it is one part. Images of
            other archives in the index stay.
        repair: First read every byte of the index and drop damaged segments; their images are then described again if
            the archive has them.
        merge: At the end, merge all small segments and those with removed images.
        rehash: Read all images again, even if their sources have not changed.
        name: What to call the archive in the index, where that holds another one; its ids begin with "name/" then.
        root: The archive's folder, to say that it is the one of the index, moved; None finds out.
        progress: Called after each image.

    Raises:
        MismatchError: The index was made by another model or with other settings; both values are named.
        InputError: Under `strict`, an image cannot be read; a setting is one that no index can have; or the index holds
            another archive, and `name` does not tell the two apart.
        ModelError: The model does not answer; what is done by then is kept.
        ArtifactError: The index cannot be written, or another process is writing it.
    """
    description = model.describe()
    settings = IndexSettings(
        description.model_id,
        description.class_names,
        connectivity,
        min_area,
        convention,
        dtype,
        description.channels,
        resize,
    )
    summary = IndexSummary(str(to))
    if repair and (to / MANIFEST).exists():
        summary.dropped = repair_index(to, settings)
    with IndexWriter.open(to, settings, derived=derived_files()) as writer:
        placed = find_archive(archive, writer, name=name, root=root)
        summary.moved_from = placed.moved_from
        _Run(placed, model, writer, summary, strict, rehash, progress).go()
        given = {record.id for record in placed.records}
        absent = [image for image in writer.ids if image not in given and belongs(writer, image, placed.name)]
        if prune:
            others = tuple(f"{other}/" for other in writer.roots if other and other != placed.name)
            skipped = (image for image in writer.skipped if image not in given and not image.startswith(others))
            summary.removed = writer.remove([*absent, *skipped])
        else:
            summary.absent, summary.gone = len(absent), sum(_is_gone(writer, image) for image in absent)
        if merge:
            writer.merge()
        summary.images = len(writer)
        summary.skipped = writer.skipped
    return summary


class _Run:
    """One pass over an archive: images are read ahead of the model's answers, which come in order."""

    def __init__(
        self,
        archive: ArchiveInIndex,
        model: Model,
        writer: IndexWriter,
        summary: IndexSummary,
        strict: bool,
        rehash: bool,
        progress: Progress,
    ) -> None:
        self.archive, self.model, self.writer = archive, model, writer
        self.summary, self.strict, self.rehash, self.progress = summary, strict, rehash, progress
        self.waiting: deque[_Read] = deque()
        self.asked: set[str] = set()
        self.twins: list[_Read] = []
        self.done = 0

    def go(self) -> None:
        for prediction in self.model.predict_stream(self._images()):
            read = self.waiting.popleft()
            described = describe_prediction(prediction, self.writer.settings)
            regions = described.regions
            self.writer.add(
                ImageEntry(
                    **self._entry_facts(read),
                    classes=regions.classes,
                    areas=regions.areas,
                    boxes=regions.boxes,
                    recnn=described.recnn,
                    recnn_plus=described.recnn_plus,
                    centroids=regions.centroids,
                )
            )
            self.asked.discard(read.content_hash)
            self.summary.added += 1
            self._tell(read.record)
        for read in self.twins:
            self._reuse(read)

    def _images(self) -> Iterator[NDArray[np.uint8]]:
        for record in self.archive.records:
            fingerprint = record.source.fingerprint
            known = self.writer.facts_of(record.id)
            if known is not None and not self.rehash and fingerprint == (known.file_size, known.modified_ns):
                self._keep(record, fingerprint, known)
                continue
            try:
                image = record.source.read()
            except InputError as error:
                if self.strict:
                    raise
                self.writer.skip(record.id, str(error))
                self._tell(record)
                continue
            content_hash = pixel_hash(image)
            if known is not None and content_hash == known.content_hash:
                self._keep(record, fingerprint, known)
                continue
            seen = resize_image(image, self.writer.settings.resize)
            read = _Read(record, seen.shape[:2], content_hash, fingerprint)
            if read.content_hash in self.asked:
                # The model is describing equal pixels already: equal descriptors, bit for bit, have distance 0.
                self.twins.append(read)
            elif not self._reuse(read):
                self.asked.add(read.content_hash)
                self.waiting.append(read)
                yield seen

    def _reuse(self, read: _Read) -> bool:
        twin = self.writer.find_content(read.content_hash)
        if twin is None:
            return False
        arrays = {
            name: getattr(twin, name) for name in ("classes", "areas", "boxes", "recnn", "recnn_plus", "centroids")
        }
        self.writer.add(ImageEntry(**self._entry_facts(read), **arrays))
        self.summary.reused += 1
        self._tell(read.record)
        return True

    def _keep(self, record: Record, fingerprint: Fingerprint, known: ImageFacts) -> None:
        """The pixels are those that the index has: bring up to date what else it says of the image."""
        facts = self._facts(record, fingerprint, known.content_hash)
        if known.archive is None and known.path == record.source.address:  # of format 1, and still right
            facts = replace(facts, archive=None, path=known.path)
        if facts == known:
            self.summary.unchanged += 1
        else:
            self.writer.refresh(record.id, facts)
            self.summary.refreshed += 1
        self.writer.unskip(record.id)
        self._tell(record)

    def _facts(self, record: Record, fingerprint: Fingerprint, content_hash: str) -> ImageFacts:
        path = path_to_store(record.source.address, self.archive.base)
        return ImageFacts(self.archive.name, path, record.scene, record.tags, content_hash, *fingerprint)

    def _entry_facts(self, read: _Read) -> dict[str, Any]:
        facts = asdict(self._facts(read.record, read.fingerprint, read.content_hash))
        return {"id": read.record.id, "height": read.shape[0], "width": read.shape[1], **facts}

    def _tell(self, record: Record) -> None:
        self.done += 1
        self.progress(self.done, len(self.archive.records), record.id)


def _is_gone(writer: IndexWriter, image: str) -> bool:
    facts = writer.facts_of(image)
    if facts is None:
        return False
    return open_source(address_of(facts.path, facts.archive, writer.roots)).fingerprint == MISSING
