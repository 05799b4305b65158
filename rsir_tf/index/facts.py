"""What an index keeps about an image besides its descriptors, and the folders that its paths are relative to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rsir_tf.rasters import Place, path_of, with_path

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
    place: Place | None = None
    placed: bool = False


def transform_to_store(facts: ImageFacts) -> list[float] | None:
    """The transform of an image's place as an index stores it: empty where it is known to have none."""
    if facts.place is not None:
        return list(facts.place.transform)
    return [] if facts.placed else None


def place_from(crs: str | None, transform: Sequence[float] | None) -> Place | None:
    """An image's place, of the two columns that an index stores."""
    if crs is None or not transform:
        return None
    a, b, c, d, e, f = transform
    return Place(crs, (a, b, c, d, e, f))


def path_to_store(address: str, root: str | os.PathLike[str]) -> str:
    """Give an image's address as an index stores it, so that it stays right when the archive is moved as a whole.

    Args:
        address: Of the image's source.
        root: The archive's folder.

    Returns:
        The path relative to the root, with forward slashes; or the address as it is, where it is of no file in the
        root. In the address of a window of a scene, the scene's path is made relative.
    """
    path = path_of(address)
    if path is None or not os.path.isabs(path):
        return address
    folder = os.path.join(os.path.abspath(root), "")
    file = os.path.abspath(path)
    if not file.startswith(folder):
        return address
    relative = file[len(folder) :].replace(os.sep, "/")
    return with_path(address, f"./{relative}" if _ADDRESS_OF_A_KIND.match(relative) else relative)


def address_of(path: str, archive: str | None, roots: Mapping[str, str]) -> str:
    """Give the address from which an image's source is opened.

    Args:
        path: As it is stored.
        archive: The name of the image's archive in the index; None in indexes of format 1, whose paths are absolute.
        roots: Name of an archive → its folder.
    """
    if archive is None or archive not in roots:
        return path
    file = path_of(path)
    if file is None or os.path.isabs(file) or _ADDRESS_OF_A_KIND.match(file):  # A URL, for example.
        return path
    return with_path(path, os.path.join(roots[archive], file.removeprefix("./")))
