"""`rsir-tf export`: a run as a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rsir_tf.cli import console

NAME = "export"


def command(
    run: Annotated[Path, typer.Argument(help="The folder of a run that `rsir-tf train` made.")],
    to: Annotated[
        Path, typer.Option(help="The model's folder, saved_models/NAME. The next free version number is taken.")
    ],
    conv4: Annotated[
        bool,
        typer.Option(
            "--conv4",
            help="Let the model give the features of conv4_3 too, where they are asked for: `rsir-tf index --layers "
            "conv4_3` keeps them. Without this option, and as before, it gives those of conv5_3 alone.",
        ),
    ] = False,
    blend: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="The share of the trained weights in the features; the rest are the weights that training started "
            "from. 1 takes the trained weights alone, as the paper does. The segmentation is always that of the "
            "trained network. The default is 0.5, and 0.2 in conv5_3, if the run learned from tags alone, starting "
            "from VGG-16's weights, and 1 otherwise.",
        ),
    ] = None,
    blend_last: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Another share for conv5_3, the layer that features are read from. The default is that of --blend.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="The weights file that training started from, if it is no longer where it was."),
    ] = None,
) -> None:
    """Write a run's best network as the next version of a served model.

    The export is loaded as a server loads it, and its answers are compared with the network's, before it appears.
    """
    from rsir_tf.artifacts import RUN_VERSION, read_manifest

    if blend is None and blend_last is not None:
        raise typer.BadParameter("--blend-last needs --blend, the share in the layers before conv5_3")
    read_manifest(run, "run", RUN_VERSION)  # Before TensorFlow's seconds: a wrong path is told at once.
    with console.quiet_tensorflow():
        from rsir_tf.segmentation import Blend, export_run, open_run, usual_blend

        opened = open_run(run)
        chosen = usual_blend(opened) if blend is None else Blend(blend, blend if blend_last is None else blend_last)
        version = export_run(opened, to, conv4=conv4, blend=chosen, weights=weights)
    if blend is None and not chosen.as_trained:
        console.say(
            f"features take {chosen.share:g} of the trained weights, and {chosen.last:g} in conv5_3, so that they hold "
            "on archives that were not learned; --blend 1 is best where the learned archive alone is searched"
        )
    console.put(str(version))
