"""Scenes as maps of classes: what the files say, and what is left when something goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import class_colours
from rsir_tf.contract import ModelDescription
from rsir_tf.errors import ArtifactError, InputError, ModelError
from rsir_tf.presentation.maps.class_raster import is_own_class_raster
from rsir_tf.rasters import FILL, RasterSource, Recipe
from rsir_tf.workflows import segment_scene, segmenting

rasterio = pytest.importorskip("rasterio")
shapely = pytest.importorskip("shapely")
pyogrio = pytest.importorskip("pyogrio")

NAMES = ("dark", "dim & <dull>", "light", "bright")
UTM = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)}
LAMBERT = (
    'PROJCS["nowhere\'s own",GEOGCS["unknown",DATUM["unknown",SPHEROID["GRS 1980",6378137,298.257222101]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Lambert_Azimuthal_Equal_Area"],'
    'PARAMETER["latitude_of_center",47],PARAMETER["longitude_of_center",11],PARAMETER["false_easting",0],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def by_red(image: np.ndarray) -> np.ndarray:
    """The class of each pixel by its red alone: uint8 [H, W], 0 to 3."""
    return image[..., 0] // 64


class Canned:
    """A model that answers with a function of the image."""

    def __init__(self, answer: Callable[[np.ndarray], np.ndarray] = by_red) -> None:
        self.answer = answer
        self.shapes: list[tuple[int, ...]] = []

    def describe(self) -> ModelDescription:
        return ModelDescription("canned", NAMES)

    def segment_stream(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        ahead = list(images)  # As far ahead as one can read.
        for image in ahead:
            assert min(image.shape[:2]) >= 16
            self.shapes.append(image.shape)
            yield self.answer(image)


def scene(path: Path, values: np.ndarray, **profile: object) -> RasterSource:
    """Write uint8 [bands, H, W] as a GeoTIFF."""
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype="uint8", **profile
    ) as file:
        file.write(values)
    return RasterSource(str(path))


def noise(height: int, width: int, blocks: int = 7) -> np.ndarray:
    """Blocks of random colours: uint8 [3, H, W], 1 to 255."""
    rng = np.random.default_rng(7)
    small = rng.integers(1, 256, (3, -(-height // blocks), -(-width // blocks)), np.uint8)
    return small.repeat(blocks, 1).repeat(blocks, 2)[:, :height, :width]


def test_the_raster_holds_what_the_model_answers_for_each_pixel(tmp_path: Path) -> None:
    values = noise(300, 417)
    values[:, :40, :100] = 0
    model = Canned()
    summary = segment_scene(
        scene(tmp_path / "a.tif", values, nodata=0, **UTM), model, tmp_path / "c.tif", window=128, margin=32
    )
    wanted = np.where((values == 0).all(axis=0), 255, values[0] // 64)
    with rasterio.open(tmp_path / "c.tif") as found:
        assert np.array_equal(found.read(1), wanted)
        assert (found.dtypes, found.nodata, found.crs) == (("uint8",), 255, rasterio.CRS.from_epsg(32632))
        assert found.transform == UTM["transform"]
        assert found.profile["tiled"]
        assert found.profile["compress"] == "deflate"
        assert found.overviews(1) == [2]  # 417 × 300 are larger than one tile of 256, half of them are not
        colours = class_colours(NAMES)
        assert [found.colormap(1)[value][:3] for value in range(4)] == list(colours)
        assert found.colormap(1)[255][3] == 0
        assert json.loads(found.tags()["CLASS_NAMES"]) == list(NAMES)
        assert found.tags()["MODEL_ID"] == "canned"
    # The side-car is what GDAL reads categories and attribute tables from.
    band = ElementTree.parse(tmp_path / "c.tif.aux.xml").getroot().find("PAMRasterBand")
    assert [entry.text for entry in band.find("CategoryNames")] == list(NAMES)
    rows = [[cell.text for cell in row] for row in band.iter("Row")]
    counts = np.bincount(wanted.ravel(), minlength=256)
    assert rows == [[str(v), NAMES[v], *map(str, colours[v]), str(counts[v])] for v in range(4)]
    assert [entry.pixels for entry in summary.classes] == counts[:4].tolist()
    assert summary.unknown == 4000
    # UTM at its central meridian: lengths are 0.9996 of those on the ground.
    for entry in summary.classes:
        assert entry.square_metres == pytest.approx(entry.pixels * 0.25 / 0.9996**2, rel=1e-5)
    assert sum(entry.share for entry in summary.classes) == pytest.approx(1)
    assert json.loads(json.dumps(summary.to_json()))["crs"] == "EPSG:32632"


def test_what_lies_at_cut_sides_is_not_kept(tmp_path: Path) -> None:
    def edges(image: np.ndarray) -> np.ndarray:
        answer = np.full(image.shape[:2], 3, np.uint8)
        answer[32:-32, 32:-32] = 0
        return answer

    segment_scene(scene(tmp_path / "a.tif", noise(300, 417)), Canned(edges), tmp_path / "c.tif", window=128, margin=32)
    with rasterio.open(tmp_path / "c.tif") as found:
        values = found.read(1)
    assert not values[32:-32, 32:-32].any()  # Only the scene's own border is left.
    assert (values[:32] == 3).all()


def test_overviews_show_the_class_of_most_pixels(tmp_path: Path) -> None:
    values = np.full((3, 512, 512), 200, np.uint8)
    values[:, ::2, ::2] = 10  # one pixel of each four
    segment_scene(scene(tmp_path / "a.tif", values), Canned(), tmp_path / "c.tif")
    with rasterio.open(tmp_path / "c.tif", overview_level=0) as found:
        assert (found.read(1) == 3).all()


def test_a_picture_becomes_a_picture_with_a_palette(tmp_path: Path) -> None:
    values = noise(50, 60)
    Image.fromarray(values.transpose(1, 2, 0)).save(tmp_path / "a.png")
    summary = segment_scene(RasterSource(str(tmp_path / "a.png")), Canned(), tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as found:
        assert found.mode == "P"
        assert np.array_equal(found, values[0] // 64)
        assert found.getpalette()[:12] == [band for colour in class_colours(NAMES) for band in colour]
        assert json.loads(found.text["CLASS_NAMES"]) == list(NAMES)
    assert (summary.crs, summary.classes[0].square_metres) == (None, None)
    assert is_own_class_raster(tmp_path / "c.png")
    assert not (tmp_path / "c.png.aux.xml").exists()


def test_one_pixel_is_a_scene(tmp_path: Path) -> None:
    model = Canned()
    source = scene(tmp_path / "a.tif", np.full((3, 1, 1), 130, np.uint8), **UTM)
    segment_scene(source, model, tmp_path / "c.tif", polygons=tmp_path / "c.gpkg")
    assert model.shapes == [(16, 16, 3)]
    with rasterio.open(tmp_path / "c.tif") as found:
        assert found.read(1).tolist() == [[2]]
    areas = shapely.from_wkb(pyogrio.raw.read(tmp_path / "c.gpkg")[2])
    assert areas[0].equals(shapely.box(500_000, 4_999_999.5, 500_000.5, 5_000_000))


def test_of_windows_that_show_nothing_the_model_is_not_asked(tmp_path: Path) -> None:
    values = np.zeros((3, 300, 300), np.uint8)
    model = Canned()
    source = scene(tmp_path / "a.tif", values, nodata=0, **UTM)
    summary = segment_scene(source, model, tmp_path / "c.tif", window=128, margin=32, polygons=tmp_path / "c.gpkg")
    assert (model.shapes, summary.windows, summary.unknown, summary.areas) == ([], 0, 90_000, 0)
    with rasterio.open(tmp_path / "c.tif") as found:
        assert (found.read(1) == 255).all()
    assert pyogrio.read_info(tmp_path / "c.gpkg")["features"] == 0
    # One that shows something at last: those before it come too.
    values[:, -1, -1] = 99
    summary = segment_scene(
        scene(tmp_path / "b.tif", values, nodata=0), model, tmp_path / "c.tif", window=128, margin=32
    )
    assert (len(model.shapes), summary.windows, summary.unknown) == (1, 1, 89_999)


def test_transparent_pixels_have_no_class_and_the_model_sees_a_neutral_colour(tmp_path: Path) -> None:
    values = np.concatenate([noise(40, 50), np.full((1, 40, 50), 255, np.uint8)])
    values[3, :10] = 0
    seen = []
    model = Canned(lambda image: seen.append(image.copy()) or by_red(image))
    source = scene(tmp_path / "a.tif", values, photometric="RGB", alpha="YES")
    summary = segment_scene(source, model, tmp_path / "c.png")
    assert (seen[0][:10] == FILL).all()
    assert summary.unknown == 500
    with Image.open(tmp_path / "c.png") as found:
        assert (np.asarray(found)[:10] == 255).all()
        assert found.info["transparency"] == 255


@pytest.mark.parametrize(
    "transform", [UTM["transform"], rasterio.Affine(0.3, 0.4, 600_000, 0.4, -0.3, 5e6)], ids=["north up", "rotated"]
)
@pytest.mark.parametrize("crs", ["EPSG:32632", LAMBERT], ids=["UTM", "without a code"])
def test_polygons_and_raster_agree_at_every_pixel(tmp_path: Path, crs: str, transform: rasterio.Affine) -> None:
    values = noise(90, 70, blocks=3)
    values[:, 20:30, 30:50] = 0
    source = scene(tmp_path / "a.tif", values, nodata=0, crs=crs, transform=transform)
    segment_scene(source, Canned(), tmp_path / "c.tif", window=128, margin=32, polygons=tmp_path / "c.gpkg")
    with rasterio.open(tmp_path / "c.tif") as found:
        classes, grid = found.read(1), found.transform
    meta, _, geometries, (names, indices) = pyogrio.raw.read(tmp_path / "c.gpkg")
    areas = shapely.from_wkb(geometries)
    rows, columns = np.indices(classes.shape)
    x = grid.a * (columns + 0.5) + grid.b * (rows + 0.5) + grid.c
    y = grid.d * (columns + 0.5) + grid.e * (rows + 0.5) + grid.f
    painted = np.full(classes.shape, 255)
    for area, index in zip(areas, indices, strict=True):
        inside = shapely.contains_xy(area, x, y)
        assert (painted[inside] == 255).all()
        painted[inside] = index
    assert np.array_equal(painted, classes)
    assert [NAMES[index] for index in indices] == names.tolist()
    assert shapely.is_valid(areas).all()
    assert shapely.coverage_is_valid(areas)
    # The reference system that the file had: the one without a code is not taken for longitude and latitude.
    assert rasterio.CRS.from_user_input(meta["crs"]) == rasterio.CRS.from_user_input(crs)
    assert "4326" not in meta["crs"]


def test_geojson_is_in_longitude_and_latitude(tmp_path: Path) -> None:
    source = scene(tmp_path / "a.tif", noise(40, 50), **UTM)
    summary = segment_scene(source, Canned(), tmp_path / "c.tif", polygons=tmp_path / "c.geojson")
    content = json.loads((tmp_path / "c.geojson").read_text())
    assert "crs" not in content
    areas = np.array([shapely.from_geojson(json.dumps(each["geometry"])) for each in content["features"]])
    assert len(areas) == summary.areas
    assert shapely.coverage_is_valid(areas)
    assert shapely.is_ccw(shapely.get_exterior_ring(areas)).all()
    west, south, east, north = shapely.total_bounds(areas)
    # The corner: 9° east, 5,000 km north of the equator in UTM are 45.1535°; 25 m are 0.000318°, 20 m 0.00018°.
    assert (west, north) == pytest.approx((9, 45.1535), abs=1e-4)
    assert (east - west, north - south) == pytest.approx((0.000318, 0.00018), rel=0.01)
    assert {(each["properties"]["class"], each["properties"]["index"]) for each in content["features"]} <= set(
        zip(NAMES, range(4), strict=True)
    )


def test_without_a_place_polygons_are_in_pixels_or_refused(tmp_path: Path) -> None:
    source = scene(tmp_path / "a.tif", noise(40, 50))
    model = Canned()
    with pytest.raises(InputError, match="no place"):
        segment_scene(source, model, tmp_path / "c.tif", polygons=tmp_path / "c.geojson")
    assert model.shapes == []
    segment_scene(source, model, tmp_path / "c.tif", polygons=tmp_path / "c.gpkg")
    meta, _, geometries, _ = pyogrio.raw.read(tmp_path / "c.gpkg")
    assert meta["crs"] is None
    assert shapely.total_bounds(shapely.from_wkb(geometries)).tolist() == [0, -40, 50, 0]


def test_ground_control_points_alone_are_no_place(tmp_path: Path) -> None:
    from rasterio.control import GroundControlPoint as Point

    points = [Point(0, 0, 9.0, 45.0), Point(0, 50, 9.1, 45.0), Point(40, 0, 9.0, 44.9), Point(40, 50, 9.1, 44.9)]
    source = scene(tmp_path / "a.tif", noise(40, 50), gcps=points, crs="EPSG:4326")
    summary = segment_scene(source, Canned(), tmp_path / "c.tif")
    assert summary.crs is None
    assert "ground control points" in summary.notes[0]


def test_another_resolution_is_another_grid(tmp_path: Path) -> None:
    source = scene(tmp_path / "a.tif", noise(200, 240, blocks=40), **UTM)
    coarse = RasterSource(source.path, Recipe(resolution=2.0))
    summary = segment_scene(coarse, Canned(), tmp_path / "c.tif", window=128, margin=32)
    with rasterio.open(tmp_path / "c.tif") as found:
        assert found.res == pytest.approx((2, 2), rel=1e-3)
        assert abs(found.width - 60) <= 1
        middle = found.read(1)[2:8, 2:8]
    assert (middle == noise(1, 1)[0, 0, 0] // 64).all()
    assert summary.height == pytest.approx(50, abs=1)


@pytest.mark.parametrize(
    "place",
    [
        {"crs": "EPSG:3413", "transform": rasterio.Affine(250, 0, -5000, 0, -250, 5000)},
        {"crs": "EPSG:4326", "transform": rasterio.Affine(9, 0, -180, 0, -4.5, 90)},
    ],
    ids=["pole", "whole Earth"],
)
def test_geojson_around_a_pole_and_the_whole_earth_is_one_coverage(tmp_path: Path, place: dict[str, Any]) -> None:
    source = scene(tmp_path / "a.tif", noise(40, 40), **place)
    summary = segment_scene(source, Canned(), tmp_path / "c.tif", polygons=tmp_path / "c.geojson")
    content = json.loads((tmp_path / "c.geojson").read_text())
    areas = np.array([shapely.from_geojson(json.dumps(each["geometry"])) for each in content["features"]])
    assert (len(areas), summary.areas_left_out) == (summary.areas, 0)
    assert shapely.is_valid(areas).all()
    assert shapely.coverage_is_valid(areas)
    assert shapely.area(areas).sum() == pytest.approx(shapely.union_all(areas).area)
    assert shapely.union_all(areas).bounds[2:] == (180, 90)


def test_a_complete_raster_is_kept_where_polygons_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise ArtifactError("the disk is full")

    monkeypatch.setattr(segmenting, "write_areas", full)
    source = scene(tmp_path / "a.tif", noise(40, 50), **UTM)
    with pytest.raises(ArtifactError, match="disk is full"):
        segment_scene(source, Canned(), tmp_path / "c.tif", polygons=tmp_path / "c.gpkg")
    with rasterio.open(tmp_path / "c.tif") as found:
        assert found.shape == (40, 50)
        assert found.crs.to_epsg() == 32632
    assert (tmp_path / "c.tif.aux.xml").is_file()


def test_areas_that_reach_beyond_the_earth_are_counted_where_they_have_no_longitude(tmp_path: Path) -> None:
    # A plane that touches the Earth at one point shows what is up to a quarter of the globe away: 6,378 km.
    plane = {"crs": "+proj=ortho +lat_0=0 +lon_0=0", "transform": rasterio.Affine(2e5, 0, -7e6, 0, -2e5, 7e6)}
    values = np.full((3, 70, 70), 10, np.uint8)
    values[:, 30:40, 30:40] = 200
    source = scene(tmp_path / "a.tif", values, **plane)
    summary = segment_scene(source, Canned(), tmp_path / "c.tif", polygons=tmp_path / "c.geojson")
    assert (summary.areas, summary.areas_left_out) == (1, 1)
    summary = segment_scene(source, Canned(), tmp_path / "c.tif", polygons=tmp_path / "c.gpkg")
    assert (summary.areas, summary.areas_left_out) == (2, 0)
    # 2,000 km a side in the middle of it: the projection makes it smaller than it is by less than a hundredth or so.
    assert summary.classes[3].square_metres == pytest.approx(4e12, rel=0.02)


def test_pixels_of_degrees_are_measured_where_they_are(tmp_path: Path) -> None:
    # One pixel a tenth of a degree: the zone from the equator to 60° north, 100° wide.
    degrees = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 0, 0, -0.1, 60)}
    source = scene(tmp_path / "a.tif", np.full((3, 600, 1000), 10, np.uint8), **degrees)
    summary = segment_scene(source, Canned(), tmp_path / "c.tif")
    # Of a sphere with the Earth's surface, R = 6371.007 km: R² · 100° · π/180 · sin 60°. The Earth is flattened by
    # 1/298, and blocks are divided until their pixels differ by less than a hundredth.
    wanted = 6_371_007**2 * np.radians(100) * np.sin(np.radians(60))
    assert summary.classes[0].square_metres == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("error", [ModelError("the server has gone"), KeyboardInterrupt()], ids=["model", "Ctrl-C"])
def test_what_was_there_stays_when_the_work_is_cut_off(tmp_path: Path, error: BaseException) -> None:
    source = scene(tmp_path / "a.tif", noise(300, 300), **UTM)
    for name in ("c.tif", "c.gpkg"):
        (tmp_path / name).write_text("old")
    answers = []

    def dying(image: np.ndarray) -> np.ndarray:
        answers.append(1)
        if len(answers) == 3:
            raise error
        return by_red(image)

    with pytest.raises(type(error)):
        segment_scene(source, Canned(dying), tmp_path / "c.tif", window=128, margin=32, polygons=tmp_path / "c.gpkg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "c.gpkg", "c.tif"]
    assert (tmp_path / "c.tif").read_text() == (tmp_path / "c.gpkg").read_text() == "old"


def test_a_scene_too_large_for_a_png_is_told_before_the_model_is_asked(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", count=3, height=20_000, width=20_000, dtype="uint8", tiled=True,
        sparse_ok=True, compress="deflate",
    ):  # fmt: skip
        pass
    model = Canned()
    with pytest.raises(InputError, match="too many for a PNG"):
        segment_scene(RasterSource(str(tmp_path / "a.tif")), model, tmp_path / "c.png")
    assert model.shapes == []
