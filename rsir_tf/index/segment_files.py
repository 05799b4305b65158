"""The files of a segment: their columns, and writing them under a temporary name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import file_hash, written_aside
from rsir_tf.index.borders import border_columns
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.facts import transform_to_store
from rsir_tf.index.layout import (
    IMAGES,
    LAYER_FILES,
    RECNN,
    RECNN_PLUS,
    REGIONS,
    SEGMENT_FILES,
    SegmentRecord,
    segment_folder,
)
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.tables import write_table

BOX_SIDES = ("top", "left", "bottom", "right")
CENTROID = ("centroid_y", "centroid_x")
IMAGE_ROWS, REGION_ROWS = 1024, 1 << 14
"""Rows of a group in the tables: one image is read back in milliseconds, and what is decoded for it takes 2 MB."""

ARCHIVE = "archive"
CRS, TRANSFORM, FOOTPRINT = "crs", "transform", "footprint"


def later_columns() -> dict[str, Any]:
    """Columns of images.parquet that segments of older formats lack: name → type (pyarrow)."""
    import pyarrow as pa

    return {ARCHIVE: pa.string(), CRS: pa.string(), TRANSFORM: pa.list_(pa.float64()), FOOTPRINT: pa.binary()}


def boxes_in(regions: Any) -> NDArray[np.int32]:
    """Read the boxes of rows of a segment's regions (pyarrow): int32 [n, 4], (top, left, bottom, right)."""
    return np.stack([np.asarray(regions.column(side), np.int32) for side in BOX_SIDES], axis=1)


def centroids_in(regions: Any) -> NDArray[np.float32]:
    """Read the centroids likewise: float32 [n, 2], (y, x); NaN where the segment, or a part of it, is older."""
    if CENTROID[0] not in regions.column_names:
        return np.full((len(regions), 2), np.nan, dtype=np.float32)
    return np.stack([np.asarray(regions.column(axis), np.float32) for axis in CENTROID], axis=1)


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

    counts, later = [len(entry.classes) for entry in entries], later_columns()
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
            ARCHIVE: pa.array([entry.archive for entry in entries], later[ARCHIVE]),
            CRS: pa.array([entry.place and entry.place.crs for entry in entries], later[CRS]),
            TRANSFORM: pa.array([transform_to_store(entry.facts) for entry in entries], later[TRANSFORM]),
            FOOTPRINT: pa.array([entry.footprint for entry in entries], later[FOOTPRINT]),
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
            **border_columns(entries),
        }
    )
    folder = segment_folder(index, name)
    with written_aside(folder) as aside:
        aside.mkdir()
        write_table([images], images.schema, aside / IMAGES, IMAGE_ROWS)
        write_table([regions], regions.schema, aside / REGIONS, REGION_ROWS)
        recnn = np.concatenate([entry.recnn for entry in entries]).astype(settings.dtype, copy=False)
        np.save(aside / RECNN, recnn, allow_pickle=False)
        recnn_plus = np.stack([entry.recnn_plus for entry in entries]).astype(settings.dtype, copy=False)
        np.save(aside / RECNN_PLUS, recnn_plus, allow_pickle=False)
        for of_regions, of_image in settings.further_vectors:
            vectors = np.concatenate([getattr(entry, of_regions) for entry in entries])
            np.save(aside / f"{of_regions}.npy", vectors.astype(settings.dtype, copy=False), allow_pickle=False)
            vectors = np.stack([getattr(entry, of_image) for entry in entries])
            np.save(aside / f"{of_image}.npy", vectors.astype(settings.dtype, copy=False), allow_pickle=False)
        return describe_segment(aside, name, images=len(entries), regions=sum(counts))


def describe_segment(
    folder: Path, name: str, *, images: int, regions: int, derived: Sequence[str] = (), merged: bool = False
) -> SegmentRecord:
    """Measure and hash the files of a written segment."""
    files = (*SEGMENT_FILES, *(file for file in LAYER_FILES if (folder / file).exists()), *sorted(derived))
    return SegmentRecord(
        name=name,
        images=images,
        regions=regions,
        sizes={file: (folder / file).stat().st_size for file in files},
        hashes={file: file_hash(folder / file) for file in files},
        merged=merged,
    )
