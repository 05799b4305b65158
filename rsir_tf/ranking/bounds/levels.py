"""Global vectors in 256 levels: a quarter of the bytes, which show a search by L1 which images it can skip.

They are derived from a segment's `recnn_plus.npy` when segments are merged; a segment without levels can be searched
too. `levels.npz` holds, for N images and C channels:

    levels uint8 [N, C], offset float32 [C], step float64 []   the vector is about offset + step · levels
    errors float32 [N]                                         the L1 distance of each vector from that, rounded up

The L1 distance of two vectors' levels is a sum of whole numbers, without any rounding. By the triangle inequality, the
distance of the vectors themselves differs from it by at most the two errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float64
from rsir_tf.errors import ArtifactError
from rsir_tf.index.derived import SegmentVectors, in_blocks, read_arrays

_SAMPLE = 1024
"""The step is computed from this number of vectors, or up to twice as many: half a million values of 512 channels."""

_ROWS = 512
"""Vectors in memory at once: 2 MB of 512 float64, and several arrays of that size are computed from them."""

_COMMON = 0.9999
"""Share of the values that the levels cover; what lies beyond is clipped, and the image's error includes that."""


def write_levels(file: Path, recnn_plus: NDArray[np.floating]) -> None:
    """Compute and write a segment's levels.

    Args:
        file: A new file.
        recnn_plus: [N, C], N ≥ 1, finite, in the index's number type; may be a memory-mapped file,
            since it is read in blocks.
    """
    offset = np.min([block.min(axis=0) for block in in_blocks(recnn_plus, _ROWS)], axis=0).astype(np.float32)
    every = max(1, len(recnn_plus) // _SAMPLE)
    sample = np.empty((len(range(0, len(recnn_plus), every)), len(offset)))
    filled = 0
    for block in in_blocks(recnn_plus, _ROWS, every):
        sample[filled : filled + len(block)] = to_float64(block) - offset
        filled += len(block)
    step = float(np.quantile(sample, _COMMON, overwrite_input=True)) / 255 or 1.0
    del sample
    levels = np.empty(recnn_plus.shape, dtype=np.uint8)
    errors = np.empty(len(recnn_plus))
    for at, block in enumerate(in_blocks(recnn_plus, _ROWS)):
        rows = slice(at * _ROWS, at * _ROWS + len(block))
        levels[rows], errors[rows] = _rounded(block, offset, step)
    above = np.nextafter(errors.astype(np.float32), np.float32(np.inf))
    with file.open("wb") as opened:
        np.savez(opened, levels=levels, offset=offset, step=np.float64(step), errors=above)


class Levels:
    """The levels of a segment, in memory.

    Args:
        source: A seekable binary file.
        shape: (N, C).
        damaged: Makes the error to raise where the file has changed since it was written.
    """

    def __init__(self, source: Any, shape: tuple[int, int], damaged: Callable[[str], ArtifactError]) -> None:
        arrays = read_arrays(
            source,
            {
                "levels": (np.uint8, shape),
                "offset": (np.float32, shape[1:]),
                "errors": (np.float32, shape[:1]),
                "step": (np.float64, ()),
            },
            damaged,
        )
        self._levels, self._offset, self._step = arrays["levels"], arrays["offset"], float(arrays["step"])
        self._errors = arrays["errors"].astype(np.float64)

    def bounds(self, query: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Bound the L1 distances from a vector to the segment's.

        Args:
            query: float64 [C].

        Returns:
            Two float64 [N]: lower and upper bounds of the distances.
        """
        import cv2

        asked, error = _rounded(query[None], self._offset, self._step)
        # We ask for the nearest of one vector: only in this way does the function return all its distances to Python.
        apart, _ = cv2.batchDistance(self._levels, asked, cv2.CV_32S, normType=cv2.NORM_L1, K=1)
        middle = apart.ravel() * self._step
        # Rounding errors of the float64 sums are far below the billionth that is added.
        width = self._errors + error[0] + 1e-9 * (middle + error[0])
        return np.maximum(middle - width, 0.0), middle + width


@dataclass(frozen=True, slots=True)
class LevelsFile:
    """The file of a segment's levels, for the index that stores it: see `rsir_tf.index.derived.DerivedFile`."""

    name: str = "levels.npz"

    def worth(self, images: int, regions: int, large: bool) -> bool:
        """True for large segments only: reading all vectors of a small one is as quick."""
        return large

    def write(self, file: Path, vectors: SegmentVectors) -> None:
        """Compute and write them."""
        write_levels(file, vectors.recnn_plus)

    def read(self, source: Any, vectors: SegmentVectors, damaged: Callable[[str], ArtifactError]) -> Levels:
        """Read and check them."""
        return Levels(source, (len(vectors.counts), vectors.recnn_plus.shape[1]), damaged)


LEVELS = LevelsFile()


def _rounded(
    vectors: NDArray[np.floating], offset: NDArray[np.float32], step: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Levels uint8 [n, C] of vectors [n, C], and float64 [n], the L1 distance of each from them, or a little more."""
    above = to_float64(vectors)
    above -= offset
    levels = np.clip(np.rint(above / step), 0, 255).astype(np.uint8)
    # Subtracting a large offset from small numbers loses less than 2⁻⁵³ of the difference.
    return levels, np.abs(above - levels * step).sum(axis=1) + 2.0**-48 * np.abs(above).sum(axis=1)
