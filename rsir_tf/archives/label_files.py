"""Label sets that are shipped, and label set files.

The form, in TOML (YAML and JSON have the same entries):

    name = "my-classes"                 # optional: otherwise the file's name
    classes = [
      { name = "land",  id = 0, colour = "#8429F6" },
      { name = "water", id = 1, colour = "#E2A929" },
    ]
    ignore_ids = [255]                  # optional
    ignore_colours = ["#000000"]        # optional
    rest = "background"                 # optional: a class for every value that is neither listed nor ignored

A set of one class has the rest "other", where it names none: there would be nothing to tell the class from.

Each class has an `id` (the value in palette and grey masks), a `colour` (in colour masks), or both.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rsir_tf.archives.labels import Colour, LabelSet, distinct_colours, plain_name
from rsir_tf.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REST = "other"
"""The second class of a label set file that has one."""

SHIPPED = ("dlrsd", "dubai")
"""Names of the label sets that come with the package."""


def load_label_set(name_or_path: str | os.PathLike[str]) -> LabelSet:
    """Load a shipped label set by name, or one from a file.

    Args:
        name_or_path: "dlrsd", "dubai", or a TOML, YAML or JSON file.

    Raises:
        InputError: There is no such name or file, or what it says is not a label set.
    """
    if os.fspath(name_or_path) in SHIPPED:
        shipped = resources.files("rsir_tf.archives") / "label_sets" / f"{name_or_path}.toml"
        return LabelSet.from_json(tomllib.loads(shipped.read_text(encoding="utf-8")))
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(f"{path}: no such label set file", wanted="a file, or one of " + ", ".join(SHIPPED))
    try:
        return LabelSet.from_json(_with_rest(_parse(path)), name=path.stem)
    except InputError as error:
        raise InputError(f"{path}: {error.found}", wanted=error.wanted, cure=error.cure) from error


def as_label_set(labels: LabelSet | str | os.PathLike[str]) -> LabelSet:
    """Give a label set as it is, or load the one that is named."""
    return labels if isinstance(labels, LabelSet) else load_label_set(labels)


def class_colours(class_names: Sequence[str]) -> tuple[Colour, ...]:
    """Choose colours for pictures where class names are all that is known: a shipped set's own, or distinct ones.

    Args:
        class_names: One per class index.

    Returns:
        RGB of each class, 0..255, the same each time.
    """
    spelt = tuple(map(plain_name, class_names))
    for name in SHIPPED:
        shipped = load_label_set(name)
        if shipped.names == spelt:
            return shipped.colours
    return distinct_colours(len(class_names))


def _with_rest(content: Any) -> Any:
    """Give a label set of one class, as binary land cover has it, a second one for all other values."""
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, list) or len(classes) != 1 or "rest" in content:
        return content
    return {**content, "rest": REST}


def _parse(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix not in {".toml", ".json", ".yaml", ".yml"}:
        raise InputError(f"is of type {suffix!r}", wanted=".toml, .yaml, .yml or .json")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if suffix == ".toml":
            return tomllib.loads(text)
        if suffix == ".json":
            return json.loads(text)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from error
    except ValueError as error:  # Bad UTF-8, TOML and JSON all raise children of it.
        raise InputError(f"is not valid {suffix[1:].upper()} ({error})") from error
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"is not valid YAML ({error})") from error
