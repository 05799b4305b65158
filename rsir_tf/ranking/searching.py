"""One search over an index, for any scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

from rsir_tf.errors import InputError
from rsir_tf.index.entry import finite_vectors
from rsir_tf.ranking.candidates import Candidates, wanted_positions
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.scheme import IMAGE_FIELDS, REGION_VECTORS, Hit, ImageFeatures, Scheme, check_index
from rsir_tf.ranking.whole_archives import all_distances, nearest

if TYPE_CHECKING:
    from rsir_tf.index.store import StoredIndex

Query = Union[ImageFeatures, "NDArray[np.floating]"]
Among = Union[Candidates, Sequence[int], "NDArray[np.integer]", None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search found.

    Attributes:
        hits: Nearest first; equal distances are in order of id.
        exact: Whether these are certainly the nearest images. False only where the search was limited to candidates
            that are not proven to be complete.
    """

    hits: tuple[Hit, ...]
    exact: bool


def search(
    index: StoredIndex,
    query: Query,
    scheme: Scheme,
    *,
    top: int | None = 10,
    within: float = math.inf,
    among: Among = None,
) -> Answer:
    """Find the images of an index that are nearest to a query.

    Args:
        index: From `rsir_tf.open_index`.
        query: An image; or vectors, float [m, C] or [C], where the scheme reads nothing else. Vectors are rounded to
            the index's number type before they are compared.
        scheme: From `make_scheme`, or any other.
        top: How many images at most, at least 1; None, or a number larger than the index, gives all.
        within: The largest distance of a hit: images farther away are left out.
        among: Candidates, or rows of the index, to which the search is limited: no other image is scored.

    Raises:
        InputError: The query has a wrong shape or type, holds NaN or infinity, or has no region where the scheme needs
            one; `top` is below 1 or `within` below 0; or the index does not have a row of `among`.
    """
    (answer,) = search_many(index, [query], scheme, top=top, within=within, among=[among])
    return answer


def search_many(
    index: StoredIndex,
    queries: Sequence[Query],
    scheme: Scheme,
    *,
    top: int | None = 10,
    within: float = math.inf,
    among: Sequence[Among] | None = None,
) -> list[Answer]:
    """Search for several queries at once: like `search` for each, but quick schemes read the index once for many.

    `queries` and `among` hold one entry for each query; all else is as for `search`.
    """
    top = len(index) or 1 if top is None else top
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise InputError(f"top is {top!r}", wanted="a whole number of at least 1")
    if not within >= 0:
        raise InputError(f"the largest distance of a hit is {within}", wanted="a number of at least 0")
    asked = [checked_query(index, query, scheme) for query in queries]
    limits = [wanted_positions(index, each) for each in (among if among is not None else [None] * len(asked))]
    wanted = [mask for mask, _ in limits]
    found = nearest(scheme, index.vectors, asked, int(top), wanted)
    return [
        Answer(tuple(_hit(index, *near, query, scheme) for near in each if near[1] <= within), exact)
        for query, each, (_, exact) in zip(asked, found, limits, strict=True)
    ]


def distances(index: StoredIndex, query: Query, scheme: Scheme) -> NDArray[np.float64]:
    """Compute the distances from a query to every image, for evaluation; arguments and errors as for `search`.

    Returns:
        float64 [N], in row order. A stable sort gives the order of `search`; values agree with those of `search` to
        1e-9.
    """
    asked = checked_query(index, query, scheme)
    (found,) = all_distances(scheme, index.vectors, [asked], index.vectors.live)
    return found[index.vectors.positions]


def checked_query(index: StoredIndex, query: Query, scheme: Scheme) -> ImageFeatures:
    """Check a query, and round its vectors to the number type of the index.

    Raises:
        InputError: As for `search`; or the scheme reads what the index does not have.
    """
    check_index(scheme, index)
    channels, dtype = index.settings.channels, index.settings.dtype
    what = f"the query's {scheme.name}"
    shapes: dict[str, tuple[int | None, ...]] = {
        **dict.fromkeys(REGION_VECTORS, (None, channels)),
        **dict.fromkeys(IMAGE_FIELDS, (channels,)),
    }
    if not isinstance(query, ImageFeatures):
        (field,) = scheme.reads if len(scheme.reads) == 1 else ("",)
        if field not in shapes:
            raise InputError(
                f"{what} is {type(query).__name__}",
                wanted=f"ImageFeatures of an image, since {scheme.name} reads {', '.join(scheme.reads)}",
            )
        query = no_image(index).having(**{field: finite_vectors(query, shapes[field], dtype, what)})
    else:
        vectors = {
            field: finite_vectors(getattr(query, field), shape, dtype, f"the query's {field}")
            for field, shape in shapes.items()
            if field in scheme.reads
        }
        query = query.having(**vectors)
    if scheme.asks_with == "regions" and not len(query):
        raise InputError("the query has no region", wanted="at least one", cure="lower the minimum area or use recnn+")
    return query


def no_image(index: StoredIndex) -> ImageFeatures:
    """An image without regions and with a vector of zeros, for searches that have no query image."""
    channels = index.settings.channels
    return ImageFeatures(
        classes=np.empty(0, np.int32),
        areas=np.empty(0, np.int64),
        boxes=np.empty((0, 4), np.int32),
        centroids=np.empty((0, 2), np.float32),
        recnn=np.empty((0, channels), np.float32),
        recnn_plus=np.zeros(channels, np.float32),
    )


def _hit(index: StoredIndex, position: int, distance: float, query: ImageFeatures, scheme: Scheme) -> Hit:
    row = int(index.vectors.rows[position])
    explained = np.isfinite(distance)
    matches = scheme.matches(query, image_at(index.vectors, position)) if explained else ()
    return Hit(index.images.ids[row], row, distance, matches)
