"""What gives a record its classes: a mask file, a mask raster of a scene, or polygons; and the way to read each."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from rsir_tf.archives.labels import VOID
from rsir_tf.archives.masks import MaskSizeError, classes_of, read_mask
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource, RasterSource
from rsir_tf.rasters.stored_parts import StoredPart, place_and_shape, read_onto, read_window
from rsir_tf.rasters.warping import pixel_offset
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives.labels import LabelSet
    from rsir_tf.archives.records import Record


class Mask(Protocol):
    """The classes of one image's pixels, read on request. `str` gives the words that errors name it by."""

    def read(
        self, label_set: LabelSet, shape: tuple[int, int] | None = None, *, orientation: int | None = None
    ) -> NDArray[np.uint8]:
        """Read the classes.

        Args:
            label_set: What its values mean.
            shape: (height, width) in pixels of its image; None where the image could not be read.
            orientation: The image's orientation tag; None where that is not known.

        Returns:
            uint8 [H, W]: 0..K-1, or `VOID` (255).

        Raises:
            InputError: It cannot be used, or does not belong to its image; see `read_mask`.
        """

    def digest(self) -> str | None:
        """Identity of all the data that the classes come from, hexadecimal; None where they cannot be read."""


@dataclass(frozen=True, slots=True)
class FileMask:
    """A whole mask file; see `Mask` and `read_mask`."""

    path: Path

    def read(
        self, label_set: LabelSet, shape: tuple[int, int] | None = None, *, orientation: int | None = None
    ) -> NDArray[np.uint8]:
        return read_mask(self.path, label_set, shape, orientation=orientation)

    def digest(self) -> str | None:
        return FileSource(self.path).digest()

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class SceneMask:
    """The part of a mask raster that lies over a scene, or over a window of one; see `Mask`.

    Where both rasters have a place on Earth, the mask is read at the places of the image's pixels: each gets the value
    at its centre. Otherwise the mask must be as large as the scene, and is read at the same window.

    Attributes:
        path: The mask raster.
        source: The scene or its window.
    """

    path: Path
    source: RasterSource

    def read(
        self, label_set: LabelSet, shape: tuple[int, int] | None = None, *, orientation: int | None = None
    ) -> NDArray[np.uint8]:
        part = self._part(range(256) if label_set.ids is None else label_set.ids)
        if not part.inside.any():
            return np.full(part.inside.shape, VOID, np.uint8)
        classes = classes_of(str(self), part.stored, label_set)
        classes[~part.inside] = VOID
        return classes

    def digest(self) -> str | None:
        return RasterSource(str(self.path)).digest()

    @property
    def resampled(self) -> bool:
        """Whether the mask has another grid than its scene, so that it is resampled.

        Raises:
            InputError: One of them cannot be opened.
        """
        own, _ = place_and_shape(self.path)
        place = self.source.place
        return own is not None and place is not None and pixel_offset(own, place) is None

    def _part(self, listed: Collection[int]) -> StoredPart:
        own, size = place_and_shape(self.path)
        place = self.source.place
        if own is not None and place is not None:
            return read_onto(self.path, place, self.source.shape, listed)
        home, scene = place_and_shape(self.source.path)
        if size != scene:
            raise MaskSizeError(
                f"{self.path}: the mask is {size[1]}×{size[0]} pixels and has no place on Earth by which it could be "
                "laid over its scene"
                if own is None
                else f"{self.path}: the mask is {size[1]}×{size[0]} pixels, and its scene has no place on Earth",
                wanted=f"{scene[1]}×{scene[0]} pixels, as {self.source.path}",
                cure="give it its scene's size, or a reference system (CRS) and a transform to both",
            )
        window = self.source.window or (0, 0, scene[1], scene[0])
        if home is not None and place is not None and self.source.recipe.resolution is not None:
            offset = pixel_offset(home, place)
            if offset is None:
                raise InputError(
                    f"{self.path}: has no place on Earth, and its scene is resampled to another grid",
                    wanted="a mask with a reference system (CRS) and a transform",
                    cure="leave --resolution out, or give the mask its scene's place",
                )
            window = (*offset, window[2], window[3])
        return read_window(self.path, window, listed)

    def __str__(self) -> str:
        window = self.source.window
        return str(self.path) if window is None else f"{self.path}, window {' '.join(map(str, window))}"


def tell_resampled(records: Iterable[Record]) -> list[str]:
    """Say in one line which masks have another grid than their scenes; no line where all have the same."""
    masks = {mask.path: mask for mask in map(mask_of, records) if isinstance(mask, SceneMask)}
    names = []
    for mask in masks.values():
        # One that cannot be opened is named where it is read.
        with contextlib.suppress(InputError):
            if mask.resampled:
                names.append(str(mask.path))
    if not names:
        return []
    have = counted(len(names), "mask has", "masks have")
    return [
        f"{have} another grid than the scene (the first is {names[0]}): each pixel gets the mask's value at its centre"
    ]


def mask_of(record: Record) -> Mask | None:
    """The mask of a record as something that can be read; None where it has none."""
    if not isinstance(record.mask, Path):
        return record.mask
    if isinstance(record.source, RasterSource):
        return SceneMask(record.mask, record.source)
    return FileMask(record.mask)
