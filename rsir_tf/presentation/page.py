"""One static HTML page of text, tables, pictures and command output; it needs no server and no network."""

from __future__ import annotations

import base64
import functools
import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.presentation.drawing import png_bytes
from rsir_tf.presentation.tables import Table, cell_text

if TYPE_CHECKING:
    from jinja2 import Template

PAGE = "page.html"
"""The template; it includes `page.css`, which is in the same folder."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Attributes:
        source: uint8 [H, W, 3], which becomes part of the page; or a file, which the page names by its relative path.
        alt: What it shows, for readers who cannot see it.
        caption: Text below it.
    """

    source: NDArray[np.uint8] | Path
    alt: str
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A command and its unchanged output."""

    command: str | None
    text: str


Block = str | Table | Picture | Output
"""The content of a section; a plain string is a paragraph."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks below it."""

    heading: str
    content: Sequence[Block]


def write_page(to: Path, title: str, sections: Sequence[Section], *, lead: str | None = None) -> Path:
    """Write the page, completely or not at all; an existing file is replaced.

    All text is escaped: a file name or a class name is never markup.

    Args:
        to: The HTML file.
        title: Heading and window title.
        sections: In order.
        lead: A sentence or two below the title.

    Returns:
        `to`.

    Raises:
        InputError: A picture's file is missing, or its array is not a picture.
        ArtifactError: The disk is full or read-only.
    """
    shown = [(section.heading, [_kind(block, to.parent) for block in section.content]) for section in sections]
    text = _template().render(title=title, lead=lead, sections=shown)
    with written_aside(to, replace=True) as aside:
        # A file name may hold bytes that are not text: they become question marks.
        aside.write_text(text, encoding="utf-8", errors="replace")
    return to


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rsir_tf.presentation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell_text"] = cell_text
    return environment.get_template(PAGE)


def _kind(block: Block, folder: Path) -> tuple[str, object]:
    """A block with the name of the template's macro that draws it."""
    if isinstance(block, str):
        return "paragraph", block
    if isinstance(block, Output):
        return "output", block
    if isinstance(block, Table):
        return "table", block
    is_file = isinstance(block.source, Path)
    return "picture", {"source": _source(block.source, folder), "opens": is_file, "block": block}


def _source(source: NDArray[np.uint8] | Path, folder: Path) -> str:
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"{source}: no such picture", cure="write it before the page")
        return urllib.parse.quote(Path(os.path.relpath(source, folder)).as_posix())
    return "data:image/png;base64," + base64.b64encode(png_bytes(source)).decode("ascii")
