"""What a search answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """Which region of a hit answered to a region of the query.

    Attributes:
        query_region: From 0, a row of the query's ReCNN.
        region: From 0, the hit's nearest region, a row of its ReCNN; the first of equals.
        distance: L2 between the two.
        class_index: Class of the hit's region.
        box: (top, left, bottom, right) of the hit's region, in pixels of the hit.
    """

    query_region: int
    region: int
    distance: float
    class_index: int
    box: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Hit:
    """One image that was found.

    Attributes:
        id: The image's id.
        row: Its row in the index.
        distance: To the query, ≥ 0; infinite for an image without regions under "recnn".
        matches: For "recnn" one a query region, in their order, whose distances' mean is that of Eq. 3; else empty.
    """

    id: str
    row: int
    distance: float
    matches: tuple[Match, ...] = ()
