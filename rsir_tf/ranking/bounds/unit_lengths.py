"""Lower bounds of distances between vectors at length 1, from those between the vectors as they are.

‖q/‖q‖ − r/‖r‖‖² = 2 + (‖q − r‖² − ‖q‖² − ‖r‖²) / (‖q‖ ‖r‖), so that nothing but lengths is needed, and no copy of the
vectors is scaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SHORTEST = np.float32(1e-16)
"""Squared lengths below it, or above its inverse, are not scaled in float32."""


class UnitLengths:
    """Scales bounds for the regions of one query.

    Args:
        query: float64 [m, C].
    """

    def __init__(self, query: NDArray[np.float64]) -> None:
        squares = np.square(query).sum(axis=1, keepdims=True)
        # ‖r‖² is off by up to (C + 1)·2⁻²⁴ of itself, and ‖r‖ by half of that; the rest is for the steps of `scale`.
        self._widened = np.float32(1 + (query.shape[1] + 64) * 2.0**-23)
        with np.errstate(over="ignore"):
            self._squares = squares.astype(np.float32) * self._widened
            self._inverse = _inverse_roots(squares.astype(np.float32))

    def scale(self, squared: NDArray[np.float32], norms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change lower bounds of squared distances, in place.

        The result is 0 where a vector is too short or too long; a zero vector cannot be scaled, and 0 is a lower bound
        of its distance too.

        Args:
            squared: float32 [m, n], for n regions of images.
            norms: float32 [n], ‖r‖² as `squared_norms` gives it.

        Returns:
            `squared`, ≥ 0.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            squared -= norms * self._widened
            squared -= self._squares
            squared *= _inverse_roots(norms)
            squared *= self._inverse
            squared += 2
        return np.fmax(squared, 0, out=squared)  # also turns NaN into 0


def _inverse_roots(norms: NDArray[np.float32]) -> NDArray[np.float32]:
    """1/√ of squared lengths; NaN where they are so small or large that products with them may not fit float32."""
    fits = (norms > _SHORTEST) & (norms < 1 / _SHORTEST)
    with np.errstate(divide="ignore"):
        return np.where(fits, 1 / np.sqrt(norms), np.float32(np.nan))
