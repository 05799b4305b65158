"""The vectors of an index in the order in which they lie on disk, cut into blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.blocks import RegionBlock, squared_norms
from rsir_tf.index.halves import to_float32
from rsir_tf.index.segment import Segment

REGIONS_PER_BLOCK = 8192
"""16 MB of 512 float32."""

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
        """All wanted images that have regions; where most are wanted, others may come along.

        Args:
            wanted: bool [P].

        Yields:
            Functions that read a block each, in any thread. Given float32 [`REGIONS_PER_BLOCK`, C], they may lay the
            vectors there, which is quicker than fresh memory; the block is then good until the next is read into it.
        """
        for positions, segment in self.parts():
            if not wanted[positions].any():
                continue
            counts = np.diff(segment.offsets)
            chosen = np.flatnonzero(wanted[positions] & (counts > 0))
            whole = int(counts[chosen].sum()) >= WORTH_GATHERING * segment.record.regions
            images = np.flatnonzero(counts) if whole else chosen
            ends = np.cumsum(counts[images])
            begin = 0
            while begin < len(images):
                # As many images as fit, but at least one.
                limit = (int(ends[begin - 1]) if begin else 0) + REGIONS_PER_BLOCK
                end = max(begin + 1, int(np.searchsorted(ends, limit, side="right")))
                yield partial(self._block, segment, positions.start, images[begin:end], whole)
                begin = end

    def _block(
        self,
        segment: Segment,
        first: int,
        images: NDArray[np.int64],
        whole: bool,
        room: NDArray[np.float32] | None,
    ) -> RegionBlock:
        counts = segment.offsets[images + 1] - segment.offsets[images]
        starts = np.cumsum(counts) - counts
        rows: slice | NDArray[np.int64]
        if whole:
            rows = slice(int(segment.offsets[images[0]]), int(segment.offsets[images[-1] + 1]))
            vectors = to_float32(segment.recnn[rows])
        else:
            rows = np.repeat(segment.offsets[images] - starts, counts) + np.arange(int(counts.sum()))
            if room is None or len(rows) > len(room) or segment.recnn.dtype != np.float32:
                vectors = to_float32(segment.recnn[rows])
            else:
                vectors = room[: len(rows)]
                np.take(segment.recnn, rows, axis=0, out=vectors, mode="clip")
        norms = segment.components.norms[rows] if segment.components is not None else squared_norms(vectors)
        return RegionBlock(first + images, starts, vectors, norms)
