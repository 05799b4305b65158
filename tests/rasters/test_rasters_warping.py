"""Scenes and class rasters on other grids, against rasterio's own warper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.rpc import RPC
from rasterio.transform import from_origin
from rasterio.warp import reproject
from scene_files import noise, write_scene

from rsir_tf.errors import InputError
from rsir_tf.rasters import (
    FILL,
    Place,
    RasterSource,
    Reading,
    Recipe,
    Tiling,
    ground_resolution,
    lonlat_to_pixel,
    pixel_to_lonlat,
    read_band,
    windows_of,
)

TURNED = rasterio.Affine(8.660254, -5.0, 500000.0, -5.0, -8.660254, 5000000.0)


def smooth(height: int, width: int) -> np.ndarray:
    """Values [3, H, W] that resampling hardly changes: ramps."""
    rows, columns = np.mgrid[:height, :width]
    ramp = [50 + 150 * rows / height, 50 + 150 * columns / width, 50 + 75 * (rows / height + columns / width)]
    return np.rint(np.stack(ramp)).astype(np.uint8)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32633", from_origin(500000, 5000000, 10, 10)),
        ("EPSG:32633", TURNED),
        ("EPSG:4326", from_origin(14.9, 45.2, 0.0001, 0.0001)),
        ("EPSG:3857", from_origin(1660000, 5650000, 14, 14)),
        ("EPSG:2236", from_origin(700000, 500000, 32, 32)),  # feet
    ],
)
def test_a_resampled_scene_shows_the_same_ground(tmp_path: Path, crs: str, transform: rasterio.Affine) -> None:
    values = smooth(300, 400)
    path = write_scene(tmp_path / "a.tif", values, crs=crs, transform=transform)
    source = RasterSource(path, Recipe(resolution=15))
    own, place = RasterSource(path).place, source.place
    assert own is not None
    assert place is not None
    # Metres of the ground, to the distortion that a UTM zone or a state plane has.
    assert ground_resolution(place, source.shape) == pytest.approx(15, rel=1e-3)
    pixels = source.read_pixels()
    valid = np.ones(source.shape, bool) if pixels.valid is None else pixels.valid
    rows, columns = np.nonzero(valid)
    column, row = lonlat_to_pixel(own, *pixel_to_lonlat(place, columns + 0.5, rows + 0.5))
    inside = (column > 1) & (column < 399) & (row > 1) & (row < 299)
    # The valid pixels are the scene's: as much ground as it covers, to one pixel along its border.
    ground = values[0].size * ground_resolution(own, (300, 400)) ** 2 / 225
    assert valid.sum() == pytest.approx(ground, rel=0.03)
    assert inside.mean() > 0.95
    expected = values[:, row[inside].astype(int), column[inside].astype(int)].T.astype(int)
    found = pixels.values[rows[inside], columns[inside]].astype(int)
    assert np.abs(found - expected).max() <= 2  # A ramp of 150 over 300 pixels: a pixel and rounding.
    if pixels.valid is not None:
        assert (pixels.values[~valid] == FILL).all()


def test_windows_of_a_resampled_scene_are_parts_of_it(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", smooth(300, 400), transform=TURNED)
    whole = RasterSource(path, Recipe(resolution=12)).read_pixels()
    assert whole.valid is not None
    windows = list(windows_of(path, Reading(Recipe(resolution=12), Tiling(64, overlap=16, min_valid=0))))
    assert len(windows) > 20
    for source in windows:
        x, y, width, height = source.window or (0, 0, 0, 0)
        part = source.read_pixels()
        valid = np.ones(source.shape, bool) if part.valid is None else part.valid
        expected = whole.valid[y : y + height, x : x + width]
        # GDAL's transformation is exact to an eighth of a pixel: a border pixel may fall on the other side.
        assert (valid == expected).mean() > 0.99
        both = valid & expected
        colours = whole.values[y : y + height, x : x + width][both]
        assert np.abs(part.values[both].astype(int) - colours).max() <= 2


def test_masks_and_nodata_stay_outside_when_a_scene_is_resampled(tmp_path: Path) -> None:
    values = noise(3, 100, 100, low=100, high=110)
    values[:, :, :50] = 0
    mask = np.where(np.arange(100) < 50, 0, 255).astype(np.uint8) * np.ones((100, 1), np.uint8)
    alpha = np.concatenate([np.where(values == 0, 250, values), mask[None]])
    for path in (
        write_scene(tmp_path / "nodata.tif", values, nodata=0),
        write_scene(tmp_path / "mask.tif", np.where(values == 0, 250, values).astype(np.uint8), mask=mask),
        write_scene(tmp_path / "alpha.tif", alpha.astype(np.uint8), colours="rgba"),
    ):
        for resolution in (5, 7, 20, 40):
            pixels = RasterSource(path, Recipe(resolution=resolution)).read_pixels()
            assert pixels.valid is not None
            assert pixels.valid.mean() == pytest.approx(0.5, abs=0.1)
            # No colour of what is masked (0 or 250) has come in.
            shown = pixels.values[pixels.valid]
            assert (shown.min(), shown.max()) >= (100, 0)
            assert shown.max() <= 110


def test_a_resolution_much_finer_than_the_file_is_refused(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", smooth(300, 400), crs="EPSG:32633", transform=from_origin(5e5, 5e6, 10, 10))
    assert RasterSource(path, Recipe(resolution=0.3125)).shape == (9600, 12800)  # 10 m / 32
    with pytest.raises(InputError, match=r"its pixels are about 10\.0 m, 33 times as large as 0\.3 m; wanted"):
        _ = RasterSource(path, Recipe(resolution=0.3)).shape


def test_a_coarse_resolution_reads_overviews_in_their_place(tmp_path: Path) -> None:
    values = smooth(1024, 1024)
    path = write_scene(tmp_path / "a.tif", values, tiled=True, blockxsize=128, blockysize=128)
    plain = RasterSource(path, Recipe(resolution=80)).read_pixels()
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.average)
    found = RasterSource(path, Recipe(resolution=80)).read_pixels()
    assert found.values.shape == (128, 128, 3)
    assert found.valid is None
    assert np.abs(found.values.astype(int) - plain.values).max() <= 1


def test_control_points_place_a_scene_by_request(tmp_path: Path) -> None:
    values = smooth(100, 200)
    points = [
        GroundControlPoint(row=row, col=column, x=500000 + 10 * column, y=5000000 - 10 * row)
        for row in (0, 50, 100)
        for column in (0, 100, 200)
    ]
    path = str(tmp_path / "a.tif")
    with rasterio.open(
        path, "w", driver="GTiff", width=200, height=100, count=3, dtype="uint8", gcps=points, crs="EPSG:32633"
    ) as file:
        file.write(values)
    source = RasterSource(path)
    assert source.place is None
    assert "9 ground control points" in source.notes[0]
    np.testing.assert_array_equal(source.read(), np.moveaxis(values, 0, 2))
    warped = RasterSource(path, Recipe(resolution=10))
    assert warped.notes == ()
    assert warped.place is not None
    assert warped.place.crs == "EPSG:32633"
    pixels = warped.read_pixels()
    valid = np.ones(warped.shape, bool) if pixels.valid is None else pixels.valid
    assert valid.mean() > 0.97
    inner = pixels.values[5:95, 5:195].astype(int)
    assert np.abs(inner - np.moveaxis(values, 0, 2)[5:95, 5:195]).max() <= 2


def test_a_scene_without_a_place_has_no_metres(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tif")
    with rasterio.open(path, "w", driver="GTiff", width=64, height=64, count=3, dtype="uint8") as file:
        file.write(noise(3, 64, 64))
    assert RasterSource(path).place is None
    assert "no reference system" in RasterSource(path).notes[0]
    with pytest.raises(InputError, match=r"does not say where it lies.*read it without a resolution"):
        RasterSource(path, Recipe(resolution=1)).read()
    with pytest.raises(InputError, match="does not say where it lies"):
        read_band(path, Place("EPSG:32633", (10, 0, 0, 0, -10, 0)), (64, 64))


def test_web_tiles_are_resampled_to_ground_metres(tmp_path: Path) -> None:
    path = str(tmp_path / "OAM-386690-220241-19.tif")
    with rasterio.open(path, "w", driver="GTiff", width=512, height=512, count=3, dtype="uint8") as file:
        file.write(smooth(512, 512))
    names = "OAM-{x}-{y}-{z}.tif"
    tile = RasterSource(path, tile_names=names)
    assert tile.place is not None
    assert tile.place.crs == "EPSG:3857"
    other = RasterSource(path, tile_names="{z}/{x}/{y}.png")
    assert other.place is None
    assert other.notes[0].startswith("does not have a name as in {z}/{x}/{y}.png, and has no reference system")
    # Zoom 19, 512 pixels a tile: 0.149 m at the equator, and cos(27.6°) of that at Banepa.
    metres = ground_resolution(tile.place, tile.shape)
    assert metres == pytest.approx(40075016.7 / 2**19 / 512 * np.cos(np.radians(27.6)), rel=0.01)
    source = RasterSource(path, Recipe(resolution=0.3), tile_names=names)
    assert source.place is not None
    assert source.place.crs == "EPSG:32645"  # 85.5° east
    assert source.shape[0] == pytest.approx(512 * metres / 0.3, abs=4)


def test_a_band_on_another_grid_is_rasterios(tmp_path: Path) -> None:
    classes = noise(1, 120, 150, low=0, high=5)
    path = write_scene(tmp_path / "classes.tif", classes, nodata=0)
    grid = Place("EPSG:4326", (0.0001, 0.0, 15.001, 0.0, -0.0001, 45.15))
    values, valid = read_band(path, grid, (90, 80))
    expected = np.zeros((90, 80), np.uint8)
    with rasterio.open(path) as file:
        reproject(
            rasterio.band(file, 1),
            expected,
            dst_transform=rasterio.Affine(*grid.transform),
            dst_crs=grid.crs,
            dst_nodata=0,
            resampling=Resampling.nearest,
            tolerance=0,
        )
    assert valid.any()
    np.testing.assert_array_equal(values, expected)
    assert (values[~valid] == 0).all()


def test_a_band_on_its_own_grid_is_read_as_it_is(tmp_path: Path) -> None:
    classes = noise(1, 60, 70, "int16", -5, 5)
    path = write_scene(tmp_path / "classes.tif", classes, nodata=-1)
    # Begins 3 pixels left of the raster and 4 above it, and ends beyond it.
    grid = Place("EPSG:32633", (10, 0, 499970, 0, -10, 5000040))
    values, valid = read_band(path, grid, (80, 100))
    expected = np.full((80, 100), -1, np.int16)
    expected[4:64, 3:73] = classes[0]
    np.testing.assert_array_equal(valid, expected != -1)
    np.testing.assert_array_equal(values, np.where(expected == -1, 0, expected))
    with pytest.raises(InputError, match="has no band 2; wanted 1 to 1"):
        read_band(path, grid, (8, 8), band=2)


def test_a_scene_with_rpcs_is_placed_at_their_own_height(tmp_path: Path) -> None:
    # A camera that looks 45° aside: 1,000 m above HEIGHT_OFF the ground appears 100 of 200 pixels further right. With
    # heights counted from 0, the scene of a plateau at 2,000 m would lie 2,000 m beside its place.
    def polynomial(**terms: float) -> list[float]:
        return [terms.get(name, 0.0) for name in ("one", "lon", "lat", "height")] + [0.0] * 16

    rpcs = RPC(
        height_off=2000, height_scale=1000, lat_off=0.0, lat_scale=0.009, long_off=15.0, long_scale=0.009,
        line_off=100, line_scale=100, samp_off=100, samp_scale=100,
        line_num_coeff=polynomial(lat=-1.0), line_den_coeff=polynomial(one=1.0),
        samp_num_coeff=polynomial(lon=1.0, height=1.0), samp_den_coeff=polynomial(one=1.0),
    )  # fmt: skip
    path = str(tmp_path / "a.tif")
    with rasterio.open(path, "w", driver="GTiff", width=200, height=200, count=3, dtype="uint8") as dataset:
        dataset.write(smooth(200, 200))
        dataset.rpcs = rpcs
    source = RasterSource(path, Recipe(resolution=10))
    place, (height, width) = source.place, source.shape
    assert place is not None
    longitude, latitude = pixel_to_lonlat(place, np.array([width / 2]), np.array([height / 2]))
    # The middle of the picture shows (LONG_OFF, LAT_OFF); a degree is 111 km, and 0.018° are 200 pixels of 10 m.
    assert longitude[0] == pytest.approx(15.0, abs=1e-4)
    assert latitude[0] == pytest.approx(0.0, abs=1e-4)
    assert (height, width) == pytest.approx((200, 200), abs=3)
    np.testing.assert_allclose(source.read()[100, 100], smooth(200, 200)[:, 100, 100], atol=3)
