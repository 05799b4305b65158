"""What an index keeps about an image besides its descriptors, and the folders that its paths are relative to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

_ADDRESS_OF_A_KIND = re.compile(r"\w{2,}:")
"""How the address of a source begins that is no file: see `rsir_tf.rasters.SOURCE_KINDS`."""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an archive says of an image, and what tells whether its pixels have changed; see `ImageEntry`."""

    archive: str | None
    path: str
    scene: str | None
    tags: tuple[str, ...] | None
    content_hash: str
    file_size: int
    modified_ns: int


def path_to_store(address: str, root: str | os.PathLike[str]) -> str:
    """Give an image's address as an index stores it, so that it stays right when the archive is moved as a whole.

    Args:
        address: Of the image's source.
        root: The archive's folder.

    Returns:
        The path relative to the root, with forward slashes; or the address as it is, where it is no file in the root.
    """
    if not os.path.isabs(address):
        return address
    folder = os.path.join(os.path.abspath(root), "")
    file = os.path.abspath(address)
    if not file.startswith(folder):
        return address
    path = file[len(folder) :].replace(os.sep, "/")
    return f"./{path}" if _ADDRESS_OF_A_KIND.match(path) else path


def address_of(path: str, archive: str | None, roots: Mapping[str, str]) -> str:
    """Give the address from which an image's source is opened.

    Args:
        path: As it is stored.
        archive: The name of the image's archive in the index; None in indexes of format 1, whose paths are absolute.
        roots: Name of an archive → its folder.
    """
    if archive is None or archive not in roots or os.path.isabs(path) or _ADDRESS_OF_A_KIND.match(path):
        return path
    return os.path.join(roots[archive], path.removeprefix("./"))
