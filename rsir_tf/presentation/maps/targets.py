"""Files of maps that a user names, and whether this program made one."""

from __future__ import annotations

from pathlib import Path

from rsir_tf.presentation.maps.geojson import MARK
from rsir_tf.presentation.targets import check_target

GEOJSON_ENDINGS = (".geojson", ".json")
PARQUET_ENDINGS = (".parquet", ".geoparquet")


def check_geojson_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where GeoJSON must not be written; see `check_target`."""
    check_target(path, GEOJSON_ENDINGS, is_own_geojson, what="a GeoJSON file", force=force)


def check_parquet_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where Parquet must not be written; see `check_target`."""
    check_target(path, PARQUET_ENDINGS, is_own_parquet, what="a Parquet file", force=force)


def is_own_geojson(path: Path) -> bool:
    """Whether a file is GeoJSON that `write_geojson` wrote: the member `MARK` comes early in it."""
    try:
        with path.open("rb") as file:
            return f'"{MARK}"'.encode() in file.read(100)
    except OSError:
        return False


def is_own_parquet(path: Path) -> bool:
    """Whether a file is Parquet that `write_parquet` wrote."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return MARK.encode() in (parquet.read_metadata(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False
