"""A scene in few pixels, for pictures of it."""

from __future__ import annotations

from dataclasses import replace

from rsir_tf.rasters.datasets import gdal, open_dataset
from rsir_tf.rasters.decoding import to_pixels
from rsir_tf.rasters.layouts import layout_of
from rsir_tf.rasters.pixels import Pixels
from rsir_tf.rasters.scenes import RasterSource


def preview(source: RasterSource, side: int) -> Pixels:
    """Read a whole scene with fewer pixels, from its overviews where it has them.

    Args:
        source: A whole scene.
        side: Pixels of the longer side at most.

    Returns:
        The mean of the valid pixels that each one covers (of a palette, one of them); a smaller scene as it is.

    Raises:
        InputError: The scene cannot be read.
    """
    height, width = source.shape
    larger = max(height, width) / side
    if larger <= 1:
        return source.read_pixels()
    recipe = source.recipe
    if recipe.resolution is not None:
        coarser = replace(recipe, resolution=recipe.resolution * larger)
        return replace(source, recipe=coarser).read_pixels()
    layout = layout_of(source.path, recipe, source.tile_names)
    size = max(1, round(height / larger)), max(1, round(width / larger))
    bands = sorted(set(layout.bands))
    kind = gdal().enums.Resampling
    method = kind.average if layout.palette is None else kind.nearest
    with open_dataset(source.path) as dataset:
        raw = dataset.read(bands, out_shape=(len(bands), *size), resampling=method)
        mask = dataset.read_masks(layout.bands[0], out_shape=size) if layout.masked else None
    return to_pixels(raw, mask, layout)
