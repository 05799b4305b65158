"""What every vector database does for an index: it keeps points, one for each image, and finds near ones."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.progress import Progress

KINDS = {
    "qdrant": "rsir_tf.databases.qdrant.QdrantCollection",
    "qdrant+https": "rsir_tf.databases.qdrant.QdrantCollection",
}
"""How an address begins → the class; as text, so that no database's library is loaded before it is used."""


@dataclass(frozen=True, slots=True)
class VectorKind:
    """What the vectors of a collection are.

    Attributes:
        channels: Numbers of one vector.
        metric: The distance between two vectors: "l1", "l2" or "cosine".
        of_regions: Whether a point has several vectors, one for each region. Images are then compared by the sum, over
            the query's vectors, of the similarity to the nearest vector of the image.
    """

    channels: int
    metric: str
    of_regions: bool


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One image in a collection.

    Attributes:
        image: The image's id.
        digest: Of its vectors: a point whose digest is the same needs not be sent again.
        vectors: float32 [m, C]; with m = 0 the image is never proposed. Unless vectors are of regions, m is 1.
    """

    image: str
    digest: str
    vectors: NDArray[np.float32]


class Collection(Protocol):
    """A named collection in a vector database.

    Every method raises `DatabaseError` if the database cannot be reached, refuses, or no longer has the collection.

    Attributes:
        address: As it was given.
        most_numbers: How many numbers all vectors of one point can have together.
    """

    address: str
    most_numbers: int

    def facts(self) -> dict[str, Any] | None:
        """What `note` wrote last; None where there is no such collection.

        Raises:
            DatabaseError: There is one, but this program did not make it.
        """
        ...

    def create(self, kind: VectorKind, facts: dict[str, Any]) -> None:
        """Make the collection, without points."""
        ...

    def require(self, kind: VectorKind) -> None:
        """Refuse a collection whose vectors are of another kind.

        Raises:
            DatabaseError: They are; both are named.
        """
        ...

    def note(self, facts: dict[str, Any]) -> None:
        """Replace the facts that are kept with the collection, in one step."""
        ...

    def stored(self) -> Iterator[tuple[str, str]]:
        """Image and digest of every point that is there, in any order."""
        ...

    def put(self, points: Sequence[Point]) -> None:
        """Add points, or replace those of the same images."""
        ...

    def remove(self, images: Sequence[str]) -> None:
        """Remove the points of some images."""
        ...

    def settle(self, progress: Progress) -> None:
        """Wait until the database has built what it searches with."""
        ...

    def nearest(self, vectors: NDArray[np.float32], top: int, among: Sequence[str] | None = None) -> list[str]:
        """The images that the database holds for the nearest.

        Args:
            vectors: float32 [m, C], of the query.
            top: How many at most.
            among: The images that may be proposed; None for all.
        """
        ...


def open_collection(address: str) -> Collection:
    """Open a collection by its address; nothing is asked yet.

    Args:
        address: KIND://HOST:PORT/COLLECTION, with a kind of `KINDS`.

    Raises:
        InputError: This is no such address.
        DatabaseError: The database's library is not installed.
    """
    kind, separator, _ = address.partition("://")
    if not separator or kind not in KINDS:
        raise InputError(f"{address!r}: is no address of a collection", wanted="qdrant://HOST:PORT/COLLECTION")
    module, _, name = KINDS[kind].rpartition(".")
    opened: Collection = getattr(importlib.import_module(module), name)(address)
    return opened
