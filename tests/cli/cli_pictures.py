"""Picture files of one colour, such as a user may really have that cannot be used, and what must be said of those."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

MESSAGES = {
    "cmyk.jpg": "is CMYK; wanted 8-bit RGB; convert it first",
    "cut.tif": "is damaged or cut off",
    "deep.tif": "has one band of 16-bit whole numbers (uint16); wanted 8-bit RGB; say --bands R G B and --stretch",
    "empty.jpg": "is empty (0 bytes); wanted an image file; copy it again",
    "grey.png": "is grey (one band); wanted 8-bit RGB; convert it first",
    "huge.bmp": "declares 100000×100000 pixels; wanted at most 100,000,000 pixels; read it as a scene, which is cut "
    "into windows: --tile 256",
    "one.png": "is 1×1 pixels; wanted at least 16 pixels a side",
    "rgba.png": "is RGBA, and 4096 of its pixels are not opaque; wanted 8-bit RGB; save red, green and blue alone",
    "text.tif": "is not a picture (begins with b'hello wo'); wanted TIFF, JPEG, PNG, BMP or WebP",
}


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0) -> Path:
    """A picture of 32 pixels a side whose pixels are all near one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 20, (32, 32, 3))
    Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(path)
    return path


def write_bad_pictures(folder: Path) -> None:
    """Write each file of MESSAGES."""
    folder.mkdir(parents=True, exist_ok=True)
    good = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    good.convert("CMYK").save(folder / "cmyk.jpg")
    good.convert("L").save(folder / "grey.png")
    see_through = good.convert("RGBA")
    see_through.putalpha(100)
    see_through.save(folder / "rgba.png")
    good.resize((1, 1)).save(folder / "one.png")
    Image.fromarray(np.zeros((64, 64), np.uint16)).save(folder / "deep.tif")
    (folder / "text.tif").write_text("hello world, this is no picture")
    (folder / "empty.jpg").touch()
    whole = _encoded(good, "TIFF")
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    bitmap = bytearray(_encoded(good, "BMP"))
    bitmap[18:26] = (100_000).to_bytes(4, "little") * 2  # BITMAPINFOHEADER: width and height.
    (folder / "huge.bmp").write_bytes(bitmap)


def _encoded(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()
