"""Files that are derived from a segment's vectors, by those who rank: this room stores, lists, hashes and drops them.

A segment without them is whole. `IndexWriter.open` is told which files merging is to make; who reads an index asks a
segment for them (`Segment.derived`). Here, too, is how such files hold arrays: an uncompressed zip archive, read whole
and checked.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsir_tf.errors import ArtifactError

Content_co = TypeVar("Content_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class SegmentVectors:
    """What a file can be derived from.

    Attributes:
        recnn: [n, C] region vectors in the index's number type, grouped by image; may be mapped: read them in chunks.
        recnn_plus: [P, C] global vectors in the same number type; may be mapped too.
        counts: int64 [P], the regions of each image; their sum is n.
    """

    recnn: NDArray[np.floating]
    recnn_plus: NDArray[np.floating]
    counts: NDArray[np.int64]


class DerivedFile(Protocol[Content_co]):
    """A kind of derived file.

    Attributes:
        name: The file's name in a segment's folder.
    """

    @property
    def name(self) -> str: ...

    def worth(self, images: int, regions: int, large: bool) -> bool:
        """Whether a merged segment of so many images and regions is to have this file.

        Args:
            images: At least 1.
            regions: From 0 on.
            large: Whether the segment is full: it will not be merged again, unless images are removed from it.
        """
        ...

    def write(self, file: Path, vectors: SegmentVectors) -> None:
        """Make the file; its bytes depend on the vectors alone."""
        ...

    def read(self, source: Any, vectors: SegmentVectors, damaged: Callable[[str], ArtifactError]) -> Content_co:
        """Read the file and check it.

        Args:
            source: A binary file that can be sought in.
            vectors: Of the segment.
            damaged: Composes the error that is raised where the file is not as it was written.
        """
        ...


def read_arrays(
    source: Any, wanted: Mapping[str, tuple[DTypeLike, tuple[int, ...]]], damaged: Callable[[str], ArtifactError]
) -> dict[str, NDArray[Any]]:
    """Read arrays that `np.savez` wrote.

    Args:
        source: A file's path, or a binary file that can be sought in.
        wanted: The number type and the shape that each must have.
        damaged: Composes the error.

    Returns:
        The arrays, in memory.

    Raises:
        ArtifactError: As `damaged` composes it: the archive cannot be read, a checksum is wrong, or an array is missing
            or of another type or shape.
    """
    try:
        with ZipFile(source) as archive:
            # Read whole, for zipfile compares an entry's checksum only where it is read to the end.
            arrays = {name: np.load(BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in wanted}
    except (BadZipFile, KeyError, ValueError, OSError, EOFError, RuntimeError, zlib.error) as error:
        raise damaged(f"cannot be read ({error})") from error
    for name, (dtype, shape) in wanted.items():
        found = arrays[name]
        if found.dtype != np.dtype(dtype) or found.shape != shape:
            raise damaged(f"its array {name} is {found.dtype} {list(found.shape)}, not {np.dtype(dtype)} {list(shape)}")
    return arrays
