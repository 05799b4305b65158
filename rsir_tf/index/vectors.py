"""The vectors of an index in their order on disk."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rsir_tf.index.segment import Segment


class StoredVectors:
    """All vectors of an index's segments; a *position* counts images over all segments, including removed ones.

    Attributes:
        segments: The segments, in order of their numbers.
        first: int64 [segments + 1], the position of each segment's first image, and at the end the number of positions.
        rows: int64 [P], the index's row of each position, −1 where the image was removed.
        positions: int64 [N], the position of each row.
    """

    def __init__(self, segments: Sequence[Segment], rows: NDArray[np.int64]) -> None:
        self.segments = tuple(segments)
        self._starts = [0, *itertools.accumulate(segment.record.images for segment in segments)]
        self.first = np.array(self._starts, dtype=np.int64)
        self.rows = rows
        self.positions = np.empty(int((rows >= 0).sum()), dtype=np.int64)
        live = np.flatnonzero(rows >= 0)
        self.positions[rows[live]] = live

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def live(self) -> NDArray[np.bool_]:
        """Bool [P], false where the image was removed."""
        return np.asarray(self.rows >= 0)

    @cached_property
    def region_counts(self) -> NDArray[np.int64]:
        """int64 [P], the number of regions of each image."""
        return np.concatenate([np.empty(0, np.int64), *(np.diff(segment.offsets) for segment in self.segments)])

    def area_shares(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Share of its image's area of each region of some images, one image after another; their sums are 1.

        Areas count regions alone: pixels in no region are left out.

        Args:
            positions: int64 [k], of images in any order.

        Returns:
            float32 [n].
        """
        shares: NDArray[np.float32] = self._area_shares[self._regions(positions)]
        return shares

    def areas(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 [n], pixels of each region of some images (int64 [k]), one image after another."""
        areas: NDArray[np.int64] = self._areas[self._regions(positions)]
        return areas

    def _regions(self, positions: NDArray[np.int64]) -> NDArray[np.int64] | slice:
        """Numbers of the images' regions, counted over all segments: a slice where the images are neighbours."""
        counts, begins = self.region_counts[positions], self._region_starts[positions]
        if len(positions) and (np.diff(positions) == 1).all():
            return slice(int(begins[0]), int(begins[-1] + counts[-1]))
        inside = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(begins, counts) + inside

    @cached_property
    def _region_starts(self) -> NDArray[np.int64]:
        return np.cumsum(self.region_counts) - self.region_counts

    @cached_property
    def _areas(self) -> NDArray[np.int64]:
        return np.concatenate([np.empty(0, np.int64), *(segment.areas for segment in self.segments)])

    @cached_property
    def _area_shares(self) -> NDArray[np.float32]:
        ends = np.concatenate([[0], np.cumsum(self._areas)])
        sums = ends[self._region_starts + self.region_counts] - ends[self._region_starts]
        return np.asarray(self._areas / np.repeat(sums, self.region_counts), dtype=np.float32)

    @cached_property
    def global_vectors(self) -> NDArray[np.float32]:
        """float32 [N, C], the global vectors in the order of the index's rows."""
        channels = self.segments[0].recnn_plus.shape[1] if self.segments else 0
        vectors = np.empty((len(self.positions), channels), dtype=np.float32)
        for positions, block in self.global_blocks(self.live):
            vectors[self.rows[positions]] = block
        return vectors

    def locate(self, position: int) -> tuple[Segment, int]:
        """The segment with a position, and the row in it."""
        number = bisect_right(self._starts, position) - 1
        return self.segments[number], position - self._starts[number]

    def recnn(self, position: int) -> NDArray[np.float32]:
        """float32 [m, C], the region vectors of one image."""
        segment, row = self.locate(position)
        return np.array(segment.recnn[segment.offsets[row] : segment.offsets[row + 1]], dtype=np.float32)

    def recnn_plus(self, position: int) -> NDArray[np.float32]:
        """float32 [C], the global vector of one image."""
        segment, row = self.locate(position)
        return np.array(segment.recnn_plus[row], dtype=np.float32)

    def with_classes(self, classes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each image has a region of one of these classes: bool [P]."""
        found = np.zeros(len(self), dtype=bool)
        for positions, segment in self.parts():
            found[positions] = segment.shown_classes[:, classes].any(axis=1)
        return found

    def parts(self) -> Iterator[tuple[slice, Segment]]:
        """The segments, each with the positions of its images."""
        for first, segment in zip(self._starts, self.segments, strict=False):
            yield slice(first, first + segment.record.images), segment

    def global_blocks(self, wanted: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.floating]]]:
        """Positions int64 [k] and global vectors [k, C] of the wanted images, one segment at a time.

        Args:
            wanted: bool [P].
        """
        for positions, segment in self.parts():
            chosen = np.flatnonzero(wanted[positions])
            if len(chosen) == segment.record.images:
                yield positions.start + chosen, segment.recnn_plus
            elif len(chosen):
                yield positions.start + chosen, segment.recnn_plus[chosen]
