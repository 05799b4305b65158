"""The index: descriptors on disk in immutable segments, and exact search among them."""

from __future__ import annotations

from rsir_tf.index.distances import global_distance, region_set_distance
from rsir_tf.index.entry import ImageEntry
from rsir_tf.index.hits import Hit, Match
from rsir_tf.index.maintenance import Dropped, Problem, repair_index, verify_index
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.store import Index, open_index
from rsir_tf.index.writer import IndexWriter

__all__ = [
    "Dropped",
    "Hit",
    "ImageEntry",
    "Index",
    "IndexSettings",
    "IndexWriter",
    "Match",
    "Problem",
    "global_distance",
    "open_index",
    "region_set_distance",
    "repair_index",
    "verify_index",
]
