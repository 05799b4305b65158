"""The fonts of pictures: DejaVu Sans, and fonts of this machine for characters that it lacks."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

PREFERRED = (
    "cjk",
    "sourcehan",
    "wqy",
    "fallback",
    "nanum",
    "ipa",
    "takao",
    "gothic",
    "pingfang",
    "hei",
    "noto",
    "unifont",
)
"""What the file names of fonts hold that are known to cover much, the best first; others are tried after them."""


@dataclass(frozen=True, slots=True)
class Face:
    """A font in a size, with others to help out.

    Attributes:
        size: Pixels.
        bold: Whether the weight is bold; helping fonts have the weight that they have.
    """

    size: int
    bold: bool = False

    @property
    def plain(self) -> ImageFont.FreeTypeFont:
        """DejaVu Sans alone, for text that it covers."""
        return _truetype(_own(self.bold), self.size)

    def getlength(self, text: str) -> float:
        """How wide a line of text is, in pixels."""
        return float(sum(_truetype(path, self.size).getlength(part) for path, part in self._runs(text)))

    def draw(self, canvas: ImageDraw.ImageDraw, place: tuple[int, int], text: str, ink: tuple[int, int, int]) -> None:
        """Draw a line of text whose upper left corner is at a place (x, y); fonts share one base line."""
        runs = list(self._runs(text))
        if [path for path, _ in runs] == [_own(self.bold)]:
            canvas.text(place, text, ink, self.plain)
            return
        x, base = float(place[0]), place[1] + self.plain.getmetrics()[0]
        for path, part in runs:
            face = _truetype(path, self.size)
            canvas.text((x, base), part, ink, face, anchor="ls")
            x += face.getlength(part)

    def _runs(self, text: str) -> Iterator[tuple[str, str]]:
        """Pieces of a text with the font's file that each is drawn with."""
        own = _own(self.bold)
        for path, characters in itertools.groupby(text, lambda character: _covering(character, own)):
            yield path, "".join(characters)


def system_fonts() -> list[str]:
    """The font files of this machine, those that are known to cover much first."""
    from matplotlib.font_manager import findSystemFonts

    def order(path: str) -> tuple[int, bool, str]:
        name = Path(path).name.lower()
        rank = next((place for place, word in enumerate(PREFERRED) if word in name), len(PREFERRED))
        return rank, "regular" not in name and "-r" not in name, name

    return sorted(findSystemFonts(), key=order)


@functools.cache
def _own(bold: bool) -> str:
    """DejaVu Sans, which travels with matplotlib and covers Latin, Greek, Cyrillic and mathematical signs."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


@functools.cache
def _truetype(path: str, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


@functools.cache
def _covering(character: str, own: str) -> str:
    """The font's file to draw a character with: `own` where that has it, and where no font has."""
    if character.isspace() or ord(character) in _characters(own):
        return own
    return next((path for path in system_fonts() if ord(character) in _characters(path)), own)


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """The characters that a font has; none where it cannot be drawn with in any size."""
    from matplotlib.ft2font import FT2Font

    try:
        _truetype(path, 12)
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError, ValueError):  # Bitmap fonts, and files that are no fonts.
        return frozenset()
