"""The ranking schemes, one file each. A new one is a new file here and a line in `SCHEMES`."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError

if TYPE_CHECKING:
    from rsir_tf.index.derived import DerivedFile
    from rsir_tf.ranking.scheme import Scheme

SCHEMES = {
    "recnn": "rsir_tf.ranking.schemes.recnn.ReCNN",
    "recnn+": "rsir_tf.ranking.schemes.recnn_plus.ReCNNPlus",
    "irm": "rsir_tf.ranking.schemes.irm.IRM",
    "relations-graph": "rsir_tf.ranking.schemes.relations_graph.RelationsGraph",
    "relations": "rsir_tf.ranking.schemes.relations.Relations",
    "multiscale": "rsir_tf.ranking.schemes.multiscale.MultiScale",
    "multiscale+": "rsir_tf.ranking.schemes.multiscale_plus.MultiScalePlus",
}
"""Name → class, in the order in which reports show them; as text, so that `--help` lists the names without imports."""

PAPER_SCHEMES = ("recnn", "recnn+")
"""The schemes that are measured if none is chosen: those of the paper."""

DEFAULT_SCHEME = "recnn+"
"""The scheme that is used if none is chosen."""

DEFAULT_REGION_SCHEME = "recnn"
"""The scheme that is used if the query is one region and none is chosen."""


@functools.cache
def scheme_kind(name: str) -> type[Scheme]:
    """The class of a scheme.

    Raises:
        InputError: There is no such scheme.
    """
    if name not in SCHEMES:
        raise InputError(f"scheme is {name!r}", wanted=" or ".join(SCHEMES))
    module, _, kind = SCHEMES[name].rpartition(".")
    found: type[Scheme] = getattr(importlib.import_module(module), kind)
    return found


def metrics_of(name: str) -> tuple[str, ...]:
    """The values of a scheme's option `metric`, or the one metric that it always uses.

    Raises:
        InputError: There is no such scheme.
    """
    metrics: tuple[str, ...] = getattr(scheme_kind(name), "metrics", ())
    return metrics


def make_scheme(scheme: str | Scheme, **options: Any) -> Scheme:
    """Build a scheme from its name and options.

    Args:
        scheme: A name of `SCHEMES`; or a scheme, which is returned as it is: it has its own options.
        **options: For example `metric` or `direction`; None stands for the scheme's default. An option that only other
            schemes have is accepted at their default value, where it has no effect.

    Raises:
        InputError: There is no such scheme, it does not have an option, or the option has no such value.
    """
    kind = scheme_kind(scheme) if isinstance(scheme, str) else type(scheme)
    given = {name: value for name, value in options.items() if value is not None}
    own = {name: given.pop(name) for name in _options_of(kind) if name in given and isinstance(scheme, str)}
    for name, value in given.items():
        _refuse_other(kind, name, value)
    return kind(**own) if isinstance(scheme, str) else scheme


def make_schemes(schemes: Iterable[str | Scheme], **options: Any) -> list[Scheme]:
    """Build several schemes; each takes the options that it has.

    Args:
        schemes: As for `make_scheme`.
        **options: As for `make_scheme`.

    Raises:
        InputError: As for `make_scheme`; an option is refused only where none of the schemes has it.
    """
    given = {name: value for name, value in options.items() if value is not None}
    schemes = list(schemes)
    kinds = [scheme_kind(each) for each in schemes if isinstance(each, str)]
    for name, value in given.items():
        if not any(name in _options_of(kind) for kind in kinds):
            for kind in kinds:
                _refuse_other(kind, name, value)
    return [
        make_scheme(each, **{name: given[name] for name in _options_of(scheme_kind(each)) if name in given})
        if isinstance(each, str)
        else each
        for each in schemes
    ]


def options_of(scheme: Scheme) -> dict[str, Any]:
    """A scheme's options and their values, for reports; the images of examples are no options."""
    if not is_dataclass(scheme) or isinstance(scheme, type):
        return {}
    shown = {field.name: getattr(scheme, field.name) for field in fields(scheme) if field.repr}
    return {name: options_of(value) if is_dataclass(value) else value for name, value in shown.items()}


def described(scheme: Scheme) -> dict[str, Any]:
    """A scheme in full, as JSON types: its name, its metric and its options, and of stages each scheme in the same way.

    For example {"scheme": "recnn", "metric": "l2", "direction": "query", "vectors": "raw"}; or {"stage": "expanded",
    "first": {"scheme": "recnn+", "metric": "cosine"}, "hits": 5, "power": 3.0}.
    """
    options = options_of(scheme)
    inner: dict[str, Any] = {name: described(getattr(scheme, name)) for name in ("first", "second") if name in options}
    if inner:
        return {"stage": type(scheme).__name__.lower(), **options, **inner}
    metric = {"metric": scheme.metrics[0]} if len(scheme.metrics) == 1 else {}
    return {"scheme": scheme.name, **metric, **options}


def derived_files() -> tuple[DerivedFile[Any], ...]:
    """The files that the schemes need beside the vectors of an index, for `IndexWriter.open`."""
    every = (file for name in SCHEMES for file in getattr(scheme_kind(name), "derived_files", ()))
    return tuple(dict.fromkeys(every))


def _options_of(kind: type[Scheme]) -> dict[str, Any]:
    """The names of a scheme's options, with their defaults."""
    return {field.name: field.default for field in fields(kind)} if is_dataclass(kind) else {}


def _refuse_other(kind: type[Scheme], name: str, value: object) -> None:
    """Refuse an option that a scheme does not have."""
    found = {other: _options_of(scheme_kind(other)) for other in SCHEMES}
    defaults = {other: options[name] for other, options in found.items() if name in options}
    if name == "metric":
        allowed: list[object] = [*getattr(kind, "metrics", ())]
    else:
        allowed = list(dict.fromkeys(defaults.values()))
        if len(allowed) > 1:  # Which of them would have no effect?
            allowed = []
    if value not in allowed:
        raise InputError(
            f"{name} is {value!r} for {kind.name}",
            wanted=" or ".join(map(str, allowed)) or f"no {name}",
            cure=f"or scheme {' or '.join(defaults)}" if defaults else None,
        )
