"""Scenes against rasterio's own reading: bands, stretch, validity, addresses, and what is refused with a proposal."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scene_files import UTM, noise, write_scene

from rsir_tf.errors import InputError
from rsir_tf.rasters import (
    FILL,
    FileSource,
    Place,
    RasterSource,
    Recipe,
    blocks,
    content_hash,
    open_source,
    path_of,
    pixel_hash,
    read_pixels,
    with_path,
)


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    values = noise(3, 40, 50)
    path = write_scene(tmp_path / "a.tif", values)
    source = RasterSource(path)
    pixels = source.read_pixels()
    np.testing.assert_array_equal(pixels.values, np.moveaxis(values, 0, 2))
    assert pixels.valid is None
    assert content_hash(pixels) == pixel_hash(pixels.values)
    assert source.shape == (40, 50)
    assert source.place == Place("EPSG:32633", (10, 0, 500000, 0, -10, 5000000))
    assert source.notes == ()
    np.testing.assert_array_equal(FileSource(Path(path)).read(), pixels.values)
    assert FileSource(Path(path)).place == source.place


def test_bands_that_are_called_red_green_and_blue_are_taken(tmp_path: Path) -> None:
    values = noise(4, 40, 50)
    path = write_scene(tmp_path / "a.tif", values, colours="bgr-")
    np.testing.assert_array_equal(RasterSource(path).read(), np.moveaxis(values[[2, 1, 0]], 0, 2))


def test_chosen_bands_and_a_stretch_of_each(tmp_path: Path) -> None:
    values = noise(4, 40, 50, "uint16", 0, 5000)
    path = write_scene(tmp_path / "a.tif", values)
    source = open_source(path, bands=(4, 2, 4), stretch=((0, 3000), (100, 4100), (1000, 2000)))
    expected = [
        np.clip((values[band].astype(float) - low) * (255 / (high - low)), 0, 255)
        for band, low, high in ((3, 0, 3000), (1, 100, 4100), (3, 1000, 2000))
    ]
    np.testing.assert_array_equal(source.read(), np.rint(np.stack(expected, axis=2)).astype(np.uint8))
    alike = open_source(path, bands=(4, 2, 4), stretch=(0, 3000)).read()
    np.testing.assert_array_equal(alike[..., 0], source.read()[..., 0])


def test_masks_alpha_and_nodata_are_rasterios(tmp_path: Path) -> None:
    values = noise(4, 40, 50, low=0, high=3)
    alpha = np.where(noise(1, 40, 50, low=0, high=10)[0] < 4, 0, 255).astype(np.uint8)
    rgba = np.concatenate([values[:3], alpha[None]])
    files = [
        write_scene(tmp_path / "alpha.tif", rgba, colours="rgba"),
        write_scene(tmp_path / "mask.tif", values[:3], mask=alpha),
        # Of 8 bits, a pixel is nodata where all its bands are: rasterio's own rule.
        write_scene(tmp_path / "nodata.tif", values[:3], nodata=0),
    ]
    for path in files:
        pixels = RasterSource(path).read_pixels()
        with rasterio.open(path) as file:
            expected = file.dataset_mask() > 0
            colours = np.moveaxis(file.read((1, 2, 3)), 0, 2)
        assert 0 < expected.mean() < 1
        np.testing.assert_array_equal(pixels.valid, expected)
        np.testing.assert_array_equal(pixels.values[expected], colours[expected])
        assert (pixels.values[~expected] == FILL).all()
        assert content_hash(pixels) != pixel_hash(pixels.values)


def test_of_16_bits_a_pixel_without_one_of_its_bands_is_not_valid(tmp_path: Path) -> None:
    values = noise(3, 40, 50, "uint16", 0, 4)
    path = write_scene(tmp_path / "a.tif", values, nodata=0)
    pixels = RasterSource(path, Recipe(stretch=((0, 4),))).read_pixels()
    np.testing.assert_array_equal(pixels.valid, (values != 0).all(axis=0))
    given = RasterSource(path, Recipe(stretch=((0, 4),), nodata=3)).read_pixels()
    np.testing.assert_array_equal(given.valid, (values != 3).all(axis=0))
    none = RasterSource(path, Recipe(stretch=((0, 4),), nodata=float("nan"))).read_pixels()
    assert none.valid is None


def test_nan_and_infinite_values_are_not_valid(tmp_path: Path) -> None:
    values = noise(3, 40, 50, "float32")
    values[0, 3, 4], values[1, 5, 6], values[2, 7, 8] = np.nan, np.inf, -np.inf
    values[:, 9, 9] = -9999
    path = write_scene(tmp_path / "a.tif", values, nodata=-9999)
    pixels = RasterSource(path, Recipe(stretch=((0, 255),))).read_pixels()
    assert pixels.valid is not None
    assert sorted(zip(*np.nonzero(~pixels.valid), strict=True)) == [(3, 4), (5, 6), (7, 8), (9, 9)]


def test_an_alpha_band_that_is_near_infrared_masks_nothing_and_is_told(tmp_path: Path) -> None:
    values = noise(4, 40, 50, low=30)
    values[3, 0, 0] = 0
    path = write_scene(tmp_path / "a.tif", values, colours="rgba")
    source = RasterSource(path)
    assert source.read_pixels().valid is None
    (note,) = source.notes
    assert "calls band 4 alpha" in note
    assert "near infrared" in note


def test_a_palette_is_expanded_where_its_colours_are_asked_for(tmp_path: Path) -> None:
    indices = noise(1, 40, 50, low=0, high=4)
    path = write_scene(tmp_path / "a.tif", indices, photometric="palette")
    colours = {0: (1, 2, 3, 255), 1: (40, 50, 60, 255), 2: (7, 8, 9, 255), 3: (200, 100, 0, 255)}
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, colours)
    with pytest.raises(InputError, match=r"palette raster; say --bands 1 2 3"):
        RasterSource(path).read()
    table = np.array([colours[index][:3] for index in range(4)], np.uint8)
    np.testing.assert_array_equal(RasterSource(path, Recipe((1, 2, 3))).read(), table[indices[0]])
    np.testing.assert_array_equal(RasterSource(path, Recipe((1, 1, 1))).read(), np.stack([indices[0]] * 3, axis=2))


@pytest.mark.parametrize(
    ("values", "recipe", "words"),
    [
        (
            np.array([31, 9211, 500, 500], np.uint16).repeat(16 * 16).reshape(4, 16, 16),
            Recipe(),
            r"has 4 bands of uint16, values 31 to 9,211; say --bands R G B and --stretch LOW HIGH "
            r"\(for example --bands 1 2 3 --stretch 31 9211\)",
        ),
        (noise(5, 20, 20), Recipe(), r"5 bands of uint8.*say --bands R G B \(for example --bands 1 2 3\)"),
        (noise(3, 20, 20, "uint16"), Recipe(), r"those of an 8-bit picture; say --stretch.*--stretch 0 255"),
        (noise(1, 20, 20), Recipe(), r"has one band.*--bands 1 1 1.*gdalbuildvrt -separate"),
        (noise(4, 20, 20), Recipe((1, 2, 5)), r"has no band 5; wanted bands from 1 to 4"),
        (noise(4, 20, 20, "float32"), Recipe((1, 2, 3)), r"say --stretch LOW HIGH \(for example --stretch 1 254\)"),
        (np.zeros((3, 20, 20), np.complex64), Recipe(stretch=((0, 1),)), r"complex64; wanted bands of one real type"),
    ],
)
def test_a_file_that_needs_a_choice_is_refused_with_a_proposal(
    tmp_path: Path, values: np.ndarray, recipe: Recipe, words: str
) -> None:
    path = write_scene(tmp_path / "a.tif", values)
    with pytest.raises(InputError, match=words):
        RasterSource(path, recipe).read()


@pytest.mark.parametrize("shape", [(1, 1), (20, 70), (100, 100)])
def test_windows_are_parts_of_the_scene_and_the_rest_is_not_valid(tmp_path: Path, shape: tuple[int, int]) -> None:
    values = noise(3, *shape)
    path = write_scene(tmp_path / "a.tif", values)
    for x, y, width, height in [(0, 0, 64, 64), (-10, 5, 32, 40), (30, 30, 1, 1), (500, 500, 16, 16)]:
        pixels = RasterSource(path, window=(x, y, width, height)).read_pixels()
        padded = np.full((3, 2000, 2000), -1)
        padded[:, 500 : 500 + shape[0], 500 : 500 + shape[1]] = values
        part = np.moveaxis(padded[:, 500 + y : 500 + y + height, 500 + x : 500 + x + width], 0, 2)
        known = part[..., 0] >= 0
        np.testing.assert_array_equal(np.ones_like(known) if pixels.valid is None else pixels.valid, known)
        np.testing.assert_array_equal(pixels.values[known], part[known])


def test_an_address_opens_the_same_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene(tmp_path / "ü a.tif", noise(3, 100, 100))
    monkeypatch.chdir(tmp_path)
    source = RasterSource("ü a.tif", Recipe((3, 2, 1), nodata=7), (10, 20, 64, 48))
    assert source.address == (
        f'scene:{{"path":"{tmp_path}/ü a.tif","window":[10,20,64,48],"recipe":{{"bands":[3,2,1],"nodata":7}}}}'
    )
    again = open_source(source.address)
    np.testing.assert_array_equal(again.read(), source.read())
    assert again.address == source.address
    assert again.place == source.place == Place("EPSG:32633", (10, 0, 500100, 0, -10, 4999800))
    assert str(source) == "ü a.tif, window 10 20 64 48"
    assert pickle.loads(pickle.dumps(source)) == source
    assert path_of(source.address) == f"{tmp_path}/ü a.tif"
    moved = with_path(source.address, "b.tif")
    assert path_of(moved) == "b.tif"
    assert with_path(moved, path_of(source.address) or "") == source.address
    assert path_of("b/a.png") == "b/a.png"
    assert with_path("b/a.png", "c.png") == "c.png"
    with pytest.raises(InputError, match="no address of a scene"):
        open_source("scene:{}")
    with pytest.raises(InputError, match="no address of a scene"):
        open_source("scene:[1]")


def test_other_windows_and_other_contents_have_other_digests(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", noise(3, 100, 100))
    whole, window = RasterSource(path), RasterSource(path, window=(0, 0, 32, 32))
    assert len({whole.digest(), window.digest(), RasterSource(path, Recipe((3, 2, 1))).digest()}) == 3
    assert window.fingerprint == whole.fingerprint
    copied = tmp_path / "b.tif"
    copied.write_bytes(Path(path).read_bytes())
    assert RasterSource(str(copied)).digest() == whole.digest()
    before = window.digest(), window.fingerprint
    write_scene(tmp_path / "a.tif", noise(3, 100, 101))
    assert window.digest() != before[0]
    assert window.fingerprint != before[1]
    assert RasterSource(str(tmp_path / "gone.tif")).digest() is None


def test_a_virtual_raster_changes_with_the_files_that_it_names(tmp_path: Path) -> None:
    for band, name in enumerate(("red", "green", "blue")):
        write_scene(tmp_path / f"{name}.tif", noise(1, 64, 64) // (band + 1))
    parts = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><SimpleSource><SourceFilename relativeToVRT="1">{name}.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for band, name in enumerate(("red", "green", "blue"), 1)
    )
    file = tmp_path / "scene.vrt"
    file.write_text(f'<VRTDataset rasterXSize="64" rasterYSize="64">{parts}</VRTDataset>')
    source = RasterSource(str(file))
    np.testing.assert_array_equal(source.read()[..., 1], noise(1, 64, 64)[0] // 2)
    before = source.digest(), source.fingerprint
    write_scene(tmp_path / "green.tif", noise(1, 64, 64))
    os.utime(tmp_path / "green.tif", ns=(1, 1))
    assert source.digest() != before[0]
    assert source.fingerprint != before[1]
    # A picture that is read as it is stays what it was: no virtual raster names other files behind its reader's back.
    with pytest.raises(InputError, match="virtual raster"):
        read_pixels(FileSource(file))


def test_what_is_no_raster_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(InputError, match=r"text\.tif: is no raster that GDAL reads"):
        RasterSource(str(tmp_path / "text.tif")).read()
    with pytest.raises(InputError, match=r"gone\.tif: no such file"):
        RasterSource(str(tmp_path / "gone.tif")).read()
    with pytest.raises(InputError, match="is a folder"):
        RasterSource(str(tmp_path)).read()
    path = Path(write_scene(tmp_path / "cut.tif", noise(3, 600, 600), tiled=True, blockxsize=128, blockysize=128))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"cut\.tif: cannot be read as a raster .*copy it again"):
        RasterSource(str(path)).read()
    # What lies before the cut is there.
    np.testing.assert_array_equal(
        RasterSource(str(path), window=(0, 0, 64, 64)).read(), np.moveaxis(noise(3, 600, 600), 0, 2)[:64, :64]
    )


def test_windows_of_threads_share_blocks_and_are_the_scene(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    values = noise(3, 1100, 1300)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}
    windows = RasterSource(write_scene(tmp_path / "a.tif", values, **tiles)).windows(256, overlap=32)
    with ThreadPoolExecutor(4) as pool:
        for source, pixels in zip(windows, pool.map(read_pixels, windows), strict=True):
            x, y, width, height = source.window or (0, 0, 0, 0)
            np.testing.assert_array_equal(pixels.values, np.moveaxis(values[:, y : y + height, x : x + width], 0, 2))


def test_blocks_are_kept_for_the_next_row_of_windows_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_scene(tmp_path / "a.tif", noise(3, 4096, 1024), tiled=True, blockxsize=512, blockysize=512)
    decoded = []
    load = blocks._load
    monkeypatch.setattr(blocks, "_load", lambda path, layout, box: decoded.append(box) or load(path, layout, box))
    for source in RasterSource(file).windows(200):
        source.read()
    assert len(decoded) == len(set(decoded)) == 8 * 2
    # The last windows begin in row 3,896: what ends above row 3,696 is gone, all but the last two of eight rows.
    assert {key[-1][1] for key in blocks._shared.blocks if key[0] == file} == {3072, 3584}


def test_in_the_last_row_of_windows_only_the_last_blocks_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_scene(tmp_path / "a.tif", noise(3, 700, 4096), tiled=True, blockxsize=512, blockysize=512)
    monkeypatch.setattr(blocks, "_BEHIND", 2)
    for source in RasterSource(file).windows(512):
        source.read()
    # The windows of the first row are whole blocks, of which none is kept. Those of the last row, which begin in row
    # 188, share blocks with nobody else; the last begins in column 3,584: what ends two windows before, by 2,560, is
    # gone.
    wanted = {(x, y) for x in (2560, 3072, 3584) for y in (0, 512)}
    assert {key[-1][:2] for key in blocks._shared.blocks if key[0] == file} == wanted


@pytest.mark.parametrize("options", [{}, {"nodata": 7}, {"colours": "rgba"}])
def test_windows_of_whole_blocks_are_read_as_others(tmp_path: Path, options: dict) -> None:
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", **options}
    values = noise(4 if "colours" in options else 3, 300, 200)
    values[:3, :80, :80] = 7
    path = write_scene(tmp_path / "a.tif", values, **tiles)
    whole = RasterSource(path).read_pixels()
    # Whole blocks; several of them; a part of one; and the border, where blocks are not full.
    kept = []
    for x, y, width, height in [(64, 128, 64, 64), (0, 64, 128, 128), (64, 64, 32, 64), (128, 256, 64, 44)]:
        within = np.s_[y : y + height, x : x + width]
        part = RasterSource(path, window=(x, y, width, height)).read_pixels()
        np.testing.assert_array_equal(part.values, whole.values[within])
        valid = np.ones((height, width), bool) if whole.valid is None else whole.valid[within]
        np.testing.assert_array_equal(np.ones((height, width), bool) if part.valid is None else part.valid, valid)
        kept.append((part.values, part.values.copy()))
    # An image is its own, however many are read after it.
    for values_now, values_then in kept:
        np.testing.assert_array_equal(values_now, values_then)
    # Beyond the scene nothing is valid.
    outside = RasterSource(path, window=(-64, 256, 128, 64)).read_pixels()
    assert outside.valid is not None
    assert not outside.valid[:, :64].any()
    assert not outside.valid[44:].any()


def test_a_window_of_whole_blocks_is_read_anew_after_a_change(tmp_path: Path) -> None:
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    window = RasterSource(write_scene(tmp_path / "a.tif", noise(3, 128, 128), **tiles), window=(64, 0, 64, 64))
    for _ in range(2):
        np.testing.assert_array_equal(window.read(), np.moveaxis(noise(3, 128, 128), 0, 2)[:64, 64:])
    changed = 255 - noise(3, 128, 128)
    write_scene(tmp_path / "a.tif", changed, **tiles)
    os.utime(tmp_path / "a.tif", ns=(1, 1))
    np.testing.assert_array_equal(window.read(), np.moveaxis(changed, 0, 2)[:64, 64:])
    # Where the file is cut off, the error is that of any other window.
    path = Path(window.path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with pytest.raises(InputError, match=r"a\.tif: cannot be read as a raster"):
        window.read()


def test_options_make_a_scene_of_a_file_and_of_nothing_else(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", noise(4, 100, 100))
    assert open_source(path, bands=[4, 1, 2]) == RasterSource(path, Recipe((4, 1, 2)))
    assert open_source("https://host/a.tif") == RasterSource("https://host/a.tif")
    assert open_source("s3://bucket/a.tif", nodata=0) == RasterSource("s3://bucket/a.tif", Recipe(nodata=0))
    window = RasterSource(path, Recipe((4, 1, 2)), (0, 0, 32, 32))
    with pytest.raises(InputError, match="has a reading of its own"):
        open_source(window.address, bands=(1, 2, 3))
    with pytest.raises(InputError, match="is a window already"):
        window.windows(32)
    with pytest.raises(InputError, match="at least 1×1"):
        RasterSource(path, window=(0, 0, 0, 5))
    with pytest.raises(InputError, match="four whole numbers"):
        RasterSource(path, window=(0, 0, 5))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a grid without a window"):
        RasterSource(path, onto=Place(UTM["crs"], (10, 0, 0, 0, -10, 0)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_jpeg_2000_is_a_scene_like_others(tmp_path: Path, dtype: str) -> None:
    values = noise(3, 80, 96, dtype, 1, 255 if dtype == "uint8" else 4000)
    path = tmp_path / "a.jp2"
    with rasterio.Env() as gdal:
        if "JP2OpenJPEG" not in gdal.drivers():
            pytest.skip("this GDAL has no driver for JPEG 2000")
    # Quality 100 of the reversible transform loses nothing. Blocks of 32 pixels, so that the window needs several.
    packing = {"QUALITY": 100, "REVERSIBLE": "YES", "YCBCR420": "NO", "BLOCKXSIZE": 32, "BLOCKYSIZE": 32}
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", width=96, height=80, count=3, dtype=dtype, **UTM, **packing
    ) as file:
        file.write(values)
    recipe = Recipe() if dtype == "uint8" else Recipe(stretch=((0, 4000),))
    if dtype == "uint16":
        with pytest.raises(InputError, match=r"3 bands of uint16, values 1 to 3,999; .*--stretch 1 3999"):
            RasterSource(str(path)).read()
    scale = 1 if dtype == "uint8" else 255 / 4000
    expected = np.rint(np.moveaxis(values, 0, 2) * scale).astype(np.uint8)
    scene = RasterSource(str(path), recipe)
    assert scene.place == Place("EPSG:32633", (10, 0, 500000, 0, -10, 5000000))
    np.testing.assert_array_equal(scene.read(), expected)
    window = open_source(RasterSource(str(path), recipe, (20, 10, 50, 60)).address)
    np.testing.assert_array_equal(window.read(), expected[10:70, 20:70])
    assert window.place == Place("EPSG:32633", (10, 0, 500200, 0, -10, 4999900))
    assert [source.window for source in scene.windows(64)] == [
        (0, 0, 64, 64), (32, 0, 64, 64), (0, 16, 64, 64), (32, 16, 64, 64),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "bands"),
    [
        (("B02", "B03", "B04", "B08"), "3 2 1"),
        (("Blue", "NIR", "Red", "Green"), "3 4 1"),
        (("a", "", "B04", ""), "1 2 3"),
    ],
)
def test_the_proposal_follows_the_names_of_bands(tmp_path: Path, names: tuple[str, ...], bands: str) -> None:
    path = write_scene(tmp_path / "a.tif", noise(5, 20, 20))
    with rasterio.open(path, "r+") as file:
        file.descriptions = (*names, None)
    with pytest.raises(InputError, match=rf"for example --bands {bands}\)"):
        RasterSource(path).read()
