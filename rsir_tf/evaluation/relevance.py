"""Which images are relevant to a query: the same scene, a shared tag, or graded by the tags they share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsir_tf.errors import InputError


def relevance_by_scene(scenes: Sequence[str | None] | NDArray[Any], query_scene: str) -> NDArray[np.bool_]:
    """Images of the query's scene class. The definition of relevance of the ReCNN paper's Section III.

    Args:
        scenes: [N], each image's scene class; None (not known) is relevant to nothing. For many queries pass an array:
            a list is turned into one at each call.
        query_scene: The query's.

    Returns:
        bool [N].

    Raises:
        InputError: The query has no scene.
    """
    if query_scene is None:
        raise InputError("the query has no scene class", wanted="one", cure="judge by tags, or leave this query out")
    known = scenes if isinstance(scenes, np.ndarray) else np.array(scenes, dtype=object)
    return np.asarray(known == query_scene, dtype=np.bool_)


def relevance_by_tags(tags: Sequence[Collection[str] | None], query_tags: Collection[str]) -> NDArray[np.bool_]:
    """Images that share at least one tag with the query.

    For many queries, build a `tag_matrix` once and use `shared_tags(…) > 0`.

    Args:
        tags: [N], each image's tags; None (not known) and an empty collection share nothing.
        query_tags: The query's.

    Returns:
        bool [N].

    Raises:
        InputError: The query's tags are a single string instead of a collection.
    """
    if isinstance(query_tags, str):
        raise InputError(f"tags are the text {query_tags!r}", wanted="a collection of tags")
    wanted = frozenset(query_tags)
    return np.array([bool(own) and not wanted.isdisjoint(own or ()) for own in tags], dtype=np.bool_)


def tag_matrix(
    tags: Sequence[Collection[str] | None], names: Sequence[str] | None = None
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Tags as one row of flags an image.

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


def shared_tags(matrix: NDArray[np.bool_], query: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Number of tags that each image shares with the query: the gain of ACG, NDCG and WAP.

    Args:
        matrix: bool [N, T], from `tag_matrix`.
        query: bool [T].

    Returns:
        int64 [N].

    Raises:
        InputError: The widths differ.
    """
    _check_width(matrix, query)
    return np.asarray(matrix[:, query].sum(axis=1), dtype=np.int64)


def jaccard(matrix: ArrayLike, query: ArrayLike) -> NDArray[np.float64]:
    """Shared tags over tags of either: |A ∩ B| / |A ∪ B| of the tag sets, graded relevance.

    Args:
        matrix: bool [N, T], from `tag_matrix`.
        query: bool [T].

    Returns:
        float64 [N] in 0..1; 0 where neither has a tag (they have nothing in common that was seen).

    Raises:
        InputError: The widths differ.
    """
    images, own = np.asarray(matrix, dtype=np.bool_), np.asarray(query, dtype=np.bool_)
    both = shared_tags(images, own)
    either = images.sum(axis=1) + own.sum() - both
    return np.asarray(np.divide(both, either, out=np.zeros(len(images)), where=either > 0))


class TagSets:
    """The tags of many images, for one query after another: `shared_tags` and `jaccard` at a fraction of their cost.

    Args:
        tags: [N], each image's tags; None (not known) and an empty collection share nothing.

    Attributes:
        names: All tags that occur, sorted.
    """

    def __init__(self, tags: Sequence[Collection[str] | None]) -> None:
        self._matrix, self.names = tag_matrix(tags)
        self._sizes = self._matrix.sum(axis=1)
        # One row a tag, in the smallest number type that holds a count: a query reads the rows of its own tags alone.
        self._rows = np.ascontiguousarray(self._matrix.T).astype(np.min_scalar_type(len(self.names)))

    def shared(self, image: int) -> NDArray[np.unsignedinteger[Any]]:
        """Number of tags that each image shares with this one: unsigned [N]."""
        return np.asarray(self._rows[self._matrix[image]].sum(axis=0, dtype=self._rows.dtype))

    def jaccard(self, image: int) -> NDArray[np.float64]:
        """Shared tags over tags of either, of each image and this one: float64 [N] in 0..1, 0 where neither has any."""
        both = self.shared(image)
        either = self._sizes + self._sizes[image] - both
        return np.asarray(np.divide(both, either, out=np.zeros(len(both)), where=either > 0))


def _check_width(matrix: NDArray[np.bool_], query: NDArray[np.bool_]) -> None:
    if matrix.ndim != 2 or query.shape != matrix.shape[1:]:
        raise InputError(
            f"the images' tags are {list(matrix.shape)} and the query's {list(query.shape)}",
            wanted="[images, tags] and [tags]",
        )
