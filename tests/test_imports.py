"""Imports run downwards, and rooms do not import each other: the map in the docstring of `rsir_tf`, held to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rsir_tf

ROOT = Path(rsir_tf.__file__).parent
BOTTOM = {
    "errors",
    "artifacts",
    "contract",
    "lazy_attributes",
    "locks",
    "distances",
    "pictures",
    "vector_rankings",
}
BOTTOM |= {"processors", "progress", "wording"}
SHARED = {"rasters"}
ROOMS = {"archives", "segmentation", "serving", "regions", "baselines", "index", "ranking", "evaluation"}
ROOMS |= {"presentation", "cluster", "databases"}
HEAVY = ("tensorflow", "keras", "tensorflow_addons", "tensorflow_serving", "rsir_tf.segmentation")
STANDS_IN = "rsir_tf.serving.messages"  # Loads TensorFlow's messages with an empty module in TensorFlow's place.

ALLOWED = {
    **dict.fromkeys(BOTTOM, BOTTOM),
    **dict.fromkeys(SHARED, BOTTOM),
    **dict.fromkeys(ROOMS, BOTTOM | SHARED),
    "segmentation": BOTTOM | SHARED | {"archives"},
    "ranking": BOTTOM | SHARED | {"index"},
    "presentation": BOTTOM | SHARED | {"evaluation"},
    "workflows": BOTTOM | SHARED | ROOMS,
    "web": BOTTOM | SHARED | {"ranking", "presentation", "archives", "workflows"},
    "cli": BOTTOM | SHARED | ROOMS | {"workflows", "web"},
}
"""Part of the package → the parts that it may import, besides itself."""


def breaches(source: str, module: str) -> list[str]:
    """The imports of a module that the map does not allow, as "MODULE:LINE: what; cure" each.

    Imports inside functions count for the direction; `if TYPE_CHECKING` does too, since types are dependencies as well.
    Only what runs when the module is loaded counts for TensorFlow.
    """
    tree = ast.parse(source)
    part = module.split(".")[1] if "." in module else ""
    found = []
    for node in ast.walk(tree):
        for target in _imported(node, module):
            if not target.startswith("rsir_tf."):
                continue
            other = target.split(".")[1]
            if other != part and part in ALLOWED and other not in ALLOWED[part] and other in ALLOWED:
                found.append((node.lineno, f"{part} imports {other} ({target}); let a workflow bring the two together"))
    if part != "segmentation" and module != STANDS_IN:
        found += [
            (node.lineno, f"{part} imports {target} when loaded; import it where it is used")
            for node in _loaded(tree.body)
            for target in _imported(node, module)
            if f"{target}.".startswith(tuple(f"{name}." for name in HEAVY))
        ]
    return [f"{module}:{line}: {text}" for line, text in sorted(set(found))]


def _imported(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            base = ".".join([*module.split(".")[: -node.level], *([base] if base else [])])
        # `from rsir_tf import index` names a module too.
        return [f"{base}.{alias.name}" for alias in node.names] if base.count(".") < 1 else [base]
    return []


def _loaded(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Every statement that runs when a module is loaded: not inside functions, not for type checkers alone."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from _loaded(statement.orelse)
            continue
        yield statement
        for name in ("body", "orelse", "finalbody"):
            yield from _loaded(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", []):
            yield from _loaded(handler.body)


def modules() -> dict[str, Path]:
    found = {}
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT.parent).with_suffix("").parts
        # A package's own file counts as a module in it, so that relative imports resolve.
        found[".".join(parts)] = file
    return found


def test_the_package_keeps_to_the_map() -> None:
    everything = modules()
    assert len(everything) > 80  # The walk has found the package, not an empty folder.
    found = [line for name, file in everything.items() for line in breaches(file.read_text("utf-8"), name)]
    assert not found, "\n".join(found)


def test_a_source_is_the_only_way_to_an_images_pixels() -> None:
    outside = {name: file.read_text("utf-8") for name, file in modules().items() if ".rasters." not in name}
    callers = [name for name, text in outside.items() if "read_image(" in text]
    assert not callers, "call the source's `read`"
    opening = [name for name, text in outside.items() if "open_stored(" in text or "Image.open(" in text]
    assert opening == ["rsir_tf.archives.mask_values", "rsir_tf.archives.masks"], "call the source's `read`"


def test_every_part_has_a_rule() -> None:
    parts = {name.split(".")[1] for name in modules()} - {"__init__"}
    assert parts - set(ALLOWED) == set(), "say in ALLOWED what it may import"


@pytest.mark.parametrize(
    ("module", "source", "line", "words"),
    [
        ("rsir_tf.index.store", "import os\nfrom rsir_tf.evaluation import anmrr", 2, "index imports evaluation"),
        ("rsir_tf.index.store", "import rsir_tf.regions.pooling", 1, "index imports regions"),
        ("rsir_tf.index.store", "from rsir_tf import regions", 1, "index imports regions"),
        ("rsir_tf.index.store", "from ..regions import pooling", 1, "index imports regions"),
        ("rsir_tf.index.__init__", "from .. import regions", 1, "index imports regions"),
        ("rsir_tf.archives.masks", "def f():\n    from rsir_tf.segmentation import train", 2, "imports segmentation"),
        ("rsir_tf.archives.masks", "from rsir_tf.serving.client import connect", 1, "archives imports serving"),
        ("rsir_tf.artifacts", "from rsir_tf.archives import Record", 1, "artifacts imports archives"),
        ("rsir_tf.presentation.sheets", "from rsir_tf.archives import Record", 1, "presentation imports archives"),
        ("rsir_tf.evaluation.figures", "from rsir_tf.presentation import Table", 1, "evaluation imports presentation"),
        ("rsir_tf.artifacts", "from rsir_tf.rasters import read_image", 1, "artifacts imports rasters"),
        ("rsir_tf.rasters.files", "from rsir_tf.archives import Record", 1, "rasters imports archives"),
        ("rsir_tf.workflows.indexing", "from rsir_tf.cli import console", 1, "workflows imports cli"),
        ("rsir_tf.serving.local", "import tensorflow as tf", 1, "serving imports tensorflow when loaded"),
        ("rsir_tf.serving.local", "try:\n    import keras.layers\nfinally:\n    pass", 2, "serving imports keras"),
        ("rsir_tf.regions.pooling", "class A:\n    from tensorflow import math", 2, "regions imports tensorflow"),
        ("rsir_tf.index.store", "if True:\n    import tensorflow", 2, "index imports tensorflow"),
        ("rsir_tf.cli.train", "import os\nfrom rsir_tf import segmentation", 2, "cli imports rsir_tf.segmentation"),
    ],
)
def test_a_breach_is_named_with_its_line(module: str, source: str, line: int, words: str) -> None:
    found = breaches(source, module)
    assert len(found) == 1
    assert found[0].startswith(f"{module}:{line}: ")
    assert words in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("rsir_tf.regions.pooling", "from rsir_tf.contract import STRIDE"),
        ("rsir_tf.regions.pooling", "from rsir_tf.regions.sampling import x\nfrom rsir_tf.errors import InputError"),
        ("rsir_tf.segmentation.data", "import tensorflow as tf\nfrom rsir_tf.archives import Record"),
        ("rsir_tf.serving.local", "def f():\n    import tensorflow as tf"),
        ("rsir_tf.serving.local", "if TYPE_CHECKING:\n    import tensorflow as tf"),
        ("rsir_tf.workflows.indexing", "from rsir_tf.index import IndexWriter\nfrom rsir_tf.archives import Archive"),
        ("rsir_tf.cli.train", "def command():\n    from rsir_tf import segmentation"),
        ("rsir_tf.archives.masks", "from rsir_tf.rasters import open_stored"),
        ("rsir_tf.artifacts", "def f():\n    from rsir_tf import __version__"),
    ],
)
def test_what_the_map_allows_passes(module: str, source: str) -> None:
    assert breaches(source, module) == []
