"""Half precision to single, many times quicker than NumPy converts where the processor could do it itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIGN_AND_VALUE = np.int32(-0x70000001)
"""All bits but the three above the exponent, into which the sign was extended."""


def to_float32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Give finite numbers as float32, exactly.

    A half's exponent and mantissa, moved to where a single has them, stand for the number times 2⁻¹¹²; that holds for
    subnormals too.

    Args:
        values: float16 or float32, any shape, finite.

    Returns:
        float32 of the same shape: a new array, or a float32 array itself.
    """
    if values.dtype == np.float32:
        return np.asarray(values, dtype=np.float32)
    bits = np.ascontiguousarray(values).view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_VALUE
    single: NDArray[np.float32] = bits.view(np.float32)
    single *= np.float32(2.0**112)
    return single
