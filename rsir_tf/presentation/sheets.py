"""Sheets: rows of captioned tiles with a title and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.presentation.drawing import Colour, scale, scaled_size
from rsir_tf.presentation.text import font, line_height, wrap
from rsir_tf.rasters import check_image

if TYPE_CHECKING:
    from PIL import ImageDraw

INK: Colour = (28, 32, 38)
FAINT_INK: Colour = (92, 98, 106)
PAPER: Colour = (255, 255, 255)

_MARGIN = 14
_FRAME = 4
_TEXT = 13
_TITLE = 18


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a sheet.

    Attributes:
        image: uint8 [H, W, 3], RGB; any size.
        caption: Lines below it; the first is bold. A line that is too wide is wrapped, and cut with "…" after three
            lines.
        frame: Colour of a frame around it; None draws no frame.
        smooth: Whether scaling interpolates; False for class maps, whose colours must not mix.
    """

    image: NDArray[np.uint8]
    caption: Sequence[str] = ()
    frame: Colour | None = None
    smooth: bool = True


def sheet(
    tiles: Sequence[Sequence[Tile | None]],
    *,
    title: str | None = None,
    legend: Sequence[tuple[str, Colour]] = (),
    footer: Sequence[str] = (),
    side: int = 256,
) -> NDArray[np.uint8]:
    """Arrange tiles in rows, on white, each scaled to fit into a square of the same size, with its caption below.

    A row is as high as its highest tile. Captions are not wider than their tile and never overlap; text that does not
    fit ends with "…".

    Args:
        tiles: Rows of tiles; None leaves a place empty. Rows may be of different lengths.
        title: Title of the sheet.
        legend: (name, colour) pairs, shown below the tiles.
        footer: Lines of text below the legend.
        side: Pixels of a tile's longer side.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: There is no tile, or an image is not uint8 [H, W, 3].
    """
    from PIL import Image, ImageDraw

    columns = max((len(row) for row in tiles), default=0)
    if not any(tile is not None for row in tiles for tile in row):
        raise InputError("a sheet without tiles", wanted="one tile or more")
    heights = [max((_height(tile, side) for tile in row if tile is not None), default=0) for row in tiles]
    cell = side + 2 * _FRAME
    inside = columns * cell + (columns - 1) * _MARGIN
    title_lines = wrap(title, font(_TITLE, bold=True), inside, 2) if title else []
    foot_lines = [line for text in footer for line in wrap(text, font(_TEXT), inside, 3)]
    captions = [[_caption(tile, cell) for tile in row] for row in tiles]
    line = line_height(_TEXT)
    tops, y = [], _MARGIN + len(title_lines) * line_height(_TITLE) + (8 if title_lines else 0)
    for row, height in zip(captions, heights, strict=True):
        tops.append(y)
        y += height + 2 * _FRAME + 4 + max((len(lines) for lines in row), default=0) * line + _MARGIN
    key = _legend_picture(legend, inside) if legend else None
    if key is not None:
        key_top, y = y, y + key.height + _MARGIN
    foot_top = y
    y += len(foot_lines) * line + (_MARGIN if foot_lines else 0)

    page = Image.new("RGB", (inside + 2 * _MARGIN, y), PAPER)
    draw = ImageDraw.Draw(page)
    for number, text in enumerate(title_lines):
        font(_TITLE, bold=True).draw(draw, (_MARGIN, _MARGIN + number * line_height(_TITLE)), text, INK)
    for top, height, tile_row, caption_row in zip(tops, heights, tiles, captions, strict=True):
        for column, (tile, lines) in enumerate(zip(tile_row, caption_row, strict=True)):
            if tile is None:
                continue
            left = _MARGIN + column * (cell + _MARGIN)
            _paste_tile(page, draw, tile, (left, top), (side, height))
            for number, (text, bold) in enumerate(lines):
                place = (left, top + height + 2 * _FRAME + 4 + number * line)
                font(_TEXT, bold=bold).draw(draw, place, text, INK if bold else FAINT_INK)
    if key is not None:
        page.paste(key, (_MARGIN, key_top))
    for number, text in enumerate(foot_lines):
        font(_TEXT).draw(draw, (_MARGIN, foot_top + number * line), text, FAINT_INK)
    return np.asarray(page)


def legend(names: Sequence[str], colours: Sequence[Colour], *, width: int = 640) -> NDArray[np.uint8]:
    """Draw what each colour means: swatches and names, left to right, in as many lines as they need.

    Args:
        names: One name per colour.
        colours: RGB, 0..255.
        width: Pixels of the picture.

    Returns:
        uint8 [H, width, 3], on white.

    Raises:
        InputError: The counts differ, or are 0.
    """
    if len(names) != len(colours) or not names:
        raise InputError(f"{len(names)} names for {len(colours)} colours", wanted="equal numbers, one or more")
    return np.asarray(_legend_picture(list(zip(names, colours, strict=True)), width))


def _caption(tile: Tile | None, width: int) -> list[tuple[str, bool]]:
    if tile is None:
        return []
    return [
        (part, number == 0)
        for number, text in enumerate(tile.caption)
        for part in wrap(text, font(_TEXT, bold=number == 0), width, 3)
    ]


def _height(tile: Tile, side: int) -> int:
    check_image(tile.image, "tile")
    return scaled_size(tile.image.shape, side)[0]


def _paste_tile(
    page: Any, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], room: tuple[int, int]
) -> None:
    """Paste a tile into the middle of its space (width, height), which begins a frame's width from a corner (x, y)."""
    from PIL import Image

    picture = scale(tile.image, room[0], smooth=tile.smooth)
    height, width = picture.shape[:2]
    x, y = corner[0] + _FRAME + (room[0] - width) // 2, corner[1] + _FRAME + (room[1] - height) // 2
    if tile.frame is not None:
        draw.rectangle((x - _FRAME, y - _FRAME, x + width + _FRAME - 1, y + height + _FRAME - 1), fill=tile.frame)
    page.paste(Image.fromarray(picture), (x, y))


def _legend_picture(entries: Sequence[tuple[str, Colour]], width: int) -> Any:
    from PIL import Image, ImageDraw

    swatch, gap, line = _TEXT, 6, line_height(_TEXT) + 4
    placed: list[tuple[int, int, str, Colour]] = []
    x = y = 0
    for name, colour in entries:
        text = (wrap(name, font(_TEXT), max(width - swatch - gap, 1), 1) or [""])[0]
        needed = swatch + gap + round(font(_TEXT).getlength(text))
        if x and x + needed > width:
            x, y = 0, y + line
        placed.append((x, y, text, colour))
        x += needed + 2 * gap + 6
    picture = Image.new("RGB", (width, y + line), PAPER)
    draw = ImageDraw.Draw(picture)
    for left, top, text, colour in placed:
        draw.rectangle((left, top + 2, left + swatch - 1, top + 1 + swatch), fill=colour, outline=FAINT_INK)
        font(_TEXT).draw(draw, (left + swatch + gap, top), text, INK)
    return picture
