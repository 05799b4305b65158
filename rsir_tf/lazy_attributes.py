"""Packages whose public names load their file when first used: who needs one of them does not pay for all."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def attributes(
    package: str, homes: Mapping[str, str], *, moved: Mapping[str, str] | None = None
) -> Callable[[str], Any]:
    """Make a package's `__getattr__` (PEP 562).

    Args:
        package: Its `__name__`.
        homes: Public name → the module that defines it.
        moved: Name that this package had in the version before → the module that has it now. Such a name still works,
            with a `DeprecationWarning` that says where it is to be imported from.
    """

    def find(name: str) -> Any:
        if moved and name in moved:
            warnings.warn(f"{package}.{name} is deprecated: import it from {moved[name]}", DeprecationWarning, 2)
            return getattr(importlib.import_module(moved[name]), name)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find
