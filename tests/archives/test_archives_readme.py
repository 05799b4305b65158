"""The tables of rsir_tf/archives/README.md, row by row: what they promise is what happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

import rsir_tf.archives
from rsir_tf.archives import LabelSet, read_mask
from rsir_tf.archives.pairing import find_pairs
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource

rasterio = pytest.importorskip("rasterio")
tifffile = pytest.importorskip("tifffile")

TEXT = Path(rsir_tf.archives.__file__).with_name("README.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    section = TEXT.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", rows("Images and masks"), ids=lambda row: row[1])
def test_each_way_of_naming_pairs(row: list[str]) -> None:
    image, mask = row[0].strip("`"), row[1].strip("`")
    files = [
        PurePosixPath(re.sub(r"\ba(?=[._]|$)|(?<=_)a(?=\.)", letter, name)) for letter in "ab" for name in (image, mask)
    ]
    assert len(set(files)) == 4
    pairing = find_pairs(sorted(files, key=str))
    assert pairing is not None
    assert pairing.masks == {files[0]: files[1], files[2]: files[3]}


IDS = np.arange(20 * 24).reshape(20, 24) % 2
LABELS = LabelSet("both", ("a", "b"), (0, 1), ((0, 0, 0), (255, 255, 255)))
IDS_ALONE = LabelSet("ids", ("a", "b"), (0, 1))


def write_geotiff(path: Path, bands: np.ndarray, **options: object) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=20, width=24, dtype=bands.dtype.name, **options
    ) as opened:
        opened.write(bands)


def colours(bands: int = 3, last: int | None = None) -> np.ndarray:
    values = np.stack([IDS * 255] * bands, axis=2).astype(np.uint8)
    if last is not None:
        values[..., -1] = last
    return values


def picture(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(values).save(path, format="TIFF")


def palette(path: Path) -> None:
    opened = Image.fromarray(IDS.astype(np.uint8))
    opened.putpalette([0, 0, 0, 255, 255, 255])
    opened.save(path, format="PNG")


def sparse(path: Path) -> None:
    whole = np.zeros((3, 48, 48), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=48, width=48, dtype="uint8", tiled=True, blockxsize=16,
        blockysize=16, SPARSE_OK=True,
    ) as opened:  # fmt: skip
        opened.write(whole[:, :16, :16] + np.uint8(255), window=rasterio.windows.Window(0, 0, 16, 16))


def bands(count: int, dtype: str) -> np.ndarray:
    return np.stack([IDS] * count).astype(dtype)


WRITERS: dict[str, Callable[[Path], object]] = {
    "RGB of 8 bits": picture(colours()),
    "RGB with three equal bands": picture(np.stack([IDS] * 3, axis=2).astype(np.uint8)),
    "RGBA, opaque everywhere": picture(colours(4, 255)),
    "RGBA, transparent somewhere": picture(colours(4, 100)),
    "TIFF of three bands that are not called RGB": lambda path: write_geotiff(
        path, np.moveaxis(colours(), 2, 0), photometric="MINISBLACK"
    ),
    "TIFF of several pages": lambda path: Image.fromarray(colours()).save(
        path, format="TIFF", save_all=True, append_images=[Image.fromarray(colours())]
    ),
    "TIFF with absent tiles": sparse,
    "grey of 8 bits": picture(IDS.astype(np.uint8)),
    "grey of 1 bit": picture(IDS.astype(bool)),
    "TIFF where white is 0": lambda path: tifffile.imwrite(path, IDS.astype(np.uint8), photometric="miniswhite"),
    "16 or 32 bits, signed, 64 bits": lambda path: write_geotiff(path, bands(1, "uint16")),
    "floating-point numbers": lambda path: write_geotiff(path, bands(1, "float32")),
    "palette": palette,
    "two bands": picture(colours(2, 255)),
    "four bands, none of them alpha": lambda path: write_geotiff(path, bands(4, "uint8"), ALPHA="NO"),
    "5 to 13 bands": lambda path: write_geotiff(path, bands(13, "uint16")),
    "CMYK": lambda path: Image.fromarray(colours()).convert("CMYK").save(path, format="TIFF"),
    "GIF": lambda path: Image.fromarray(colours()).save(path, format="GIF"),
    "a link to nothing": lambda path: path.symlink_to("gone.tif"),
}
"""How a file of each row comes to be; its classes are `IDS`."""


def test_each_row_has_a_file_and_each_file_a_row() -> None:
    assert [row[0] for row in rows("Files")] == list(WRITERS)


@pytest.mark.parametrize("row", rows("Files"), ids=lambda row: row[0])
def test_each_kind_of_file(row: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    WRITERS[row[0]](path)
    as_image, as_mask = row[1], row[2]
    if refusal := re.match('refused: "(.*)"', as_image):
        with pytest.raises(InputError, match=re.escape(refusal[1])):
            FileSource(path).examine()
    else:
        assert bool(FileSource(path).examine().notes) == ("with a remark" in as_image)
    if refusal := re.match('refused: "(.*)"', as_mask):
        with pytest.raises(InputError, match=re.escape(refusal[1])):
            read_mask(path, LABELS)
    else:
        labels = IDS_ALONE if "ids alone" in as_mask and "colour" not in as_mask else LABELS
        found = read_mask(path, labels)
        if row[0] == "TIFF with absent tiles":
            assert (found[:16, :16] == 1).all()
            assert found.sum() == 256
        else:
            np.testing.assert_array_equal(found, IDS)
