"""Grey-level co-occurrence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import grey, require

PROPERTIES = ("contrast", "correlation", "energy", "homogeneity")
ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)


@dataclass(frozen=True, slots=True)
class GLCM:
    """Contrast, correlation, energy and homogeneity of grey-level co-occurrence matrices at four angles.

    Source: Haralick, Shanmugam, Dinstein, Textural features for image classification, IEEE TSMC 3(6), 1973. Contrast is
    divided by its largest value, (levels − 1)²: all four then lie within −1..1, and none dominates the L2 distance.

    Args:
        levels: Grey levels after quantisation into equal bins, 2 to 256.
        offsets: Distances between the pixels of a pair.
        mean_over_angles: Whether to give the mean over the four angles (rotation invariant) instead of all four.
    """

    levels: int = 32
    offsets: tuple[int, ...] = (1,)
    mean_over_angles: bool = False
    name: ClassVar[str] = "glcm"
    title: ClassVar[str] = "GLCM"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv", "scikit-image")

    def __post_init__(self) -> None:
        require(2 <= self.levels <= 256, f"{self.levels} grey levels", "2 to 256")
        require(
            bool(self.offsets) and all(1 <= offset <= 15 for offset in self.offsets),
            f"offsets of {list(self.offsets)} pixels",
            "one or more, each 1 to 15",
        )

    @property
    def dimensions(self) -> int:
        return len(PROPERTIES) * len(self.offsets) * (1 if self.mean_over_angles else len(ANGLES))

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the properties in the order of `PROPERTIES`, each by offset, then by angle (0°, 45°, 90°, 135°)."""
        from skimage.feature import graycomatrix, graycoprops

        quantised = (grey(image).astype(np.int64) * self.levels // 256).astype(np.uint8)
        matrices = graycomatrix(quantised, self.offsets, ANGLES, levels=self.levels, symmetric=True, normed=True)
        found = np.stack([np.asarray(graycoprops(matrices, name)) for name in PROPERTIES])
        found[0] /= (self.levels - 1) ** 2
        if self.mean_over_angles:
            found = found.mean(axis=-1)
        return found.ravel().astype(np.float32)
