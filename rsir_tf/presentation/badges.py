"""Numbers on regions: where they are placed, and how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.presentation.drawing import Colour
from rsir_tf.presentation.text import font

BADGE_COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (255, 255, 255),
)
"""Colours that colour-blind readers can distinguish too (Okabe and Ito); number 1 has the first, and they repeat."""

_RADIUS = 9


def inner_point(inside: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel deepest inside a region; its centroid may lie outside (a ring, a bend of a river).

    Args:
        inside: bool [H, W], True in one region or more pixels.

    Returns:
        (row, column) of the pixel farthest from the region's border, where the image's edge is a border too; the first
        of several.
    """
    import cv2

    padded = np.pad(inside, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(row), int(column)


def largest_regions(labels: NDArray[np.int32], most: int) -> list[int]:
    """Numbers of the largest regions, largest first, ties by number.

    Args:
        labels: int32 [H, W], 0 for no region, otherwise 1..m.
        most: The largest number of regions to return.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    order = np.argsort(-areas, kind="stable")
    return [int(region) for region in order[:most] if areas[region] > 0]


def draw_badges(
    image: NDArray[np.uint8], labels: NDArray[np.int32], numbers: Mapping[int, tuple[int, ...]]
) -> NDArray[np.uint8]:
    """Write numbers on regions: several numbers of one region are side by side, and none covers another.

    Args:
        image: uint8 [H, W, 3].
        labels: int32 [H, W].
        numbers: Region of `labels` → the numbers on it, from 1.

    Returns:
        uint8 [H, W, 3].
    """
    from PIL import Image, ImageDraw

    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    taken: list[tuple[float, float, float, float]] = []
    for region, carried in numbers.items():
        inside = labels == region
        if not inside.any():
            continue
        row, column = inner_point(inside)
        y, x = _free_place(row, column, len(carried), image.shape, taken)
        for place, number in enumerate(carried):
            _draw_badge(draw, y, x + place * 2 * _RADIUS, number)
    return np.asarray(picture)


def _free_place(
    row: int, column: int, count: int, shape: tuple[int, ...], taken: list[tuple[float, float, float, float]]
) -> tuple[float, float]:
    """Centre (y, x) of the first of `count` badges, as near to the wanted place as the others and the edges allow."""
    reach, length = _RADIUS + 1, (count - 1) * 2 * _RADIUS
    candidates = [(dy, dx) for dy in range(-60, 61, 5) for dx in range(-60, 61, 5)]
    for dy, dx in sorted(candidates, key=lambda step: step[0] ** 2 + step[1] ** 2):
        y = float(np.clip(row + dy, reach, max(reach, shape[0] - 1 - reach)))
        x = float(np.clip(column + dx - length / 2, reach, max(reach, shape[1] - 1 - reach - length)))
        box = (y - reach, x - reach, y + reach, x + length + reach)
        if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
            break
    taken.append(box)
    return y, x


def _draw_badge(draw: Any, y: float, x: float, number: int) -> None:
    colour = BADGE_COLOURS[(number - 1) % len(BADGE_COLOURS)]
    light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 130
    box = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
    draw.ellipse(box, fill=colour, outline=(20, 20, 20), width=1)
    ink = (0, 0, 0) if light else (255, 255, 255)
    draw.text((x, y), str(number), ink, font(12, bold=True).plain, anchor="mm")
