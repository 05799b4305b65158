"""The vectors of an index in the order in which they lie on disk, cut into blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.blocks import RegionBlock, squared_norms
from rsir_tf.index.halves import to_float32
from rsir_tf.index.segment import Segment

REGIONS_PER_BLOCK = 4096
"""8 MB of 512 float32."""

WORTH_GATHERING = 0.75
"""Share of a segment's regions above which scoring all is quicker than copying the wanted ones together."""


class Descriptors:
    """All vectors of an index's segments; a *position* counts images through the segments, removed ones included.

    Attributes:
        rows: int64 [P], the index's row of each position, −1 where the image was removed.
        positions: int64 [N], the position of each row.
    """

    def __init__(self, segments: Sequence[Segment], rows: NDArray[np.int64]) -> None:
        self._segments = tuple(segments)
        self._first = np.cumsum([0, *(segment.record.images for segment in segments)])
        self.rows = rows
        self.positions = np.empty(int((rows >= 0).sum()), dtype=np.int64)
        live = np.flatnonzero(rows >= 0)
        self.positions[rows[live]] = live

    @cached_property
    def _regions(self) -> NDArray[np.int64]:
        """int64 [P], the regions of each image."""
        return np.concatenate([np.empty(0, np.int64), *(np.diff(segment.offsets) for segment in self._segments)])

    def locate(self, position: int) -> tuple[Segment, int]:
        """The segment that holds a position, and the row in it."""
        number = int(np.searchsorted(self._first, position, side="right")) - 1
        return self._segments[number], position - int(self._first[number])

    def recnn(self, position: int) -> NDArray[np.float32]:
        """float32 [m, C], the region vectors of one image."""
        segment, row = self.locate(position)
        return np.array(segment.recnn[segment.offsets[row] : segment.offsets[row + 1]], dtype=np.float32)

    def recnn_plus(self, position: int) -> NDArray[np.float32]:
        """float32 [C], the global vector of one image."""
        segment, row = self.locate(position)
        return np.array(segment.recnn_plus[row], dtype=np.float32)

    def with_classes(self, classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell, as bool [P], whether an image has a region of one of these classes."""
        found = np.zeros(len(self.rows), dtype=bool)
        for positions, segment in self.parts():
            found[positions] = segment.shown_classes[:, classes].any(axis=1)
        return found

    def parts(self) -> Iterator[tuple[slice, Segment]]:
        """The segments, each with the positions of its images."""
        for first, segment in zip(self._first.tolist(), self._segments, strict=False):
            yield slice(first, first + segment.record.images), segment

    def global_blocks(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.floating]]]:
        """Positions int64 [k] and global vectors [k, C] of the wanted images, a segment at a time.

        Args:
            wanted: bool [P].
        """
        for positions, segment in self.parts():
            chosen = np.flatnonzero(wanted[positions])
            if len(chosen) == segment.record.images:
                yield positions.start + chosen, segment.recnn_plus
            elif len(chosen):
                yield positions.start + chosen, segment.recnn_plus[chosen]

    def region_blocks(self, wanted: NDArray[np.bool_]) -> Iterator[Callable[[NDArray[np.float32] | None], RegionBlock]]:
        """All wanted images that have regions; where most of a segment's are wanted, others may come along.

        Args:
            wanted: bool [P].

        Yields:
            Functions that read a block each, in any thread. Given float32 [`REGIONS_PER_BLOCK`, C], they may lay the
            vectors there, which is quicker than fresh memory; the block is then good until the next is read into it.
        """
        positions = np.flatnonzero(wanted & (self._regions > 0))
        regions = np.concatenate([[0], np.cumsum(self._regions[positions])])
        apart = np.ones(len(positions), dtype=bool)
        for segment, of_segment, some in self._by_segment(positions):
            if regions[some.stop] - regions[some.start] >= WORTH_GATHERING * segment.record.regions:
                apart[some] = False
                counts = self._regions[of_segment]
                images = np.flatnonzero(counts)
                for part in _cut(np.cumsum(counts[images])):
                    yield partial(_neighbours, segment, of_segment.start, images[part])
        positions = positions[apart]
        for part in _cut(np.cumsum(self._regions[positions])):
            yield partial(self._gathered, positions[part])

    def _by_segment(self, positions: NDArray[np.int64]) -> Iterator[tuple[Segment, slice, slice]]:
        """The segments of these ascending positions: each with its images' positions, and which of these it has."""
        cuts = np.searchsorted(positions, self._first).tolist()
        for (of_segment, segment), begin, end in zip(self.parts(), cuts[:-1], cuts[1:], strict=True):
            if end > begin:
                yield segment, of_segment, slice(begin, end)

    def _gathered(self, positions: NDArray[np.int64], room: NDArray[np.float32] | None) -> RegionBlock:
        """The block of images that lie apart, of one segment or several, copied together."""
        counts = self._regions[positions]
        ends = np.cumsum(counts)
        if room is None or ends[-1] > len(room):
            room = np.empty((int(ends[-1]), self._segments[0].recnn.shape[1]), dtype=np.float32)
        norms, filled = [], 0
        for segment, of_segment, some in self._by_segment(positions):
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


def _cut(ends: NDArray[np.int64]) -> Iterator[slice]:
    """Cut images into parts of as many as have `REGIONS_PER_BLOCK` together, but of one at least.

    Args:
        ends: int64 [k], the regions of the images up to each, itself included.
    """
    begin = 0
    while begin < len(ends):
        limit = (int(ends[begin - 1]) if begin else 0) + REGIONS_PER_BLOCK
        end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(begin, end)
        begin = end


def _neighbours(
    segment: Segment, first: int, images: NDArray[np.int64], room: NDArray[np.float32] | None
) -> RegionBlock:
    """The block of images between which no others have regions: as it lies on disk."""
    del room
    begins = segment.offsets[images]
    rows = slice(int(begins[0]), int(segment.offsets[images[-1] + 1]))
    vectors = to_float32(segment.recnn[rows])
    return RegionBlock(first + images, begins - begins[0], vectors, _squared_norms(segment, rows, vectors))


def _squared_norms(
    segment: Segment, rows: slice | NDArray[np.int64], vectors: NDArray[np.float32]
) -> NDArray[np.float32]:
    return segment.components.norms[rows] if segment.components is not None else squared_norms(vectors)
