"""Which images are relevant to a query: those of the same scene, those with a shared tag, or graded by shared tags."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError


def relevance_by_scene(scenes: Sequence[str | None] | NDArray[Any], query_scene: str) -> NDArray[np.bool_]:
    """Images of the query's scene class: the definition of relevance in Section III of the ReCNN paper.

    Args:
        scenes: [N], each image's scene class; None (not known) is relevant to no query. For many queries pass an array:
            a list is turned into one at each call.
        query_scene: The query's scene class.

    Returns:
        bool [N].

    Raises:
        InputError: The query has no scene.
    """
    if query_scene is None:
        raise InputError(
            "the query has no scene class", wanted="one", cure="judge relevance by tags, or leave this query out"
        )
    known = scenes if isinstance(scenes, np.ndarray) else np.array(scenes, dtype=object)
    return np.asarray(known == query_scene, dtype=np.bool_)


def tag_matrix(
    tags: Sequence[Collection[str] | None], names: Sequence[str] | None = None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Tags as one row of flags per image.

    Args:
        tags: [N], each image's tags; None gives an empty row.
        names: The columns; None takes all tags that occur, sorted.

    Returns:
        bool [N, T] and the names of the T columns.

    Raises:
        InputError: A tag is not among `names`.
    """
    columns = tuple(names) if names is not None else tuple(sorted({tag for own in tags for tag in own or ()}))
    place = {name: column for column, name in enumerate(columns)}
    matrix = np.zeros((len(tags), len(columns)), dtype=np.bool_)
    for row, own in enumerate(tags):
        for tag in own or ():
            if tag not in place:
                raise InputError(f"image {row} has the tag {tag!r}", wanted=f"one of {', '.join(columns)}")
            matrix[row, place[tag]] = True
    return matrix, columns


class TagSets:
    """The tags of many images, for one query after another.

    Args:
        tags: [N], each image's tags; None (not known) and an empty collection share nothing.

    Attributes:
        names: All tags that occur, sorted.
    """

    def __init__(self, tags: Sequence[Collection[str] | None]) -> None:
        self._matrix, self.names = tag_matrix(tags)
        self._sizes = self._matrix.sum(axis=1)
        # One row per tag, in the smallest number type that holds a count: a query reads only the rows of its own tags.
        self._rows = np.ascontiguousarray(self._matrix.T).astype(np.min_scalar_type(len(self.names)))

    def shared(self, image: int) -> NDArray[np.unsignedinteger[Any]]:
        """Number of tags that each image shares with this one: unsigned [N]."""
        return np.asarray(self._rows[self._matrix[image]].sum(axis=0, dtype=self._rows.dtype))

    def jaccard(self, image: int) -> NDArray[np.float64]:
        """Jaccard index of each image's tags and this one's: float64 [N] in 0..1, 0 where neither has a tag."""
        both = self.shared(image)
        either = self._sizes + self._sizes[image] - both
        return np.asarray(np.divide(both, either, out=np.zeros(len(both)), where=either > 0))
