"""What tests of the page show: pictures in three colours, which a toy model tells apart."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from placed_scenes import AS_IT_IS, BLUE, CLASSES, GREEN, RED, Toy, index_sources, windows, write_scenes

from rsir_tf.errors import ServerUnavailableError
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.rasters import FileSource, content_hash, read_pixels
from rsir_tf.workflows import describe_prediction

SIDE = 64
TOKEN = "a token of some length"
HOSTILE = "<img src=x onerror=alert(1)>.png"
"""A file name as an attacker would choose it; it is an image of the archive too."""


class Canned(Toy):
    """The toy model; it counts requests, and can be out of reach."""

    def __init__(self) -> None:
        self.requests, self.down = 0, False

    def predict(self, images):
        if self.down:
            raise ServerUnavailableError("localhost:8500: no answer", cure="start the server")
        self.requests += 1
        return super().predict(images)


def picture(left, right, seed: int, width: int = SIDE) -> np.ndarray:
    """A picture with two halves of one colour each, and a little noise."""
    pixels = np.empty((SIDE, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = left, right
    return pixels + np.random.default_rng(seed).integers(0, 9, pixels.shape, dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PICTURES = {
    **{f"fire/{number}.png": (RED, RED, number) for number in range(4)},
    **{f"lake/{number}.png": (BLUE, BLUE, 10 + number) for number in range(4)},
    **{f"shore/{number}.png": (BLUE, GREEN, 20 + number) for number in range(4)},
    f"odd/{HOSTILE}": (GREEN, RED, 30),
}
"""Id → colours of the left and the right half, and a seed."""


def make_archive(folder: Path) -> Path:
    """Write the pictures to `folder/images` and index them in `folder/index`."""
    for image, (left, right, seed) in PICTURES.items():
        file = folder / "images" / image
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(picture(left, right, seed)))
    add_to_index(folder, list(PICTURES))
    return folder


def add_to_index(folder: Path, images: list[str]) -> None:
    """Index pictures of `folder/images`, as `rsir-tf index` does."""
    settings = IndexSettings("toy-1", CLASSES)
    with IndexWriter.open(folder / "index", settings) as writer:
        writer.record_root("", str(folder / "images"))
        for image in images:
            source = FileSource(folder / "images" / image)
            pixels = read_pixels(source)
            described = describe_prediction(Toy().predict([pixels.values])[0], settings)
            regions, scene = described.regions, image.partition("/")[0]
            tags = {"lake": ("water",), "shore": ("land", "water")}.get(scene, ())
            writer.add(
                ImageEntry(
                    image, image, *source.shape, scene, tags, content_hash(pixels), *source.fingerprint,
                    regions.classes, regions.areas, regions.boxes, described.recnn, described.recnn_plus,
                    centroids=regions.centroids, archive="",
                )
            )  # fmt: skip


def make_scenes(folder: Path) -> Path:
    """Write two scenes with places and index their windows in `folder/index`: 12 images."""
    index_sources(windows(*write_scenes(folder / "scenes")), folder / "index", AS_IT_IS)
    return folder
