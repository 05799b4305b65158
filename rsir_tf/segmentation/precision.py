"""In which number format the layers of a network compute."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]

PRECISIONS: tuple[Precision, ...] = ("float32", "mixed_float16", "mixed_bfloat16")


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Let layers that are made within this block compute in a precision; weights and logits are float32 in all of them.

    Args:
        precision: One of `PRECISIONS`, by Keras's names. "mixed_float16" wants a GPU with tensor cores, and brings
            loss scaling along: gradients that would vanish in half precision are multiplied before and divided after.
    """
    import keras

    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy(precision)
    try:
        yield
    finally:
        keras.mixed_precision.set_global_policy(before)
