"""An index's vectors as one table that other programs read: Parquet, and GeoParquet where images have a place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf import artifacts
from rsir_tf.errors import InputError
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters import path_of
from rsir_tf.wording import without_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index

ROWS = 4096
"""Rows of a row group: 8 MiB of vectors. No more of them are in memory."""

VERSION = 1
"""Of the table's columns and of what its metadata says."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What was written.

    Attributes:
        path: The file.
        images: Rows of the table.
        with_place: How many of them have a geometry.
        model_id: Identity of the model that made the vectors.
    """

    path: str
    images: int
    with_place: int
    model_id: str


def share_index(index: Index, to: Path, *, progress: Progress = silent) -> Shared:
    """Write ids, what is known of the images, and their ReCNN+ vectors into a table, in order of id.

    The columns are id, archive, path (the address of the source), scene, tags, height, width, recnn_plus (list of
    float32, 512 of them) and, where any image has a place, geometry and bbox (GeoParquet 1.1). The entry "rsir_tf" of
    the file's metadata says, as JSON, which model and settings made the vectors, and how the archives were read.

    Args:
        index: From `rsir_tf.open_index`.
        to: The file, replaced where it exists; see `check_parquet_target`.
        progress: Called with (done, total, words).

    Raises:
        InputError: The index is empty.
        ArtifactError: The disk is full or read-only.
    """
    import pyarrow as pa

    from rsir_tf.presentation.maps.geoparquet import geometry_schema, write_parquet

    if not len(index):
        raise InputError(f"{index.path}: the index is still empty", cure="index an archive into it first")
    text, whole = pa.string(), pa.int32()
    schema = pa.schema(
        [
            ("id", text),
            ("archive", text),
            ("path", text),
            ("address", text),
            ("scene", text),
            ("tags", pa.list_(text)),
            ("height", whole),
            ("width", whole),
            ("recnn_plus", pa.list_(pa.float32())),
        ]
    )
    with_place = sum(footprint is not None for footprint in index.images.footprints)
    if with_place:
        grounds = geometry_schema(_footprints(index, rows) for rows in _groups(index))
        schema = pa.schema([*schema, *grounds], metadata=grounds.metadata)
    write_parquet(to, schema, _batches(index, bool(with_place), progress), _about(index))
    return Shared(str(to), len(index), with_place, index.settings.model_id)


def _batches(index: Index, with_place: bool, progress: Progress) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    from rsir_tf.presentation.maps.geoparquet import geometry_columns

    images = index.images
    for rows in _groups(index):
        part = slice(rows.start, rows.stop)
        vectors = np.stack([index.vectors.recnn_plus(index.position_of(row)) for row in rows])
        ends = np.arange(len(rows) + 1, dtype=np.int32) * vectors.shape[1]
        yield {
            "id": images.ids[part],
            "archive": images.archives[part],
            "path": [without_keys(path_of(address) or address) for address in images.paths[part]],
            "address": [without_keys(address) for address in images.paths[part]],
            "scene": images.scenes[part],
            "tags": images.tags[part],
            "height": images.heights[part],
            "width": images.widths[part],
            "recnn_plus": pa.ListArray.from_arrays(ends, vectors.reshape(-1)),
            **(geometry_columns(_footprints(index, rows)) if with_place else {}),
        }
        progress(rows.stop, len(index), images.ids[rows.stop - 1])


def _groups(index: Index) -> Iterator[range]:
    return (range(first, min(first + ROWS, len(index))) for first in range(0, len(index), ROWS))


def _footprints(index: Index, rows: range) -> NDArray[np.object_]:
    """The ground of some images; None where it is not known."""
    import shapely

    encoded = np.array([*index.images.footprints[rows.start : rows.stop], None], dtype=object)[:-1]
    found = np.asarray(shapely.from_wkb(encoded), dtype=object)
    found[shapely.is_empty(found)] = None
    return found


def _about(index: Index) -> dict[str, Any]:
    return artifacts.manifest(
        "vectors",
        VERSION,
        images=len(index),
        model_id=index.settings.model_id,
        settings=index.settings.to_json(),
        archives=[
            {"name": name, "root": root, "reading": index.readings[name].to_json()}
            for name, root in sorted(index.roots.items())
        ],
    )
