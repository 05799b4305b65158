"""Local binary patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import grey, require


@dataclass(frozen=True, slots=True)
class UniformLBP:
    """Histogram of uniform local binary patterns of the luma, as shares of the pixels.

    Source: Ojala, Pietikäinen, Mäenpää, Multiresolution gray-scale and rotation invariant texture classification with
    local binary patterns, IEEE TPAMI 24(7), 2002. A pattern is uniform where it has at most two changes between 0 and 1
    around the circle; all others share the last bin.

    Args:
        neighbours: P, the number of points on the circle, 4 to 24.
        radius: R, in pixels.
        rotation_invariant: True gives LBP^riu2 with P + 2 bins; False keeps the orientation of patterns and gives P·(P
            − 1) + 3 bins.
    """

    neighbours: int = 8
    radius: float = 1.0
    rotation_invariant: bool = False
    name: ClassVar[str] = "lbp"
    title: ClassVar[str] = "LBP"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv", "scikit-image")

    def __post_init__(self) -> None:
        require(4 <= self.neighbours <= 24, f"{self.neighbours} neighbours", "4 to 24")
        require(0.5 <= self.radius <= 8, f"a radius of {self.radius} pixels", "0.5 to 8")

    @property
    def dimensions(self) -> int:
        return self.neighbours + 2 if self.rotation_invariant else self.neighbours * (self.neighbours - 1) + 3

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give shares, 0..1, that sum to 1."""
        codes = pattern_codes(grey(image), self.neighbours, self.radius, self.rotation_invariant)
        return (np.bincount(codes.ravel(), minlength=self.dimensions) / codes.size).astype(np.float32)


def pattern_codes(
    luma: NDArray[np.uint8], neighbours: int, radius: float, rotation_invariant: bool
) -> NDArray[np.int64]:
    """Uniform pattern of each pixel, int64 [H, W]; pixels outside the image count as black.

    Args:
        luma: uint8 [H, W].
        neighbours: P.
        radius: R.
        rotation_invariant: As in `UniformLBP`.
    """
    from skimage.feature import local_binary_pattern

    method = "uniform" if rotation_invariant else "nri_uniform"
    return np.asarray(local_binary_pattern(luma, neighbours, radius, method)).astype(np.int64)
