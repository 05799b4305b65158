"""How long a metre is in a picture, and where north is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.presentation.text import font
from rsir_tf.rasters import ground_steps

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import ImageDraw

    from rsir_tf.rasters import Place

_SHARE = 0.35
"""The largest part of a picture's width that a bar takes."""

_SMALLEST = 64
"""Pixels of a picture's shorter side below which a bar and an arrow would hide too much of it."""

_LIGHT, _DARK = (255, 255, 255), (20, 20, 20)
_TEXT, _MARGIN, _ARROW = 11, 8, 24


@dataclass(frozen=True, slots=True)
class Ground:
    """How a picture lies on the ground, in its middle.

    Attributes:
        metres: Width of a pixel along a row, in metres on the ground.
        north: (x, y), the direction to geographic north: x to the right, y down, of length 1.
    """

    metres: float
    north: tuple[float, float]

    def scaled(self, factor: float) -> Ground:
        """The same for a picture that has `factor` times as many pixels a side."""
        return replace(self, metres=self.metres / factor)


def ground_of(place: Place, shape: tuple[int, ...]) -> Ground | None:
    """Find the scale and the direction of north in the middle of a picture.

    Metres are those on the ground: in Web Mercator or in degrees they depend on the latitude.

    Args:
        place: Where the picture lies on Earth.
        shape: (height, width, …) of the picture in pixels.

    Returns:
        None where the middle is not on Earth (for example in a picture of half of the disk).
    """
    try:
        across, down = ground_steps(place, shape)
    except InputError:
        return None
    area = across[0] * down[1] - across[1] * down[0]
    if not np.isfinite(area) or area == 0:
        return None
    # The step in pixels that leads north, and neither east nor west.
    upward = np.array([-down[0], across[0]]) / area
    upward /= np.hypot(*upward)
    return Ground(float(np.hypot(*across)), (float(upward[0]), float(upward[1])))


def bar_length(metres: float, width: int) -> float:
    """The longest of 1, 2 and 5 times a power of ten that takes at most about a third of a picture's width.

    Args:
        metres: Of a pixel.
        width: Of the picture, in pixels.

    Returns:
        The length in metres.
    """
    longest = _SHARE * width * metres
    power = 10.0 ** math.floor(math.log10(longest))
    return power * max(step for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))


def length_text(metres: float) -> str:
    """A length as words: "2 km", "50 m" or "20 cm"."""
    for unit, size in (("km", 1000.0), ("m", 1.0), ("cm", 0.01)):
        if metres >= size * (1 - 1e-9):
            return f"{metres / size:,.0f} {unit}"
    return f"{metres * 1000:.3g} mm"


def draw_ground(picture: NDArray[np.uint8], ground: Ground) -> NDArray[np.uint8]:
    """Draw a scale bar into the lower left corner of a picture, and an arrow to the north into its upper right one.

    Args:
        picture: uint8 [H, W, 3]; not changed.
        ground: Of this picture, in its own pixels.

    Returns:
        uint8 [H, W, 3]; the same picture without a bar where a side is shorter than 64 pixels.
    """
    from PIL import Image, ImageDraw

    height, width = picture.shape[:2]
    if min(height, width) < _SMALLEST:
        return picture
    page = Image.fromarray(picture)
    draw = ImageDraw.Draw(page)
    _draw_bar(draw, ground, height, width)
    _draw_arrow(draw, ground.north, width)
    return np.asarray(page)


def _draw_bar(draw: ImageDraw.ImageDraw, ground: Ground, height: int, width: int) -> None:
    metres = bar_length(ground.metres, width)
    right, base = _MARGIN + round(metres / ground.metres), height - _MARGIN
    # A light line on a darker one is seen on any ground.
    for ink, wider in ((_DARK, 1), (_LIGHT, 0)):
        draw.rectangle((_MARGIN - wider, base - 2 - wider, right + wider, base + wider), fill=ink)
        for x in (_MARGIN, right):
            draw.rectangle((x - wider, base - 6 - wider, x + wider, base + wider), fill=ink)
    place = ((_MARGIN + right) / 2, base - 8)
    draw.text(
        place, length_text(metres), _LIGHT, font(_TEXT).plain, anchor="ms", stroke_width=2, stroke_fill=_DARK
    )  # fmt: skip


def _draw_arrow(draw: ImageDraw.ImageDraw, north: tuple[float, float], width: int) -> None:
    """An arrow that turns around its middle, and the letter N at its point."""
    along = np.array(north)
    across = np.array((-along[1], along[0]))
    reach = _ARROW / 2
    middle = np.array((width - _MARGIN - reach - _TEXT / 2, _MARGIN + reach + _TEXT / 2))
    corners = [
        middle + along * reach,
        middle - along * reach + across * 6,
        middle - along * (reach - 5),
        middle - along * reach - across * 6,
    ]
    draw.polygon([(float(x), float(y)) for x, y in corners], fill=_LIGHT, outline=_DARK)
    x, y = middle + along * (reach + _TEXT / 2)
    place = (float(x), float(y))
    draw.text(
        place, "N", _LIGHT, font(_TEXT, bold=True).plain, anchor="mm", stroke_width=2, stroke_fill=_DARK
    )  # fmt: skip
