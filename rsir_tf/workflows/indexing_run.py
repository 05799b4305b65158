"""One pass of describing an archive's images for an index."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from rsir_tf.archives import why_left_out
from rsir_tf.errors import InputError
from rsir_tf.index import ImageEntry, ImageFacts, IndexWriter, path_to_store
from rsir_tf.progress import Progress
from rsir_tf.rasters import FileSource, Place, Source, content_hash, is_url, path_of, read_pixels, resize_pixels
from rsir_tf.workflows.describing import describe_prediction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.archives import Record
    from rsir_tf.contract import Model
    from rsir_tf.rasters import Fingerprint, Pixels
    from rsir_tf.workflows.archive_roots import ArchiveInIndex
    from rsir_tf.workflows.indexing import IndexSummary

FAILURES = 3
"""After this many windows in a row that cannot be read from behind a URL, the rest of the scene is not tried: each try
takes the time of several attempts, and there may be thousands."""


_VECTORS = ("recnn", "recnn_plus", "recnn_conv4_3", "recnn_plus_conv4_3")


@dataclass(frozen=True, slots=True)
class _Read:
    """A record whose pixels have been read; the colours themselves are only sent to the model.

    The facts are of the source's own pixels. Shape and validity are those of the image for the model, in which regions
    are counted.
    """

    record: Record
    facts: ImageFacts
    shape: tuple[int, int]
    valid: NDArray[np.bool_] | None


class IndexingRun:
    """One pass over an archive: images are read ahead of the model's answers, which come in order."""

    def __init__(
        self,
        archive: ArchiveInIndex,
        writer: IndexWriter,
        summary: IndexSummary,
        strict: bool,
        rehash: bool,
        progress: Progress,
    ) -> None:
        self.archive, self.writer = archive, writer
        self.summary, self.strict, self.rehash, self.progress = summary, strict, rehash, progress
        self.waiting: deque[_Read] = deque()
        self.asked: set[str] = set()
        self.twins: list[_Read] = []
        self.done = 0
        self.fingerprints = Fingerprints()
        self.scene = ""
        self.failures = self.not_tried = 0

    def go(self, model: Model) -> None:
        layers = self.writer.settings.further_layers
        for prediction in model.predict_stream(self._images(), *([layers] if layers else [])):
            read = self.waiting.popleft()
            described = describe_prediction(prediction, self.writer.settings, read.valid)
            regions = described.regions
            arrays: dict[str, Any] = {
                name: getattr(regions, name) for name in ("classes", "areas", "boxes", "centroids")
            } | described.adjacency._asdict()
            self._add(read, **{name: getattr(described, name) for name in _VECTORS}, **arrays)
            self.asked.discard(read.facts.content_hash)
            self.summary.added += 1
        for read in self.twins:
            self._reuse(read)

    def _images(self) -> Iterator[NDArray[np.uint8]]:
        for record in self.archive.records:
            self._enter(scene_of(record))
            if self.settled(record):
                continue
            fingerprint = self.fingerprints.of(record.source)
            known = self.writer.facts_of(record.id)
            pixels = self._pixels(record)
            if pixels is None:
                self.tell(record)
                continue
            if why_left_out(pixels.valid, self.archive.reading) is not None:
                self.writer.leave_out(record.id, *fingerprint)
                self._leave_out(record)
                continue
            content = content_hash(pixels)
            if known is not None and content == known.content_hash:
                self._keep(record, fingerprint, known)
                continue
            seen = resize_pixels(pixels, self.writer.settings.resize)
            shape = seen.values.shape[:2]
            place = _place_in(record.source, pixels.values.shape[:2], shape)
            read = _Read(record, self._facts(record, fingerprint, content, place), shape, seen.valid)
            if content in self.asked:
                # The model is describing equal pixels already: equal descriptors, bit for bit, have distance 0.
                self.twins.append(read)
            elif not self._reuse(read):
                self.asked.add(content)
                self.waiting.append(read)
                yield seen.values
        self._enter("")

    def settled(self, record: Record) -> bool:
        """Whether an image's source is as the index knows it; what else it says of the image is brought up to date."""
        if self.rehash:
            return False
        fingerprint = self.fingerprints.of(record.source)
        known = self.writer.facts_of(record.id)
        if known is not None and fingerprint == (known.file_size, known.modified_ns):
            self._keep(record, fingerprint, known)
            return True
        if self.writer.left_out_before(record.id, *fingerprint):
            self._leave_out(record)
            return True
        return False

    def _pixels(self, record: Record) -> Pixels | None:
        """Read an image; None where it cannot be read, which is noted."""
        if self.failures >= FAILURES:
            self.not_tried += 1
            return None
        try:
            pixels = read_pixels(record.source)
        except InputError as error:
            if self.strict:
                raise
            self.writer.skip(record.id, str(error))
            of_scene = self.archive.reading.tiling is not None
            self.failures += of_scene and is_url(path_of(record.source.address) or "")
            return None
        self.failures = 0
        return pixels

    def _enter(self, scene: str) -> None:
        """Go over to another scene: note what of the last one was not read, and begin anew with what is known of it."""
        if scene == self.scene:
            return
        if self.not_tried:
            words = f"{self.not_tried:,} more of its windows were not read, after {FAILURES} in a row that could not be"
            self.writer.skip(self.scene, f"{words}; run the same command again, which goes on with them")
        self.scene, self.failures, self.not_tried = scene, 0, 0
        self.writer.unskip(scene)

    def _reuse(self, read: _Read) -> bool:
        twin = self.writer.find_content(read.facts.content_hash)
        if twin is None:
            return False
        names = ("classes", "areas", "boxes", "centroids", "borders", "edge", *_VECTORS)
        self._add(read, **{name: getattr(twin, name) for name in names})
        self.summary.reused += 1
        return True

    def _add(self, read: _Read, **arrays: Any) -> None:
        facts: dict[str, Any] = {field.name: getattr(read.facts, field.name) for field in fields(read.facts)}
        self.writer.add(ImageEntry(read.record.id, height=read.shape[0], width=read.shape[1], **facts, **arrays))
        self.tell(read.record)

    def _keep(self, record: Record, fingerprint: Fingerprint, known: ImageFacts) -> None:
        """The pixels are those that the index has: bring up to date what else it says of the image."""
        place = known.place
        if self.rehash or not known.placed or not isinstance(record.source, FileSource):
            # A file is not opened for its place alone, once that is known: an archive has many.
            place = _place_in(record.source, None, self.writer.settings.resize)
        facts = self._facts(record, fingerprint, known.content_hash, place)
        if place is None and not known.placed:  # An older index without places is not written anew for nothing.
            facts = replace(facts, placed=False)
        if known.archive is None and known.path == record.source.address:  # of format 1, and still right
            facts = replace(facts, archive=None, path=known.path)
        if facts == known:
            self.summary.unchanged += 1
        else:
            self.writer.refresh(record.id, facts)
            self.summary.refreshed += 1
        self.writer.unskip(record.id)
        self.tell(record)

    def _leave_out(self, record: Record) -> None:
        self.summary.left_out += 1
        self.tell(record)

    def _facts(self, record: Record, fingerprint: Fingerprint, content: str, place: Place | None) -> ImageFacts:
        path = path_to_store(record.source.address, self.archive.base)
        known = (self.archive.name, path, record.scene, record.tags, content, *fingerprint)
        return ImageFacts(*known, place=place, placed=True)

    def tell(self, record: Record) -> None:
        """Count an image as done."""
        self.done += 1
        self.progress(self.done, len(self.archive.records), record.id)


class Fingerprints:
    """Fingerprints of sources, looked up once for all windows of a scene that follow one another."""

    def __init__(self) -> None:
        self._path: str | None = None
        self._fingerprint: Fingerprint | None = None

    def of(self, source: Source) -> Fingerprint:
        """The fingerprint of a source, from now or from when the window before it was asked about."""
        path = None if isinstance(source, FileSource) else path_of(source.address)
        if path is None or self._fingerprint is None or path != self._path:
            self._path, self._fingerprint = path, source.fingerprint
        return self._fingerprint


def scene_of(record: Record) -> str:
    """The id of the scene that a window is of; of other images, what their id begins with."""
    return record.id.rpartition("/")[0]


def _place_in(source: Source, own: tuple[int, ...] | None, seen: tuple[int, ...] | None) -> Place | None:
    """Where an image lies, for the pixels that the model sees of it.

    Args:
        source: Of the image.
        own: (height, width) of its pixels; None asks the source for it, where it matters.
        seen: (height, width) of the image for the model; None where it is the image itself.
    """
    try:
        place = source.place
        if place is None or seen is None:
            return place
        height, width = own or source.shape
    except InputError:  # The picture itself can be read, or could be: its place is not worth more.
        return None
    a, b, c, d, e, f = place.transform
    across, down = width / seen[1], height / seen[0]
    return Place(place.crs, (a * across, b * down, c, d * across, e * down, f))
