"""Region vectors of some images, as one matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class RegionBlock:
    """Region vectors of some images, each of which has at least one region.

    Attributes:
        positions: int64 [k], where the images lie; ascending.
        starts: int64 [k], the first row of each image in `vectors`.
        vectors: float32 [n, C].
        squared_norms: float32 [n], rounded, with a relative error below (C + 1)·2⁻²⁴.
    """

    positions: NDArray[np.int64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.float32]
    squared_norms: NDArray[np.float32]


def squared_norms(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [n], ‖v‖² of each row; infinite where float32 cannot hold it."""
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("ij,ij->i", vectors, vectors), dtype=np.float32)
