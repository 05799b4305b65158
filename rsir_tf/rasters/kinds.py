"""The kinds of sources, and the way from an address to a source."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rsir_tf.rasters.files import FileSource
from rsir_tf.rasters.source import Source

SOURCE_KINDS: dict[str, Callable[[str], Source]] = {}
"""Name of a kind → what makes a source of the rest of its address. The address is "NAME:REST".

A name has two or more letters, since one letter is a drive on Windows. An address that begins with no such name is the
path of a file.
"""


def open_source(address: str | os.PathLike[str] | Source) -> Source:
    """Open what an address names; no pixel is read.

    Args:
        address: A source's address, such as an index holds; or the path of an image file; or a source, which is given
            back. A file whose relative path begins like an address of another kind is named as `./NAME:REST`.

    Returns:
        The source. Whether there is anything at its address shows when it is read.
    """
    if not isinstance(address, str | os.PathLike):
        return address
    text = os.fspath(address)
    kind, colon, rest = text.partition(":")
    return SOURCE_KINDS[kind](rest) if colon and kind in SOURCE_KINDS else FileSource(Path(text))
