"""What an evaluation keeps of single queries, beside the figures over all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rsir_tf.workflows.measuring import Measured

if TYPE_CHECKING:
    from rsir_tf.ranking import Index

RUN_DEPTH = 1000
"""Images of each ranking that a run holds, as is usual at TREC."""


@dataclass(slots=True)
class RankingRecord:
    """Filled by `evaluate_index`.

    Attributes:
        depth: How many images of each ranking to keep; they take 4 bytes each.
        measured: Scheme → its rankings and the figures of each query.
        relevant: From a row to which ranked images are relevant to it, bool [N].
        query_counts: Whether the query itself is ranked and counts as relevant.
    """

    depth: int = RUN_DEPTH
    measured: Mapping[str, Measured] = field(default_factory=dict)
    relevant: Callable[[int], NDArray[np.bool_]] = lambda row: np.zeros(0, dtype=np.bool_)
    query_counts: bool = True

    def counted(self, row: int) -> NDArray[np.bool_]:
        """Which images count as relevant to a query, bool [N]: itself only where that counts."""
        found: NDArray[np.bool_] = self.relevant(row).copy()
        found[row] &= self.query_counts
        return found


def archive_folders(index: Index) -> list[str]:
    """The folders of an index's archives; of an older index, which names none, what of its paths is not the ids."""
    if index.roots:
        return sorted(set(index.roots.values()))
    folders = {
        path[: -len(name)].rstrip("/") if path.endswith(name) else str(Path(path).parent)
        for name, path in zip(index.images.ids, index.images.paths, strict=True)
    }
    return sorted(folders)
