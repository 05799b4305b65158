"""GeoParquet 1.1: Parquet with a column of geometries, WKB in longitude and latitude (OGC:CRS84, the default)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.presentation.maps.geojson import MARK, Feature, lonlat_box

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

VERSION = "1.1.0"
GEOMETRY = "geometry"
BOX = "bbox"
SIDES = ("xmin", "ymin", "xmax", "ymax")


def geometry_schema(geometries: Iterable[NDArray[np.object_]]) -> pa.Schema:
    """The two columns of a table's geometries, with the file's metadata: the entry "geo".

    Args:
        geometries: All geometries of the table, shapely's, some rows at a time; in longitude and latitude, None where
            one is not known.
    """
    import pyarrow as pa
    import shapely

    kinds: set[str] = set()
    bounds = []
    for some in geometries:
        known = some[~shapely.is_missing(some)]
        kinds.update(geometry.geom_type for geometry in known.tolist())
        bounds += [shapely.total_bounds(known)] if len(known) else []
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": sorted(kinds),
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {BOX: {side: [BOX, side] for side in SIDES}},
    }
    if bounds:
        sides = np.array(bounds)
        column[BOX] = [*sides[:, :2].min(axis=0).tolist(), *sides[:, 2:].max(axis=0).tolist()]
    geo = {"version": VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}
    fields = [(GEOMETRY, pa.binary()), (BOX, pa.struct([(side, pa.float64()) for side in SIDES]))]
    return pa.schema(fields, metadata={"geo": json.dumps(geo)})


def geometry_columns(geometries: NDArray[np.object_]) -> dict[str, Any]:
    """The values of the columns of `geometry_schema`, for some rows.

    Args:
        geometries: Theirs; outer rings are turned counter-clockwise.
    """
    import shapely

    turned = shapely.orient_polygons(geometries, exterior_cw=False)
    boxes = [
        None if geometry is None else dict(zip(SIDES, lonlat_box(geometry), strict=True))
        for geometry in geometries.tolist()
    ]
    return {GEOMETRY: shapely.to_wkb(turned, byte_order=1).tolist(), BOX: boxes}


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[Mapping[str, Any]], about: dict[str, Any]) -> None:
    """Write a table batch by batch, whole or not at all; an existing file is replaced.

    Args:
        path: The file; see `check_map_target`.
        schema: The columns and, of a table with geometries, the metadata of `geometry_schema`.
        batches: Values of the columns by name, of some rows each; every batch becomes a row group.
        about: How the rows came to be, JSON types: the entry `MARK` of the file's metadata.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    import pyarrow as pa
    from pyarrow import parquet

    told = {MARK: json.dumps(about, ensure_ascii=False, allow_nan=False)}
    schema = schema.with_metadata({**(schema.metadata or {}), **told})
    with written_aside(path, replace=True) as aside, parquet.ParquetWriter(aside, schema, compression="zstd") as file:
        for batch in batches:
            file.write_batch(pa.RecordBatch.from_pydict(dict(batch), schema=schema))


def write_geoparquet(path: Path, features: Iterable[Feature], fields: pa.Schema, about: dict[str, Any]) -> int:
    """Write features into a file; see `write_parquet`.

    Args:
        path: The file.
        features: Each becomes a row.
        fields: The columns of their properties.
        about: How they came to be.

    Returns:
        The number of features.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    import pyarrow as pa

    rows = list(features)
    geometries = np.empty(len(rows), dtype=object)
    geometries[:] = [row.geometry for row in rows]
    own = geometry_schema([geometries])
    properties = {name: [row.properties[name] for row in rows] for name in fields.names}
    schema = pa.schema([*fields, *own], metadata=own.metadata)
    write_parquet(path, schema, [{**properties, **geometry_columns(geometries)}], about)
    return len(rows)
