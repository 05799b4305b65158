"""`rsir-tf split`: divide an archive into a part to train on and a part to test on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console, options, polygon_options
from rsir_tf.cli.option_groups import Without
from rsir_tf.cli.scene_options import SceneOptions
from rsir_tf.wording import counted

NAME = "split"

Test = Annotated[
    float,
    typer.Option(
        help="The fraction of images to test on: of each scene class, or of the groups if all images have one."
    ),
]
TestGroup = Annotated[
    list[str] | None,
    typer.Option(
        help="A group to test on, for example the folder of a tile, or a scene. Repeat the option for several."
    ),
]


def command(
    archive: options.Archive,
    to: Annotated[Path, typer.Option(help="The JSON file to write.")],
    *,
    test: Test = 0.2,
    test_group: TestGroup = None,
    validation: Annotated[
        float | None,
        typer.Option(
            help="The fraction of images for a third part, to choose the best epoch by. MLRSNet's authors used 0.1. By "
            "default there is no third part."
        ),
    ] = None,
    seed: options.Seed = 0,
    annotations: Annotated[options.Annotations, Without("tags")],
    scenes: SceneOptions,
    polygons: polygon_options.LabelPolygonOptions,
) -> None:
    """Divide an archive into images to train on and images to test on, and write their names to a file.

    The same fraction of each scene class is drawn at random. If all images have a group, whole groups are drawn.
    Windows of one scene are a group.
    """
    from rsir_tf.archives import draw_split, write_split

    opened = annotations.open(archive, scenes, polygons=polygons.chosen())
    drawn = draw_split(opened, test, test_group, seed=seed, validation=validation)
    write_split(drawn, to)
    held_out = f"{len(drawn.validation):,} to validate on, " if drawn.validation else ""
    console.say(
        f"{counted(len(drawn.train), 'image')} to train on, {held_out}{len(drawn.test):,} to test on, by {drawn.by}"
    )
    console.put(str(to))
