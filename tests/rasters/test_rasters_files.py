from __future__ import annotations

import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.errors import InputError
from rsir_tf.rasters import IMAGE_SUFFIXES, open_stored, pixel_hash, read_image

tifffile = pytest.importorskip("tifffile")  # comes with scikit-image; writes the TIFFs that Pillow cannot


@pytest.fixture
def colours() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def png(width: int, height: int, bits: int, colour_type: int, rows: bytes = b"") -> bytes:
    """A PNG from its chunks (PNG specification, section 11), for headers that no library would write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".png", ".bmp"])
def test_lossless_formats_give_the_pixels_that_were_written(tmp_path: Path, colours: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(colours).save(path)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert image.flags.writeable
    np.testing.assert_array_equal(image, colours)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_lossy_formats_keep_channels_in_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (32, 32), (200, 120, 40)).save(path)
    # A flat colour survives both codecs to within the rounding of YCbCr.
    np.testing.assert_allclose(read_image(path).reshape(-1, 3), np.tile([200, 120, 40], (1024, 1)), atol=4)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"compression": "zlib", "tile": (16, 16)}])
def test_tiff_variants(tmp_path: Path, colours: np.ndarray, options: dict) -> None:
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), colours)


def test_planar_tiff(tmp_path: Path, colours: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(colours, 2, 0), photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), colours)


@pytest.mark.parametrize(
    ("mode", "suffix", "words"),
    [
        ("L", ".png", "is grey"),
        ("L", ".jpg", "is grey"),
        ("LA", ".png", "grey with alpha"),
        ("1", ".png", "black and white"),
        ("P", ".png", "palette"),
        ("P", ".tif", "palette"),
        ("CMYK", ".jpg", "CMYK"),
        ("CMYK", ".tif", "CMYK"),
        ("LAB", ".tif", "CIELab"),
    ],
)
def test_other_kinds_of_8_bit_are_refused(
    tmp_path: Path, colours: np.ndarray, mode: str, suffix: str, words: str
) -> None:
    path = tmp_path / f"a{suffix}"
    Image.fromarray(colours).convert(mode).save(path)
    with pytest.raises(InputError, match=words) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "8-bit RGB" in str(caught.value)
    # GDAL reads palettes of TIFF files; the other kinds are converted by the user.
    assert ("--bands 1 2 3" if (mode, suffix) == ("P", ".tif") else ".convert('RGB')") in str(caught.value)


def write_deep(path: Path, kind: str) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    if kind == "rgb png":
        path.write_bytes(png(30, 20, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)))
    elif kind == "rgba png":
        deep = np.dstack([deep, deep[..., :1]])
        path.write_bytes(png(30, 20, 16, 6, b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)))
    elif kind == "grey png":
        Image.fromarray(deep[..., 0]).save(path, format="PNG")
    elif kind == "grey tiff":
        tifffile.imwrite(path, deep[..., 0])
    elif kind == "planar tiff":
        tifffile.imwrite(path, np.moveaxis(deep, 2, 0), photometric="rgb", planarconfig="separate")
    elif kind == "big-endian tiff":
        tifffile.imwrite(path, deep.astype(">u2"), photometric="rgb", byteorder=">")
    elif kind == "float tiff":
        tifffile.imwrite(path, deep[..., 0].astype(np.float32))
    else:
        tifffile.imwrite(path, deep, photometric="rgb", compression="zlib" if "zlib" in kind else None)


@pytest.mark.parametrize(
    "kind",
    [
        "rgb png",
        "rgba png",
        "grey png",
        "grey tiff",
        "rgb tiff",
        "rgb tiff zlib",
        "planar tiff",
        "big-endian tiff",
        "float tiff",
    ],
)
def test_more_than_8_bits_are_refused(tmp_path: Path, kind: str) -> None:
    # Pillow opens several of these as mode "RGB" and drops the low byte without a word.
    path = tmp_path / ("a.png" if "png" in kind else "a.tif")
    write_deep(path, kind)
    cure = r"scaled? .*to 0\.\.255" if "png" in kind else r"--stretch LOW HIGH \(for example .*--stretch \d+ \d+\)"
    with pytest.raises(InputError, match=rf"has (one band|3 bands|4 bands) of (16|32)-bit .*{cure}"):
        read_image(path)


@pytest.mark.parametrize("bands", [4, 5])
def test_further_bands_of_a_tiff_are_not_dropped(tmp_path: Path, bands: int) -> None:
    values = np.zeros((20, 30, bands), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=[0] * (bands - 3))
    with pytest.raises(InputError, match=f"has {bands} bands"):
        read_image(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".png", ".webp", ".bmp"])
def test_truncated_files(tmp_path: Path, colours: np.ndarray, suffix: str) -> None:
    whole, path = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    Image.fromarray(colours).save(whole)
    content = whole.read_bytes()
    for length in (4, 30, len(content) // 2):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"copy it again|is not a picture") as caught:
            read_image(path)
        assert str(path) in str(caught.value)


def test_missing_empty_folder_and_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "text.tif" / "none.tif")
    with pytest.raises(InputError, match="cannot be read: file name too long"):
        read_image(tmp_path / ("x" * 300 + ".tif"))
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "empty.tif").touch()
    with pytest.raises(InputError, match="0 bytes"):
        read_image(tmp_path / "empty.tif")
    (tmp_path / "text.tif").write_text("not a picture at all")
    with pytest.raises(InputError, match=r"not a picture \(begins with b'not a pi'\).*wanted TIFF"):
        read_image(tmp_path / "text.tif")


def test_other_formats_are_refused_whatever_their_name(tmp_path: Path) -> None:
    for name, words in (("GIF", "is a GIF, "), ("PPM", "is a PPM file, "), ("EPS", "is a PostScript file, ")):
        Image.new("RGB", (32, 32)).save(tmp_path / "a.tif", format=name)
        with pytest.raises(InputError, match=f"{words}which is not read; wanted TIFF, JPEG, PNG, BMP or WebP"):
            read_image(tmp_path / "a.tif")


def test_too_small(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "one.png")
    with pytest.raises(InputError, match=r"is 1×1 pixels; wanted at least 16"):
        read_image(tmp_path / "one.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "least.png")
    assert read_image(tmp_path / "least.png").shape == (16, 16, 3)


def declared_tiff(path: Path, width: int, height: int) -> None:
    """An uncompressed TIFF whose header promises more than it holds."""
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, 8),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0))


def test_huge_declared_size_is_refused_from_the_header(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(png(100_000, 100_000, 8, 2))
    declared_tiff(tmp_path / "huge.tif", 100_000, 100_000)
    for name in ("huge.png", "huge.tif"):
        with pytest.raises(InputError, match=r"declares 100000×100000 pixels; wanted at most 100,000,000 pixels"):
            read_image(tmp_path / name)


def size_of(path: Path) -> tuple[int, int]:
    with open_stored(path) as stored:
        return stored.shape[::-1]


def test_the_size_limit_is_ours_not_pillows(tmp_path: Path) -> None:
    # 9,500 · 10,000 = 95 million: above Pillow's warning at 89 million, below ours.
    (tmp_path / "large.png").write_bytes(png(9_500, 10_000, 8, 2))
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(4) as pool:
            sizes = set(pool.map(size_of, [tmp_path / "large.png"] * 64))
    assert sizes == {(9_500, 10_000)}
    assert before == Image.MAX_IMAGE_PIXELS


def test_stored_bits(tmp_path: Path) -> None:
    four = png(16, 16, 4, 0, (b"\0" + bytes(8)) * 16)
    (tmp_path / "four.png").write_bytes(four)
    with open_stored(tmp_path / "four.png") as stored:
        assert stored.bits == 4
    Image.new("1", (16, 16)).save(tmp_path / "one.png")
    with open_stored(tmp_path / "one.png") as stored:
        assert stored.bits == 1
    Image.new("RGB", (16, 16)).save(tmp_path / "eight.jpg")
    with open_stored(tmp_path / "eight.jpg") as stored:
        assert stored.bits == 8


def test_decode_keeps_palette_indices(tmp_path: Path) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = Image.fromarray(indices)
    picture.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    picture.save(tmp_path / "p.png")
    with open_stored(tmp_path / "p.png") as stored:
        np.testing.assert_array_equal(stored.decode(), indices)


def test_pixel_hash_depends_on_pixels_and_shape_alone(tmp_path: Path, colours: np.ndarray) -> None:
    Image.fromarray(colours).save(tmp_path / "a.png")
    Image.fromarray(colours).save(tmp_path / "b.bmp")
    first = pixel_hash(read_image(tmp_path / "a.png"))
    assert first == pixel_hash(read_image(tmp_path / "b.bmp"))
    assert len(first) == 32
    changed = colours.copy()
    changed[3, 4, 1] ^= 1
    assert pixel_hash(changed) != first
    assert pixel_hash(colours.reshape(30, 20, 3)) != first
    # The same numbers in another memory layout are the same picture.
    assert pixel_hash(np.asfortranarray(colours)) == first


def test_suffixes_are_lower_case() -> None:
    assert {suffix.lower() for suffix in IMAGE_SUFFIXES} == IMAGE_SUFFIXES
