"""Images of an index in the form that schemes take: one image, or many at once as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.distances import to_float32
from rsir_tf.index.segment import Segment
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking.scheme import FIELDS, IMAGE_FIELDS, REGION_FIELDS, ImageFeatures, joined_borders

IMAGES_PER_BLOCK = 1024


class ImageBlock:
    """k images of one segment, with n regions together; every array is read at its first use.

    Iterating over a block gives each image as `ImageFeatures`; the block's own arrays hold all images at once.

    Args:
        segment: A segment of the index.
        rows: int64 [k], the images' rows in the segment.
    """

    def __init__(self, segment: Segment, rows: NDArray[np.int64]) -> None:
        self._segment, self._rows = segment, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[ImageFeatures]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: int) -> ImageFeatures:
        return _ImageOfBlock(self, range(len(self))[at])

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """int64 [k + 1]: image i's regions are the rows from starts[i] up to starts[i + 1] of the arrays of regions."""
        counts = self._segment.offsets[self._rows + 1] - self._segment.offsets[self._rows]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    @cached_property
    def images(self) -> NDArray[np.int64]:
        """int64 [n], for each region the number of its image, from 0: for example for `np.bincount`."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @cached_property
    def classes(self) -> NDArray[np.int32]:
        """int32 [n], class index of each region."""
        return self._segment.classes[self._regions]

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """int64 [n], pixels of each region."""
        return self._segment.areas[self._regions]

    @cached_property
    def boxes(self) -> NDArray[np.int32]:
        """int32 [n, 4], (top, left, bottom, right) of each region in pixels, half-open."""
        return self._segment.boxes[self._regions]

    @cached_property
    def centroids(self) -> NDArray[np.float32]:
        """float32 [n, 2], (y, x) of each region in the same pixels; NaN where the segment has index format 1."""
        return self._segment.centroids[self._regions]

    @cached_property
    def recnn(self) -> NDArray[np.float32]:
        """float32 [n, C], one vector per region."""
        return to_float32(self._segment.recnn[self._regions])

    @cached_property
    def recnn_plus(self) -> NDArray[np.float32]:
        """float32 [k, C], one vector per image."""
        return to_float32(self._segment.recnn_plus[self._rows])

    @cached_property
    def recnn_conv4_3(self) -> NDArray[np.float32] | None:
        """float32 [n, C], like `recnn`, of conv4_3; None where the index keeps conv5_3 alone."""
        vectors = self._segment.further.get("recnn_conv4_3")
        return None if vectors is None else to_float32(vectors[self._regions])

    @cached_property
    def recnn_plus_conv4_3(self) -> NDArray[np.float32] | None:
        """float32 [k, C], like `recnn_plus`; None likewise."""
        vectors = self._segment.further.get("recnn_plus_conv4_3")
        return None if vectors is None else to_float32(vectors[self._rows])

    @cached_property
    def borders(self) -> NDArray[np.int32]:
        """int32 [e, 3], rows of (region, another region of its image that it touches, pixel edges between them)."""
        if isinstance(self._regions, slice):
            first, last = self._segment.border_starts[[self._rows[0], self._rows[-1] + 1]] if len(self) else (0, 0)
            return self._segment.borders[first:last] - np.array([self._regions.start] * 2 + [0], np.int32)
        begins, counts = self._segment.border_starts[self._rows], np.diff(self.border_starts)
        chosen = np.arange(int(counts.sum())) + np.repeat(begins - self.border_starts[:-1], counts)
        moved = np.repeat(self.starts[:-1] - self._segment.offsets[self._rows], counts)
        found = self._segment.borders[chosen]
        found[:, :2] += moved[:, None].astype(np.int32)
        return found

    @cached_property
    def border_starts(self) -> NDArray[np.int64]:
        """int64 [k + 1]: image i's borders are the rows from border_starts[i] up to border_starts[i + 1]."""
        counts = self._segment.border_starts[self._rows + 1] - self._segment.border_starts[self._rows]
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    @cached_property
    def edge(self) -> NDArray[np.int32]:
        """int32 [n], pixel edges of each region at which the picture ends; −1 where that is not known."""
        return self._segment.edge[self._regions]

    @cached_property
    def _regions(self) -> slice | NDArray[np.int64]:
        """Rows of the segment's regions: a slice, which copies nothing, where the images are neighbours."""
        begins = self._segment.offsets[self._rows]
        if len(self) and self._rows[-1] - self._rows[0] + 1 == len(self):
            return slice(int(begins[0]), int(self._segment.offsets[self._rows[-1] + 1]))
        return np.arange(int(self.starts[-1])) + np.repeat(begins - self.starts[:-1], np.diff(self.starts))


class HeldBlock(ImageBlock):
    """Images that are in no index, as a block, so that schemes measure them in the same way.

    Args:
        images: k of them, at least one.
    """

    def __init__(self, images: Sequence[ImageFeatures]) -> None:
        self._count = len(images)
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(image) for image in images])])
        for names, put in ((REGION_FIELDS, np.concatenate), (IMAGE_FIELDS, np.stack)):
            for name in names:
                arrays = [getattr(image, name) for image in images]
                setattr(self, name, None if any(array is None for array in arrays) else put(arrays))
        self.borders = joined_borders(images)
        self.border_starts = np.searchsorted(self.borders[:, 0], self.starts)

    def __len__(self) -> int:
        return self._count


class _ImageOfBlock(ImageFeatures):
    """One image of a block; its arrays are read at their first use, like those of the block."""

    __slots__ = ("_at", "_block")
    _at: int
    _block: ImageBlock

    def __init__(self, block: ImageBlock, at: int) -> None:
        object.__setattr__(self, "_block", block)
        object.__setattr__(self, "_at", at)

    def __getattr__(self, name: str) -> Any:
        """Called where a field has not been read yet."""
        if name not in FIELDS:
            raise AttributeError(name)
        values = getattr(self._block, name)
        first, last = self._block.starts[self._at : self._at + 2].tolist()
        if name == "borders":
            begin, end = self._block.border_starts[self._at : self._at + 2].tolist()
            values = values[begin:end] - np.array([first, first, 0], np.int32)
        elif values is not None:
            values = values[self._at] if name in IMAGE_FIELDS else values[first:last]
        object.__setattr__(self, name, values)
        return values


def image_blocks(stored: StoredVectors, wanted: NDArray[np.bool_]) -> list[tuple[NDArray[np.int64], ImageBlock]]:
    """Cut the wanted images into blocks; each comes with its positions, int64 [k].

    Args:
        stored: The vectors of the index.
        wanted: bool [P].
    """
    return [
        (positions.start + rows, ImageBlock(segment, rows))
        for positions, segment in stored.parts()
        for chosen in [np.flatnonzero(wanted[positions])]
        for rows in (chosen[at : at + IMAGES_PER_BLOCK] for at in range(0, len(chosen), IMAGES_PER_BLOCK))
    ]


def image_at(stored: StoredVectors, position: int) -> ImageFeatures:
    """One image of the index."""
    segment, row = stored.locate(position)
    return _ImageOfBlock(ImageBlock(segment, np.array([row])), 0)
