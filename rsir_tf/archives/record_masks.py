"""What gives a record its classes: a mask file, a mask raster of a scene, or polygons; and the way to read each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rsir_tf.archives.masks import read_mask
from rsir_tf.rasters import FileSource

if TYPE_CHECKING:
    import numpy as np
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


def mask_of(record: Record) -> Mask | None:
    """The mask of a record as something that can be read; None where it has none."""
    return FileMask(record.mask) if isinstance(record.mask, Path) else record.mask
