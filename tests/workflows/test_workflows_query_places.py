"""Queries from a place in a scene, and what was found as maps: two dates of one place whose windows do not meet."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from placed_scenes import AS_IT_IS, TILE, Toy, ground, index_sources, on_ground, windows, write_scene, write_scenes
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.warp import transform as warp

from rsir_tf.errors import InputError
from rsir_tf.presentation.maps.geojson import feature_collection
from rsir_tf.presentation.maps.geoparquet import write_geoparquet
from rsir_tf.ranking import Index, open_index
from rsir_tf.rasters import RasterSource, Reading, Recipe, Tiling, footprint
from rsir_tf.workflows import query_image, query_images
from rsir_tf.workflows.footprints import image_at
from rsir_tf.workflows.geographic_limits import GeographicLimits
from rsir_tf.workflows.query_maps import hit_features, region_features, table_fields
from rsir_tf.workflows.query_windows import QueryWindow, query_reading, query_source


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_scenes(tmp_path_factory.mktemp("places") / "scenes")


@pytest.fixture(scope="module")
def index(scenes: tuple[Path, Path]) -> Index:
    return open_index(index_sources(windows(*scenes), scenes[0].parents[1] / "index", AS_IT_IS))


def lonlat(scene: Path, column: float, row: float) -> tuple[float, float]:
    with rasterio.open(scene) as file:
        x, y = on_ground(file.transform, [column], [row])
        (lon,), (lat,) = warp(file.crs, "EPSG:4326", x, y)
    return lon, lat


def window_of(scene: Path, **part: object) -> tuple[int, int, int, int]:
    source = query_source(scene, AS_IT_IS, QueryWindow(**part))
    assert isinstance(source, RasterSource)
    assert source.window is not None
    return source.window


def test_a_window_around_a_point_is_shifted_inwards(scenes: tuple[Path, Path]) -> None:
    scene = scenes[0]  # 96×64 pixels
    assert window_of(scene, lonlat=lonlat(scene, 48, 32)) == (32, 16, 32, 32)
    assert window_of(scene, lonlat=lonlat(scene, 48, 32), tile=20) == (38, 22, 20, 20)
    assert window_of(scene, lonlat=lonlat(scene, 1, 1)) == (0, 0, 32, 32)
    assert window_of(scene, lonlat=lonlat(scene, 95, 63)) == (64, 32, 32, 32)
    # A scene that is smaller than the window is padded, as windows of the index are.
    assert window_of(scene, lonlat=lonlat(scene, 48, 32), tile=80) == (8, 0, 80, 80)
    outside = lonlat(scene, -5, 10)
    with pytest.raises(
        InputError, match=r"2010\.tif: does not show longitude 8\.999.*; wanted a place in its extent, "
    ):
        window_of(scene, lonlat=outside)
    with pytest.raises(InputError, match="nothing says how large the window around the point is; say it by --tile"):
        query_source(scene, Reading(), QueryWindow(lonlat=lonlat(scene, 48, 32)))


def test_the_window_of_a_box_holds_it_and_no_more(scenes: tuple[Path, Path]) -> None:
    scene = scenes[0]
    with rasterio.open(scene) as file:
        west, north = lonlat(scene, 20.5, 10.5)
        east, south = lonlat(scene, 60.5, 40.5)
        x, y, width, height = window_of(scene, bbox=(west, south, east, north))
        corners = warp("EPSG:4326", file.crs, [west, east, east, west], [north, north, south, south])
        columns, rows = on_ground(~file.transform, *corners)
    assert x == int(columns.min())
    assert y == int(rows.min())
    assert x + width == int(columns.max()) + 1
    assert y + height == int(rows.max()) + 1
    # What lies beyond the scene is left out; and nothing of it is refused.
    assert window_of(scene, bbox=(-180, 40, 180, 60)) == (0, 0, 96, 64)
    with pytest.raises(
        InputError, match=r"does not show the box 0\.0 0\.0 1\.0 1\.0; wanted a place in its extent, 9\.00"
    ):
        window_of(scene, bbox=(0.0, 0.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"has 1×1 pixels of the box .*; wanted at least 16 pixels a side"):
        window_of(scene, bbox=(*lonlat(scene, 10.2, 10.8), *lonlat(scene, 10.8, 10.2)))


def test_windows_in_pixels_lie_in_the_scene(scenes: tuple[Path, Path]) -> None:
    assert window_of(scenes[0], window=(64, 32, 32, 32)) == (64, 32, 32, 32)
    with pytest.raises(InputError, match=r"has no window 65 32 32 32; wanted within 96×64 pixels"):
        window_of(scenes[0], window=(65, 32, 32, 32))
    with pytest.raises(InputError, match="16 pixels a side or more"):
        QueryWindow(window=(0, 0, 32, 8))
    with pytest.raises(InputError, match="one of --window, --lonlat and --bbox"):
        QueryWindow(window=(0, 0, 32, 32), lonlat=(8, 47))
    with pytest.raises(InputError, match="--lonlat with --tile"):
        QueryWindow(tile=32)
    for box in ((8, 47, 7, 46), (8, 47, 8, 48)):
        with pytest.raises(InputError, match="is empty; wanted west, south, east, north"):
            QueryWindow(bbox=box)
    with pytest.raises(InputError, match=r"goes around more than half of the Earth; wanted west, south, east, north"):
        QueryWindow(bbox=(8, 46, 7, 47))


def test_a_scene_that_is_too_large_at_once_needs_a_part(tmp_path: Path) -> None:
    with rasterio.open(
        tmp_path / "large.tif", "w", "GTiff", 20_000, 6_000, 3, dtype="uint8", tiled=True, sparse_ok=True
    ):
        pass
    with pytest.raises(
        InputError, match=r"is 20000×6000 pixels; wanted at most 100,000,000 pixels at once; name a part"
    ):
        query_source(tmp_path / "large.tif", AS_IT_IS)
    assert window_of(tmp_path / "large.tif", window=(19_000, 5_000, 64, 64)) == (19_000, 5_000, 64, 64)


def test_rotated_scenes(tmp_path: Path) -> None:
    across, along = 10 * np.cos(np.pi / 6), 10 * np.sin(np.pi / 6)
    turned = Affine(across, along, 500_000, along, -across, 5_500_000)  # By 30°, pixels of 10 m.
    scene = write_scene(tmp_path / "turned.tif", ground(64, 96, later=False), turned)
    assert window_of(scene, lonlat=lonlat(scene, 40, 30)) == (24, 14, 32, 32)
    lon, lat = lonlat(scene, 48, 32)
    x, y, width, height = window_of(scene, bbox=(lon - 1e-3, lat - 1e-3, lon + 1e-3, lat + 1e-3))
    with rasterio.open(scene) as file:
        corners = warp("EPSG:4326", file.crs, lon + np.array([-1e-3, 1e-3] * 2), lat + np.repeat([-1e-3, 1e-3], 2))
        columns, rows = on_ground(~file.transform, *corners)
    # The smallest window that holds all four corners, which here touch one side each.
    assert (x, y) == (int(columns.min()), int(rows.min()))
    assert (x + width, y + height) == (int(columns.max()) + 1, int(rows.max()) + 1)


def test_scenes_across_the_antimeridian(tmp_path: Path) -> None:
    # Degrees that go on beyond 180, and metres of Fiji's zone 60.
    scene = write_scene(tmp_path / "degrees.tif", ground(64, 96, later=False), Affine(0.01, 0, 179.5, 0, -0.01, -17))
    with rasterio.open(scene, "r+") as file:
        file.crs = "EPSG:4326"
    assert window_of(scene, lonlat=(-179.82, -17.32)) == (52, 16, 32, 32)  # 180.18 is column 68
    assert window_of(scene, bbox=(179.7, -17.4, -179.8, -17.1)) == (20, 10, 50, 30)
    metres = write_scene(
        tmp_path / "metres.tif", ground(64, 96, later=False), Affine(10, 0, 819_000, 0, -10, 8_110_000), "EPSG:32760"
    )
    extent = footprint(RasterSource(str(metres)).place, (64, 96))
    assert extent.geom_type == "MultiPolygon"
    assert window_of(metres, lonlat=lonlat(metres, 48, 32)) == (32, 16, 32, 32)


def test_a_scene_without_a_place(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "plain.tif", ground(64, 96, later=False), Affine.identity(), crs=None)
    assert window_of(scene, window=(1, 2, 32, 32)) == (1, 2, 32, 32)
    for part in ({"lonlat": (9.0, 49.6)}, {"bbox": (9.0, 49.0, 10.0, 50.0)}):
        with pytest.raises(InputError, match=r"where on Earth each pixel lies \(it has no.*--window X Y WIDTH"):
            window_of(scene, **part)


def test_a_scene_with_ground_control_points_alone_is_warped_by_a_resolution(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "points.tif", ground(64, 96, later=False), Affine.identity(), crs=None)
    corners = ((0, 0, 500_000, 5_500_000), (0, 96, 500_960, 5_500_000), (64, 0, 500_000, 5_499_360))
    with rasterio.open(scene, "r+") as file:
        file.gcps = [GroundControlPoint(*corner) for corner in corners], "EPSG:32632"
    with pytest.raises(InputError, match=r"it has 3 ground control points and no transform: without --resolution"):
        window_of(scene, lonlat=(9.005, 49.65))
    source = query_source(scene, Reading(Recipe(resolution=10), Tiling(TILE)), QueryWindow(lonlat=(9.005, 49.65)))
    assert source.place is not None
    assert shapely.contains(footprint(source.place, source.shape), shapely.Point(9.005, 49.65))


def test_real_scenes(real_data: Callable[[str], Path]) -> None:
    # Turned by about 104°: the middle of its 2000×2000 pixels.
    grey = Reading(Recipe(bands=(1, 1, 1)), Tiling(256))
    turned = real_data("data/geo/openlayers/umbra.tif")
    middle = query_source(turned, grey, QueryWindow(lonlat=lonlat(turned, 1000, 1000)))
    assert str(middle) == f"{turned}, window 872 872 256 256"
    # A whole disk from space, whose corners are not on Earth.
    disk = real_data("data/geo/rasterio/goes.tif")
    whole = query_source(disk, Reading(tiling=Tiling(64)), QueryWindow(lonlat=(-75, 0)))
    assert str(whole) == f"{disk}, window 239 239 64 64"  # 542 pixels a side
    # Its place stands in the name alone.
    tile = real_data("data/geo/hotosm-fair-banepa/oam/OAM-386690-220241-19.tif")
    named = Reading(tile_names="OAM-{x}-{y}-{z}.tif", tiling=Tiling(256))
    part = query_source(tile, named, QueryWindow(bbox=(85.5190, 27.6337, 85.5195, 27.6342)))
    west, south, east, north = footprint(part.place, part.shape).bounds
    assert (west, south, east, north) == pytest.approx((85.5190, 27.6337, 85.5195, 27.6342), abs=2e-6)


def test_a_query_is_read_as_the_index_was(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    reading = Reading(Recipe(bands=(3, 2, 1)), Tiling(TILE))
    index = open_index(index_sources(windows(*scenes, reading=reading), tmp_path / "index", reading))
    assert query_reading(index) == reading
    assert query_reading(index, {"stretch": ((0, 100),)}).recipe == Recipe((3, 2, 1), ((0, 100),))
    source = query_source(scenes[0], query_reading(index))
    assert np.array_equal(source.read(), RasterSource(str(scenes[0])).read()[..., ::-1])
    # A source says itself how it is read.
    own = RasterSource(str(scenes[0]), window=(0, 0, 32, 32))
    assert query_source(own, query_reading(index)) is own
    assert query_source(own.address, query_reading(index)) == own


def test_windows_of_resampled_scenes(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    reading = Reading(Recipe(resolution=20), Tiling(TILE))
    index = open_index(index_sources(windows(*scenes, reading=reading), tmp_path / "index", reading))
    # 48×32 pixels of 20 m: the window at column 16 is the second of the index.
    part = QueryWindow(window=(16, 0, 32, 32))
    result = query_image(scenes[0], index, Toy(), part=part, top=1)
    assert (result.hits[0].id, result.hits[0].distance) == ("2010.tif/16_0", 0)
    assert query_source(scenes[0], reading, part).place == index.images.places[1]


def test_a_point_on_a_common_grid_asks_with_its_window(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    reading = Reading(Recipe(resolution=10), Tiling(TILE, grid=True, min_valid=0.1))
    index = open_index(index_sources(windows(*scenes, reading=reading), tmp_path / "index", reading))
    # Easting 500,080 is pixel 50,008 from the origin, in the window from 1,562 · 32 = 49,984.
    source = query_source(scenes[0], reading, QueryWindow(lonlat=lonlat(scenes[0], 8, 8)))
    assert isinstance(source, RasterSource)
    assert source.window is not None
    assert (source.window[0], source.window[2:]) == (49_984, (32, 32))
    result = query_image(scenes[0], index, Toy(), part=QueryWindow(lonlat=lonlat(scenes[0], 8, 8)), top=1)
    own = f"2010.tif/{source.window[0]}_{source.window[1]}"
    assert (result.hits[0].id, result.hits[0].distance) == (own, 0)
    ask = {"part": QueryWindow(lonlat=lonlat(scenes[0], 8, 8)), "limits": GeographicLimits(same_place=True)}
    (other,) = query_image(scenes[0], index, Toy(), top=None, **ask).hits
    assert other.id == own.replace("2010", "2020")
    assert index.images.places[other.row] == index.images.places[index.row_of(own)]


def test_a_window_of_the_index_finds_itself(scenes: tuple[Path, Path], index: Index) -> None:
    result = query_image(scenes[0], index, Toy(), part=QueryWindow(window=(64, 32, 32, 32)))
    assert (result.hits[0].id, result.hits[0].distance) == ("2010.tif/64_32", 0)
    assert result.query == f"{scenes[0]}, window 64 32 32 32"
    # --at counts from the window's corner: the blue square's pixels are 8..23 of it.
    picked = query_image(
        scenes[0], index, Toy(), scheme="recnn", part=QueryWindow(window=(64, 32, 32, 32)), at=(10, 10)
    )
    assert [picked.class_names[picked.regions.classes[region]] for region in picked.asked] == ["blue"]
    place = result.to_json()["hits"][0]["place"]
    with rasterio.open(scenes[0]) as file:
        x, y = on_ground(file.transform, [64, 96, 96, 64], [32, 32, 64, 64])
        lons, lats = warp(file.crs, "EPSG:4326", x, y)
    assert place == pytest.approx([min(lons), min(lats), max(lons), max(lats)], abs=1e-9)


def test_other_dates_of_a_place_with_what_has_changed(scenes: tuple[Path, Path], index: Index) -> None:
    ask = {"scheme": "recnn", "top": None, "limits": GeographicLimits(same_place=True)}
    changed = query_image(scenes[0], index, Toy(), part=QueryWindow(window=(0, 0, 32, 32)), **ask)
    # The later scene begins 3 columns and 2 rows farther: its first window shares 29·30 of 32·32 pixels.
    assert [hit.id for hit in changed.hits] == ["2020.tif/0_0"]
    there = {
        changed.class_names[changed.regions.classes[match.query_region]]: match for match in changed.hits[0].matches
    }
    assert list(there) == ["green"]  # It has become blue.
    kept = query_image(scenes[0], index, Toy(), part=QueryWindow(window=(64, 32, 32, 32)), **ask)
    assert [hit.id for hit in kept.hits] == ["2020.tif/64_32"]
    assert max(match.distance for match in kept.hits[0].matches) < there["green"].distance / 2
    assert kept.hits[0].distance < changed.hits[0].distance


def test_hits_elsewhere_share_no_ground(scenes: tuple[Path, Path], index: Index) -> None:
    part = QueryWindow(window=(32, 0, 32, 32))
    everywhere = query_image(scenes[0], index, Toy(), part=part, top=None)
    elsewhere = query_image(scenes[0], index, Toy(), part=part, top=None, limits=GeographicLimits(elsewhere=True))
    assert len(everywhere.hits) == 12
    # Of the later scene 0_0 and 32_0 share columns and rows with 32..63 × 0..31; 0_32 and 32_32 begin at row 34.
    gone = {"2010.tif/32_0", "2020.tif/0_0", "2020.tif/32_0"}
    assert {hit.id for hit in everywhere.hits} - {hit.id for hit in elsewhere.hits} == gone
    assert elsewhere.exact


def test_near_and_within(scenes: tuple[Path, Path], index: Index, tmp_path: Path) -> None:
    lon, lat = lonlat(scenes[0], 8, 8)
    near = query_image(scenes[0], index, Toy(), top=None, limits=GeographicLimits(near=(lon, lat, 0)))
    assert {hit.id for hit in near.hits} == {"2010.tif/0_0", "2020.tif/0_0"}
    # 24 pixels of 10 m to the next windows, east and south; the later scene's are 3 and 2 pixels farther.
    reach = GeographicLimits(near=(lon, lat, 0.245))
    near = query_image(scenes[0], index, Toy(), top=None, limits=reach)
    assert {hit.id for hit in near.hits} == {"2010.tif/0_0", "2020.tif/0_0", "2010.tif/32_0", "2010.tif/0_32"}
    area = geopandas.GeoSeries([shapely.box(500_100, 5_499_900, 500_200, 5_499_950)], crs="EPSG:32632")
    area.to_file(tmp_path / "area.gpkg")
    limits = GeographicLimits(near=(lon, lat, 0.245), areas=(str(tmp_path / "area.gpkg"),))
    both = query_image(scenes[0], index, Toy(), top=None, limits=limits)
    assert {hit.id for hit in both.hits} == {"2010.tif/0_0", "2020.tif/0_0"}


def test_images_without_a_place_are_left_out_and_counted(scenes: tuple[Path, Path], tmp_path: Path) -> None:
    plain = write_scene(tmp_path / "plain.tif", ground(64, 96, later=False), Affine.identity(), crs=None)
    mixed = open_index(index_sources([*windows(scenes[0]), *windows(plain)], tmp_path / "index"))
    ask = {"part": QueryWindow(window=(0, 0, 32, 32)), "top": None}
    assert query_image(plain, mixed, Toy(), **ask).without_place == 0
    near = query_image(plain, mixed, Toy(), limits=GeographicLimits(near=(9, 49.6, 10_000)), **ask)
    assert (len(near.hits), near.without_place, near.to_json()["without_place"]) == (6, 6, 6)
    with pytest.raises(InputError, match=r"plain\.tif, window 0 0 32 32: nothing in the file says where on Earth"):
        query_image(plain, mixed, Toy(), limits=GeographicLimits(elsewhere=True), **ask)
    # Of several queries each is told for itself.
    refused: list[str] = []
    found = query_images(
        [plain, scenes[0]], mixed, Toy(), limits=GeographicLimits(elsewhere=True), **ask,
        refused=lambda image, error: refused.append(image),
    )  # fmt: skip
    assert [result.query for result in found] == [f"{scenes[0]}, window 0 0 32 32"]
    assert refused == [str(plain)]
    missing: dict[str, str] = {}
    everything = query_image(plain, mixed, Toy(), **ask)
    assert len(list(hit_features(everything, missing.__setitem__))) == 6
    assert len(missing) == 6


def test_the_image_of_an_index_at_a_place(scenes: tuple[Path, Path], index: Index) -> None:
    # Both dates show it; the middle of the earlier one's window is nearer.
    assert index.images.ids[image_at(index, *lonlat(scenes[0], 48, 16))] == "2010.tif/32_0"
    assert index.images.ids[image_at(index, *lonlat(scenes[1], 48, 16))] == "2020.tif/32_0"
    with pytest.raises(InputError, match=r"none of its images shows longitude 0, latitude 0; wanted a place within"):
        image_at(index, 0, 0)


def test_footprints_as_geojson(scenes: tuple[Path, Path], index: Index) -> None:
    result = query_image(scenes[0], index, Toy(), part=QueryWindow(window=(32, 0, 32, 32)), top=3)
    found = json.loads(json.dumps(result.to_geojson()))
    assert [feature["properties"]["rank"] for feature in found["features"]] == [1, 2, 3]
    first = found["features"][0]
    assert first["properties"] == {
        "query": f"{scenes[0]}, window 32 0 32 32",
        "rank": 1,
        "distance": 0.0,
        "id": "2010.tif/32_0",
        "scheme": "recnn+",
        "scene": None,
        "tags": None,
        "path": str(scenes[0]),
        "address": RasterSource(str(scenes[0]), window=(32, 0, 32, 32)).address,
    }
    with rasterio.open(scenes[0]) as file:
        x, y = on_ground(file.transform, [32, 32, 64, 64], [0, 32, 32, 0])
        corners = np.stack(warp(file.crs, "EPSG:4326", x, y), axis=1)
    ring = np.array(first["geometry"]["coordinates"][0])
    assert len(ring) == 5
    assert all(np.abs(ring - corner).max(axis=1).min() < 1e-9 for corner in corners)


def test_the_outlines_of_matched_regions(scenes: tuple[Path, Path], index: Index, tmp_path: Path) -> None:
    part = QueryWindow(window=(64, 32, 32, 32))
    result = query_image(scenes[0], index, Toy(), scheme="recnn", part=part, at=(10, 10), top=2)
    features = list(region_features(result, index, Toy()))
    assert [feature.properties["id"] for feature in features] == ["2010.tif/64_32", "2020.tif/64_32"]
    assert {feature.properties["class"] for feature in features} == {"blue"}
    assert [feature.properties["match_distance"] for feature in features] == [hit.distance for hit in result.hits]
    # The blue square: 16×16 pixels of 10 m, at the same ground in both.
    metres = geopandas.GeoSeries([feature.geometry for feature in features], crs=4326).to_crs("EPSG:32632")
    square = shapely.box(500_720, 5_499_440, 500_880, 5_499_600)
    assert [shapely.symmetric_difference(shape, square).area for shape in metres] == pytest.approx([0, 0], abs=0.1)
    to = tmp_path / "regions.parquet"
    write_geoparquet(to, features, table_fields(matched_regions=True), {})
    read = geopandas.read_parquet(to)
    assert read["class"].tolist() == ["blue", "blue"]
    assert read["query_region"].tolist() == [feature.properties["query_region"] for feature in features]
    assert feature_collection(features, {})["features"][0]["geometry"]["type"] == "Polygon"
