"""One immutable segment: it is written once and then memory-mapped."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import file_hash, written_aside
from rsir_tf.errors import ArtifactError
from rsir_tf.index.derived import Content_co, DerivedFile, SegmentVectors
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.facts import ImageFacts
from rsir_tf.index.layout import (
    IMAGES,
    RECNN,
    RECNN_PLUS,
    REGIONS,
    REPAIR,
    SEGMENT_FILES,
    SegmentRecord,
    segment_folder,
)
from rsir_tf.index.settings import IndexSettings


def write_segment(index: Path, name: str, entries: Sequence[ImageEntry], settings: IndexSettings) -> SegmentRecord:
    """Write entries as a new segment, under a temporary name, and rename it.

    Args:
        index: The index's folder.
        name: The name of the segment; no folder of this name may exist.
        entries: Checked entries, at least one.
        settings: The settings of the index.

    Returns:
        Its entry for the manifest.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    import pyarrow as pa

    counts = [len(entry.classes) for entry in entries]
    images = pa.table(
        {
            "id": pa.array([entry.id for entry in entries], pa.string()),
            "path": pa.array([entry.path for entry in entries], pa.string()),
            "height": pa.array([entry.height for entry in entries], pa.int32()),
            "width": pa.array([entry.width for entry in entries], pa.int32()),
            "scene": pa.array([entry.scene for entry in entries], pa.string()),
            "tags": pa.array([entry.tags for entry in entries], pa.list_(pa.string())),
            "content_hash": pa.array([entry.content_hash for entry in entries], pa.string()),
            "file_size": pa.array([entry.file_size for entry in entries], pa.int64()),
            "modified_ns": pa.array([entry.modified_ns for entry in entries], pa.int64()),
            "regions": pa.array(counts, pa.int32()),
            ARCHIVE: pa.array([entry.archive for entry in entries], pa.string()),
        }
    )
    boxes = np.concatenate([entry.boxes for entry in entries])
    centroids = np.concatenate([entry.centroids for entry in entries])
    regions = pa.table(
        {
            "image": np.repeat(np.arange(len(entries), dtype=np.int32), counts),
            "class": np.concatenate([entry.classes for entry in entries]),
            "area": np.concatenate([entry.areas for entry in entries]),
            **{side: np.ascontiguousarray(boxes[:, at]) for at, side in enumerate(BOX_SIDES)},
            **{axis: np.ascontiguousarray(centroids[:, at]) for at, axis in enumerate(CENTROID)},
        }
    )
    folder = segment_folder(index, name)
    with written_aside(folder) as aside:
        aside.mkdir()
        write_table(images, aside / IMAGES)
        write_table(regions, aside / REGIONS)
        recnn = np.concatenate([entry.recnn for entry in entries]).astype(settings.dtype, copy=False)
        np.save(aside / RECNN, recnn, allow_pickle=False)
        recnn_plus = np.stack([entry.recnn_plus for entry in entries]).astype(settings.dtype, copy=False)
        np.save(aside / RECNN_PLUS, recnn_plus, allow_pickle=False)
        return describe_segment(aside, name, images=len(entries), regions=sum(counts))


BOX_SIDES = ("top", "left", "bottom", "right")
CENTROID = ("centroid_y", "centroid_x")
ARCHIVE = "archive"


def write_table(table: Any, file: Path) -> None:
    """Write a Parquet file whose bytes depend only on the table."""
    from pyarrow import parquet

    # Without Arrow's schema in the metadata; and with page checksums, so that reading finds a flipped bit in a table.
    parquet.write_table(table, file, compression="zstd", store_schema=False, write_page_checksum=True)


def describe_segment(
    folder: Path, name: str, *, images: int, regions: int, derived: Sequence[str] = (), merged: bool = False
) -> SegmentRecord:
    """Measure and hash the files of a written segment."""
    files = (*SEGMENT_FILES, *sorted(derived))
    return SegmentRecord(
        name=name,
        images=images,
        regions=regions,
        sizes={file: (folder / file).stat().st_size for file in files},
        hashes={file: file_hash(folder / file) for file in files},
        merged=merged,
    )


class Segment:
    """A segment on disk, memory-mapped; its parts are decoded at their first use.

    All files are mapped here, so that a writer that removes the segment later does not disturb this reader.

    Args:
        index: The index's folder.
        record: Its entry in the manifest.
        settings: The settings of the index.

    Raises:
        ArtifactError: A file is missing, or does not agree with the manifest.
    """

    def __init__(self, index: Path, record: SegmentRecord, settings: IndexSettings) -> None:
        self.record = record
        self.folder = segment_folder(index, record.name)
        self._known_classes = len(settings.class_names)
        self._buffers = {name: self._map(name) for name in record.sizes}
        self.recnn = self._vectors(RECNN, record.regions, settings)
        """[regions, C] in the index's number type, memory-mapped."""
        self.recnn_plus = self._vectors(RECNN_PLUS, record.images, settings)
        """[images, C] in the index's number type, memory-mapped."""
        self._derived: dict[str, Any] = {}

    @cached_property
    def images(self) -> Any:
        """The table of images (pyarrow); the archive is null where the segment, or a part of it, is older."""
        import pyarrow as pa

        table = self._table(IMAGES, self.record.images)
        if ARCHIVE in table.column_names:
            return table
        return table.append_column(ARCHIVE, pa.nulls(self.record.images, pa.string()))

    @cached_property
    def regions(self) -> Any:
        """The table of regions (pyarrow)."""
        table = self._table(REGIONS, self.record.regions)
        images = np.repeat(np.arange(self.record.images), np.diff(self.offsets))
        if not np.array_equal(table.column("image").to_numpy(), images):
            raise self.damaged(REGIONS, "its regions are not grouped by image as the images' table says")
        return table

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [images + 1]: image i's regions are the rows from offsets[i] up to offsets[i + 1]."""
        offsets = np.zeros(self.record.images + 1, dtype=np.int64)
        np.cumsum(self.images.column("regions").to_numpy(), out=offsets[1:])
        if offsets[-1] != self.record.regions or (np.diff(offsets) < 0).any():
            raise self.damaged(IMAGES, f"its images have {offsets[-1]} regions, the manifest {self.record.regions}")
        return offsets

    @cached_property
    def classes(self) -> NDArray[np.int32]:
        """int32 [regions], class index of each region."""
        return np.asarray(self.regions.column("class").to_numpy(), dtype=np.int32)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """int64 [regions], pixels of each region."""
        return np.asarray(self.regions.column("area").to_numpy(), dtype=np.int64)

    @cached_property
    def boxes(self) -> NDArray[np.int32]:
        """int32 [regions, 4], (top, left, bottom, right) of each region in pixels, half-open."""
        columns = [self.regions.column(side).to_numpy() for side in BOX_SIDES]
        return np.array(np.stack(columns, axis=1), dtype=np.int32)

    @cached_property
    def centroids(self) -> NDArray[np.float32]:
        """float32 [regions, 2], (y, x) of each region in pixels; NaN where the segment, or a part of it, is older."""
        if CENTROID[0] not in self.regions.column_names:
            return np.full((self.record.regions, 2), np.nan, dtype=np.float32)
        columns = [self.regions.column(axis).to_numpy() for axis in CENTROID]
        return np.array(np.stack(columns, axis=1), dtype=np.float32)

    @cached_property
    def shown_classes(self) -> NDArray[np.bool_]:
        """Whether an image has a region of a class: bool [images, classes]."""
        shown = np.zeros((self.record.images, self._known_classes), dtype=bool)
        shown[np.repeat(np.arange(self.record.images), np.diff(self.offsets)), self.classes] = True
        return shown

    def derived(self, kind: DerivedFile[Content_co]) -> Content_co | None:
        """Read a derived file, once; None where the segment has none of this kind.

        Raises:
            ArtifactError: It is damaged.
        """
        if kind.name not in self.record.sizes:
            return None
        if kind.name not in self._derived:
            import pyarrow as pa

            source = pa.BufferReader(self._buffers[kind.name])
            vectors = SegmentVectors(self.recnn, self.recnn_plus, np.diff(self.offsets))
            self._derived[kind.name] = kind.read(source, vectors, partial(self.damaged, kind.name))
        found: Content_co = self._derived[kind.name]
        return found

    def facts(self, row: int) -> ImageFacts:
        """What is known about one image besides its descriptors.

        Args:
            row: 0 ≤ row < images, removed ones included.
        """
        facts = {field.name: self.images.column(field.name)[row].as_py() for field in fields(ImageFacts)}
        return ImageFacts(**{**facts, "tags": None if facts["tags"] is None else tuple(facts["tags"])})

    def entry(self, row: int) -> ImageEntry:
        """Read one image back as it was added.

        Args:
            row: 0 ≤ row < images, removed ones included.
        """
        facts = {name: self.images.column(name)[row].as_py() for name in self.images.column_names if name != "regions"}
        if facts["tags"] is not None:
            facts["tags"] = tuple(facts["tags"])
        own = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return ImageEntry(
            **facts,
            classes=self.classes[own].copy(),
            areas=self.areas[own].copy(),
            boxes=self.boxes[own].copy(),
            recnn=self.recnn[own].astype(np.float32),
            recnn_plus=self.recnn_plus[row].astype(np.float32),
            centroids=self.centroids[own].copy(),
        )

    def damaged(self, name: str, what: str) -> ArtifactError:
        """Make the error for a file of this segment that has changed since it was written."""
        return ArtifactError(f"{self.folder / name}: {what}", cure=REPAIR)

    def _map(self, name: str) -> Any:
        """Map a file without keeping it open: an index may have more segments than a process may have open files."""
        import pyarrow as pa

        file = self.folder / name
        wanted = self.record.sizes[name]
        try:
            size = file.stat().st_size
            if size != wanted:
                raise self.damaged(name, f"has {size} bytes, the manifest says {wanted}")
            with pa.memory_map(str(file)) as mapped:
                return mapped.read_buffer()
        except FileNotFoundError as error:
            raise self.damaged(name, "is missing") from error
        except OSError as error:
            raise self.damaged(name, f"cannot be read ({error})") from error

    def _vectors(self, name: str, rows: int, settings: IndexSettings) -> NDArray[np.floating]:
        buffer = self._buffers[name]
        head = io.BytesIO(memoryview(buffer)[:256])
        try:
            if np.lib.format.read_magic(head) != (1, 0):
                raise ValueError("it is of another version")
            shape, by_columns, dtype = np.lib.format.read_array_header_1_0(head)
        except ValueError as error:
            raise self.damaged(name, f"is not an array file ({error})") from error
        if shape != (rows, settings.channels) or by_columns or dtype != np.dtype(settings.dtype):
            raise self.damaged(
                name, f"holds {dtype} {list(shape)}, the manifest says {settings.dtype} [{rows}, {settings.channels}]"
            )
        start = head.tell()
        if len(memoryview(buffer)) - start != rows * settings.channels * dtype.itemsize:
            raise self.damaged(name, "does not have the size that its header says")
        return np.frombuffer(buffer, dtype=dtype, count=rows * settings.channels, offset=start).reshape(shape)

    def _table(self, name: str, rows: int) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(pa.BufferReader(self._buffers[name]), page_checksum_verification=True)
            table = file.read(use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise self.damaged(name, f"is not a readable table ({error})") from error
        if table.num_rows != rows:
            raise self.damaged(name, f"has {table.num_rows} rows, the manifest says {rows}")
        return table
