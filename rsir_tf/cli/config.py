"""Options in a file: `--config FILE` gives those that the command line leaves out."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from rsir_tf.artifacts import written_aside
from rsir_tf.errors import InputError, why
from rsir_tf.wording import without_keys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def _load(context: typer.Context, path: Path | None) -> Path | None:
    """Make what a file says the defaults of this call."""
    if path is not None:
        context.default_map = {**(context.default_map or {}), **_read(path, context.command)}
    return path


Option = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=_load,
        help="A TOML file with options, such as `learning-rate = 0.001`. An option on the command line wins.",
    ),
]


def given_beside(context: typer.Context, *names: str) -> bool:
    """Whether these parameters were given in the same place: all on the command line, or all in the file."""
    sources = [context.get_parameter_source(name) for name in names]
    places = {None if source is None else source.name for source in sources}
    return places in ({"COMMANDLINE"}, {"DEFAULT_MAP"})


def write(path: Path, context: typer.Context, *, leave_out: Collection[str]) -> None:
    """Write the options of a call so that `--config` takes them; of a URL with a key, that it is to be given again.

    Args:
        path: The file, replaced where it exists.
        context: Of the call.
        leave_out: Parameters that belong to the call alone.

    Raises:
        ArtifactError: The disk is full or read-only.
    """
    name = context.command.name
    lines = [f"# Options of rsir-tf {name}, for `rsir-tf {name} --config FILE`"]
    for parameter in context.command.params:
        value = _plain(context.params.get(parameter.name or ""))
        if isinstance(value, str) and (parameter.name == "archive" or Path(value).suffix):
            value = _from_anywhere(value)
        if parameter.name in leave_out or parameter.name == "config_file" or value in (None, []):
            continue
        text = json.dumps(value, ensure_ascii=False)  # JSON's texts, numbers, truth values and lists are TOML's too.
        if without_keys(text) == text:
            lines.append(f"{_spelling(parameter)} = {text}")
        else:
            lines.append(f"# {_spelling(parameter)} holds a key, which is not kept: give it on the command line")
    with written_aside(path, replace=True) as aside:
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")


# Typer brings a Click of its own or uses the installed one, by its version: parameters are known by what they have.
def _read(path: Path, command: Any) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {why(error)}", cure="check the path") from error
    except ValueError as error:  # Bad UTF-8 and bad TOML.
        raise InputError(f"{path}: is not valid TOML ({error})") from error
    known = {_spelling(parameter): parameter for parameter in command.params if parameter.name != "config_file"}
    found: dict[str, Any] = {}
    for key, value in content.items():
        spelling = key.replace("_", "-")
        if spelling not in known:
            close = difflib.get_close_matches(spelling, known, n=1)
            raise InputError(
                f"{path}: has the entry {key!r}, which is no option of rsir-tf {command.name}",
                wanted=f"{close[0]}" if close else "names of options without the dashes before them",
            )
        parameter = known[spelling]
        listed = getattr(parameter, "multiple", False) or parameter.nargs != 1
        if isinstance(value, dict) or isinstance(value, list) is not listed:
            raise InputError(f"{path}: {key} is {value!r}", wanted="a list" if listed else "one value")
        found[parameter.name or ""] = value
    return found


def _spelling(parameter: Any) -> str:
    """An option's name as the command line has it, without the dashes before it; or an argument's name."""
    return str(max(parameter.opts, key=len)).lstrip("-").replace("_", "-")


def _from_anywhere(text: str) -> str:
    """The absolute path of a file or folder, also of a list of files (@FILE); a URL or a name as it is."""
    mark = "@" if text.startswith("@") else ""
    name = text.removeprefix(mark)
    return mark + os.path.abspath(name) if os.path.exists(name) else text


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value.absolute())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
