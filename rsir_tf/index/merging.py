"""Small segments made into large ones: fewer files to open, removed images gone, and what makes search quick."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import written_aside
from rsir_tf.index.components import write_components
from rsir_tf.index.layout import COMPONENTS, IMAGES, LEVELS, RECNN, RECNN_PLUS, REGIONS, SegmentRecord, segment_folder
from rsir_tf.index.levels import write_levels
from rsir_tf.index.segment import Segment, describe_segment, write_table
from rsir_tf.index.settings import IndexSettings

MERGED_IMAGES = 4096
MERGED_REGIONS = 1 << 17
"""A merged segment is full where it has as many images, or as many regions."""

WORTH_COMPONENTS = 1 << 13
"""Regions of which a segment that is still to grow has components too: a search would look at each of them else."""

MOST_SMALL = 16
"""As many small segments are merged, full or not."""


def due_for_merging(records: Iterable[SegmentRecord]) -> tuple[SegmentRecord, ...]:
    """Choose what is to be merged next, by the manifest alone, so that a killed writer's successor does the same.

    Args:
        records: The segments, in order of their numbers.

    Returns:
        The first small segments that fill one, or all where there are many, or none.
    """
    group: list[SegmentRecord] = []
    for record in records:
        if not record.merged:
            group.append(record)
            if _full(group):
                return tuple(group)
    return tuple(group) if len(group) >= MOST_SMALL else ()


def worth_merging(records: Iterable[SegmentRecord]) -> list[tuple[SegmentRecord, ...]]:
    """Group all that merging makes smaller or fewer.

    Args:
        records: The segments, in order of their numbers.

    Returns:
        Groups of small segments, of segments that lack images, and of those that lack a derived file.
    """
    groups: list[list[SegmentRecord]] = [[]]
    for record in records:
        if not record.merged or _lacks_something(record):
            groups[-1].append(record)
            if _full(groups[-1]):
                groups.append([])
    return [tuple(group) for group in groups if len(group) > 1 or any(map(_lacks_something, group))]


def write_merged(index: Path, name: str, segments: Sequence[Segment], settings: IndexSettings) -> SegmentRecord:
    """Write the images of several segments, without the removed ones, as a new segment.

    Args:
        index: The index's folder.
        name: Of the new segment; a folder of this name that no manifest lists is replaced.
        segments: At least one image among them is not removed.
        settings: Of the index.

    Returns:
        What the manifest is to say of it.

    Raises:
        ArtifactError: A segment is damaged, or the disk is full or read-only.
    """
    import pyarrow as pa

    live = [_live(segment) for segment in segments]
    images = pa.concat_tables(
        [segment.images.filter(pa.array(kept)) for segment, kept in zip(segments, live, strict=True)]
    ).combine_chunks()
    live_regions = [np.repeat(kept, np.diff(segment.offsets)) for segment, kept in zip(segments, live, strict=True)]
    regions = pa.concat_tables(
        [segment.regions.filter(pa.array(kept)) for segment, kept in zip(segments, live_regions, strict=True)]
    ).combine_chunks()
    counts = images.column("regions").to_numpy().astype(np.int64)
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    regions = regions.set_column(0, "image", pa.array(owners))
    folder = segment_folder(index, name)
    shutil.rmtree(folder, ignore_errors=True)
    with written_aside(folder) as aside:
        aside.mkdir()
        write_table(images, aside / IMAGES)
        write_table(regions, aside / REGIONS)
        _write_vectors(aside / RECNN, [segment.recnn for segment in segments], live_regions)
        _write_vectors(aside / RECNN_PLUS, [segment.recnn_plus for segment in segments], live)
        large = _is_large(len(counts), len(owners))
        if large:
            write_levels(aside / LEVELS, np.load(aside / RECNN_PLUS, mmap_mode="r"))
        if _worth_components(len(owners), large):
            write_components(aside / COMPONENTS, np.load(aside / RECNN, mmap_mode="r"), counts)
        return describe_segment(aside, name, images=len(counts), regions=len(owners))


def _is_large(images: int, regions: int) -> bool:
    return images >= MERGED_IMAGES or regions >= MERGED_REGIONS


def _worth_components(regions: int, large: bool) -> bool:
    return regions >= (1 if large else WORTH_COMPONENTS)


def _lacks_something(record: SegmentRecord) -> bool:
    lacks_components = COMPONENTS not in record.sizes and _worth_components(record.regions, record.merged)
    return bool(record.removed) or lacks_components


def _full(group: Sequence[SegmentRecord]) -> bool:
    return _is_large(
        sum(record.live for record in group), sum(record.regions for record in group if not record.removed)
    )


def _live(segment: Segment) -> NDArray[np.bool_]:
    kept = np.ones(segment.record.images, dtype=bool)
    kept[list(segment.record.removed)] = False
    return kept


def _write_vectors(file: Path, parts: Sequence[NDArray[np.floating]], kept: Sequence[NDArray[np.bool_]]) -> None:
    """Write an array file whose rows come from several, without having all in memory."""
    rows = sum(int(mask.sum()) for mask in kept)
    header: dict[str, Any] = {
        "descr": np.lib.format.dtype_to_descr(parts[0].dtype),
        "fortran_order": False,
        "shape": (rows, parts[0].shape[1]),
    }
    with file.open("wb") as opened:
        np.lib.format.write_array_header_1_0(opened, header)
        for part, mask in zip(parts, kept, strict=True):
            opened.write((part if mask.all() else part[mask]).data)
