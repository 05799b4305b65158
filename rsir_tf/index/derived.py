"""Files that are derived from a segment's vectors: arrays in an uncompressed zip archive, read whole and checked."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rsir_tf.errors import ArtifactError


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
