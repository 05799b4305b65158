"""Look at the components of all segments, or only of a sample of the images that tells whether looking at all pays.

Where vectors vary in many directions, as those of a network that was not trained on such images do, a few components
say little: most images stay open, and all vectors must be read as well. Then it is quicker to read them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.segment import Segment
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.processors import in_threads
from rsir_tf.ranking.bounds.component_bounds import COMPONENTS, Components

WORTH_SAMPLING = 8192
"""In a search of no more images, a sample is not much less than all."""

_SEGMENTS = 3
"""Segments that a sample is taken from, first, last and middle; of few segments, no more than a fourth."""

_MEASURED = 64
"""Images of a sample whose distances show how near the nearest are, at least."""

_WORTH_SHARE = 0.5
"""With a larger share of images open, looking at components costs more than it saves: they cost a fifth to a third of
what scoring all vectors does, and scoring images that are not neighbours costs a third more than others."""

Look = Callable[[Components, slice, bool], NDArray[np.float64]]
"""Takes a segment's components, the positions of its images, and whether to look at a sample only; gives lower bounds
of the distances, float64 [images, Q], which are infinite for images that are not in the sample."""


def has_components(stored: StoredVectors, wanted: NDArray[np.bool_]) -> bool:
    """Whether any segment with a wanted image (bool [P]) has components."""
    return any(wanted[at].any() and segment.derived(COMPONENTS) is not None for at, segment in stored.parts())


def component_bounds(
    stored: StoredVectors,
    wanted: NDArray[np.bool_],
    queries: int,
    look: Look,
    *,
    sample: bool = False,
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Lower bounds of the distances to the wanted images.

    Args:
        stored: The vectors of the index.
        wanted: bool [P].
        queries: Q.
        look: Gives the bounds for one segment; called in several threads at once.
        sample: Look at a sample of the images, in a few segments.
        threads: Number of threads; None takes one per core.

    Returns:
        float64 [Q, P]: −1 in segments without components, infinite for images that are not wanted or not in the sample.
    """
    parts = [(at, segment) for at, segment in stored.parts() if wanted[at].any()]
    having = [(at, segment) for at, segment in parts if segment.derived(COMPONENTS) is not None]
    if sample:
        some = min(_SEGMENTS, max(1, len(having) // 4))
        having = [having[at] for at in np.linspace(0, len(having) - 1, some).astype(int)] if having else []
    least = np.full((queries, len(wanted)), np.inf if sample else -1.0)

    def of_part(part: tuple[slice, Segment]) -> None:
        positions, segment = part
        components = segment.derived(COMPONENTS)
        if components is not None:
            least[:, positions] = look(components, positions, sample).T

    for _ in in_threads(of_part, having, threads=threads):
        pass
    least[:, ~wanted] = np.inf
    return least


def worth_looking(
    low: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    top: int,
    measure: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> bool:
    """Whether components would leave few of the wanted images open.

    Args:
        low: float64 [P], from `component_bounds` with `sample`.
        wanted: bool [P].
        top: How many images are searched for.
        measure: Takes int64 [k], positions, and gives float64 [k], their distances or upper bounds of these.
    """
    looked = np.flatnonzero(wanted & np.isfinite(low))
    if not len(looked):
        return True
    rank = math.ceil(top * len(looked) / int(wanted.sum()))
    some = looked[np.argsort(low[looked])[: max(_MEASURED, 2 * rank)]]
    distances = np.sort(measure(some))
    return float((low[looked] <= distances[min(rank, len(some)) - 1]).mean()) <= _WORTH_SHARE
