"""`rsir-tf join`: put the parts of an archive, which several machines have indexed, into one index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options

NAME = "join"


def command(
    parts: Annotated[list[Path], typer.Argument(help="The folders of all parts, in any order.", show_default=False)],
    *,
    to: Annotated[
        Path, typer.Option(help="The index's folder. It is made, or continued if it holds the same archive.")
    ],
    prune: Annotated[bool, typer.Option(help="Remove images from the index that no part has.")] = False,
    merge: Annotated[
        bool,
        typer.Option(help="At the end, merge small segments and segments with removed images into large ones."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Put the parts that `rsir-tf index … --shard PART/PARTS` has made into one index, without asking a model.

    The index does not depend on the number of parts. The parts stay as they are. A stopped command can be continued.
    """
    from rsir_tf.workflows import join_parts

    with console.progress("joining") as tell:
        summary = join_parts(parts, to, prune=prune, merge=merge, progress=tell)
    console.say(
        f"{summary.images:,} images in the index: {summary.added:,} added, {summary.reused:,} with known "
        f"content, {summary.unchanged:,} unchanged, {summary.refreshed:,} refreshed, {summary.removed:,} removed, "
        f"{summary.skipped:,} skipped"
    )
    if summary.absent:
        console.say(f"{summary.absent:,} images of the index are in no part; --prune removes them")
    if json:
        console.put_json(summary.to_json())
    else:
        console.put(str(to))
