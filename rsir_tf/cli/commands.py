"""The list of commands, in the order of a first session."""

from __future__ import annotations

import typer

from rsir_tf.cli import (
    check,
    compare,
    evaluate,
    export,
    index,
    info,
    join,
    publish,
    query,
    segment,
    serve,
    share,
    split,
    synth,
    train,
    web,
)
from rsir_tf.cli.option_groups import with_groups
from rsir_tf.cli.scene_options import SceneCommand

MODULES = (
    synth,
    check,
    split,
    train,
    export,
    serve,
    index,
    join,
    query,
    segment,
    evaluate,
    compare,
    web,
    info,
    share,
    publish,
)


def register(app: typer.Typer) -> None:
    """Add every command to the program."""
    for module in MODULES:
        app.command(module.NAME, cls=SceneCommand)(with_groups(module.command))
