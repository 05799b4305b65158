"""The number format in which the layers of a network compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]

PRECISIONS: tuple[Precision, ...] = ("float32", "mixed_float16", "mixed_bfloat16")


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Make layers in this block that compute in a precision; weights and logits are always float32.

    Args:
        precision: One of `PRECISIONS`, named as in Keras. "mixed_float16" needs a GPU with tensor cores, and uses loss
            scaling: gradients that would vanish in half precision are multiplied before and divided after.
    """
    import keras

    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
