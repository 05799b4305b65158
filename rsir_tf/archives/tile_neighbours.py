"""Whether web tiles lie where their names say: the edges of neighbours go on in each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters import RasterSource, Recipe
from rsir_tf.rasters.tile_names import tile_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIRS = 8
"""Neighbours that are looked at in each of the two directions, at most."""

LEAST_PAIRS = 3
"""With fewer of them that tell two orders apart, nothing is proven."""

BETTER = 0.6
"""Another order is proven where the edges differ by less than this part of what they differ by in the given order. Of
48 tiles of a city from the air they differ by 14 of 255 levels where they meet, and by 53 elsewhere."""

AGREEING = 0.8
"""…and where this part of the pairs says so, each for itself."""

_Tile = tuple[int, int, int]


def refuse_misplaced(paths: Sequence[str], pattern: str, recipe: Recipe) -> None:
    """Refuse a pattern of tile names that puts tiles elsewhere than their pixels say.

    Numbers do not tell whether columns and rows are swapped, or rows count from the other side: such tiles are a block
    as well, elsewhere on Earth. Pixels do: neighbours by the pattern meet at other edges then. Nothing is refused where
    there are too few neighbours, or where edges tell nothing (water, clouds).

    Args:
        paths: Files and URLs; some pairs of neighbours are read.
        pattern: Of tile names.
        recipe: How they are read.

    Raises:
        InputError: No name follows the pattern, or the edges prove another one.
    """
    tiles: dict[_Tile, str] = {}
    for path in paths:
        try:
            numbers = tile_numbers(path, pattern)
        except InputError:  # Outside the world: it is told when this tile is opened.
            return
        if numbers is not None:
            tiles[numbers] = path
    if not tiles:
        others = "" if len(paths) == 1 else f", nor has any other of the {len(paths):,} files"
        raise InputError(
            f"{paths[0]}: does not have a name as in {pattern}{others}",
            wanted="how their paths end, with {z}, {x} and {y} in place of the numbers",
            cure="check --tile-names",
        )
    plain = dataclasses.replace(recipe, resolution=None)
    pairs = [_differences(tiles, pair, east, pattern, plain) for east in (True, False) for pair in _pairs(tiles, east)]
    found = np.array([each for each in pairs if each is not None]).reshape(-1, 4)
    best = int(np.argmin(found.mean(axis=0))) if len(found) else 0
    telling = found[found[:, best] != found[:, 0]]  # A turn of rows leaves neighbours in a row where they are.
    if len(telling) < LEAST_PAIRS:
        return
    given, other = telling[:, 0], telling[:, best]
    if other.mean() < BETTER * given.mean() and (other < given).mean() >= AGREEING:
        right = _orders(pattern)[best]
        raise InputError(
            f"the tiles do not lie where {pattern} puts them: neighbours' edges differ by {given.mean():.0f} of 255 "
            f"levels in the mean, but only by {other.mean():.0f} where {right} puts them",
            cure=f"say --tile-names '{right}'",
        )


def _orders(pattern: str) -> list[str]:
    """The pattern; with rows from the other side; with columns and rows swapped, their rows from north and south."""
    rows, turned = ("{-y}", "{y}") if "{-y}" in pattern else ("{y}", "{-y}")
    swapped = pattern.replace(rows, "{column}").replace("{x}", "{row}").replace("{column}", "{x}")
    return [pattern, pattern.replace(rows, turned), *(swapped.replace("{row}", name) for name in ("{y}", "{-y}"))]


def _pairs(tiles: dict[_Tile, str], east: bool) -> list[tuple[_Tile, _Tile]]:
    """Some neighbours by the pattern, west and east or north and south of each other, spread evenly over all."""
    beyond = [(tile, (tile[0], tile[1] + east, tile[2] + (not east))) for tile in sorted(tiles)]
    found = [pair for pair in beyond if pair[1] in tiles]
    return found[:: max(1, -(-len(found) // PAIRS))]


def _differences(
    tiles: dict[_Tile, str], pair: tuple[_Tile, _Tile], east: bool, pattern: str, recipe: Recipe
) -> list[float] | None:
    """The mean difference of two tiles at the edges where each of `_orders` has them meet; None where one is unread."""
    try:
        first, second = (RasterSource(tiles[tile], recipe).read().astype(np.float64) for tile in pair)
    except InputError:  # It is told when it is opened as an image.
        return None
    if first.shape != second.shape or first.shape[0] != first.shape[1]:
        return None

    def differ(edge: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        return float(np.abs(edge - other).mean())

    right, left = differ(first[:, -1], second[:, 0]), differ(first[:, 0], second[:, -1])
    down, up = differ(first[-1], second[0]), differ(first[0], second[-1])
    if east:
        return [right, right, down, up]
    # The next row to the south is the number before where rows count from the south.
    sideways = left if "{-y}" in pattern else right
    return [down, up, sideways, sideways]
