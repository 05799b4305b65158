"""Two small scenes of one place from two dates, whose corners differ, and an index of their windows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.rasters import Reading, Source, Tiling, content_hash, read_pixels, window_id, windows_of
from rsir_tf.workflows import describe_prediction

# The toy model belongs to the serving tests.
sys.path.insert(0, str(Path(__file__).parent / "serving"))
from serving_toy import CLASSES, toy_conv5_3, toy_segmentation

TILE = 32
AS_IT_IS = Reading(tiling=Tiling(TILE))
METRES = 10
WEST, NORTH = 500_000.0, 5_500_000.0
RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)


class Toy:
    """The toy model of the serving tests, without a server."""

    def describe(self) -> ModelDescription:
        return ModelDescription("toy-1", CLASSES)

    def predict(self, images: Sequence[np.ndarray]) -> list[Prediction]:
        return list(self.predict_stream(images))

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for image in images:
            yield Prediction(toy_segmentation(image), toy_conv5_3(image))

    def close(self) -> None: ...

    def __enter__(self) -> Toy:
        return self

    def __exit__(self, *_: object) -> None: ...


def ground(rows: int, columns: int, later: bool) -> np.ndarray:
    """Colours of the place: red, with a green and a blue square; later the green one is blue as well."""
    colours = np.empty((rows, columns, 3), np.uint8)
    colours[:] = RED
    colours[:34, :35] = BLUE if later else GREEN
    colours[40:56, 72:88] = BLUE
    colours += np.random.default_rng(0).integers(0, 9, colours.shape, dtype=np.uint8)
    return colours


def on_ground(transform: Affine, columns: object, rows: object) -> tuple[np.ndarray, np.ndarray]:
    """Where corners of pixels lie, in the units of the reference system; with the inverse, the other way."""
    x, y = np.asarray(columns, float), np.asarray(rows, float)
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def write_scene(path: Path, colours: np.ndarray, transform: Affine, crs: str | None = "EPSG:32632") -> Path:
    height, width, bands = colours.shape
    options = {} if crs is None else {"crs": crs, "transform": transform}
    with rasterio.open(path, "w", "GTiff", width, height, bands, dtype=colours.dtype, **options) as file:
        file.write(np.moveaxis(colours, -1, 0))
    return path


def write_scenes(folder: Path) -> tuple[Path, Path]:
    """64×96 pixels of 10 m in UTM zone 32; the later one begins 3 columns and 2 rows farther south-east."""
    folder.mkdir(parents=True, exist_ok=True)
    corner = Affine(METRES, 0, WEST, 0, -METRES, NORTH)
    whole = ground(70, 100, later=False), ground(70, 100, later=True)
    earlier = write_scene(folder / "2010.tif", whole[0][:64, :96], corner)
    later = write_scene(folder / "2020.tif", whole[1][2:66, 3:99], Affine(METRES, 0, WEST + 30, 0, -METRES, NORTH - 20))
    return earlier, later


def index_sources(
    sources: Iterable[tuple[str, Source]],
    to: Path,
    reading: Reading | None = None,
    *,
    scenes: bool = False,
    **more: object,
) -> Path:
    """Index sources by their ids with the toy model, with their places, as `rsir-tf index` does.

    The scene class of an image, if there are `scenes`, is the folder in its id.
    """
    settings = IndexSettings("toy-1", CLASSES, **more)
    with IndexWriter.open(to, settings) as writer:
        writer.record_root("", str(to.parent))
        writer.record_reading("", reading or Reading())
        for image, source in sources:
            pixels = read_pixels(source)
            described = describe_prediction(Toy().predict([pixels.values])[0], settings, pixels.valid)
            regions, scene = described.regions, image.partition("/")[0] if scenes else None
            writer.add(
                ImageEntry(
                    image, source.address, *source.shape, scene, None, content_hash(pixels), *source.fingerprint,
                    regions.classes, regions.areas, regions.boxes, described.recnn, described.recnn_plus,
                    centroids=regions.centroids, place=source.place, borders=described.adjacency.borders,
                    edge=described.adjacency.edge,
                )
            )  # fmt: skip
    return to


def windows(*scenes: Path, reading: Reading = AS_IT_IS) -> Iterator[tuple[str, Source]]:
    for scene in scenes:
        for source in windows_of(str(scene), reading):
            assert source.window is not None
            yield window_id(scene.name, source.window), source
