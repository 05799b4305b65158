"""The real archives, where RSIR_TF_TEST_DATA names a folder that holds them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import (
    LabelSet,
    PolygonOptions,
    Record,
    check_archive,
    group_split,
    load_label_set,
    open_archive,
    read_mask,
    stratified_split,
)
from rsir_tf.archives.record_masks import SceneMask, mask_of
from rsir_tf.rasters import RasterSource, Reading, Recipe, Tiling, read_band

RealData = Callable[[str], Path]


def test_ucmerced(real_data: RealData) -> None:
    archive = open_archive(real_data("data/ucmerced"))
    assert archive.format == "ucmerced"
    assert len(archive) == 2100
    report = check_archive(archive)
    assert report.problems == []
    assert report.supervision == ["tags"]
    assert len(report.tags) == 17
    assert len(report.scenes) == 21
    assert set(report.scenes.values()) == {100}
    # 44 images are not 256×256; 3.33 tags an image, 1 to 7 (Chaudhuri et al., 2018).
    assert 2100 - report.sizes["256x256"] == 44
    assert report.tags_per_image == pytest.approx(3.33, abs=0.005)
    counts = [len(record.tags or ()) for record in archive]
    assert (min(counts), max(counts)) == (1, 7)
    assert open_archive(real_data("data/ucmerced/Images")).records == archive.records
    split = stratified_split(archive)
    assert len(split.test) == 420
    assert {name.split("/")[0] for name in split.test} == set(report.scenes)


def test_ucmerced_tiffs(real_data: RealData) -> None:
    root = real_data("data/ucmerced_tif_sample")
    archive = open_archive(root, tags=real_data("data/ucmerced/LandUse_Multilabeled.txt"))
    report = check_archive(archive)
    assert report.images == 27
    assert report.unreadable == {}
    assert report.images_without_tags == {}
    assert 27 - report.sizes["256x256"] == 6
    by_id = {record.id: record for record in archive}
    # Airplanes on pavement: read off the tags file.
    assert "airplane" in (by_id["airplane/airplane00.tif"].tags or ())


def test_scenes_of_ten_bands(real_data: RealData) -> None:
    reading = Reading(Recipe((3, 2, 1), ((0, 1000),)), Tiling(64))
    archive = open_archive(real_data("data/geo/rsgislib"), reading=reading, images="*_tile*.tif")
    report = check_archive(archive)
    # 251 pixels: windows at 0, 64, 128 and 251 − 64, in both directions, of six scenes.
    assert report.sizes == {"64x64": 6 * 16}
    assert {(scene.crs, scene.bands, scene.dtype, scene.valid_share) for scene in report.scene_files} == {
        ("EPSG:27700", 10, "uint16", 1.0)
    }
    # The British grid's scale is 0.9997 about there: 10 m in it are as many on the ground.
    assert all(abs((scene.metres_a_pixel or 0) - 10) < 0.01 for scene in report.scene_files)
    assert report.windows_left_out == report.unreadable == {}


def test_scenes_of_several_places_and_layouts(real_data: RealData) -> None:
    archive = open_archive(real_data("data/geo/rasterframes"), reading=Reading(tiling=Tiling(64)))
    report = check_archive(archive)
    assert {scene.id: scene.crs for scene in report.scene_files} == {
        "L8-RGB-VA.tiff": "EPSG:32617",
        "m_3607717_sw_18_1_20160620_subset.tif": "EPSG:26918",
        "m_3607824_se_17_1_20160620_subset.tif": "EPSG:26917",
    }
    # 18 files have one band each; the first says how bands of one scene are put together, and the others need not.
    assert len(report.left_out) == 19
    assert next(name for name, why in report.left_out.items() if "rio stack" in why) == "L8-B1-Elkton-VA.tiff"


def test_a_slanted_scene_and_the_virtual_rasters_of_it(real_data: RealData) -> None:
    archive = open_archive(real_data("data/geo/rasterio"), reading=Reading(tiling=Tiling(256)))
    assert dict(archive.left_out)["RGB.byte.tif"].startswith("is a part of RGB.byte.")
    report = check_archive(
        open_archive(real_data("data/geo/rasterio/RGB.byte.tif"), reading=Reading(tiling=Tiling(256)))
    )
    (scene,) = report.scene_files
    assert (scene.crs, scene.windows, scene.windows_left_out) == ("EPSG:32618", 12, 2)


def test_web_tiles(real_data: RealData) -> None:
    reading = Reading(tiling=Tiling(256), tile_names="OAM-{x}-{y}-{z}.tif")
    report = check_archive(open_archive(real_data("data/geo/hotosm-fair-banepa"), reading=reading))
    assert len(report.scene_files) == 48
    assert {scene.crs for scene in report.scene_files} == {"EPSG:3857"}
    # Zoom 19 has 2^19 tiles of 512 pixels around the equator, and Banepa lies at 27.63° north.
    expected = 2 * math.pi * 6378137 / 2**19 / 512 * math.cos(math.radians(27.63))
    assert all(abs((scene.metres_a_pixel or 0) / expected - 1) < 0.005 for scene in report.scene_files)


def test_dubai(real_data: RealData) -> None:
    archive = open_archive(real_data("data/dubai/tiles"), labels="dubai")
    assert archive.records[0].id == "Tile 1/image_part_001.jpg"
    report = check_archive(archive)
    assert report.problems == []
    assert report.groups == {f"Tile {number}": 9 for number in range(1, 9)}
    shares = [round(100 * entry.share, 1) for entry in report.classes]
    # Counted colour by colour over the mask files, independently of this package.
    assert shares == [52.4, 13.6, 13.3, 10.3, 9.4]
    assert round(100 * report.void_share, 1) == 1.1  # unlabelled 0.5, black 0.6
    split = group_split(archive, ["Tile 2", "Tile 7"])
    assert len(split.test) == 18


def test_dubais_palette_masks_say_what_their_rgb_says(real_data: RealData) -> None:
    dubai = load_label_set("dubai")
    masks = sorted(real_data("data/dubai/tiles").glob("Tile */masks/*.png"))
    kinds = set()
    for path in masks[::12]:
        with Image.open(path) as picture:
            kinds.add(picture.mode)
            rgb = np.asarray(picture.convert("RGB"))
        classes = read_mask(path, dubai)
        for index, colour in enumerate(dubai.colours):
            np.testing.assert_array_equal(classes == index, (rgb == colour).all(axis=2))
    assert kinds == {"RGB", "P"}


def test_buildings_of_a_town_as_polygons(real_data: RealData) -> None:
    geopandas = pytest.importorskip("geopandas")
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    (file,) = real_data("data/geo/hotosm-fair-banepa/osm").glob("*.geojson")
    archive = open_archive(
        real_data("data/geo/hotosm-fair-banepa/oam"),
        reading=Reading(tile_names="OAM-{x}-{y}-{z}.tif"),
        polygons=PolygonOptions((str(file),), class_name="building", outside="other"),
    )
    assert archive.label_set is not None
    assert (len(archive), archive.label_set.names, archive.remarks) == (48, ("building", "other"), ())
    buildings = geopandas.read_file(file).to_crs("EPSG:3857").geometry
    for record in archive.records[::16]:
        mask, place = mask_of(record), record.source.place
        assert mask is not None
        assert place is not None
        wanted = rasterize(
            [(polygon, 0) for polygon in buildings], (512, 512), fill=1, transform=Affine(*place.transform)
        )
        np.testing.assert_array_equal(mask.read(archive.label_set), wanted)


def test_land_cover_under_a_scene(real_data: RealData) -> None:
    folder = real_data("data/geo/rsgislib")
    cover = folder / "sen2_20210527_aber_cls.tif"
    recipe = Recipe((3, 2, 1), ((0, 1000),))
    source = RasterSource(str(folder / "sen2_20210527_aber_tile4.tif"), recipe, (100, 60, 96, 64))
    mask = mask_of(Record("a", source, cover))
    assert isinstance(mask, SceneMask)
    assert source.place is not None
    found = mask.read(LabelSet("cover", ("a", "b", "c", "water"), (1, 2, 3, 4)))
    values, known = read_band(str(cover), source.place, source.shape)
    np.testing.assert_array_equal(found, np.where(known, values.astype(int) - 1, 255))
    assert len(np.unique(found)) > 1
