"""Text in pictures: the font, and wrapping lines."""

from __future__ import annotations

import re

from rsir_tf.presentation.fonts import Face


def font(size: int, *, bold: bool = False) -> Face:
    """DejaVu Sans in a size; fonts of this machine help out where it lacks a character."""
    return Face(size, bold)


def line_height(size: int) -> int:
    """Pixels from one line of text to the next."""
    return round(size * 1.35)


def wrap(text: str, face: Face, width: int, most: int) -> list[str]:
    """Break a text into lines that fit; line breaks in it count as spaces.

    Args:
        text: Any text. It is broken at spaces and after "/", "_", "-" and ",", and inside a word only if the word alone
            is too wide.
        face: The font in which it is drawn.
        width: The largest width in pixels.
        most: The largest number of lines; a longer text ends with "…".

    Returns:
        Up to `most` lines, none wider than `width` (a single character may be, where `width` is tiny).
    """
    pieces = re.findall(r"[^\s/_,-]*[/_,-]|[^\s/_,-]+|\s", " ".join(text.split()))
    lines = [""]
    for piece in pieces:
        rest = piece
        if face.getlength((lines[-1] + rest).rstrip()) <= width:
            lines[-1] += rest
            continue
        if lines[-1].strip():
            lines.append("")
        rest = rest.lstrip()
        while face.getlength(rest) > width and len(rest) > 1:
            fitting = next((n for n in range(len(rest) - 1, 1, -1) if face.getlength(rest[:n]) <= width), 1)
            lines[-1] = rest[:fitting]
            lines.append("")
            rest = rest[fitting:]
        lines[-1] = rest
    lines = [line.rstrip() for line in lines if line.strip()]
    if len(lines) > most:
        last = lines[most - 1]
        while last and face.getlength(last + "…") > width:
            last = last[:-1]
        lines = [*lines[: most - 1], last.rstrip() + "…"]
    return lines
