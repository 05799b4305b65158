"""Region vectors of an index cut into blocks that fit the processor's cache, each as one matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float32
from rsir_tf.index.segment import Segment
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking.bounds.component_bounds import COMPONENTS
from rsir_tf.ranking.bounds.operands import RegionBlock, squared_norms

REGIONS_PER_BLOCK = 4096
"""8 MB of 512 float32."""

WORTH_GATHERING = 0.75
"""Above this share of a segment's regions, scoring all is quicker than copying the wanted ones together."""


ReadBlock = Callable[["NDArray[np.float32] | None"], RegionBlock]
"""Reads a block, into the given memory or into new memory; see `region_blocks`."""


def region_blocks(
    stored: StoredVectors, wanted: NDArray[np.bool_], *, regions_at_once: int = REGIONS_PER_BLOCK
) -> Iterator[ReadBlock]:
    """Read all wanted images that have regions; where most of a segment is wanted, others may be included.

    Args:
        stored: The vectors of the index.
        wanted: bool [P].
        regions_at_once: In one block, at most; an image with more regions has a block of its own.

    Yields:
        Functions that read one block each, in any thread. They may put the vectors into the float32
        [`REGIONS_PER_BLOCK`, C] that they are given, which is quicker than new memory; the block is then valid until
        the next one is read into it.
    """
    positions = np.flatnonzero(wanted & (stored.region_counts > 0))
    regions = np.concatenate([[0], np.cumsum(stored.region_counts[positions])])
    apart = np.ones(len(positions), dtype=bool)
    for segment, of_segment, some in _by_segment(stored, positions):
        if regions[some.stop] - regions[some.start] >= WORTH_GATHERING * segment.record.regions:
            apart[some] = False
            counts = stored.region_counts[of_segment]
            images = np.flatnonzero(counts)
            for part in cut(np.cumsum(counts[images]), regions_at_once):
                yield partial(_neighbours, segment, of_segment.start, images[part])
    positions = positions[apart]
    for part in cut(np.cumsum(stored.region_counts[positions]), regions_at_once):
        yield partial(gathered, stored, positions[part])


def _by_segment(stored: StoredVectors, positions: NDArray[np.int64]) -> Iterator[tuple[Segment, slice, slice]]:
    """The segments of these ascending positions: each with the positions of its images, and its part of these ones."""
    cuts = np.searchsorted(positions, stored.first).tolist()
    for (of_segment, segment), begin, end in zip(stored.parts(), cuts[:-1], cuts[1:], strict=True):
        if end > begin:
            yield segment, of_segment, slice(begin, end)


def gathered(
    stored: StoredVectors, positions: NDArray[np.int64], room: NDArray[np.float32] | None = None
) -> RegionBlock:
    """Copy images that are not neighbours, from one segment or several, into one block.

    Args:
        stored: The vectors of the index.
        positions: int64 [k], ascending, of images with regions.
        room: As for the functions of `region_blocks`.
    """
    counts = stored.region_counts[positions]
    ends = np.cumsum(counts)
    if room is None or ends[-1] > len(room):
        room = np.empty((int(ends[-1]), stored.segments[0].recnn.shape[1]), dtype=np.float32)
    norms, filled = [], 0
    for segment, of_segment, some in _by_segment(stored, positions):
        lengths = counts[some]
        begins = segment.offsets[positions[some] - of_segment.start]
        rows = np.repeat(begins - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
        vectors = room[filled : filled + len(rows)]
        if segment.recnn.dtype == np.float32:
            np.take(segment.recnn, rows, axis=0, out=vectors, mode="clip")
        else:
            vectors[:] = to_float32(segment.recnn[rows])
        norms.append(_squared_norms(segment, rows, vectors))
        filled += len(rows)
    return RegionBlock(positions, ends - counts, room[:filled], np.concatenate(norms))


def cut(ends: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Cut images into parts with at most this number of regions, or one image where it has more.

    Args:
        ends: int64 [k], the number of regions of all images up to and including each.
        most: At least 1.
    """
    begin = 0
    while begin < len(ends):
        limit = (int(ends[begin - 1]) if begin else 0) + most
        end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(begin, end)
        begin = end


def _neighbours(
    segment: Segment, first: int, images: NDArray[np.int64], room: NDArray[np.float32] | None
) -> RegionBlock:
    """The block of images with no other image's regions between them, as it is stored on disk."""
    del room
    begins = segment.offsets[images]
    rows = slice(int(begins[0]), int(segment.offsets[images[-1] + 1]))
    vectors = to_float32(segment.recnn[rows])
    return RegionBlock(first + images, begins - begins[0], vectors, _squared_norms(segment, rows, vectors))


def _squared_norms(
    segment: Segment, rows: slice | NDArray[np.int64], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    components = segment.derived(COMPONENTS)
    return components.norms[rows] if components is not None else squared_norms(vectors)
