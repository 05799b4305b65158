"""`rsir-tf synth`: render an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options

NAME = "synth"


def command(
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    images_per_scene: Annotated[int, typer.Option(help="Images of each of the scenes.")] = 10,
    size: Annotated[int, typer.Option(help="Pixels a side.")] = 256,
    scene: Annotated[list[str] | None, typer.Option(help="Only this scene; repeat for several.")] = None,
    seed: options.Seed = 0,
) -> None:
    """Render an archive in DLRSD's format: 21 scene classes, pixel labels of 17 classes."""
    from rsir_tf.archives.synthetic import render_archive

    with console.progress("rendering") as tell:
        render_archive(
            out,
            images_per_scene=images_per_scene,
            size=size,
            seed=seed,
            scenes=scene,
            progress=tell,
        )
    console.put(str(out))
