"""What a check tells of the scenes that an archive's windows are cut from."""

from __future__ import annotations

from collections.abc import Container, Mapping
from itertools import groupby

from rsir_tf.archives.records import Archive
from rsir_tf.archives.report import SceneFacts
from rsir_tf.errors import InputError
from rsir_tf.rasters import RasterSource, ground_resolution, open_dataset, path_of


def describe_scenes(archive: Archive, valid: Mapping[str, float], left_out: Container[str]) -> list[SceneFacts]:
    """Describe the scenes of an archive by their headers.

    Args:
        archive: Before windows are left out.
        valid: Id of a window → the share of its pixels that are valid.
        left_out: Ids of the windows that are left out.

    Returns:
        One for each scene, in the archive's order; none where files are not cut.
    """
    if archive.reading.tiling is None:
        return []
    scenes = []
    for scene, windows in groupby(archive, lambda record: record.group or ""):
        records = list(windows)
        path = path_of(records[0].source.address) or ""
        try:
            with open_dataset(path) as opened:
                bands, dtype, size = opened.count, str(opened.dtypes[0]), (opened.height, opened.width)
            source = RasterSource(path, archive.reading.recipe, tile_names=archive.reading.tile_names)
            place, notes = source.place, source.notes
        except InputError:  # It was there a moment ago; what its windows met is told of them.
            continue
        scenes.append(
            SceneFacts(
                id=scene,
                size=f"{size[1]}x{size[0]}",
                bands=bands,
                dtype=dtype,
                crs=None if place is None else _named(place.crs),
                metres_a_pixel=None if place is None else ground_resolution(place, size),
                windows=len(records),
                windows_left_out=sum(record.id in left_out for record in records),
                valid_share=sum(valid[record.id] for record in records) / len(records),
                notes=notes,
            )
        )
    return scenes


def _named(crs: str) -> str:
    """A reference system's code, or the name in its WKT."""
    return crs.split('"')[1] if '"' in crs else crs
