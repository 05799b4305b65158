"""Images of an index that a user has marked: examples of what is looked for, and of what is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.ranking import Candidates, Scheme, archive_sample, with_examples
from rsir_tf.ranking.examples import require_example_method
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.stages import needs_regions
from rsir_tf.workflows.query_results import Examples

if TYPE_CHECKING:
    from rsir_tf.ranking import ImageFeatures, Index


@dataclass(frozen=True, slots=True)
class MarkedExamples:
    """Marked images of one index; make them with `mark`.

    Attributes:
        index: The index.
        likes: Rows of what hits shall be like, in the order in which they were named.
        unlikes: Rows of what they shall be unlike.
        method: One of `rsir_tf.ranking.EXAMPLE_METHODS`.
    """

    index: Index
    likes: tuple[int, ...]
    unlikes: tuple[int, ...]
    method: str

    def around(self, scheme: Scheme, *, further: Sequence[ImageFeatures] = (), query: int | None = None) -> Scheme:
        """Let a scheme ask with these examples beside the query.

        Args:
            scheme: Any.
            further: Liked examples that are not in the index.
            query: The row that is the query itself, which is no further example.

        Raises:
            InputError: An example shows nothing, or has no region, where the scheme compares regions; or a classifier
                has nothing to tell the examples from.
        """
        likes = [self.features(row, scheme) for row in self.likes if row != query]
        unlikes = [self.features(row, scheme) for row in self.unlikes]
        sample = archive_sample(self.index, (*self.likes, *self.unlikes)) if self.method == "classifier" else ()
        return with_examples(scheme, [*further, *likes], unlikes, method=self.method, sample=sample)

    def candidates(self) -> Candidates | None:
        """The images that may be found: all but those of `unlikes`. None for all."""
        if not self.unlikes:
            return None
        return Candidates(np.setdiff1d(np.arange(len(self.index)), self.unlikes), complete=True)

    def named(self, *further: str) -> Examples | None:
        """The examples for a result; None where the query asks alone.

        Args:
            *further: Names of liked examples that are not in the index.
        """
        likes, unlikes = (tuple(self.index.images.ids[row] for row in rows) for rows in (self.likes, self.unlikes))
        return Examples((*further, *likes), unlikes, self.method) if further or likes or unlikes else None

    def features(self, row: int, scheme: Scheme) -> ImageFeatures:
        """One example, for a scheme.

        Raises:
            InputError: It shows nothing, or it has no region, where the scheme compares regions.
        """
        features = image_at(self.index.vectors, self.index.position_of(row))
        if not len(features) and not features.recnn_plus.any():
            raise InputError(
                f"{self.index.images.ids[row]}: shows nothing: its vector is all zeros, as without a valid pixel",
                cure="leave it out",
            )
        if not len(features) and (needs_regions(scheme) or "recnn" in scheme.reads):
            raise InputError(
                f"{self.index.images.ids[row]}: has no region, and {scheme.name} compares regions",
                cure="leave it out or use scheme recnn+",
            )
        return features


def mark(index: Index, likes: Sequence[str], unlikes: Sequence[str], method: str = "rocchio") -> MarkedExamples:
    """Look marked images up.

    Args:
        index: From `rsir_tf.open_index`.
        likes: Ids of what hits shall be like.
        unlikes: Ids of what they shall be unlike.
        method: One of `rsir_tf.ranking.EXAMPLE_METHODS`.

    Raises:
        InputError: The index has no such image, an image is marked twice, or there is no such method.
    """
    require_example_method(method)
    seen: dict[str, str] = {}
    for side, ids in (("liked", likes), ("not liked", unlikes)):
        for each in ids:
            index.row_of(each)
            if each in seen:
                twice = f"twice as {side}" if seen[each] == side else "as liked and as not liked"
                raise InputError(f"{each}: is marked {twice}", wanted="each image once")
            seen[each] = side
    liked, others = (tuple(index.row_of(each) for each in ids) for ids in (likes, unlikes))
    return MarkedExamples(index, liked, others, method)
