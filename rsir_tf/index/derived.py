"""Files that ranking schemes derive from a segment's vectors: this room stores, lists, hashes and removes them.

A segment is complete without them. `IndexWriter.open` takes the kinds of files that merging makes; readers get them
from a segment (`Segment.derived`). This module also reads such files: uncompressed zip archives of arrays, read
completely and checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsir_tf.errors import ArtifactError

Content_co = TypeVar("Content_co", covariant=True)
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentVectors:
    """The vectors that a file is derived from.

    Attributes:
        recnn: [n, C] region vectors in the index's number type, grouped by image; may be a memory-mapped file: read
            them with `in_blocks`.
        recnn_plus: [P, C] global vectors in the same number type; may be memory-mapped too.
        counts: int64 [P], the regions of each image; their sum is n.
    """

    recnn: NDArray[np.floating]
    recnn_plus: NDArray[np.floating]
    counts: NDArray[np.int64]


def in_blocks(vectors: NDArray[Number], rows: int, step: int = 1) -> Iterator[NDArray[Number]]:
    """Read vectors in their order, so many rows at a time.

    Of a memory-mapped file the rows are read from the file. Through the mapping every page that was looked at would
    count as this process's memory for as long as the file is mapped.

    Args:
        vectors: [n, C] or [n]; if it is a `np.memmap`, then a whole file, not a part of it.
        rows: At least 1; rows that the steps pass over count too.
        step: Every step-th vector is wanted, from the first: as `vectors[::step]`.

    Yields:
        At most `rows` rows, perhaps none; one block after another.
    """
    for begin in range(0, len(vectors), rows):
        block = vectors[begin : begin + rows]
        if isinstance(vectors, np.memmap) and vectors.filename is not None:
            offset = vectors.offset + begin * vectors.strides[0]
            block = np.fromfile(vectors.filename, block.dtype, block.size, offset=offset).reshape(block.shape)
        yield np.ascontiguousarray(block[-begin % step :: step])


class DerivedFile(Protocol[Content_co]):
    """A kind of derived file.

    Attributes:
        name: The file's name in a segment's folder.
    """

    @property
    def name(self) -> str: ...

    def worth(self, images: int, regions: int, large: bool) -> bool:
        """Whether a merged segment of this size should have this file.

        Args:
            images: Number of images, at least 1.
            regions: Number of regions, may be 0.
            large: Whether the segment is full: it is merged again only if images are removed from it.
        """
        ...

    def write(self, file: Path, vectors: SegmentVectors) -> None:
        """Make the file; its bytes depend only on the vectors."""
        ...

    def read(self, source: Any, vectors: SegmentVectors, damaged: Callable[[str], ArtifactError]) -> Content_co:
        """Read the file and check it.

        Args:
            source: A seekable binary file.
            vectors: The vectors of the segment.
            damaged: Makes the error to raise where the file has changed since it was written.
        """
        ...


def read_arrays(
    source: Any, wanted: Mapping[str, tuple[DTypeLike, tuple[int, ...]]], damaged: Callable[[str], ArtifactError]
) -> dict[str, NDArray[Any]]:
    """Read arrays that `np.savez` wrote.

    Args:
        source: The path of a file, or a seekable binary file.
        wanted: Name → number type and shape that the array must have.
        damaged: Makes the error.

    Returns:
        The arrays, in memory.

    Raises:
        ArtifactError: From `damaged`: the archive cannot be read, a checksum is wrong, or an array is missing or has
            another type or shape.
    """
    try:
        with ZipFile(source) as archive:
            # Read completely, because zipfile checks an entry's checksum only at its end.
            arrays = {name: np.load(BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in wanted}
    except (BadZipFile, KeyError, ValueError, OSError, EOFError, RuntimeError, zlib.error) as error:
        raise damaged(f"cannot be read ({error})") from error
    for name, (dtype, shape) in wanted.items():
        found = arrays[name]
        if found.dtype != np.dtype(dtype) or found.shape != shape:
            raise damaged(f"its array {name} is {found.dtype} {list(found.shape)}, not {np.dtype(dtype)} {list(shape)}")
    return arrays
