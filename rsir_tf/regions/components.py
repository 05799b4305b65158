"""Connected regions of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VOID = 255
"""The class index of pixels that belong to no class."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The m regions of one segmentation; index i of the arrays describes the region whose label is i + 1.

    Attributes:
        labels: int32 [H, W]: the label of each pixel's region, 1..m; 0 where a pixel is in no region.
        classes: int32 [m], class index of each region.
        areas: int64 [m], pixels of each region.
        boxes: int32 [m, 4], (top, left, bottom, right) in pixels, half-open: `labels[top:bottom, left:right]` is the
            smallest window that holds the region.
        centroids: float32 [m, 2], (y, x) in pixels, in the coordinates of `boxes`: the mean of the centres of the
            region's pixels, where the centre of the image's top left pixel is (0.5, 0.5). Computed in float64 and then
            rounded. It may lie outside the region, but never outside its box.
    """

    labels: NDArray[np.int32]
    classes: NDArray[np.int32]
    areas: NDArray[np.int64]
    boxes: NDArray[np.int32]
    centroids: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.classes)


def connected_regions(
    segmentation: NDArray[np.uint8], connectivity: int = 8, min_area: int = 0, void: int | None = VOID
) -> Regions:
    """Split a segmentation into its connected regions: sets of touching pixels of one class.

    All classes count, class 0 too: there is no background. Regions are numbered by their first pixel in row-major
    order.

    Args:
        segmentation: uint8 [H, W], class indices.
        connectivity: 8 where pixels touch along edges and at corners; 4 where they touch along edges only.
        min_area: Pixels. Smaller regions are dropped and their pixels get label 0. Where every region is smaller, there
            are no regions at all (m = 0).
        void: Class index whose pixels belong to no region; None where every index is a class.

    Returns:
        The regions; none (m = 0) where all pixels are void.

    Raises:
        InputError: The segmentation is empty or not uint8 [H, W], the connectivity is not 4 or 8, the area is negative,
            or `void` is outside 0..255.
    """
    _check(segmentation, connectivity, min_area, void)
    # All that follows works on runs (the longest stretches of one class within a row), because there are few.
    width = segmentation.shape[1]
    begins = np.ones(segmentation.shape, np.bool_)
    np.not_equal(segmentation[:, 1:], segmentation[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=segmentation.size)
    class_of_run = segmentation.ravel()[starts]
    first_run, component = _components(segmentation, starts, class_of_run, connectivity)

    classes = class_of_run[first_run].astype(np.int32)
    areas = np.bincount(component, weights=lengths).astype(np.int64)
    rows, lefts = np.divmod(starts, width)
    boxes = np.zeros((len(first_run), 4), np.int64)
    boxes[:, 0] = rows[first_run]
    boxes[:, 1] = width
    np.minimum.at(boxes[:, 1], component, lefts)
    np.maximum.at(boxes[:, 2], component, rows + 1)
    np.maximum.at(boxes[:, 3], component, lefts + lengths)

    # The pixels of a run have the same y, and the mean of their x is the middle of the run.
    sums = [np.bincount(component, weights=lengths * middle) for middle in (rows + 0.5, lefts + lengths / 2)]
    centroids = (np.stack(sums, axis=1) / areas[:, None]).astype(np.float32)

    kept = areas >= min_area
    if void is not None:
        kept &= classes != void
    label = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    labels = np.repeat(label[component], lengths).reshape(segmentation.shape)
    return Regions(labels, classes[kept], areas[kept], boxes[kept].astype(np.int32), centroids[kept])


def _components(
    segmentation: NDArray[np.uint8], starts: NDArray[np.int64], class_of_run: NDArray[np.uint8], connectivity: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number components by their first run. Gives the first run of each component, and the component of each run."""
    import cv2

    number = np.empty(len(starts), np.int64)
    found = 0
    for index in np.flatnonzero(np.bincount(class_of_run)).tolist():
        mask = (segmentation == index).view(np.uint8)
        count, numbers = cv2.connectedComponents(mask, connectivity=connectivity, ltype=cv2.CV_32S)
        runs = np.flatnonzero(class_of_run == index)
        number[runs] = numbers.ravel()[starts[runs]] + (found - 1)
        found += count - 1
    _, first_run, component = np.unique(number, return_index=True, return_inverse=True)
    order = np.argsort(first_run)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first_run[order], rank[component]


def _check(segmentation: NDArray[np.uint8], connectivity: int, min_area: int, void: int | None) -> None:
    if not isinstance(segmentation, np.ndarray) or segmentation.dtype != np.uint8 or segmentation.ndim != 2:
        found = getattr(segmentation, "dtype", type(segmentation).__name__)
        raise InputError(
            f"segmentation: is {found} {list(np.shape(segmentation))}", wanted="a uint8 array [H, W] of class indices"
        )
    if segmentation.size == 0:
        raise InputError(f"segmentation: has no pixels ({list(segmentation.shape)})", wanted="at least one")
    if connectivity not in (4, 8):
        raise InputError(f"connectivity: is {connectivity!r}", wanted="4 or 8")
    if min_area < 0:
        raise InputError(f"min_area: is {min_area}", wanted="0 or more pixels")
    if void is not None and not 0 <= void <= 255:
        raise InputError(f"void: is {void}", wanted="a class index 0..255, or None")
