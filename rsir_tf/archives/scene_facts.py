"""What a check tells of the scenes that an archive's windows are cut from."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rsir_tf.archives.records import Archive
from rsir_tf.archives.report import SceneFacts
from rsir_tf.errors import InputError
from rsir_tf.rasters import Place, RasterSource, ground_resolution, open_dataset, path_of
from rsir_tf.rasters.layouts import Layout, glance, layout_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


OFTEN = 0.1
"""Of a scene's pixels: one value in as many may be nodata that the file does not declare."""


class Seen(NamedTuple):
    """What one window showed.

    Attributes:
        valid_share: Of its pixels, 0..1; 0 where it could not be read.
        mean: Of red, green and blue of its valid pixels, 0..255.
    """

    valid_share: float = 0.0
    mean: float = 0.0

    @classmethod
    def of(cls, colours: NDArray[np.uint8], valid: NDArray[np.bool_] | None) -> Seen:
        """Look at colours, uint8 [H, W, 3], and at which of them are valid, [H, W] or None."""
        if valid is None:
            return cls(1.0, float(colours.mean()))
        return cls(float(valid.mean()), float(colours[valid].mean())) if valid.any() else cls()


def describe_scenes(archive: Archive, seen: Mapping[str, Seen], left_out: Container[str]) -> list[SceneFacts]:
    """Describe the scenes of an archive by their headers, and by what their windows showed.

    Args:
        archive: Before windows are left out.
        seen: Id of a window → what it showed.
        left_out: Ids of the windows that are left out.

    Returns:
        One for each scene, in the archive's order; none where files are not cut.
    """
    if archive.reading.tiling is None:
        return []
    scenes = []
    for scene, windows in groupby(archive, lambda record: record.group or ""):
        records = list(windows)
        shares = [seen[record.id].valid_share for record in records]
        path = path_of(records[0].source.address) or ""
        # The file as it is, not as it is resampled.
        read = RasterSource(path, archive.reading.recipe, tile_names=archive.reading.tile_names)
        own = dataclasses.replace(read, recipe=dataclasses.replace(read.recipe, resolution=None))
        try:
            with open_dataset(path) as opened:
                bands, dtype, size = opened.count, str(opened.dtypes[0]), (opened.height, opened.width)
            place, notes = own.place, (*read.notes, *_undeclared(path, layout_of(path, read.recipe, read.tile_names)))
            known = place or read.place  # Control points and RPCs give a place where there is a resolution.
        except InputError:  # It was there a moment ago; what its windows met is told of them.
            continue
        mean = sum(seen[record.id].mean * share for record, share in zip(records, shares, strict=True))
        scenes.append(
            SceneFacts(
                id=scene,
                size=f"{size[1]}x{size[0]}",
                bands=bands,
                dtype=dtype,
                crs=None if known is None else _named(known.crs),
                metres_a_pixel=_resolution(place, size),
                windows=len(records),
                windows_left_out=sum(record.id in left_out for record in records),
                valid_share=sum(shares) / len(records),
                mean=mean / sum(shares) if any(shares) else None,
                notes=notes,
            )
        )
    return scenes


def _undeclared(path: str, layout: Layout) -> tuple[str, ...]:
    """A note on what may be nodata that nothing declares: the least or the largest value, at a corner and often."""
    if layout.masked or layout.nodata is not None:
        return ()
    try:
        with open_dataset(path) as dataset:
            values = glance(dataset, layout.bands)
    except InputError:  # Damaged, which its windows tell.
        return ()
    notes = []
    for value in sorted({values.min().item(), values.max().item()}):
        same = (values == value).all(axis=0)
        if OFTEN <= same.mean() <= 1 - OFTEN / 2 and same[[0, 0, -1, -1], [0, -1, 0, -1]].any():
            notes.append(
                f"has the value {value:g} in {same.mean():.0%} of its pixels, at a corner too, and declares no nodata: "
                f"if they show nothing, say --nodata {value:g}"
            )
    return tuple(notes)


def _resolution(place: Place | None, size: tuple[int, int]) -> float | None:
    try:
        return None if place is None else ground_resolution(place, size)
    except InputError:  # Its middle is not on Earth.
        return None


def _named(crs: str) -> str:
    """A reference system's code, or the name in its WKT."""
    return crs.split('"')[1] if '"' in crs else crs
