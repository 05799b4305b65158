"""An index of any size whose regions are made from maps of real images, and queries for it: what benchmarks share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.ranking import ImageFeatures, derived_files

HELD_BACK = 40
"""Maps that only queries are made of."""

CUTS = 6
CLASSES = 17
PIXELS_PER_CELL = 256


class Material:
    """Regions of real images, and images that are composed of them."""

    def __init__(self, maps: np.ndarray, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.cuts = [[self._cut(np.asarray(each, dtype=np.float32)) for _ in range(CUTS)] for each in maps]
        channels = maps.shape[-1]
        self.noise = np.exp(self.rng.normal(0, 0.1, (8192, channels))).astype(np.float32)
        self.axes = self.rng.normal(size=(channels, CLASSES)).astype(np.float32)
        self.mean = np.concatenate([cuts[0][0] for cuts in self.cuts]).mean(axis=0)

    def _cut(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cut a map into about ten regions around random places; pool each, and count its pixels."""
        height, width, channels = features.shape
        count = min(60, 1 + int(self.rng.negative_binomial(2, 2 / 13)))
        places = self.rng.uniform(0, (height, width), (count, 2))
        rows, columns = np.mgrid[:height, :width]
        apart = (rows[..., None] - places[:, 0]) ** 2 + (columns[..., None] - places[:, 1]) ** 2
        label = apart.argmin(axis=-1).ravel()
        cells = features.reshape(-1, channels)
        numbers, sizes = np.unique(label, return_counts=True)
        return np.stack([cells[label == each].max(axis=0) for each in numbers]), sizes * PIXELS_PER_CELL

    def image(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """An image made of maps first to last: vectors float32 [m, C] and areas int64 [m]."""
        (one, areas), (other, _) = (self.cuts[at][self.rng.integers(CUTS)] for at in self.rng.integers(first, last, 2))
        regions = np.array(one)
        mixed = np.flatnonzero(self.rng.random(len(regions)) < 0.2)
        regions[mixed] = other[self.rng.integers(0, len(other), len(mixed))]
        return regions * self.noise[self.rng.integers(0, len(self.noise), len(regions))], areas

    def classes(self, regions: np.ndarray) -> np.ndarray:
        return ((regions - self.mean) @ self.axes).argmax(axis=1).astype(np.int32)


def build(path: Path, material: Material, images: int, dtype: str) -> None:
    names = tuple(f"class {at}" for at in range(CLASSES))
    settings = IndexSettings("benchmark", names, dtype=dtype, channels=len(material.mean))
    with IndexWriter.open(path, settings, derived=derived_files()) as writer:
        for at in range(images):
            regions, areas = material.image(HELD_BACK, len(material.cuts))
            writer.add(
                ImageEntry(
                    id=f"scene_{at % 46:02d}/image_{at:06d}.jpg",
                    path=f"/archive/scene_{at % 46:02d}/image_{at:06d}.jpg",
                    height=256,
                    width=256,
                    scene=f"scene_{at % 46:02d}",
                    tags=None,
                    content_hash=os.urandom(32).hex(),
                    file_size=50_000,
                    modified_ns=at,
                    classes=material.classes(regions),
                    areas=areas,
                    boxes=np.tile([0, 0, 64, 64], (len(regions), 1)),
                    recnn=regions,
                    recnn_plus=regions.max(axis=0),
                )
            )
        writer.merge()


def as_image(regions: np.ndarray, areas: np.ndarray) -> ImageFeatures:
    """A query that is a whole image."""
    m = len(regions)
    return ImageFeatures(
        classes=np.zeros(m, np.int32),
        areas=areas,
        boxes=np.zeros((m, 4), np.int32),
        centroids=np.zeros((m, 2), np.float32),
        recnn=regions,
        recnn_plus=regions.max(axis=0),
    )


def maps_of(file: Path | None) -> np.ndarray:
    """conv5_3 of images, float [n, h, w, C]: from a file, or random where there is none."""
    if file is None:
        return np.random.default_rng(0).gamma(0.1, 8, (400, 8, 8, 512)).astype(np.float16)
    return np.load(file, mmap_mode="r")


def queries_of(material: Material, count: int, dtype: str = "float32") -> list[ImageFeatures]:
    """Queries of 9 to 11 regions, with numbers as an index of this type rounds them."""
    asked: list[ImageFeatures] = []
    while len(asked) < count:
        regions, areas = material.image(0, HELD_BACK)
        if 9 <= len(regions) <= 11:
            asked.append(as_image(regions.astype(dtype).astype(np.float32), areas))
    return asked
