"""Deprecated names of `rsir_tf.presentation`; the next version removes this module."""

from __future__ import annotations

from rsir_tf.lazy_attributes import attributes

_MOVED = (
    "VOID_COLOUR", "Colour", "Tile", "blend", "colour_map", "legend", "outline", "png_bytes", "save_png", "scale",
    "scaled_size", "sheet",
)  # fmt: skip

__getattr__ = attributes(__name__, {}, moved=dict.fromkeys(_MOVED, "rsir_tf.presentation"))
