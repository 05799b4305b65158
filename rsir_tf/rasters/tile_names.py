"""Web map tiles: where an image lies whose name holds its zoom, column and row."""

from __future__ import annotations

import re
from functools import lru_cache

from rsir_tf.errors import InputError
from rsir_tf.rasters.source import Place

_FIELDS = ("{z}", "{x}", "{y}", "{-y}")
_MAX_ZOOM = 30


def web_tile_place(path: str, pattern: str, shape: tuple[int, int]) -> Place | None:
    """Find a web map tile's place by its name.

    Args:
        path: The tile's path or URL.
        pattern: The end of such paths, with {z}, {x} and {y}: "{z}/{x}/{y}.png" or "OAM-{x}-{y}-{z}.tif"; {-y} counts
            rows from the south, as TMS does. Other letters stand for themselves.
        shape: (height, width) of the tile in pixels.

    Returns:
        The place on EPSG:3857 (mercantile has the sums); None where the name does not follow the pattern.

    Raises:
        InputError: The pattern lacks one of z, x and y, or the name's numbers lie outside the world.
    """
    numbers = tile_numbers(path, pattern)
    if numbers is None:
        return None
    import mercantile

    zoom, column, row = numbers
    box = mercantile.xy_bounds(column, row, zoom)
    height, width = shape
    return Place(
        "EPSG:3857", ((box.right - box.left) / width, 0.0, box.left, 0.0, -(box.top - box.bottom) / height, box.top)
    )


def tile_numbers(path: str, pattern: str) -> tuple[int, int, int] | None:
    """Find the (zoom, column, row) in a tile's name, rows counted from the north; None where it has another name.

    Raises:
        InputError: As for `web_tile_place`.
    """
    match = check_pattern(pattern).search(path.replace("\\", "/"))
    if match is None:
        return None
    zoom, column, row = (int(match[name]) for name in "zxy")
    if zoom > _MAX_ZOOM or max(column, row) >= 2**zoom:
        raise InputError(
            f"{path}: would be tile {column}, {row} of zoom {zoom}, which is outside the world",
            cure=f"check the order of {{z}}, {{x}} and {{y}} in the pattern of tile names, {pattern}",
        )
    return zoom, column, 2**zoom - 1 - row if "{-y}" in pattern else row


@lru_cache(maxsize=16)
def check_pattern(pattern: str) -> re.Pattern[str]:
    """Make a regular expression of a pattern of tile names.

    Raises:
        InputError: It lacks one of z, x and y, names one twice, or lets two follow each other directly.
    """
    parts = re.split(r"(\{-?[a-z]+\})", pattern)
    named = [part for part in parts if part.startswith("{")]
    if sorted(part.strip("{-}") for part in named) != ["x", "y", "z"] or not set(named) <= set(_FIELDS):
        raise InputError(
            f"the pattern of tile names {pattern!r}",
            wanted="{z}, {x} and {y} (or {-y}) once each, as in {z}/{x}/{y}.png",
        )
    if "}{" in pattern:
        raise InputError(
            f"the pattern of tile names {pattern!r}: nothing tells where one number ends and the next begins",
            wanted="a letter or sign between them, as in {z}/{x}/{y}.png",
        )
    text = "".join(rf"(?P<{part.strip('{-}')}>\d+)" if part in _FIELDS else re.escape(part) for part in parts)
    # The pattern begins where a name begins, or in the middle of one only after what is no digit.
    return re.compile(rf"(?<!\d){text}$")
