"""Segmentations, outlines and sheets of captioned tiles, drawn for people to look at."""

from __future__ import annotations

from rsir_tf.pictures.drawing import (
    VOID_COLOUR,
    Colour,
    blend,
    colour_map,
    outline,
    png_bytes,
    save_png,
    scale,
    scaled_size,
)
from rsir_tf.pictures.sheets import Tile, legend, sheet

__all__ = [
    "VOID_COLOUR",
    "Colour",
    "Tile",
    "blend",
    "colour_map",
    "legend",
    "outline",
    "png_bytes",
    "save_png",
    "scale",
    "scaled_size",
    "sheet",
]
