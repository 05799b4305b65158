"""The program's entry: commands by name, and one place where errors become one line."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rsir_tf.errors import RsirError

app = typer.Typer(
    name="rsir-tf",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which images of an archive show what this image shows? Train, export and serve an FCN; index, query and "
    "evaluate archives of aerial images with it.",
)


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the trace of an error, and TensorFlow's own talk.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.", is_eager=True)] = False,
) -> None:
    if version:
        from rsir_tf import __version__

        typer.echo(f"rsir-tf {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line and exit."""
    # Accepted anywhere on the line: one adds it to the command that has just failed.
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    os.environ["RSIR_TF_DEBUG"] = "1" if debug else ""
    from rsir_tf.cli import commands

    commands.register(app)
    try:
        app()
    except RsirError as error:
        if debug:
            raise
        print(f"rsir-tf: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader of stdout has gone (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
