"""Merge small segments into large ones: fewer files, no removed images, and derived files for ranking."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import written_aside
from rsir_tf.index.derived import DerivedFile, SegmentVectors, in_blocks
from rsir_tf.index.layout import IMAGES, RECNN, RECNN_PLUS, REGIONS, SegmentRecord, segment_folder
from rsir_tf.index.segment import Segment
from rsir_tf.index.segment_files import IMAGE_ROWS, REGION_ROWS, describe_segment, later_columns
from rsir_tf.index.tables import Table, write_table

MERGED_IMAGES = 4096
MERGED_REGIONS = 1 << 17
"""A merged segment is full when it has this number of images, or of regions."""

_ROWS = 1024
"""Vectors that are copied at once: 2 MB of 512 float32."""

MOST_SMALL = 16
"""If there are this many small segments, they are merged, even if the result is small too."""


def due_for_merging(records: Iterable[SegmentRecord]) -> tuple[SegmentRecord, ...]:
    """Choose the segments to merge next, from the manifest only, so that the writer after a killed one does the same.

    Args:
        records: The segments, in order of their numbers.

    Returns:
        The first small segments that fill one, or all small ones if there are many, or none.
    """
    group: list[SegmentRecord] = []
    for record in records:
        if not record.merged:
            group.append(record)
            if _full(group):
                return tuple(group)
    return tuple(group) if len(group) >= MOST_SMALL else ()


def worth_merging(
    records: Iterable[SegmentRecord], derived: Sequence[DerivedFile[Any]]
) -> list[tuple[SegmentRecord, ...]]:
    """Group the segments that merging makes smaller or fewer.

    Args:
        records: The segments, in order of their numbers.
        derived: The files that are derived from segments.

    Returns:
        Groups of small segments, of segments with removed images, and of segments without a derived file that they
        should have.
    """
    groups: list[list[SegmentRecord]] = [[]]
    for record in records:
        if not record.merged or _lacks_something(record, derived):
            groups[-1].append(record)
            if _full(groups[-1]):
                groups.append([])
    lacking = [any(_lacks_something(record, derived) for record in group) for group in groups]
    return [tuple(group) for group, lacks in zip(groups, lacking, strict=True) if len(group) > 1 or lacks]


def write_merged(
    index: Path, name: str, segments: Sequence[Segment], derived: Sequence[DerivedFile[Any]]
) -> SegmentRecord:
    """Write the images of several segments, without the removed ones, as a new segment.

    Args:
        index: The index's folder.
        name: The name of the new segment; a folder of this name that no manifest lists is replaced.
        segments: The segments, with at least one image that is not removed.
        derived: The files to derive, if they are worth it.

    Returns:
        Its entry for the manifest.

    Raises:
        ArtifactError: A segment is damaged, or the disk is full or read-only.
    """
    import pyarrow as pa

    for segment in segments:
        segment.check_order()
    live = [_live(segment) for segment in segments]
    live_regions = [np.repeat(kept, np.diff(segment.offsets)) for segment, kept in zip(segments, live, strict=True)]
    counts = np.concatenate([np.diff(segment.offsets)[kept] for segment, kept in zip(segments, live, strict=True)])
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    folder = segment_folder(index, name)
    shutil.rmtree(folder, ignore_errors=True)
    with written_aside(folder) as aside:
        aside.mkdir()
        images, regions = ([getattr(segment, name) for segment in segments] for name in ("images", "regions"))
        later = pa.schema(later_columns())
        write_table(_kept(images, live), _schema(images, later), aside / IMAGES, IMAGE_ROWS)
        numbered = _numbered(_kept(regions, live_regions), owners)
        write_table(numbered, _schema(regions), aside / REGIONS, REGION_ROWS)
        pa.default_memory_pool().release_unused()  # Arrow would keep tens of megabytes while files are derived.
        _write_vectors(aside, RECNN, segments, live_regions)
        _write_vectors(aside, RECNN_PLUS, segments, live)
        for of_regions, of_image in segments[0].further_names:
            _write_vectors(aside, f"{of_regions}.npy", segments, live_regions)
            _write_vectors(aside, f"{of_image}.npy", segments, live)
        large = _is_large(len(counts), len(owners))
        made = [kind for kind in derived if kind.worth(len(counts), len(owners), large)]
        if made:
            recnn, recnn_plus = (np.load(aside / file, mmap_mode="r") for file in (RECNN, RECNN_PLUS))
            for kind in made:
                kind.write(aside / kind.name, SegmentVectors(recnn, recnn_plus, counts))
        names = [kind.name for kind in made]
        return describe_segment(aside, name, images=len(counts), regions=len(owners), derived=names, merged=large)


def _is_large(images: int, regions: int) -> bool:
    return images >= MERGED_IMAGES or regions >= MERGED_REGIONS


def _lacks_something(record: SegmentRecord, derived: Sequence[DerivedFile[Any]]) -> bool:
    worth = (kind for kind in derived if kind.name not in record.sizes)
    return bool(record.removed) or any(kind.worth(record.images, record.regions, record.merged) for kind in worth)


def _full(group: Sequence[SegmentRecord]) -> bool:
    return _is_large(
        sum(record.live for record in group), sum(record.regions for record in group if not record.removed)
    )


def _live(segment: Segment) -> NDArray[np.bool_]:
    kept = np.ones(segment.record.images, dtype=bool)
    kept[list(segment.record.removed)] = False
    return kept


def _schema(tables: Sequence[Table], *more: Any) -> Any:
    """The columns that any of the tables has: older segments lack some."""
    import pyarrow as pa

    return pa.unify_schemas([*(table.schema for table in tables), *more])


def _kept(tables: Sequence[Table], kept: Sequence[NDArray[np.bool_]]) -> Iterator[Any]:
    for table, rows in zip(tables, kept, strict=True):
        yield from table.parts(rows)


def _numbered(parts: Iterable[Any], owners: NDArray[np.int32]) -> Iterator[Any]:
    """Say in parts of a table of regions which image of the new segment each belongs to."""
    import pyarrow as pa

    first = 0
    for part in parts:
        yield part.set_column(0, "image", pa.array(owners[first : first + len(part)]))
        first += len(part)


def _write_vectors(folder: Path, name: str, segments: Sequence[Segment], kept: Sequence[NDArray[np.bool_]]) -> None:
    """Write an array file with rows of several segments, a few of them in memory at a time."""
    parts = [np.load(segment.folder / name, mmap_mode="r") for segment in segments]
    header: dict[str, Any] = {
        "descr": np.lib.format.dtype_to_descr(parts[0].dtype),
        "fortran_order": False,
        "shape": (sum(int(mask.sum()) for mask in kept), parts[0].shape[1]),
    }
    with (folder / name).open("wb") as opened:
        np.lib.format.write_array_header_1_0(opened, header)
        for part, mask in zip(parts, kept, strict=True):
            for block, wanted in zip(in_blocks(part, _ROWS), in_blocks(mask, _ROWS), strict=True):
                opened.write((block if wanted.all() else block[wanted]).data)
