"""MLIR: for each hand-crafted feature of regions, its largest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import grey, require
from rsir_tf.baselines.lbp import pattern_codes
from rsir_tf.errors import InputError

SHAPES = ("area", "extent", "eccentricity", "solidity")
PATTERNS = 10
"""Bins of uniform rotation-invariant patterns of 8 neighbours."""


@dataclass(frozen=True, slots=True)
class MLIR:
    """Colour, texture and shape of segmented regions: the largest value of each feature over the regions.

    Source: the multi-label retrieval of Shao, Yang, Zhou (Performance evaluation of single-label and multi-label remote
    sensing image retrieval using a dense labeling dataset, Remote Sensing 10(6), 2018), as the paper of ReCNN changed
    it (III.D): it takes the maximum in each dimension over the feature vectors of an image's regions. The paper does
    not say which features and which segmentation it used. Here, regions come from the method of Felzenszwalb and
    Huttenlocher (Efficient graph-based image segmentation, IJCV 59(2), 2004), which needs no training;
    `region_features` accepts any other segmentation.

    Args:
        scale: A larger value gives larger regions.
        sigma: Standard deviation of the Gaussian smoothing before segmentation, in pixels.
        min_area: Area of the smallest region, in pixels.
    """

    scale: float = 200.0
    sigma: float = 0.8
    min_area: int = 200
    name: ClassVar[str] = "mlir"
    title: ClassVar[str] = "MLIR"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv", "scikit-image", "scipy")

    def __post_init__(self) -> None:
        require(self.scale > 0 and self.sigma >= 0, f"scale {self.scale}, sigma {self.sigma}", "scale > 0, sigma ≥ 0")
        require(self.min_area >= 1, f"regions of {self.min_area} pixels", "1 or more")

    @property
    def dimensions(self) -> int:
        return 6 + PATTERNS + len(SHAPES)

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give the largest value of each feature of `region_features`, 0..1."""
        from skimage.segmentation import felzenszwalb

        grey(image)  # Checks the image, so that the error is ours and not that of the segmentation.
        regions = felzenszwalb(image, self.scale, self.sigma, self.min_area)
        return np.asarray(region_features(image, regions.astype(np.int32) + 1).max(axis=0), dtype=np.float32)


def region_features(image: NDArray[np.uint8], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Colour, texture and shape of each region.

    Args:
        image: uint8 [H, W, 3], RGB.
        labels: int32 [H, W], 0 for no region, otherwise 1..m; a region need not be connected.

    Returns:
        float32 [m, 20] in 0..1: mean of red, green and blue; their standard deviations; shares of the uniform
        rotation-invariant patterns (8 neighbours, radius 1); area (share of the image), extent (area over bounding
        box), eccentricity, and solidity (area over convex hull).

    Raises:
        InputError: The sizes differ, there is no region, or a label below the largest one has no pixel.
    """
    from skimage.measure import regionprops

    codes = pattern_codes(grey(image), 8, 1.0, rotation_invariant=True)
    if labels.shape != image.shape[:2] or not labels.any():
        raise InputError(f"labels are {list(labels.shape)}", wanted=f"{list(image.shape[:2])} with a region or more")
    place = labels.ravel()
    areas = np.bincount(place)[1:]
    if not areas.all():
        raise InputError(f"region {int(np.flatnonzero(areas == 0)[0]) + 1} has no pixel", wanted="regions 1..m")
    count = len(areas) + 1
    colours = image.reshape(-1, 3).astype(np.float64) / 255
    means = np.stack([np.bincount(place, c, count)[1:] for c in colours.T], axis=1) / areas[:, None]
    squares = np.stack([np.bincount(place, c, count)[1:] for c in colours.T**2], axis=1) / areas[:, None]
    patterns = np.bincount(place * PATTERNS + codes.ravel(), minlength=count * PATTERNS).reshape(count, PATTERNS)[1:]
    shapes = [[region.area / labels.size, *(getattr(region, s) for s in SHAPES[1:])] for region in regionprops(labels)]
    deviations = np.sqrt(np.maximum(squares - means**2, 0))
    return np.hstack([means, deviations, patterns / areas[:, None], shapes]).astype(np.float32)
