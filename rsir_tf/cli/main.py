"""The program's entry: commands by name, and one place where errors become one line."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from rsir_tf import __version__
from rsir_tf.errors import RsirError

READER_GONE = 141
"""Exit code where the reader of stdout has gone (`| head`): what a shell reports of tools that SIGPIPE ends."""

ENDED = 143
"""Exit code where the process was asked to end (`timeout`, Slurm, Kubernetes), as a shell reports it of other tools."""

app = typer.Typer(
    name="rsir-tf",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Which images of an archive show what this image shows? Train, export and serve a fully convolutional "
    "network; index, search and evaluate archives of aerial images with it.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rsir-tf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the full trace of an error, and TensorFlow's own messages.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Options before a command; `main` has read --debug already."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Args:
        arguments: Without the program's name; the process's own where None.
    """
    from rsir_tf.cli import commands, console

    console.accept_all_characters()
    line = list(sys.argv[1:] if arguments is None else arguments)
    # Accepted anywhere on the line: one adds it to the command that has just failed.
    debug = "--debug" in line
    if arguments is None:
        # As with Ctrl-C, what is half written is removed. `serve` and `web` end in their own way.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(ENDED))
    os.environ["RSIR_TF_DEBUG"] = "1" if debug else ""
    if not app.registered_commands:
        commands.register(app)
    try:
        app(args=[argument for argument in line if argument != "--debug"], prog_name="rsir-tf")
    except RsirError as error:
        if debug:
            raise
        console.complain(error)
        sys.exit(1)
    except SystemExit as end:
        # typer ends with 1 where it meets a broken pipe.
        if isinstance(end.__context__, BrokenPipeError):
            _discard_stdout()
            sys.exit(READER_GONE)
        raise
    except OSError as error:
        # Without a file's name it is stdout or stderr that could not be written: what the library writes has one.
        if debug or error.filename is not None:
            raise
        _discard_stdout()
        console.say(f"rsir-tf: the output cannot be written: {(error.strerror or str(error)).lower()}")
        sys.exit(1)
    sys.exit(0)


def _discard_stdout() -> None:
    """Let what is still buffered go nowhere: Python would complain at its end that it cannot write it."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it is no file, as in tests.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
