#!/usr/bin/env python
"""Writes the reference of all commands, rsir_tf/cli/README.md, from the help texts of the program.

scripts/command_reference.py            # write the file
scripts/command_reference.py --check    # only check whether it is up to date (exit code 1 if not)
"""

from __future__ import annotations

import argparse
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from rsir_tf.cli import commands
from rsir_tf.cli.option_groups import with_groups

REFERENCE = Path(__file__).resolve().parents[1] / "rsir_tf" / "cli" / "README.md"

HEAD = """# Commands

Written by `scripts/command_reference.py` from what `rsir-tf COMMAND --help` says: change the help texts, not this file.

Data goes to stdout; messages and progress go to stderr. Exit codes: 0, done; 1, bad input (one line says what was
found, what was wanted and what to do); 2, bad usage; 130, Ctrl-C (`serve` then ends with 0); 141, the reader of stdout
has gone (`| head`). `--debug` shows the full trace of an error, wherever it stands on the line; `--version` prints the
version; `--install-completion` lets the shell complete commands and options.
"""

WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text", Path: "path"}


def reference() -> str:
    """The text of the whole file."""
    app = typer.Typer()
    commands.register(app)
    program: Any = typer.main.get_command(app)
    modules = {module.NAME: module for module in commands.MODULES}
    links = ", ".join(f"[{name}](#{name})" for name in modules)
    parts = [HEAD, f"{links}\n"]
    for name, module in modules.items():
        parts.append("\n".join(_command(name, program.commands[name], with_groups(module.command))))
    return "\n".join(parts)


def _command(name: str, command: Any, function: Callable[..., None]) -> Iterator[str]:
    signature = inspect.signature(function).parameters
    shown = [parameter for parameter in command.params if parameter.name in signature]
    arguments = [parameter for parameter in shown if not parameter.opts[0].startswith("-")]
    options = [parameter for parameter in shown if parameter.opts[0].startswith("-")]
    line = [_name(argument) if argument.required else f"[{_name(argument)}]" for argument in arguments]
    line += [f"{option.opts[0]} {_takes(signature[option.name], option)}" for option in options if option.required]
    yield f"## {name}\n\n```\nrsir-tf {name} {' '.join(line)} [OPTIONS]\n```\n"
    yield inspect.cleandoc(function.__doc__ or "") + "\n"
    yield from (f"- `{_name(argument)}`: {argument.help}" for argument in arguments)
    panels = dict.fromkeys(option.rich_help_panel for option in options)
    for panel in sorted(panels, key=lambda panel: panel is not None):
        yield f"\n{panel or 'Options'}:\n"
        yield "| option | value | default | |\n|---|---|---|---|"
        for option in options:
            if option.rich_help_panel == panel:
                yield _row(option, signature[option.name])
    yield ""


def _row(option: Any, parameter: inspect.Parameter) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    help_text = option.help + (f" Also read from the variable `{option.envvar}`." if option.envvar else "")
    cells = [names, _takes(parameter, option), _default(option, parameter.default), help_text]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _takes(parameter: inspect.Parameter, option: Any) -> str:
    """What is written behind an option: its placeholder, its choices, or its type."""
    if option.metavar:
        return f"`{option.metavar}`"
    kind = parameter.annotation
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
    if get_origin(kind) is tuple:
        return " ".join(WORDS[each] for each in get_args(kind))
    if get_origin(kind) is list:
        kind = get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{choice.value}`" for choice in kind)
    return "" if kind is bool else WORDS[kind]


def _default(option: Any, value: Any) -> str:
    """The default of an option; empty if the option is simply not used by default."""
    if option.required:
        return "required"
    if value in (None, "") or (value is False and not option.secondary_opts):
        return ""
    if isinstance(value, bool):
        return f"`{(option.opts if value else option.secondary_opts)[0]}`"
    if isinstance(value, tuple):
        return f"`{' '.join(map(str, value))}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="Write nothing.")
    check = parser.parse_args().check
    if check:
        sys.exit(0 if REFERENCE.is_file() and REFERENCE.read_text("utf-8") == reference() else 1)
    REFERENCE.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
