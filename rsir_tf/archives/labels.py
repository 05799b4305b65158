"""Label sets: what the values or colours in a mask mean."""

from __future__ import annotations

from dataclasses import dataclass

VOID = 255
"""Class index of a pixel that counts neither in training nor in scoring."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The classes of a segmentation, and how mask files spell them.

    Class indices are 0..K-1 in the order of `names`, K ≤ 255; `VOID` (255) stands for ignored pixels.

    Attributes:
        name: For messages and manifests.
        names: One per class.
        ids: The value in a palette or id mask that stands for each class; None where masks are given by colour alone.
        colours: RGB of each class, for colour masks and for pictures.
        ignore_ids: Mask values that mean "void".
        ignore_colours: Mask colours that mean "void".
    """

    name: str
    names: tuple[str, ...]
    ids: tuple[int, ...] | None
    colours: tuple[Colour, ...]
    ignore_ids: tuple[int, ...] = ()
    ignore_colours: tuple[Colour, ...] = ()
