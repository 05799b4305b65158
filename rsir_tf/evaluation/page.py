"""One static HTML page of text, tables, pictures and command output; it needs no server and no network."""

from __future__ import annotations

import base64
import html
import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError
from rsir_tf.evaluation.tables import number
from rsir_tf.pictures import png_bytes


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Numbers in cells stand right, floats with three decimals, NaN as "–"."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Attributes:
        source: uint8 [H, W, 3], which goes into the page itself; or a file, to which the page refers relatively.
        alt: What it shows, for readers who cannot see it.
        caption: Below it.
    """

    source: NDArray[np.uint8] | Path
    alt: str
    caption: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A command and what it printed, as it is."""

    command: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it; a plain string is a paragraph."""

    heading: str
    content: Sequence[str | Table | Picture | Output]


def write_page(to: Path, title: str, sections: Sequence[Section], *, lead: str | None = None) -> Path:
    """Write the page, whole or not at all; an existing file is replaced.

    Args:
        to: The HTML file.
        title: Heading and window title.
        sections: In order.
        lead: A sentence or two below the title.

    Returns:
        `to`.

    Raises:
        InputError: A picture's file is missing, or its array is no picture.
        ArtifactError: The disk is full or read-only.
    """
    style = resources.files("rsir_tf.evaluation").joinpath("templates/page.css").read_text(encoding="utf-8")
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title>",
        f"<style>\n{style}</style></head>",
        f"<body>\n<header><h1>{html.escape(title)}</h1>",
    ]
    if lead:
        parts.append(f'<p class="lead">{html.escape(lead)}</p>')
    if len(sections) > 2:
        links = (f'<li><a href="#s{n}">{html.escape(s.heading)}</a></li>' for n, s in enumerate(sections, start=1))
        parts.append(f"<nav><ul>{''.join(links)}</ul></nav>")
    parts.append("</header>\n<main>")
    for place, section in enumerate(sections, start=1):
        parts.append(f'<section id="s{place}"><h2>{html.escape(section.heading)}</h2>')
        parts += [_block(block, to.parent) for block in section.content]
        parts.append("</section>")
    parts.append("</main></body></html>\n")
    with written_aside(to, replace=True) as aside:
        aside.write_text("\n".join(parts), encoding="utf-8")
    return to


def _block(block: str | Table | Picture | Output, folder: Path) -> str:
    if isinstance(block, str):
        return f"<p>{html.escape(block)}</p>"
    if isinstance(block, Output):
        command = f"<b>$ {html.escape(block.command)}</b>\n" if block.command else ""
        return f"<pre>{command}{html.escape(block.text.rstrip())}</pre>"
    if isinstance(block, Picture):
        caption = f"<figcaption>{html.escape(block.caption)}</figcaption>" if block.caption else ""
        source = html.escape(_source(block.source, folder))
        image = f'<img src="{source}" alt="{html.escape(block.alt)}" loading="lazy">'
        if isinstance(block.source, Path):  # A wide picture is scaled to the page: one click shows it in full.
            image = f'<a href="{source}">{image}</a>'
        return f"<figure>{image}{caption}</figure>"
    return _table(block)


def _table(table: Table) -> str:
    numeric = [
        bool(table.rows) and all(not isinstance(row[column], str) for row in table.rows if column < len(row))
        for column in range(len(table.header))
    ]
    caption = f"<caption>{html.escape(table.caption)}</caption>" if table.caption else ""
    head = "".join(
        f'<th scope="col"{_right(right)}>{html.escape(text)}</th>'
        for text, right in zip(table.header, numeric, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{_right(not isinstance(cell, str))}>{_cell(cell)}</td>" for cell in row) + "</tr>\n"
        for row in table.rows
    )
    body = f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody>"
    return f'<div class="wide"><table>{caption}{body}</table></div>'


def _right(right: bool) -> str:
    return ' class="number"' if right else ""


def _cell(cell: str | int | float) -> str:
    if isinstance(cell, str):
        return html.escape(cell)
    return number(cell) if isinstance(cell, float) else f"{cell:,}"


def _source(source: NDArray[np.uint8] | Path, folder: Path) -> str:
    if isinstance(source, Path):
        if not source.is_file():
            raise InputError(f"{source}: no such picture", cure="write it before the page")
        return urllib.parse.quote(Path(os.path.relpath(source, folder)).as_posix())
    return "data:image/png;base64," + base64.b64encode(png_bytes(source)).decode("ascii")
