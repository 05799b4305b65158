"""Colour histogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import require
from rsir_tf.rasters import check_image


@dataclass(frozen=True, slots=True)
class ColourHistogram:
    """Histogram of RGB values in equal bins, as shares of the pixels; compared with L1.

    Source: Swain and Ballard, Color indexing, IJCV 7(1), 1991: for two images of equal size, their histogram
    intersection is 1 − L1/2 of these vectors.

    Args:
        bins: Bins per channel, 2 to 64.
        joint: True gives one histogram of bins³ colours; False gives one of `bins` values per channel, concatenated.
    """

    bins: int = 8
    joint: bool = True
    name: ClassVar[str] = "color"
    title: ClassVar[str] = "Color"
    distance: ClassVar[str] = "l1"
    libraries: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        require(2 <= self.bins <= 64, f"{self.bins} bins per channel", "2 to 64")

    @property
    def dimensions(self) -> int:
        return self.bins**3 if self.joint else 3 * self.bins

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give shares, 0..1: of the joint bins (red slowest, blue fastest), or of the bins of red, green, then blue."""
        check_image(image, "image")
        binned = (image.astype(np.int64) * self.bins // 256).reshape(-1, 3)
        if self.joint:
            place = (binned[:, 0] * self.bins + binned[:, 1]) * self.bins + binned[:, 2]
        else:
            place = (binned + self.bins * np.arange(3)).ravel()
        return (np.bincount(place, minlength=self.dimensions) / len(binned)).astype(np.float32)
