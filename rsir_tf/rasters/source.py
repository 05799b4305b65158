"""What an image comes from: the protocol that every kind of source follows, and the plain types that it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Fingerprint(NamedTuple):
    """Two whole numbers that tell cheaply whether a source may show something else than before.

    Attributes:
        size: Of a file, its size in bytes; −1 where the source cannot be found.
        modified_ns: Of a file, its time of change in nanoseconds since 1970; 0 where the source cannot be found.
    """

    size: int
    modified_ns: int


MISSING = Fingerprint(-1, 0)
"""The fingerprint of a source that cannot be found; to read such a source raises the error that says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where on Earth an image lies.

    Attributes:
        crs: The coordinate reference system, as WKT or as "EPSG:32632".
        transform: (a, b, c, d, e, f): the pixel's corner (column, row) lies at x = a · column + b · row + c and
            y = d · column + e · row + f, in the units of the reference system.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]


class Source(Protocol):
    """One image and the way to its pixels. It holds no pixels itself.

    A source is a small immutable value (a frozen dataclass) that can be pickled: worker processes receive it. `str`
    gives the words that errors name it by.
    """

    @property
    def address(self) -> str:
        """A text from which `open_source` opens the source again; an index stores it."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels, found without decoding pixels.

        Raises:
            InputError: It cannot be read.
        """

    @property
    def fingerprint(self) -> Fingerprint:
        """Changes whenever the pixels may have changed; `MISSING` where there is nothing. Looking it up is cheap."""

    @property
    def place(self) -> Place | None:
        """Where the image lies on Earth; None where that is not known."""

    def read(self) -> NDArray[np.uint8]:
        """Read the pixels.

        Returns:
            uint8 [H, W, 3], RGB, 0..255; an array that the caller may change.

        Raises:
            InputError: They cannot be read, or are not 8-bit RGB.
        """

    def digest(self) -> str | None:
        """Identity of all the data that the pixels come from, hexadecimal; None where they cannot be read.

        A training run keeps it, to refuse to go on with other data.
        """
