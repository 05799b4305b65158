"""Options that belong together, declared once as a dataclass and taken by a command as one parameter."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin, get_type_hints


class OptionGroup:
    """Base of a frozen dataclass whose fields are `Annotated` options, each with a default.

    A command that takes one as a parameter has an option for each of its fields, at the parameter's place. The
    parameter may have a default: its values are the options' defaults then.
    """


class Without:
    """Which fields of a group a command leaves out: `Annotated[Connection, Without("batch_size")]`.

    Args:
        *names: Of the fields; they keep the group's defaults.
    """

    def __init__(self, *names: str) -> None:
        self.names = names


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command's option groups to typer as single options.

    Args:
        command: Its parameters are `Annotated` options and arguments, and option groups.

    Returns:
        A function with one parameter for each option, which calls the command with the groups.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    for name, parameter in inspect.signature(command).parameters.items():
        group, left_out = _group(hints[name])
        if group is None:
            parameters.append(_option(name, hints[name], parameter.default))
            continue
        default = group() if parameter.default is inspect.Parameter.empty else parameter.default
        options = {
            field: hint for field, hint in get_type_hints(group, include_extras=True).items() if field not in left_out
        }
        parameters += [_option(field, hint, getattr(default, field)) for field, hint in options.items()]
        groups[name] = default, list(options)

    @functools.wraps(command)
    def merged(**values: Any) -> None:
        for name, (default, fields) in groups.items():
            values[name] = dataclasses.replace(default, **{field: values.pop(field) for field in fields})
        command(**values)

    merged.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    merged.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return merged


def _group(hint: Any) -> tuple[type | None, tuple[str, ...]]:
    """The group that a parameter stands for, None where it is a single option; and the fields that are left out."""
    kind, *notes = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if not (isinstance(kind, type) and issubclass(kind, OptionGroup)):
        return None, ()
    return kind, tuple(name for note in notes if isinstance(note, Without) for name in note.names)


def _option(name: str, hint: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
