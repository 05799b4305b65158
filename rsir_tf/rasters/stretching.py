"""The ranges that a percentage means (`--stretch 2%`): computed once over all scenes of an archive, and then fixed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.progress import Progress, silent
from rsir_tf.rasters.datasets import open_dataset
from rsir_tf.rasters.decoding import valid_pixels
from rsir_tf.rasters.layouts import glance, layout_of
from rsir_tf.rasters.recipe import Recipe
from rsir_tf.wording import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_VALUES = 8_000_000
"""Of one colour, over all scenes: of many scenes, fewer values each are kept."""

_DIGITS = 6
"""Significant ones: ranges are printed and typed again, and must be the same then."""


def percentile_stretch(
    paths: Sequence[str],
    percent: float,
    recipe: Recipe,
    progress: Progress = silent,
    unread: Callable[[InputError], None] = lambda _: None,
) -> tuple[tuple[float, float], ...]:
    """Find the ranges below and above which a percentage of the valid values of each colour lie.

    Each scene is looked at in a reduced picture of at most 512×512 pixels, from its overviews where it has them, and
    scenes of any size count alike.

    Args:
        paths: Raster files and URLs. Those that the recipe cannot read are passed over.
        percent: More than 0 and less than 50: 2 gives the 2nd and the 98th percentile.
        recipe: Its bands and nodata count; its stretch does not.
        progress: Called after each scene.
        unread: Called for each file that is passed over.

    Returns:
        (low, high) for red, green and blue, with 6 significant digits.

    Raises:
        InputError: The percentage is impossible, no scene can be read, or none has a valid pixel.
    """
    if not 0 < percent < 50:
        raise InputError(f"a stretch of {percent:g}%", wanted="more than 0% and less than 50%")
    found: list[NDArray[Any]] = []
    refused: InputError | None = None
    for done, path in enumerate(paths, start=1):
        try:
            found.append(_valid_values(path, recipe, _MOST_VALUES // len(paths)))
        except InputError as error:
            refused = refused or error
            unread(error)
        progress(done, len(paths), path)
    values = np.concatenate(found, axis=1) if found else np.empty((3, 0))
    if values.shape[1] == 0:
        raise refused or InputError(
            counted(len(paths), "file: has no valid pixel", "files: have no valid pixel"),
            wanted="one to compute a stretch from",
        )
    low, high = np.percentile(values, [percent, 100 - percent], axis=1)
    return tuple(_range(*ends) for ends in zip(low, high, strict=True))


def _valid_values(path: str, recipe: Recipe, most: int) -> NDArray[Any]:
    """Values of valid pixels in a scene's reduced picture: [3, n], with n at most `most`, spread evenly."""
    layout = layout_of(path, dataclasses.replace(recipe, stretch=((0.0, 1.0),)))
    with open_dataset(path) as dataset:
        raw = glance(dataset, layout.bands)
        mask = dataset.read_masks(layout.bands[0], out_shape=raw.shape[1:]) if layout.masked else None
    values = raw[:, valid_pixels(raw, mask, layout)]
    return values[:, :: max(1, -(-values.shape[1] // max(most, 1)))]


def _range(low: float, high: float) -> tuple[float, float]:
    low, high = (float(f"{value:.{_DIGITS}g}") for value in (low, high))
    return (low, high) if low < high else (low, low + 1)
