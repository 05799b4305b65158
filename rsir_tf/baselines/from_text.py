"""Parameters of a descriptor from text, as the command line gives them."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from rsir_tf.baselines.descriptor import Descriptor
from rsir_tf.errors import InputError

_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def settable(kind: type[Descriptor]) -> dict[str, Any]:
    """The parameters of a descriptor class: name → type, in the order of its fields."""
    types = typing.get_type_hints(kind)
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind)  # type: ignore[arg-type]
    return {field.name: types[field.name] for field in fields if field.repr}


def with_parameters(kind: type[Descriptor], texts: Mapping[str, str]) -> Descriptor:
    """Make a descriptor with parameters from text; parameters that are not named keep their defaults.

    Args:
        kind: One of `BASELINES`.
        texts: Parameter → value: a number, "true" or "false", a word, or numbers with commas between them.

    Raises:
        InputError: There is no such parameter, or its value has the wrong type or is out of range. The text lists all
            parameters.
    """
    known = settable(kind)
    listed = ", ".join(f"{kind.name}.{field}" for field in known)
    values = {}
    for field, text in texts.items():
        if field not in known:
            raise InputError(f"{kind.name} has no parameter {field!r}", wanted=f"one of {listed}")
        try:
            values[field] = _cast(text.strip(), known[field])
        except ValueError as error:
            raise InputError(
                f"{kind.name}.{field} is {text!r}",
                wanted=f"{_words(known[field])}",
                cure=f"the parameters are {listed}",
            ) from error
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(
            f"{kind.name}: {error.found}", wanted=error.wanted, cure=f"the parameters are {listed}"
        ) from error


def _cast(text: str, wanted: Any) -> Any:
    if wanted is bool:
        if text.lower() not in _TRUE + _FALSE:
            raise ValueError(text)
        return text.lower() in _TRUE
    if typing.get_origin(wanted) is tuple:
        (item, _) = typing.get_args(wanted)
        return tuple(_cast(part.strip(), item) for part in text.split(","))
    value = wanted(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(text)
    return value


def _words(wanted: Any) -> str:
    if typing.get_origin(wanted) is tuple:
        return "numbers with commas between them"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, "a word")
