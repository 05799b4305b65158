"""What a mask file holds, as numbers or colours, before a label set says what they mean."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import MAX_CLASSES, Colour, spell_colour
from rsir_tf.errors import InputError
from rsir_tf.rasters import Stored, open_stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 2**53
"""Whole numbers beyond are no longer exact in a float64."""

SHOWN = 24
"""Values that are named where a mask's values are listed."""


def whole_numbers(values: NDArray[Any], where: str) -> NDArray[np.integer[Any]]:
    """Give a mask's values as whole numbers: integers as they are, floats where none has a fraction.

    Args:
        values: [H, W], of any number type.
        where: The file, for errors.

    Returns:
        [H, W]: unsigned integers of 8 or 16 bits as they are, all others int64.

    Raises:
        InputError: A value has a fraction, is not a number, or is too large; the first is named with its place.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values
    with np.errstate(invalid="ignore"):
        wrong = (
            ~((np.abs(values) <= LARGEST) & (values == np.rint(values)))
            if values.dtype.kind == "f"
            else values > (np.iinfo(np.int64).max)
        )
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InputError(
            f"{where}: the mask holds {values[row, column]:g} in row {row}, column {column} "
            f"({np.count_nonzero(wrong)} such pixels)",
            wanted="whole numbers",
            cure="save the classes as whole numbers; what is no class as one that the label set ignores (ignore_ids)",
        )
    return values.astype(np.int64)


def pack(colours: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Pack RGB into one number: uint8 [..., 3 or 4] to [...], 0xRRGGBB."""
    codes = colours[..., 0].astype(np.intp)
    for band in (1, 2):
        codes <<= 8
        codes |= colours[..., band]
    return codes


def pack_colour(colour: Colour) -> int:
    """Pack one colour as `pack` does."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def spell_code(code: int) -> str:
    """Spell a packed colour as #RRGGBB."""
    return spell_colour((code >> 16, code >> 8 & 255, code & 255))


def stretched(values: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Grey of 1 to 8 bits as the grey levels 0..255 that it is shown in."""
    shown: NDArray[np.uint8] = np.multiply(values, 255 // (2**bits - 1), dtype=np.uint8)
    return shown


def palette_of(path: Path) -> dict[int, Colour] | None:
    """The palette of a mask, by index; None where it has none or cannot be opened."""
    try:
        with open_stored(path) as stored:
            palette = stored.palette
    except InputError:
        return None
    return None if palette is None else {i: (int(r), int(g), int(b)) for i, (r, g, b) in enumerate(palette)}


def describe_values(masks: Iterable[Path]) -> str:
    """Say what masks hold: `the ids 0, 1, 2` or `the colours #000000, #FFFFFF`; "" where none of them can be read.

    Raises:
        InputError: One holds more colours than a label set has classes: it is a picture.
    """
    ids: set[int] = set()
    colours: set[int] = set()
    for mask in masks:
        before = len(colours)
        _collect(mask, ids, colours)
        if len(colours) - before > MAX_CLASSES:
            raise InputError(
                f"{mask}: is taken for a mask because of its name, but it holds {len(colours) - before:,} colours, as "
                "a picture does",
                wanted=f"masks of at most {MAX_CLASSES} classes",
                cure="say which files are what with --images GLOB --masks GLOB; --images '**' takes all for images",
            )
    found = []
    if ids:
        found.append(f"the ids {_some(map(str, sorted(ids)))}")
    if colours:
        found.append(f"the colours {_some(map(spell_code, sorted(colours)))}")
    return " and ".join(found)


def _collect(mask: Path, ids: set[int], colours: set[int]) -> None:
    """Add a mask's values, where it can be read."""
    with contextlib.suppress(InputError), open_stored(mask) as stored:
        if kind_of(stored) is None:
            values = stored.decode()
            if stored.bands > 1:
                colours.update(map(int, np.unique(pack(values))))
            else:
                ids.update(map(int, np.unique(whole_numbers(values, str(mask)))))


def _some(spelt: Iterable[str]) -> str:
    every = list(spelt)
    return ", ".join(every[:SHOWN]) + (f" and {len(every) - SHOWN} more" if len(every) > SHOWN else "")


def kind_of(stored: Stored) -> str | None:
    """What a mask is that cannot hold classes, in words; None where it can."""
    if stored.colour_space:
        return f"is {stored.colour_space}"
    if stored.bands == 1:
        return None
    if stored.bands == 2:
        return "has two bands" + (" (grey with alpha)" if stored.alpha else "")
    if stored.bits != 8 or stored.dtype != "uint8":
        return f"has {stored.bands} bands of {stored.bits} bits a sample ({stored.dtype})"
    if stored.bands == 3 or (stored.bands == 4 and stored.alpha):
        return None
    return f"has {stored.bands} bands"
