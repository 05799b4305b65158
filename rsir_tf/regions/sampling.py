"""Where the pixels of an image fall on a coarser map, and which of them decide a region's maximum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Convention = Literal["half_pixel", "aligned_corners"]
CONVENTIONS: tuple[str, ...] = get_args(Convention)
"""Names of the bilinear conventions, the default first."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The pixels of one image axis on the coarse map.

    Attributes:
        positions: int64 [pixels], never decreasing: where each pixel samples the map, in 1/unit of a cell, within
            0..(cells - 1) · unit. They are whole numbers, so that positions can be compared exactly.
        unit: Number of parts that a cell is divided into.
        cells: Cells of the map along this axis.
    """

    positions: NDArray[np.int64]
    unit: int
    cells: int

    def interval(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of the cell at or before each position; bilinear sampling mixes this cell and the next one."""
        before: NDArray[np.int64] = np.minimum(positions // self.unit, max(self.cells - 2, 0))
        return before

    def ends(self) -> NDArray[np.int64]:
        """Positions of the pixels that are first or last in their interval."""
        border = np.diff(self.interval(self.positions)) != 0
        ends: NDArray[np.int64] = self.positions[np.append(border, True) | np.insert(border, 0, True)]
        return ends


def sample_axis(pixels: int, cells: int, stride: int, convention: Convention) -> Axis:
    """Place `pixels` of an axis on a map of `cells` = ⌈pixels / stride⌉.

    The network pads its input at the bottom and right, so the map belongs to an image of stride · cells pixels. Both
    conventions upsample it to that size; the real image is the first part of it.

    - half_pixel: pixel y samples at (y + 0.5) / stride - 0.5, clamped to [0, cells - 1], like TF2's `tf.image.resize`.
    - aligned_corners: y · (cells - 1) / (stride · cells - 1), like `tf.compat.v1.image.resize(align_corners=True)`.

    Args:
        pixels: Image pixels along the axis.
        cells: Cells of the map along the axis.
        stride: Pixels per cell.
        convention: "half_pixel" or "aligned_corners".

    Returns:
        The axis.

    Raises:
        InputError: The numbers do not fit each other, or the convention is unknown.
    """
    if stride < 1:
        raise InputError(f"stride: is {stride}", wanted="1 or more pixels per cell")
    if cells != -(-pixels // stride):
        raise InputError(
            f"a map of {cells} cells for {pixels} pixels",
            wanted=f"{-(-pixels // stride)} cells (stride {stride})",
            cure="give features and labels of the same image",
        )
    pixel = np.arange(pixels, dtype=np.int64)
    if convention == "half_pixel":
        unit = 2 * stride
        positions = np.clip(2 * pixel + 1 - stride, 0, (cells - 1) * unit)
    elif convention == "aligned_corners":
        unit = max(stride * cells - 1, 1)
        positions = pixel * (cells - 1)
    else:
        raise InputError(f"convention: is {convention!r}", wanted=" or ".join(CONVENTIONS))
    return Axis(positions, unit, cells)


@dataclass(frozen=True, slots=True)
class Samples:
    """Points of the coarse map that represent regions.

    Attributes:
        region: int64 [n], label of each point's region, from 1.
        row: int64 [n], position along the vertical axis, in its unit.
        column: int64 [n], position along the horizontal axis, in its unit.
    """

    region: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


def deciding_samples(labels: NDArray[np.integer[Any]], rows: Axis, columns: Axis) -> Samples:
    """Find the few pixels of each region at which the upsampled map can be largest.

    Take the pixels of one region that lie in one row and in one interval between cells. The upsampled value is linear
    in their position, so the largest value is at one of the two outermost pixels. The same holds along columns, so of
    these pixels only the outermost are needed. The samples that remain have the same maximum as the whole region, in
    every channel.

    Args:
        labels: integer [H, W], 0 = no region.
        rows: The vertical axis, H pixels.
        columns: The horizontal axis, W pixels.

    Returns:
        The samples, at least one for each region in `labels`; no duplicates.
    """
    # First the same on unbroken runs: this is cheap on the raster and leaves few pixels to sort.
    y, x = np.nonzero(_run_ends(labels, columns, axis=1) & _run_ends(labels, rows, axis=0) & (labels != 0))
    region = labels[y, x].astype(np.int64)
    region, row, column = _outermost(region, rows.positions[y], columns.positions[x], rows, columns)
    region, column, row = _outermost(region, column, row, columns, rows)
    return Samples(region, row, column)


def _run_ends(labels: NDArray[np.integer[Any]], along: Axis, axis: int) -> NDArray[np.bool_]:
    """Mark the first and last pixel of each run of one label inside one interval."""
    border = np.flatnonzero(np.diff(along.interval(along.positions)))
    ends = np.zeros(labels.shape, np.bool_)
    # Views that have the direction of the runs last, so that the same slices work for both directions.
    across, marked = np.moveaxis(labels, axis, -1), np.moveaxis(ends, axis, -1)
    changes = across[..., 1:] != across[..., :-1]
    changes[..., border] = True
    marked[..., 1:] = changes
    marked[..., :-1] |= changes
    marked[..., [0, -1]] = True
    return ends


def _outermost(
    region: NDArray[np.int64], line: NDArray[np.int64], place: NDArray[np.int64], lines: Axis, along: Axis
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Keep the first and last place of each (region, line, interval of `along`), without duplicates."""
    width = (along.cells - 1) * along.unit + 1
    height = (lines.cells - 1) * lines.unit + 1
    keys = np.sort((region * height + line) * width + place)
    keys = keys[np.diff(keys, prepend=-1) != 0]
    groups, place = np.divmod(keys, width)
    changes = np.diff(groups * along.cells + along.interval(place)) != 0
    kept = np.ones(len(keys), np.bool_)
    kept[1:-1] = changes[1:] | changes[:-1]
    region, line = np.divmod(groups[kept], height)
    return region, line, place[kept]
