"""Public names of packages that load their file at their first use: using one name does not load all files."""

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
        moved: Name that this package had in the previous version → the module that has it now. Such a name still works,
            with a `DeprecationWarning` that names the new module.
    """

    def find(name: str) -> Any:
        if moved and name in moved:
            warnings.warn(f"{package}.{name} is deprecated: import it from {moved[name]}", DeprecationWarning, 2)
            return getattr(importlib.import_module(moved[name]), name)
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    return find
