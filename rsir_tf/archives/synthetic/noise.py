"""Smooth random fields. Their random numbers do not depend on the picture's size: all sizes show the same ground."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""float32 [side, side]."""


SMOOTHED = 1.83
"""This factor scales interpolated and smoothed noise to a deviation of 1 again (measured)."""


def smooth_noise(rng: np.random.Generator, cells: int, side: int) -> Field:
    """Return value noise: standard normal numbers on a grid of `cells` × `cells`, interpolated.

    Args:
        rng: Gives the numbers, cells² of them.
        cells: Grid cells along a side of the tile.
        side: Pixels along a side of the result.

    Returns:
        float32 [side, side], mean about 0, standard deviation about 1.
    """
    grid = rng.standard_normal((cells, cells), dtype=np.float32)
    if cells > side:
        grid = cv2.resize(grid, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(grid * np.float32(cells / side), dtype=np.float32)
    if cells == side:
        return grid
    if 4 * cells > side:
        # On each axis, the linear weights t and 1-t have a mean square sum of 2/3: the deviation becomes this factor.
        return np.asarray(enlarge(grid, side) * np.float32(1.5), dtype=np.float32)
    # Linear pieces would be visible as creases: they are smoothed where that is cheap, at four pixels per cell.
    fine = cv2.GaussianBlur(enlarge(grid, 4 * cells), (7, 7), 1.6)
    return np.asarray(enlarge(fine, side) * np.float32(SMOOTHED), dtype=np.float32)


def enlarge(field: Field, side: int) -> Field:
    """Return a field at a higher resolution, float32 [side, side], interpolated linearly."""
    return np.asarray(cv2.resize(field, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def octaves(rng: np.random.Generator, cells: Sequence[int], side: int, weights: Sequence[float] | None = None) -> Field:
    """Return a weighted sum of `smooth_noise` of several grids, scaled back to a deviation of about 1.

    Args:
        rng: Gives the numbers.
        cells: Grid cells along a side, one number for each octave.
        side: Pixels along a side of the result.
        weights: One for each octave; equal by default.
    """
    shares = np.asarray(weights if weights is not None else [1.0] * len(cells), dtype=np.float32)
    shares /= np.sqrt(np.sum(shares**2))
    total = np.zeros((side, side), dtype=np.float32)
    for count, share in zip(cells, shares, strict=True):
        total += share * smooth_noise(rng, count, side)
    return total
