"""Retrieval figures while a network is trained: a loss that falls does not say that descriptors get better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.records import Record
from rsir_tf.evaluation import anmrr, mean_average_precision, rankings, relevance_by_scene

if TYPE_CHECKING:
    from numpy.typing import NDArray


def watch_retrieval(descriptors: NDArray[np.float32], records: Sequence[Record]) -> dict[str, float | None]:
    """Let each image query all of them, itself included, with its descriptor: ranked by L1, relevant is the same scene.

    Args:
        descriptors: float32 [N, D].
        records: Their images.

    Returns:
        `anmrr` and `map`, 0..1; None where images have no scene class.
    """
    if any(record.scene is None for record in records):
        return {"anmrr": None, "map": None}
    scenes = np.array([record.scene for record in records], dtype=object)
    ranked = np.stack(
        [relevance_by_scene(scenes[order], scenes[query]) for query, order in rankings(descriptors, "l1")]
    )
    return {"anmrr": anmrr(ranked), "map": mean_average_precision(ranked)}
