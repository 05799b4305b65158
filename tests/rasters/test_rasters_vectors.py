"""Vector files: what is read of them, other reference systems (against geopandas), and polygons on a grid of pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from rsir_tf.errors import InputError
from rsir_tf.rasters import Place
from rsir_tf.rasters.vectors import Vectors, bounds_in, rasterise, read_vectors, transformed

geopandas = pytest.importorskip("geopandas")

SQUARES = geopandas.GeoDataFrame(
    {"kind": ["pond", None, "house"], "storeys": [1.0, None, 3.0]},
    geometry=[shapely.box(10, 50, 11, 51), shapely.box(12, 50, 13, 51), shapely.box(14, 50, 15, 51)],
    crs="EPSG:4326",
)


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "shp"])
def test_formats_give_the_same(tmp_path: Path, ending: str) -> None:
    SQUARES.to_file(tmp_path / f"a.{ending}")
    read = read_vectors(tmp_path / f"a.{ending}")
    assert read.crs == "EPSG:4326"
    assert read.columns == {"kind": ["pond", None, "house"], "storeys": [1, None, 3]}
    assert all(shapely.equals(read.geometries, SQUARES.geometry.to_numpy()))
    assert read_vectors(tmp_path / f"a.{ending}", columns=["storeys"]).columns == {"storeys": [1, None, 3]}


def test_heights_are_dropped_and_missing_geometries_kept(tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": [1, 2, 300]}},
        {"type": "Feature", "properties": {}, "geometry": None},
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    point, nothing = read_vectors(tmp_path / "a.geojson").geometries
    assert (point.wkt, nothing) == ("POINT (1 2)", None)


def test_one_of_several_layers_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.gpkg"
    SQUARES[:1].to_file(file, layer="ponds")
    SQUARES[2:].to_file(file, layer="houses")
    with pytest.raises(
        InputError, match=r"holds 2 layers with geometries \(ponds, houses\); .*a.gpkg\|layername=ponds"
    ):
        read_vectors(file)
    assert read_vectors(file, "houses").columns["kind"] == ["house"]
    with pytest.raises(InputError, match="has no layer 'roads' with geometries; wanted one of ponds, houses"):
        read_vectors(file, "roads")


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lost\.gpkg: no such file"):
        read_vectors(tmp_path / "lost.gpkg")
    (tmp_path / "cut.geojson").write_text('{"type": "FeatureCollection", "features": [{"type": "Fea')
    with pytest.raises(InputError, match=r"cut\.geojson: cannot be read as a vector file"):
        read_vectors(tmp_path / "cut.geojson")
    (tmp_path / "notes.shp").write_text("notes")
    with pytest.raises(InputError, match=r"notes\.shp: cannot be read as a vector file"):
        read_vectors(tmp_path / "notes.shp")
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"a\.tif: cannot be read as a vector file \(it is none, or is damaged\)"):
        read_vectors(tmp_path / "a.tif")
    SQUARES.to_file(tmp_path / "a.shp")
    with pytest.raises(InputError, match="has no field 'class'; wanted one of its fields: kind, storeys"):
        read_vectors(tmp_path / "a.shp", columns=["class"])
    SQUARES[["geometry"]].to_file(tmp_path / "bare.geojson")
    with pytest.raises(InputError, match="has no field 'class'; wanted the name of a field, and the file has none"):
        read_vectors(tmp_path / "bare.geojson", columns=["class"])
    (tmp_path / "a.prj").unlink()
    with pytest.raises(InputError, match=r"does not say which coordinate reference system .* ogr2ogr -a_srs"):
        read_vectors(tmp_path / "a.shp")


@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:32633", "EPSG:3035"])
def test_other_reference_systems_are_geopandas(crs: str) -> None:
    vectors = Vectors(SQUARES.geometry.to_numpy(), {}, "EPSG:4326").to_crs(crs)
    assert vectors.crs == crs
    # Two builds of PROJ compute them: equal to a tenth of a millimetre.
    wanted = SQUARES.to_crs(crs).geometry.to_numpy()
    np.testing.assert_allclose(shapely.get_coordinates(vectors.geometries), shapely.get_coordinates(wanted), atol=1e-4)
    assert transformed(vectors.geometries, crs, crs) is vectors.geometries


def test_what_has_no_place_in_the_other_system_is_refused() -> None:
    pole = np.array([shapely.box(0, 80, 1, 95)], object)
    with pytest.raises(InputError, match="cannot be transformed from EPSG:4326 to EPSG:3857"):
        transformed(pole, "EPSG:4326", "EPSG:3857")
    with pytest.raises(InputError, match="cannot be transformed from EPSG:999999"):
        transformed(pole, "EPSG:999999", "EPSG:3857")


def test_the_box_around_a_grid() -> None:
    # 10 × 20 pixels of 2 m, turned by a quarter: columns run south, rows run east.
    turned = Place("EPSG:32633", (0.0, 2.0, 500_000.0, -2.0, 0.0, 5_000_000.0))
    assert bounds_in("EPSG:32633", turned, (20, 10)) == (500_000, 4_999_980, 500_040, 5_000_000)
    # The middle of UTM zone 1's western border is the antimeridian.
    left, _, right, _ = bounds_in("EPSG:4326", Place("EPSG:32601", (1000.0, 0, 100_000, 0, -1000, 10_000)), (9, 200))
    assert left > 0 > right


def test_a_pixel_belongs_to_the_polygon_that_holds_its_centre() -> None:
    place = Place("EPSG:32633", (1.0, 0, 0, 0, -1.0, 4.0))
    # Centres of columns are 0.5 to 3.5. From 0.6 to 2.6 lie those of columns 1 and 2; rows run from y = 3.5 downwards.
    box = shapely.box(0.6, 1.4, 2.6, 9)
    expected = np.array([[9, 7, 7, 9], [9, 7, 7, 9], [9, 7, 7, 9], [9, 9, 9, 9]])
    np.testing.assert_array_equal(rasterise([box], [7], place, (4, 4), outside=9), expected)
    # What comes later is on top; what has no extent is nothing.
    over = [box, shapely.Polygon(), shapely.box(2, 0, 4, 4)]
    np.testing.assert_array_equal(rasterise(over, [7, 8, 1], place, (4, 4), outside=9)[0], [9, 7, 1, 1])
    assert (rasterise([], [], place, (2, 3), outside=5) == np.full((2, 3), 5)).all()


def test_a_rotated_grid_agrees_with_shapely() -> None:
    cos, sin = 0.8, 0.6
    place = Place("EPSG:32633", (cos, sin, 10.0, -sin, cos, 20.0))
    rows, columns = np.mgrid[0:24, 0:32] + 0.5
    x, y = cos * columns + sin * rows + 10, -sin * columns + cos * rows + 20
    triangle = shapely.Polygon([(15.03, 12.02), (38.01, 22.07), (22.05, 31.04)])
    np.testing.assert_array_equal(
        rasterise([triangle], [1], place, (24, 32), outside=0), shapely.contains_xy(triangle, x, y)
    )
