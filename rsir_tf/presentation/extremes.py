"""The best and worst queries, each with its first hits, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.presentation.contact_sheets import OTHER_SCENE, QUERY, SAME_SCENE
from rsir_tf.presentation.sheets import Tile, sheet


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image on such a sheet.

    Attributes:
        id: The image's id.
        image: uint8 [H, W, 3], RGB.
        relevant: Whether it is relevant to its row's query; None for the query itself.
    """

    id: str
    image: NDArray[np.uint8]
    relevant: bool | None = None


def extremes_sheet(
    rows: Sequence[tuple[str, ShownImage, Sequence[ShownImage]]], *, title: str, side: int = 128
) -> NDArray[np.uint8]:
    """Draw one row per query: the query, then its hits, with a green frame if relevant and a red one if not.

    Args:
        rows: At least one of (text about the query, the query, its hits nearest first).
        title: Title of the sheet.
        side: Pixels of a tile's longer side.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    tiles = [
        [
            Tile(query.image, [words, query.id], QUERY),
            *(
                Tile(hit.image, [str(rank), hit.id], SAME_SCENE if hit.relevant else OTHER_SCENE)
                for rank, hit in enumerate(hits, start=1)
            ),
        ]
        for words, query, hits in rows
    ]
    return sheet(tiles, title=title, footer=["Green frame: relevant to the query; red frame: not."], side=side)
