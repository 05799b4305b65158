"""Tables: a type with header and rows, and one writer each for Markdown and for the console."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MISSING = "–"
"""Stands for a figure that does not exist, such as P@50 where 40 images are ranked."""

Cell = str | int | float

_MARKUP = re.compile(r"[\\`*\[\]<|]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown, or HTML inside it, would read as markup; an underscore inside a word is not markup."""

_GAP = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        header: A title for each column.
        rows: The cells. Text is aligned left and numbers right: whole numbers with thousands separators, others with
            three decimals, NaN as "–".
        caption: Text above the table, or None.
        figures: Whether all columns except the first hold figures, so that their text is aligned right too.
        right: Further columns, from 0, whose text stands right.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str | None = None
    figures: bool = False
    right: tuple[int, ...] = ()

    def stands_right(self) -> list[bool]:
        """Which columns are aligned right: one bool per column of the header."""
        return [
            (self.figures and place > 0)
            or place in self.right
            or (bool(self.rows) and all(not isinstance(row[place], str) for row in self.rows if place < len(row)))
            for place in range(len(self.header))
        ]


def number(value: float | None, digits: int = 3) -> str:
    """A figure with this number of decimals, or "–" where there is none."""
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def short_number(value: float) -> str:
    """A number with four significant digits and no exponent: "0.4723", "8,293", "20,050"."""
    rounded = float(f"{value:.4g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.4g}"


def cell_text(cell: Cell) -> str:
    """The text of a cell; see `Table`."""
    if isinstance(cell, str):
        return cell
    return number(cell) if isinstance(cell, float) else f"{cell:,}"


def visible(text: str) -> str:
    r"""Escape invisible characters and those that move the cursor: a line break in a file name becomes \n.

    A terminal obeys control characters: a name that holds some could overwrite other lines.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def markdown_text(text: str) -> str:
    """Escape the characters that Markdown or HTML would read as markup."""
    return _MARKUP.sub(lambda found: "\\" + found.group(), visible(" ".join(text.split())))


def markdown_table(table: Table) -> list[str]:
    """The lines of a Markdown table; the caption is not among them."""
    aligned = ["--:" if right else ":--" for right in table.stands_right()]
    cells = [[markdown_text(cell_text(cell)) for cell in row] for row in (table.header, *table.rows)]
    return ["| " + " | ".join(line) + " |" for line in (cells[0], aligned, *cells[1:])]


def console_table(table: Table, *, indent: int = 0) -> list[str]:
    """The lines of a table for a terminal: columns as wide as necessary, with two spaces between them.

    Args:
        table: The table. Its header is left out if all titles are empty; its caption is not among the lines.
        indent: Spaces before each line.
    """
    lines = [[visible(cell_text(cell)) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    right = table.stands_right()
    shown = lines if any(table.header) else lines[1:]
    return [
        (" " * indent + _GAP.join(_pad(*cell) for cell in zip(line, widths, right, strict=True))).rstrip()
        for line in shown
    ]


def _pad(text: str, width: int, right: bool) -> str:
    room = " " * (width - _width(text))
    return room + text if right else text + room


def _width(text: str) -> int:
    """Width in a terminal: East Asian characters take two columns, combining marks take none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {markdown_text(line)}" for line in lines)
