"""Images by what their segmentation shows, without a query image."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.ranking.scheme import Field, ImageFeatures, Match, matches_with

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex
    from rsir_tf.ranking.images import ImageBlock


@dataclass(frozen=True, slots=True)
class Shown:
    """Ranks by how much of an image shows some classes, whatever the query: the distance is 1 minus a share.

    Of several classes, the one with the smallest share counts, as "and" does in fuzzy sets (Zadeh 1965). Otherwise a
    class that covers much, such as the sea, would hide how much there is of another one, such as ships.

    Attributes:
        classes: Class indices, at least one; see `class_numbers`.
    """

    classes: tuple[int, ...]

    name: ClassVar[str] = "shown classes"
    title: ClassVar[str] = "Shown classes"
    asks_with: ClassVar[Literal["regions", "image"]] = "image"
    reads: ClassVar[tuple[Field, ...]] = ("classes", "areas", "boxes")
    metrics: ClassVar[tuple[str, ...]] = ()

    def distances(self, query: ImageFeatures, images: ImageBlock) -> NDArray[np.float64]:
        """1 minus the smallest of the shares, float64 [k]; 1 where a class is not shown."""
        return np.asarray(1 - class_shares(images, self.classes).min(axis=1))

    def matches(self, query: ImageFeatures, hit: ImageFeatures) -> tuple[Match, ...]:
        """The regions that show the classes, the largest first.

        `query_region` is the number of the class in `classes`, and the distance 1 minus the region's share.
        """
        shown = np.flatnonzero(np.isin(hit.classes, self.classes))
        shown = shown[np.argsort(-hit.areas[shown], kind="stable")]
        apart = (1 - hit.areas / hit.areas.sum()).tolist()
        return matches_with(hit, ((self.classes.index(hit.classes[at]), at, apart[at]) for at in shown.tolist()))


def class_shares(images: ImageBlock, classes: Sequence[int]) -> NDArray[np.float64]:
    """How much of each image's area some classes cover.

    Args:
        images: k images.
        classes: K class indices.

    Returns:
        float64 [k, K], 0 to 1. The area of an image is that of its regions: pixels in no region are left out, and so
        are regions below the index's minimum area.
    """
    whole = np.maximum(1, np.bincount(images.images, weights=images.areas, minlength=len(images)))
    parts = [
        np.bincount(images.images[shown], weights=images.areas[shown], minlength=len(images)) / whole
        for shown in (images.classes == number for number in classes)
    ]
    return np.stack(parts, axis=1) if parts else np.empty((len(images), 0))


def class_numbers(index: StoredIndex, names: Collection[str]) -> list[int]:
    """The class indices of some classes, in the order of `names`.

    Raises:
        InputError: The index has no such class; the text lists those that it has.
    """
    known = index.settings.class_names
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise InputError(
                f"{index.path}: has no class {name!r}",
                wanted=", ".join(f'"{each}"' if "," in each else each for each in known),
                cure=f"did you mean {close[0]}?" if close else None,
            )
    return [known.index(name) for name in names]
