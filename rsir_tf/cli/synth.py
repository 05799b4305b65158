"""`rsir-tf synth`: render an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options

NAME = "synth"


def command(
    out: Annotated[Path, typer.Argument(help="The archive's folder. It must not exist yet.")],
    images_per_scene: Annotated[int, typer.Option(help="How many images to render of each scene class.")] = 10,
    size: Annotated[int, typer.Option(help="The width and height of each image in pixels, 64 to 4096.")] = 256,
    scene: Annotated[
        list[str] | None,
        typer.Option(help="Render only this scene class. Repeat the option for several. The default is all 21."),
    ] = None,
    seed: options.Seed = 0,
) -> None:
    """Render an archive in DLRSD's format: 21 scene classes, with pixel labels of 17 classes."""
    from rsir_tf.archives.synthetic import render_archive

    with console.progress("rendering") as tell:
        render_archive(out, images_per_scene=images_per_scene, size=size, seed=seed, scenes=scene, progress=tell)
    console.put(str(out))
