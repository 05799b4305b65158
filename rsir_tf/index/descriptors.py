"""The vectors of an index in the order in which they lie on disk, cut into blocks that fit the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.segment import Segment

REGIONS_PER_BLOCK = 4096
"""8 MB of 512 float32."""

WORTH_GATHERING = 0.75
"""Share of a block's regions above which scoring all is quicker than copying the wanted ones together."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionBlock:
    """Region vectors of neighbouring images, each of which has at least one region.

    Attributes:
        positions: int64 [k], where the images lie; ascending.
        starts: int64 [k], the first row of each image in `vectors`.
        vectors: [n, C], in the index's number type.
        squared_norms: float32 [n], rounded, with a relative error below (C + 1)·2⁻²⁴.
    """

    positions: NDArray[np.int64]
    starts: NDArray[np.int64]
    vectors: NDArray[np.floating]
    squared_norms: NDArray[np.float32]


class Descriptors:
    """All vectors of an index's segments; a *position* counts images through the segments, removed ones included.

    Attributes:
        rows: int64 [P], the index's row of each position, −1 where the image was removed.
        positions: int64 [N], the position of each row.
    """

    def __init__(self, segments: Sequence[Segment], rows: NDArray[np.int64]) -> None:
        self._segments = tuple(segments)
        self._first = np.cumsum([0, *(segment.record.images for segment in segments)])
        self._norms: dict[tuple[int, int], NDArray[np.float32]] = {}
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
        for segment, first in zip(self._segments, self._first, strict=False):
            regions = np.flatnonzero(np.isin(segment.classes, classes))
            found[first + np.searchsorted(segment.offsets, regions, side="right") - 1] = True
        return found

    def global_blocks(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.floating]]]:
        """Positions int64 [k] and global vectors [k, C] of the wanted images, a segment at a time.

        Args:
            wanted: bool [P].
        """
        for segment, first in zip(self._segments, self._first, strict=False):
            chosen = np.flatnonzero(wanted[first : first + segment.record.images])
            if len(chosen) == segment.record.images:
                yield first + chosen, segment.recnn_plus
            elif len(chosen):
                yield first + chosen, segment.recnn_plus[chosen]

    def region_blocks(self, wanted: NDArray[np.bool_]) -> Iterator[RegionBlock]:
        """All wanted images that have regions; unwanted neighbours may come along.

        Args:
            wanted: bool [P].
        """
        for number, segment in enumerate(self._segments):
            first, offsets = int(self._first[number]), segment.offsets
            begin = 0
            while begin < segment.record.images:
                # As many images as fit, but at least one.
                limit = offsets[begin] + REGIONS_PER_BLOCK
                end = max(begin + 1, int(np.searchsorted(offsets, limit, side="right")) - 1)
                block = self._block(segment, first, begin, min(end, segment.record.images), wanted)
                if block is not None:
                    yield block
                begin = end

    def _block(
        self, segment: Segment, first: int, begin: int, end: int, wanted: NDArray[np.bool_]
    ) -> RegionBlock | None:
        bounds = segment.offsets[begin : end + 1]
        counts = np.diff(bounds)
        images = np.flatnonzero(counts)
        chosen = images[wanted[first + begin + images]]
        total, share = int(counts.sum()), int(counts[chosen].sum())
        if not share:
            return None
        vectors = segment.recnn[bounds[0] : bounds[-1]]
        if (norms := self._norms.get((first, begin))) is None:
            norms = self._norms[(first, begin)] = squared_norms(vectors)
        if share >= WORTH_GATHERING * total:
            return RegionBlock(first + begin + images, bounds[images] - bounds[0], vectors, norms)
        regions = np.repeat(np.isin(np.arange(end - begin), chosen, assume_unique=True), counts)
        starts = np.cumsum(counts[chosen]) - counts[chosen]
        return RegionBlock(first + begin + chosen, starts, vectors[regions], norms[regions])


def squared_norms(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32 [n], ‖v‖² of each row; infinite where float32 cannot hold it."""
    values = vectors.astype(np.float32, copy=False)
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("ij,ij->i", values, values), dtype=np.float32)
