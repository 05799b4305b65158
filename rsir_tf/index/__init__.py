"""The index: described images on disk, in immutable segments. `rsir_tf.ranking` computes distances and searches it."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from rsir_tf.index.derived import DerivedFile, SegmentVectors
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.facts import ImageFacts, address_of, path_to_store
from rsir_tf.index.maintenance import Dropped, Problem, repair_index, verify_index
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.store import StoredIndex
from rsir_tf.index.writer import IndexWriter

__all__ = [
    "DerivedFile",
    "Dropped",
    "ImageEntry",
    "ImageFacts",
    "IndexSettings",
    "IndexWriter",
    "Problem",
    "SegmentVectors",
    "StoredIndex",
    "address_of",
    "path_to_store",
    "repair_index",
    "verify_index",
]

_MOVED = {
    "Hit": "rsir_tf.ranking",
    "Index": "rsir_tf.ranking",
    "Match": "rsir_tf.ranking",
    "global_distance": "rsir_tf.distances",
    "open_index": "rsir_tf.ranking",
    "region_set_distance": "rsir_tf.ranking",
}
"""Names that this room had in version 0.1.0 → where they are now."""


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        f"rsir_tf.index.{name} has moved; import it from {_MOVED[name]}. The next version removes the old place.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(importlib.import_module(_MOVED[name]), name)
