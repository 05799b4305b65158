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

from rsir_tf.errors import ArtifactError
from rsir_tf.index.borders import BORDER_COLUMNS, UNKNOWN, borders_in
from rsir_tf.index.derived import Content_co, DerivedFile, SegmentVectors
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.facts import ImageFacts, place_from
from rsir_tf.index.layout import IMAGES, RECNN, RECNN_PLUS, REGIONS, REPAIR, SegmentRecord, segment_folder
from rsir_tf.index.segment_files import (
    BOX_SIDES,
    CENTROID,
    CRS,
    TRANSFORM,
    boxes_in,
    centroids_in,
    later_columns,
)
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.tables import Table


class Segment:
    """A segment on disk, memory-mapped; its parts are decoded at their first use.

    All files are mapped here, so that a writer that removes the segment later does not disturb this reader.

    Args:
        index: The index's folder.
        record: Its entry in the manifest.
        settings: The settings of the index.
        frugal: Of what `entry` and `facts` decode, keep what they needed last alone: for who reads few images back.

    Raises:
        ArtifactError: A file is missing, or does not agree with the manifest.
    """

    def __init__(self, index: Path, record: SegmentRecord, settings: IndexSettings, *, frugal: bool = False) -> None:
        self.record = record
        self.folder = segment_folder(index, record.name)
        self._known_classes = len(settings.class_names)
        self.further_names = settings.further_vectors
        self._buffers = {name: self._map(name) for name in record.sizes}
        self.recnn = self._vectors(RECNN, record.regions, settings)
        """[regions, C] in the index's number type, memory-mapped."""
        self.recnn_plus = self._vectors(RECNN_PLUS, record.images, settings)
        """[images, C] in the index's number type, memory-mapped."""
        self.further = {
            name: self._vectors(f"{name}.npy", rows, settings)
            for names in settings.further_vectors
            for name, rows in zip(names, (record.regions, record.images), strict=True)
        }
        """Vectors of further layers in the same form, by the names of the fields of `ImageEntry`."""
        self._derived: dict[str, Any] = {}
        self.images, self.regions = (
            Table(self._buffers[name], rows, partial(self.damaged, name), frugal=frugal)
            for name, rows in ((IMAGES, record.images), (REGIONS, record.regions))
        )

    def column(self, name: str) -> list[Any]:
        """What the table of images says of all of them in one column: None where the segment is older than that."""
        table = self.images.read([name])
        values: list[Any] = table.column(name).to_pylist() if table.num_columns else [None] * self.record.images
        return values

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """int64 [images + 1]: image i's regions are the rows from offsets[i] up to offsets[i + 1]."""
        offsets = np.zeros(self.record.images + 1, dtype=np.int64)
        np.cumsum(self.images.read(["regions"]).column(0).to_numpy(), out=offsets[1:])
        if offsets[-1] != self.record.regions or (np.diff(offsets) < 0).any():
            raise self.damaged(IMAGES, f"its images have {offsets[-1]} regions, the manifest {self.record.regions}")
        return offsets

    @cached_property
    def classes(self) -> NDArray[np.int32]:
        """int32 [regions], class index of each region."""
        return np.asarray(self._regions(["class"]).column("class").to_numpy(), dtype=np.int32)

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """int64 [regions], pixels of each region."""
        return np.asarray(self._regions(["area"]).column("area").to_numpy(), dtype=np.int64)

    @cached_property
    def boxes(self) -> NDArray[np.int32]:
        """int32 [regions, 4], (top, left, bottom, right) of each region in pixels, half-open."""
        return boxes_in(self._regions(BOX_SIDES))

    @cached_property
    def centroids(self) -> NDArray[np.float32]:
        """float32 [regions, 2], (y, x) of each region in pixels; NaN where the segment, or a part of it, is older."""
        return centroids_in(self._regions(CENTROID))

    @property
    def borders(self) -> NDArray[np.int32]:
        """int32 [e, 3], rows of (region, another that it touches, pixel edges); regions are rows of the table."""
        return self._adjacency[0]

    @cached_property
    def border_starts(self) -> NDArray[np.int64]:
        """int64 [images + 1]: image i's borders are the rows from border_starts[i] up to border_starts[i + 1]."""
        return np.searchsorted(self.borders[:, 0], self.offsets)

    @property
    def edge(self) -> NDArray[np.int32]:
        """int32 [regions], pixel edges at which the picture ends; −1 where the segment, or a part of it, is older."""
        return self._adjacency[1]

    @cached_property
    def images_without_borders(self) -> NDArray[np.int64]:
        """int64 [k], the images with regions of which it is not known where they touch; ascending."""
        unknown = np.searchsorted(self.offsets, np.flatnonzero(self.edge == UNKNOWN), side="right") - 1
        return np.unique(unknown)

    @cached_property
    def _adjacency(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        return self._borders_in(self._regions(BORDER_COLUMNS), self.offsets)

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
        known = self._row(row)
        return ImageFacts(**{field.name: known[field.name] for field in fields(ImageFacts)})

    def entry(self, row: int) -> ImageEntry:
        """Read one image back as it was added.

        Args:
            row: 0 ≤ row < images, removed ones included.
        """
        own = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        regions = self._grouped(self.regions.rows(own.start, own.stop), own.start)
        borders, edge = self._borders_in(regions, np.array([0, len(regions)]))
        further: dict[str, Any] = {}
        for of_regions, of_image in self.further_names:
            further[of_regions] = self.further[of_regions][own].astype(np.float32)
            further[of_image] = self.further[of_image][row].astype(np.float32)
        return ImageEntry(
            **self._row(row),
            classes=np.array(regions.column("class"), np.int32),
            areas=np.array(regions.column("area"), np.int64),
            boxes=boxes_in(regions),
            recnn=self.recnn[own].astype(np.float32),
            recnn_plus=self.recnn_plus[row].astype(np.float32),
            centroids=centroids_in(regions),
            borders=borders,
            edge=edge,
            **further,
        )

    def check_order(self) -> None:
        """Read which image each region belongs to.

        Raises:
            ArtifactError: The regions are not in the order of the images.
        """
        self._regions([])

    def _regions(self, columns: Sequence[str]) -> Any:
        """Columns of the table of regions."""
        return self._grouped(self.regions.read(["image", *columns]), 0)

    def _grouped(self, regions: Any, first: int) -> Any:
        """Rows of the table of regions, from this one on, once they are known to belong to the images in order."""
        images = np.repeat(np.arange(self.record.images), np.diff(self.offsets))[first : first + len(regions)]
        if not np.array_equal(regions.column("image").to_numpy(), images):
            raise self.damaged(REGIONS, "its regions are not grouped by image as the images' table says")
        return regions

    def _borders_in(self, regions: Any, offsets: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        try:
            return borders_in(regions, offsets)
        except ValueError as error:
            raise self.damaged(REGIONS, str(error)) from error

    def _row(self, row: int) -> dict[str, Any]:
        """What the table of images says of one, as `ImageEntry` names it."""
        (said,) = self.images.rows(row, row + 1).to_pylist()
        known = {**dict.fromkeys(later_columns()), **said}
        del known["regions"]
        known["tags"] = None if known["tags"] is None else tuple(known["tags"])
        known["placed"] = known[TRANSFORM] is not None
        known["place"] = place_from(known.pop(CRS), known.pop(TRANSFORM))
        return known

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
        if name not in self._buffers:
            raise self.damaged(name, "is not listed in the manifest, whose settings name its layer")
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
