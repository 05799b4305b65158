"""GeoJSON by RFC 7946 and GeoParquet 1.1, read back with geopandas and pyogrio, which are not ours."""

from __future__ import annotations

import json
from pathlib import Path

import geopandas
import numpy as np
import pyarrow as pa
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation.maps.geojson import Feature, feature_collection, geometry_json, lonlat_box, write_geojson
from rsir_tf.presentation.maps.geoparquet import write_geoparquet
from rsir_tf.presentation.maps.targets import check_geojson_target, check_parquet_target

CLOCKWISE = shapely.Polygon([(7, 46), (7, 47), (8, 47), (8, 46)])
HOLED = shapely.Polygon(CLOCKWISE.exterior.coords, [shapely.Polygon([(7.2, 46.2), (7.4, 46.2), (7.4, 46.4)]).exterior])
ACROSS = shapely.MultiPolygon([shapely.box(179.5, -17, 180, -16), shapely.box(-180, -17, -179, -16)])
FIELDS = pa.schema(
    [("id", pa.string()), ("rank", pa.int32()), ("distance", pa.float64()), ("tags", pa.list_(pa.string()))]
)
ABOUT = {"model_id": "m1", "scheme": "recnn"}


def features() -> list[Feature]:
    shapes = {"clockwise": CLOCKWISE, "holed": HOLED, "across": ACROSS, "nowhere": None}
    return [
        Feature(
            shape, {"id": name, "rank": rank, "distance": 0.5 * rank, "tags": ["sea", "«é»"] if rank == 1 else None}
        )
        for rank, (name, shape) in enumerate(shapes.items(), start=1)
    ]


def test_geojson_follows_the_standard(tmp_path: Path) -> None:
    to = tmp_path / "map.geojson"
    assert write_geojson(to, features(), ABOUT) == 4
    found = json.loads(to.read_text("utf-8"))
    # The file and the object are the same; tuples are JSON's lists.
    assert found == json.loads(json.dumps(feature_collection(features(), ABOUT)))
    assert list(found) == ["type", "rsir_tf", "features"]  # RFC 7946, 4: no member "crs".
    assert found["rsir_tf"] == ABOUT
    assert [set(feature) for feature in found["features"]] == [{"type", "geometry", "properties"}] * 4
    rings = [shapely.LinearRing(ring) for ring in found["features"][1]["geometry"]["coordinates"]]
    # 3.1.6: outer rings counter-clockwise, holes clockwise, the last position is the first.
    assert [ring.is_ccw for ring in rings] == [True, False]
    assert all(ring.is_closed for ring in rings)
    read = geopandas.read_file(to)
    assert read.crs.to_authority() == ("EPSG", "4326")
    assert read["id"].tolist() == ["clockwise", "holed", "across", "nowhere"]
    assert [shapely.equals(*pair) for pair in zip(read.geometry[:3], [CLOCKWISE, HOLED, ACROSS], strict=True)] == [
        True
    ] * 3
    assert read.geometry[3] is None


def test_an_empty_collection_is_geojson_too(tmp_path: Path) -> None:
    assert write_geojson(tmp_path / "none.geojson", [], {}) == 0
    assert json.loads((tmp_path / "none.geojson").read_text()) == {
        "type": "FeatureCollection",
        "rsir_tf": {},
        "features": [],
    }


@given(st.floats(-179, 179), st.floats(-89, 89))
def test_coordinates_read_back_within_a_billionth_of_a_degree(lon: float, lat: float) -> None:
    shape = shapely.box(lon, lat, lon + 1e-3, lat + 1e-3)
    found = shapely.geometry.shape(json.loads(json.dumps(geometry_json(shape))))
    assert shapely.equals_exact(found.normalize(), shape.normalize(), tolerance=1e-9)


def test_a_box_across_the_antimeridian_begins_in_the_east() -> None:
    assert lonlat_box(CLOCKWISE) == (7, 46, 8, 47)
    assert lonlat_box(ACROSS) == (179.5, -17, -179, -16)
    # An island more on each side: the box holds it, and leaves out the widest gap.
    more = shapely.MultiPolygon([*ACROSS.geoms, shapely.box(170, -15, 171, -14), shapely.box(-178, -20, -177, -19)])
    assert lonlat_box(more) == (170, -20, -177, -14)
    # All around the Earth, and two touching halves of it: no gap.
    assert lonlat_box(shapely.box(-180, -90, 180, 90)) == (-180, -90, 180, 90)
    assert lonlat_box(shapely.MultiPolygon([shapely.box(-180, 0, 0, 1), shapely.box(0, 2, 180, 3)])) == (
        -180,
        0,
        180,
        3,
    )


def test_geoparquet_follows_its_specification(tmp_path: Path) -> None:
    to = tmp_path / "map.parquet"
    assert write_geoparquet(to, features(), FIELDS, ABOUT) == 4
    metadata = parquet.read_metadata(to).metadata
    assert json.loads(metadata[b"rsir_tf"]) == ABOUT
    geo = json.loads(metadata[b"geo"])
    # geoparquet.org, 1.1.0: no "crs" is OGC:CRS84, longitude before latitude.
    assert geo == {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["MultiPolygon", "Polygon"],
                "orientation": "counterclockwise",
                "edges": "planar",
                "covering": {"bbox": {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}},
                "bbox": [-180.0, -17.0, 180.0, 47.0],
            }
        },
    }
    read = geopandas.read_parquet(to)
    assert read.crs.to_authority() == ("OGC", "CRS84")
    assert read["rank"].tolist() == [1, 2, 3, 4]
    assert read["tags"][0].tolist() == ["sea", "«é»"]
    assert read["tags"][1] is None
    assert [shapely.equals(*pair) for pair in zip(read.geometry[:3], [CLOCKWISE, HOLED, ACROSS], strict=True)] == [
        True
    ] * 3
    assert read.geometry[3] is None
    assert all(part.exterior.is_ccw for shape in read.geometry[:3] for part in shapely.get_parts(shape))
    assert parquet.read_table(to).column("bbox")[2].as_py() == {
        "xmin": 179.5,
        "ymin": -17.0,
        "xmax": -179.0,
        "ymax": -16.0,
    }
    # The covering serves its purpose: a reader finds what meets a box without decoding geometries.
    assert geopandas.read_parquet(to, bbox=(6, 45, 7.1, 46.1))["id"].tolist() == ["clockwise", "holed"]


def test_pyogrio_reads_what_we_write(tmp_path: Path) -> None:
    to = tmp_path / "map.geojson"
    write_geojson(to, features(), ABOUT)
    told = pyogrio.read_info(to)
    assert (told["crs"], told["features"], told["driver"]) == ("EPSG:4326", 4, "GeoJSON")


@pytest.mark.skipif("Parquet" not in pyogrio.list_drivers(), reason="GDAL in pyogrio's wheel has no driver for Parquet")
def test_gdal_reads_our_geoparquet(tmp_path: Path) -> None:
    write_geoparquet(tmp_path / "map.parquet", features(), FIELDS, ABOUT)
    assert pyogrio.read_info(tmp_path / "map.parquet")["features"] == 4


def test_files_of_others_are_not_written_over(tmp_path: Path) -> None:
    write_geojson(tmp_path / "own.geojson", features(), ABOUT)
    write_geoparquet(tmp_path / "own.parquet", features(), FIELDS, ABOUT)
    check_geojson_target(tmp_path / "own.geojson")
    check_parquet_target(tmp_path / "own.parquet")
    geopandas.GeoDataFrame({"id": [1]}, geometry=[CLOCKWISE], crs=4326).to_file(tmp_path / "other.geojson")
    parquet.write_table(pa.table({"id": [1]}), tmp_path / "other.parquet")
    (tmp_path / "text.parquet").write_text("no table")
    checks = {".geojson": check_geojson_target, ".parquet": check_parquet_target}
    for name in ("other.geojson", "other.parquet", "text.parquet"):
        check = checks[Path(name).suffix]
        with pytest.raises(ArtifactError, match="exists already, and is not"):
            check(tmp_path / name)
        check(tmp_path / name, force=True)
    with pytest.raises(InputError, match=r"the ending is \.shp; wanted \.geojson, \.json"):
        check_geojson_target(tmp_path / "map.shp")
    with pytest.raises(ArtifactError, match="there is no folder"):
        check_parquet_target(tmp_path / "none" / "map.parquet")


def test_batches_become_row_groups(tmp_path: Path) -> None:
    from rsir_tf.presentation.maps.geoparquet import write_parquet

    vectors = np.arange(12, dtype=np.float32).reshape(6, 2)
    schema = pa.schema([("vector", pa.list_(pa.float32()))])
    batches = ({"vector": list(vectors[at : at + 4])} for at in range(0, 6, 4))
    write_parquet(tmp_path / "vectors.parquet", schema, batches, ABOUT)
    file = parquet.ParquetFile(tmp_path / "vectors.parquet")
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [4, 2]
    assert np.array_equal(np.stack(file.read().column("vector").to_numpy(zero_copy_only=False)), vectors)
