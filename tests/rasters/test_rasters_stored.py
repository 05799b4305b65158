"""Files as people have them: pixels as they are stored, and true names for what is not read."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource, open_stored, read_image

tifffile = pytest.importorskip("tifffile")  # comes with scikit-image; writes the TIFFs that Pillow cannot
rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def write_geotiff(path: Path, values: np.ndarray, **options: object) -> Path:
    """Write [H, W] or [H, W, bands] as GDAL does."""
    bands = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype.name, **options
    ) as opened:
        opened.write(bands)
    return path


@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "MINISBLACK"},
        {"photometric": "RGB"},
        {"interleave": "BAND"},
        {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "LZW", "predictor": 2},
        {"compress": "ZSTD"},
        {"compress": "LERC"},
        {"compress": "WEBP", "WEBP_LOSSLESS": True},
        {"BIGTIFF": "YES"},
        {"nodata": 0},
        {"crs": "EPSG:32632", "transform": rasterio.transform.from_origin(5e5, 5e6, 10, 10)},
    ],
    ids=str,
)
def test_three_bands_of_8_bits_are_rgb(tmp_path: Path, colours: np.ndarray, options: dict) -> None:
    path = write_geotiff(tmp_path / "a.tif", colours, **options)
    np.testing.assert_array_equal(read_image(path), colours)
    assert sorted(tmp_path.iterdir()) == [path]  # Nothing is written beside it.
    assert FileSource(path).shape == (48, 64)


@pytest.mark.parametrize("interleave", ["PIXEL", "BAND"])
def test_absent_tiles_of_a_sparse_file_are_zero(tmp_path: Path, interleave: str) -> None:
    # 96×96 in tiles of 32, of which one is written: 8 of 9 are absent from the file.
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=96, width=96, dtype="uint8", tiled=True, blockxsize=32,
        blockysize=32, SPARSE_OK=True, interleave=interleave,
    ) as opened:  # fmt: skip
        opened.write(np.full((3, 32, 32), 7, np.uint8), window=rasterio.windows.Window(32, 32, 32, 32))
    wanted = np.zeros((96, 96, 3), np.uint8)
    wanted[32:64, 32:64] = 7
    np.testing.assert_array_equal(read_image(path), wanted)


def turned(path: Path, colours: np.ndarray, orientation: int) -> Path:
    if path.suffix == ".tif":
        tifffile.imwrite(path, colours, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(colours).save(path, exif=exif)
    return path


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_told_and_never_applied(
    tmp_path: Path, colours: np.ndarray, suffix: str, orientation: int
) -> None:
    plain = tmp_path / f"plain{suffix}"
    Image.fromarray(colours).save(plain)
    examined = FileSource(turned(tmp_path / f"a{suffix}", colours, orientation)).examine()
    np.testing.assert_array_equal(examined.pixels, read_image(plain))
    assert examined.orientation == orientation
    told = [note for note in examined.notes if f"orientation tag {orientation} " in note]
    assert len(told) == (orientation != 1)


def kinds() -> dict[str, tuple[np.ndarray, dict, str]]:
    grid = np.arange(48 * 64).reshape(48, 64) % 100

    def bands(count: int, dtype: str) -> np.ndarray:
        return np.stack([grid] * count, axis=2).astype(dtype)

    return {
        "grey": (grid.astype(np.uint8), {}, "is grey (one band)"),
        "two bands": (bands(2, "uint8"), {}, "has two bands"),
        "grey with alpha": (bands(2, "uint8"), {"ALPHA": "YES"}, "is grey with alpha"),
        "RGB and near infrared": (bands(4, "uint8"), {"photometric": "RGB", "ALPHA": "NO"}, "has 4 bands; "),
        "four bands": (bands(4, "uint8"), {"photometric": "MINISBLACK", "ALPHA": "NO"}, "has 4 bands; "),
        "13 bands": (bands(13, "uint16"), {}, "has 13 bands of 16-bit whole numbers (uint16); "),
        "uint16": (bands(3, "uint16"), {}, "has 3 bands of 16-bit whole numbers (uint16); "),
        "int16": (bands(3, "int16"), {}, "has 3 bands of 16-bit signed whole numbers (int16); "),
        "int8": (bands(3, "int8"), {}, "has 3 bands of 8-bit signed whole numbers (int8); "),
        "float32": (bands(3, "float32"), {}, "has 3 bands of 32-bit floating-point numbers (float32); "),
        "float64": (bands(4, "float64"), {"ALPHA": "NO"}, "has 4 bands of 64-bit floating-point numbers (float64); "),
        "int32": (bands(1, "int32")[..., 0], {}, "has one band of 32-bit signed whole numbers (int32); "),
        "complex": (bands(1, "complex64")[..., 0], {}, "has one band of 64-bit complex numbers (complex64); "),
        "LERC float": (bands(1, "float32")[..., 0], {"compress": "LERC"}, "has one band of 32-bit floating-point"),
        "4-bit RGB": (bands(3, "uint8") % 16, {"NBITS": 4}, "has 3 bands of 4-bit whole numbers (uint8); "),
    }


@pytest.mark.parametrize("kind", kinds())
def test_what_is_not_8_bit_rgb_is_named_as_what_it_is(tmp_path: Path, kind: str) -> None:
    values, options, words = kinds()[kind]
    path = write_geotiff(tmp_path / "a.tif", values, **options)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert f"{path}: {words}" in str(caught.value)
    assert "copy it again" not in str(caught.value)


def test_cmyk_and_lab_are_not_taken_for_rgb(tmp_path: Path, colours: np.ndarray) -> None:
    for mode, words in (("CMYK", "is CMYK"), ("LAB", "is CIELab")):
        Image.fromarray(colours).convert(mode).save(tmp_path / "a.tif")
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / "a.tif")


def test_unknown_packing_is_named(tmp_path: Path, colours: np.ndarray) -> None:
    # The tag of a packing (259) is changed to JPEG 2000's: no wheel of GDAL unpacks that.
    path = write_geotiff(tmp_path / "a.tif", colours, compress="DEFLATE")
    content = bytearray(path.read_bytes())
    place = content.find((259).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    content[place + 8 : place + 10] = (34712).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="is packed as JPEG 2000 inside TIFF, which cannot be unpacked here") as caught:
        read_image(path)
    assert "gdal_translate -co COMPRESS=DEFLATE" in str(caught.value)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_rgba_that_is_opaque_is_rgb_with_a_note(tmp_path: Path, colours: np.ndarray, suffix: str) -> None:
    alpha = np.full((48, 64, 1), 255, np.uint8)
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.concatenate([colours, alpha], axis=2)).save(path, lossless=True)
    examined = FileSource(path).examine()
    if suffix != ".webp":  # WebP leaves an opaque alpha away.
        assert examined.notes == ("is RGBA and opaque everywhere: read as RGB",)
    np.testing.assert_array_equal(examined.pixels, colours)
    assert examined.pixels.flags.c_contiguous
    alpha[5, 6:9] = 254
    Image.fromarray(np.concatenate([colours, alpha], axis=2)).save(path, lossless=True)
    with pytest.raises(InputError, match="is RGBA, and 3 of its pixels are not opaque; wanted 8-bit RGB"):
        read_image(path)


def test_the_first_of_several_pages_is_read_with_a_note(tmp_path: Path, colours: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(colours).save(path, save_all=True, append_images=[Image.fromarray(255 - colours)] * 2)
    examined = FileSource(path).examine()
    np.testing.assert_array_equal(examined.pixels, colours)
    assert examined.notes == ("holds 3 pages: the first is read",)
    # Overviews and internal masks are no pages.
    path = write_geotiff(tmp_path / "b.tif", np.tile(colours, (12, 12, 1)), tiled=True)
    with rasterio.open(path, "r+") as opened:
        opened.build_overviews([2, 4])
    assert FileSource(path).examine().notes == ()


FOREIGN = {
    b"GIF89a": "is a GIF, which is not read; wanted TIFF, JPEG, PNG, BMP or WebP; convert it to PNG or TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "is a JPEG 2000 file, which is not read",
    b"\0\0\0\x18ftypheic": "is a HEIC picture or a film, which is not read",
    b"\0\0\0\x18ftypavif": "is an AVIF picture, which is not read",
    b"\x93NUMPY": "is a NumPy array, which is not read",
    b"PK\x03\x04": "is a ZIP archive, which is not read",
    b"version https://git-lfs.github.com/spec/v1\n": "is a pointer of Git LFS, not the file itself, which is not read",
    b"<!DOCTYPE html>": "is a web page, which is not read",
    b"hello wo": "is not a picture (begins with b'hello wo'); wanted TIFF, JPEG, PNG, BMP or WebP",
}


@pytest.mark.parametrize("first", FOREIGN)
def test_other_formats_are_named(tmp_path: Path, first: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(first + bytes(100))
    with pytest.raises(InputError) as caught:
        read_image(tmp_path / "a.tif")
    assert f"a.tif: {FOREIGN[first]}" in str(caught.value)


def test_links_folders_and_devices(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("gone.png")
    with pytest.raises(InputError, match=r"a\.png: is a link to gone\.png, which is not there; restore"):
        read_image(tmp_path / "a.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(InputError, match=r"loop\.png: "):
        read_image(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="is no ordinary file"):  # and does not wait for a writer
        read_image(tmp_path / "pipe.png")


def test_names_that_gdal_would_read_another_way(
    tmp_path: Path, colours: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("s3:a.tif", "GTIFF_DIR:2:a.tif", "a b'\"#%.tif", "zip:x!y.tif", "tile=1,2.tif"):
        tifffile.imwrite(tmp_path / "x.tif", colours, photometric="rgb")
        (tmp_path / "x.tif").rename(tmp_path / name)
        np.testing.assert_array_equal(read_image(name), colours)


def test_a_tiff_whose_name_is_not_utf_8_is_named_so(tmp_path: Path, colours: np.ndarray) -> None:
    written = write_geotiff(tmp_path / "a.tif", colours)
    odd = written.rename(tmp_path / os.fsdecode(b"odd\xff.tif"))
    with pytest.raises(InputError, match=r"odd\\xff\.tif: its name is not UTF-8: rename it$"):
        read_image(odd)
    Image.fromarray(colours).save(tmp_path / os.fsdecode(b"odd\xff.png"))  # Others are read all the same.
    np.testing.assert_array_equal(read_image(tmp_path / os.fsdecode(b"odd\xff.png")), colours)


def test_stored_values_of_masks(tmp_path: Path) -> None:
    values = np.arange(48 * 64).reshape(48, 64) % 2
    path = tmp_path / "a.tif"
    for options in ({"photometric": "miniswhite"}, {"photometric": "minisblack"}):
        tifffile.imwrite(path, values.astype(np.uint8), **options)
        with open_stored(path) as stored:
            np.testing.assert_array_equal(stored.decode(), values)
    write_geotiff(path, values.astype(np.uint8), NBITS=1, photometric="MINISWHITE")
    with open_stored(path) as stored:
        assert stored.bits == 1
        np.testing.assert_array_equal(stored.decode(), values)
    write_geotiff(path, values.astype(np.int64) - 1, nodata=-1)
    with open_stored(path) as stored:
        assert (stored.dtype, stored.nodata) == ("int64", -1)
        np.testing.assert_array_equal(stored.decode(), values - 1)


def test_gdal_is_quiet_and_loaded_late(tmp_path: Path, colours: np.ndarray) -> None:
    write_geotiff(tmp_path / "whole.tif", colours)
    content = (tmp_path / "whole.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: len(content) // 2])
    Image.fromarray(colours).save(tmp_path / "a.png")
    code = """
import os, sys, threading
from rsir_tf.rasters import read_image
from rsir_tf.errors import InputError
read_image("a.png")
assert "rasterio" not in sys.modules
first = threading.Thread(target=read_image, args=("whole.tif",))
first.start()
first.join()
from rasterio.env import get_gdal_config
assert get_gdal_config("CPL_LOG") == os.devnull  # in every thread
try:
    read_image("cut.tif")
except InputError as error:
    print(error)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )
    assert ended.stderr == ""
    assert ended.stdout.startswith("cut.tif: is damaged or cut off: ")
    assert ended.stdout.endswith("copy it again from its source\n")


def png(rows: bytes, width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> bytes:
    """A PNG file with these rows, filters included, whatever its header says."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(48)) if colour == 3 else b""
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), palette, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    )


@pytest.mark.parametrize(("colour", "depth", "row"), [(2, 8, 63), (0, 1, 3), (3, 4, 11), (4, 8, 42), (6, 16, 168)])
def test_a_png_without_its_last_rows_is_refused(tmp_path: Path, colour: int, depth: int, row: int) -> None:
    # 21 columns: 3 × 21 bytes of RGB, 21 bits, 21 × 4 bits, 2 × 21 bytes, 4 × 2 × 21 bytes; and one for the filter.
    (tmp_path / "whole.png").write_bytes(png(bytes((1 + row) * 18), 21, 18, depth, colour))
    (tmp_path / "short.png").write_bytes(png(bytes((1 + row) * 17), 21, 18, depth, colour))
    with open_stored(tmp_path / "whole.png") as opened:
        assert not opened.decode().any()
    with open_stored(tmp_path / "short.png") as opened, pytest.raises(InputError, match="of its rows"):
        opened.decode()


def test_an_interlaced_png_is_counted_by_its_passes(tmp_path: Path) -> None:
    # The pass of each pixel of a square of eight, from the specification's figure.
    square = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777", "56565656", "77777777"]
    passes = np.tile(np.array([list(line) for line in square]), (3, 3))[:18, :21]
    shown = [(passes == str(each)) for each in range(1, 8)]
    # Pass 7 has whole rows: 64 bytes each.
    whole = sum(int(each.any(axis=1).sum()) * (1 + 3 * int(each.any(axis=0).sum())) for each in shown)
    (tmp_path / "whole.png").write_bytes(png(bytes(whole), 21, 18, interlaced=1))
    (tmp_path / "short.png").write_bytes(png(bytes(whole - 64), 21, 18, interlaced=1))
    assert not read_image(tmp_path / "whole.png").any()
    with pytest.raises(InputError, match=f"{whole - 64:,} of {whole:,} bytes of its rows"):
        read_image(tmp_path / "short.png")


def test_real_pictures_are_as_pillow_reads_them(real_data: Callable[[str], Path]) -> None:
    for path in sorted(real_data("data/ucmerced_tif_sample").rglob("*.tif")):
        with Image.open(path) as picture:
            np.testing.assert_array_equal(read_image(path), np.asarray(picture))


def test_real_rasters_open_or_are_named(real_data: Callable[[str], Path]) -> None:
    root = real_data("data/geo")
    assert read_image(root / "rasterio/RGB.byte.tif").shape == (718, 791, 3)
    assert read_image(root / "rasterio/cogeo.tif").shape == (1024, 1024, 3)
    for name, words in {
        "eotdl/Forest/Forest_1.tif": "has 13 bands of 16-bit whole numbers",
        "opengeos-data/2020.tif": "has 4 bands; ",
        "stactools-naip/m_3211605_ne_11_060_20200415.tif": "is RGBA, and 54264 of its pixels are not opaque",
        "terra/sent2_L2A_2024-08-24.tif": "has 4 bands of 32-bit floating-point numbers",
        "stars/lc.tif": "is a palette picture",
    }.items():
        with pytest.raises(InputError, match=words):
            read_image(root / name)


@pytest.mark.filterwarnings("error", "ignore:Dataset has no geotransform")
def test_damaged_bytes_end_in_an_error_of_ours(tmp_path: Path, colours: np.ndarray) -> None:
    def save(suffix: str, picture: Image.Image) -> bytes:
        picture.save(tmp_path / f"whole{suffix}")
        return (tmp_path / f"whole{suffix}").read_bytes()

    palette = Image.fromarray(colours[..., 0])
    palette.putpalette(list(range(256)) * 3)
    whole = [
        save(suffix, picture) for suffix in (".tif", ".png", ".bmp") for picture in (Image.fromarray(colours), palette)
    ]
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole[random.integers(len(whole))])
        for place in random.integers(0, min(len(content), 400), random.integers(1, 6)):
            content[place] = random.integers(256)
        (tmp_path / "a.tif").write_bytes(content)
        try:
            with open_stored(tmp_path / "a.tif") as stored:
                stored.decode()
        except InputError:
            refused += 1
    assert refused > 50


def test_threads_read_side_by_side(tmp_path: Path) -> None:
    drawn = [np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8) for number in range(8)]
    paths = [write_geotiff(tmp_path / f"{number}.tif", image, compress="LZW") for number, image in enumerate(drawn)]
    with ThreadPoolExecutor(4) as pool:
        for number, image in enumerate(pool.map(read_image, paths * 20)):
            np.testing.assert_array_equal(image, drawn[number % 8])
