"""Lists of images on a command line: "-" for stdin, "@FILE" for a file, one path in each line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rsir_tf.errors import InputError, why

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Some editors of Windows begin a text file with it."""


def is_list(name: str) -> bool:
    """Whether an argument names a list and not an image; `./@FILE` and `./-` are images with such names."""
    return name == "-" or (name.startswith("@") and len(name) > 1)


def expand(names: Sequence[str]) -> list[str]:
    """Replace each list among the arguments by the paths in it.

    Lines may end in CR LF; empty lines are skipped. A list in which a NUL byte occurs (`find -print0`) is divided there
    and not at line ends. Paths are bytes and need not be UTF-8.

    Raises:
        InputError: A list cannot be read, or there is no image in all of them.
    """
    found = [path for name in names for path in (_listed(name) if is_list(name) else [name])]
    if not found:
        raise InputError(f"{', '.join(names)}: holds no path of an image", wanted="one path in each line")
    return found


def _listed(name: str) -> Iterator[str]:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name[1:]).read_bytes()
    except OSError as error:
        raise InputError(f"{name[1:] or 'stdin'}: cannot be read: {why(error)}") from error
    content = content.removeprefix(BYTE_ORDER_MARK)
    lines = content.split(b"\0") if b"\0" in content else [line.rstrip(b"\r") for line in content.split(b"\n")]
    return (os.fsdecode(line) for line in lines if line.strip())
