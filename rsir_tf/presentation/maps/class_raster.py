"""Class rasters: which class each pixel of a scene has, as a GeoTIFF or as a PNG with a palette."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.presentation.targets import check_target
from rsir_tf.rasters import MAX_PIXELS, open_dataset
from rsir_tf.rasters.datasets import gdal, gdal_settings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.presentation.drawing import Colour
    from rsir_tf.rasters import Place

UNKNOWN = 255
"""The value of pixels that nothing is known of; the file declares it as nodata."""

TIFF_ENDINGS = (".tif", ".tiff")
PNG_ENDINGS = (".png",)

MARK = "rsir_tf class raster"
"""What stands as the software in a class raster."""

NAMES = "CLASS_NAMES"
"""The tag with the class names, as a JSON list: side-car files get lost."""

_BLOCK = 256
_USAGES = {"Value": 5, "Class": 2, "Red": 6, "Green": 7, "Blue": 8, "Count": 1}  # GDALRATFieldUsage
_TYPES = {"Class": 2}  # GDALRATFieldType: text; the others are whole numbers


@dataclass(frozen=True)
class Classes:
    """What the values of a class raster mean.

    Attributes:
        names: Of each value from 0.
        colours: RGB of each.
    """

    names: Sequence[str]
    colours: Sequence[Colour]


def check_class_target(path: Path, *, force: bool = False) -> None:
    """Refuse a place where a class raster must not be written; see `check_target`."""
    check_target(path, (*TIFF_ENDINGS, *PNG_ENDINGS), is_own_class_raster, what="a class raster", force=force)


def is_own_class_raster(path: Path) -> bool:
    """Whether a file is a class raster that `class_raster` wrote."""
    if path.suffix.lower() in PNG_ENDINGS:
        from rsir_tf.rasters.picture_files import software

        return MARK in software(str(path))
    try:
        with open_dataset(path) as dataset:
            return bool(dataset.tags().get("TIFFTAG_SOFTWARE") == MARK)
    except InputError:
        return False


@contextmanager
def class_raster(
    path: Path, shape: tuple[int, int], place: Place | None, classes: Classes, about: dict[str, str]
) -> Iterator[ClassRaster]:
    """Write a class raster part by part; it appears when the block ends without an error, and replaces an older one.

    What `ClassRaster.then` asks for may fail: the raster, which is complete, appears before the error is raised.

    A GeoTIFF is cloud-optimised: tiles of 256 pixels, packed by Deflate (which every reader has, and which is as small
    as newer methods where neighbours are equal), overviews of the class that most pixels of a block have. It holds the
    colour table, and class names as a tag; category names and a raster attribute table, which is where geographic
    information systems look for names, are in a side-car, PATH.aux.xml. A PNG has the colours as its palette.

    Args:
        path: The file; the ending says which of the two.
        shape: (height, width) in pixels.
        place: Where it lies; None for a picture without a place. A PNG does not hold it.
        classes: What values mean.
        about: Tags of the file: how it came to be.

    Yields:
        What takes the parts.

    Raises:
        InputError: It is too large for a PNG.
        ArtifactError: The disk is full or read-only.
    """
    is_png = path.suffix.lower() in PNG_ENDINGS
    if is_png and shape[0] * shape[1] > MAX_PIXELS:
        raise InputError(
            f"{path}: {shape[1]}×{shape[0]} pixels are too many for a PNG",
            wanted=f"at most {MAX_PIXELS:,} pixels",
            cure="choose the ending .tif",
        )
    tags = {"TIFFTAG_SOFTWARE": MARK, NAMES: json.dumps(list(classes.names), ensure_ascii=False), **about}
    with gdal_settings(str(path)), written_aside(path, replace=True) as aside:
        scratch = aside.with_name("scratch.tif")
        # Parts come in rows of windows, not of tiles, so that tiles are written more than once: copying leaves behind
        # what that wastes.
        with _created(scratch, shape) as dataset:
            colours = {value: (*colour, 255) for value, colour in enumerate(classes.colours)}
            dataset.write_colormap(1, {**colours, UNKNOWN: (0, 0, 0, 0)})
            dataset.update_tags(**tags)
            dataset.set_band_description(1, "class")
            raster = ClassRaster(scratch, dataset.write)
            yield raster
        failed = raster.finish()
        if is_png:
            _save_png(aside, scratch, classes, tags)
        else:
            _save_tiff(aside, scratch, place)
    if not is_png:
        side_car = path.with_name(f"{path.name}.aux.xml")
        with written_aside(side_car, replace=True) as aside:
            aside.write_bytes(_attributes(classes, raster.counts))
    if failed is not None:
        raise failed


class ClassRaster:
    """A class raster that is being written.

    Attributes:
        counts: int64 [256], pixels of each value so far.
    """

    def __init__(self, scratch: Path, write: Callable[..., None]) -> None:
        self._scratch, self._write = scratch, write
        self._then: list[Callable[[Path], None]] = []
        self.counts = np.zeros(256, np.int64)

    def put(self, x: int, y: int, part: NDArray[np.uint8]) -> None:
        """Write a part: uint8 [h, w], whose first pixel is pixel (x, y) of the raster."""
        height, width = part.shape
        self._write(part, 1, window=((y, y + height), (x, x + width)))
        for top in range(0, height, _BLOCK):  # NumPy makes eight bytes of each pixel that it counts.
            self.counts += np.bincount(part[top : top + _BLOCK].ravel(), minlength=256)

    def then(self, work: Callable[[Path], None]) -> None:
        """Have something done with the complete raster, a TIFF without a place, before it appears."""
        self._then.append(work)

    def finish(self) -> Exception | None:
        """Do what was asked for by `then`; give the error that ended it, if any."""
        try:
            for work in self._then:
                work(self._scratch)
        except Exception as error:  # noqa: BLE001 - it is raised once the raster is safe
            return error
        return None


def _created(path: Path, shape: tuple[int, int]) -> Any:
    return gdal().open(
        path, "w", driver="GTiff", height=shape[0], width=shape[1], count=1, dtype="uint8", nodata=UNKNOWN, tiled=True,
        blockxsize=_BLOCK, blockysize=_BLOCK, compress="DEFLATE", zlevel=1, photometric="PALETTE", sparse_ok=True,
        bigtiff="IF_SAFER",
    )  # fmt: skip


def _save_tiff(path: Path, scratch: Path, place: Place | None) -> None:
    from rasterio.shutil import copy

    if place is not None:
        with gdal().open(scratch, "r+") as dataset:
            dataset.crs, dataset.transform = place.crs, gdal().Affine(*place.transform)
    with gdal().Env(GDAL_PAM_ENABLED=False):
        copy(
            scratch, path, driver="COG", compress="DEFLATE", predictor="NO", blocksize=_BLOCK,
            overview_resampling="MODE", bigtiff="IF_SAFER",
        )  # fmt: skip


def _save_png(path: Path, scratch: Path, classes: Classes, tags: dict[str, str]) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    with gdal().open(scratch) as dataset:
        values = dataset.read(1)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(classes.colours)] = classes.colours
    picture = Image.fromarray(values)
    picture.putpalette(palette.tobytes())
    text = PngInfo()
    for name, content in tags.items():
        text.add_itxt("Software" if name == "TIFFTAG_SOFTWARE" else name, content)
    seen = {"transparency": UNKNOWN} if UNKNOWN in values else {}
    picture.save(path, format="PNG", optimize=True, pnginfo=text, **seen)


def _attributes(classes: Classes, counts: NDArray[np.int64]) -> bytes:
    """Category names and a raster attribute table as GDAL's side-car files hold them."""
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    categories = ElementTree.SubElement(band, "CategoryNames")
    for name in classes.names:
        ElementTree.SubElement(categories, "Category").text = name
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for number, (name, usage) in enumerate(_USAGES.items()):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(number))
        for key, value in (("Name", name), ("Type", _TYPES.get(name, 0)), ("Usage", usage)):
            ElementTree.SubElement(field, key).text = str(value)
    for value, (name, colour) in enumerate(zip(classes.names, classes.colours, strict=True)):
        row = ElementTree.SubElement(table, "Row", index=str(value))
        for cell in (value, name, *colour, counts[value]):
            ElementTree.SubElement(row, "F").text = str(cell)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=False))
