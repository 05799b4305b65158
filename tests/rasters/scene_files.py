"""Scenes that tests write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

UTM = {"crs": "EPSG:32633", "transform": from_origin(500000, 5000000, 10, 10)}


def write_scene(
    path: Path, values: np.ndarray, *, colours: str = "", mask: np.ndarray | None = None, **options: Any
) -> str:
    """Write values [bands, H, W] as a GeoTIFF, by default at 10 m in UTM zone 33; `colours` is "rgba" or the like."""
    names = {"r": "red", "g": "green", "b": "blue", "a": "alpha", "-": "undefined", "k": "gray"}
    profile = {"driver": "GTiff", **UTM, **options}
    bands, height, width = values.shape
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, "w", count=bands, height=height, width=width, dtype=values.dtype, **profile) as file,
    ):
        if colours:
            file.colorinterp = [ColorInterp[names[letter]] for letter in colours]
        file.write(values)
        if mask is not None:
            file.write_mask(mask)
    return str(path)


def noise(bands: int, height: int, width: int, dtype: str = "uint8", low: int = 1, high: int = 255) -> np.ndarray:
    """Values [bands, height, width] from low to high − 1."""
    return np.random.default_rng(bands * height + width).integers(low, high, (bands, height, width)).astype(dtype)
