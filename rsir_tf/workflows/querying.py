"""From an image, or several, to ranked hits."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError, RsirError
from rsir_tf.ranking import DEFAULT_SCHEME, Scheme
from rsir_tf.rasters import Source
from rsir_tf.workflows.asking import Asking, attempt
from rsir_tf.workflows.geographic_limits import GeographicLimits, LimitedIndex
from rsir_tf.workflows.marked_examples import mark
from rsir_tf.workflows.query_results import QueryResult
from rsir_tf.workflows.query_windows import QueryWindow, query_reading, query_source
from rsir_tf.workflows.scheme_choice import query_scheme

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rsir_tf.contract import Model
    from rsir_tf.ranking import Candidates, Index

IMAGES_AT_ONCE = 32
"""Number of queries that are described and then searched together."""


def query_image(
    image: str | os.PathLike[str] | Source,
    index: Index,
    model: Model,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    top: int | None = 10,
    within: float = math.inf,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    region: int | None = None,
    at: tuple[int, int] | None = None,
    tags_overlap: bool = False,
    likes: Sequence[str] = (),
    unlikes: Sequence[str] = (),
    method: str = "rocchio",
    shows: Mapping[str, float] | None = None,
    limits: GeographicLimits | None = None,
    among: Candidates | None = None,
    part: QueryWindow | None = None,
    reading: Mapping[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
) -> QueryResult:
    """Find the images of an index that show what an image shows, or that have a region like one of its regions.

    Args:
        image: The query's file, or its source.
        index: From `rsir_tf.open_index`.
        model: The one that made the index.
        scheme: "recnn" (Eq. 3 over regions), "recnn+" (one vector an image), or any other `rsir_tf.ranking.Scheme`.
        top: How many hits at most; None gives all that lie `within`.
        within: The largest distance of a hit; what lies farther away is no hit.
        metric: For "recnn+": "l1" (default), "l2" or "cosine", which is the default with further examples.
        direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
        vectors: For "recnn" and "irm": "unit" or "raw"; None takes the default, "raw" and "unit".
        region: Under a scheme that asks with regions, ask with this region of the query alone, numbered from 0.
        at: Ask with the region at this point (x, y) of the query alone, in pixels from its top left corner.
        tags_overlap: Leave out images whose segmentation shares no class with the query's (paper, IV: the coarse filter
            by overlapping labels), or with the region's.
        likes: Ids of images of the index that hits shall be like too.
        unlikes: Ids of images that hits shall be unlike; these images are no hits.
        method: How these examples and the query ask together: "rocchio" or "classifier"; see
            `rsir_tf.ranking.examples`.
        shows: Classes that hits have to show, each with the least share of the area; see `showing_classes`.
        limits: Where on Earth hits may lie; None for anywhere or nowhere known.
        among: Which images may be hits, besides all other limits; None for all.
        part: Which part of the image asks, where it is a scene; None for all of it. `at` counts from its corner.
        reading: Fields of `rsir_tf.rasters.Recipe`, and "tile_names", that the image is read by and not as the index's.
        asked: Settings that the index must have ("connectivity", "min_area", "convention", "pooling", "resize").

    Raises:
        InputError: The index is empty; the image cannot be used, has no region to ask with, or not the one that was
            picked; a region is picked under a scheme that asks with whole images, or twice; an option has no such
            value; the index has no such example or class, or an example is marked twice; or a place is asked for and
            nothing says where the image lies.
        MismatchError: The model, or a setting asked for, is not what the index was made with; both are named.
        ModelError: The model does not answer.
    """
    one_region = region is not None or at is not None
    several = bool(likes or unlikes)
    built = query_scheme(
        scheme, metric=metric, direction=direction, vectors=vectors, one_region=one_region, several=several
    )
    if region is not None and at is not None:
        raise InputError(f"both region {region} and the point {at} are picked", wanted="one of them")
    marked, limited = mark(index, likes, unlikes, method), LimitedIndex(index, limits)
    asking = Asking(index, model, built, top, within, region, at, tags_overlap, marked, shows, limited, asked, among)
    (answer,) = asking.answers([query_source(image, query_reading(index, reading), part)])
    if isinstance(answer, RsirError):
        raise answer
    return answer


def query_images(
    images: Iterable[str | os.PathLike[str] | Source],
    index: Index,
    model: Model,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    top: int | None = 10,
    within: float = math.inf,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    tags_overlap: bool = False,
    likes: Sequence[str] = (),
    unlikes: Sequence[str] = (),
    method: str = "rocchio",
    shows: Mapping[str, float] | None = None,
    limits: GeographicLimits | None = None,
    part: QueryWindow | None = None,
    reading: Mapping[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
    refused: Callable[[str, RsirError], None] | None = None,
) -> Iterator[QueryResult]:
    """Search with several images, reading the index once for many of them; like `query_image` for each.

    Args:
        images: As for `query_image`.
        index: As for `query_image`.
        model: As for `query_image`.
        scheme: As for `query_image`.
        top: As for `query_image`.
        within: As for `query_image`.
        metric: As for `query_image`.
        direction: As for `query_image`.
        vectors: As for `query_image`.
        tags_overlap: As for `query_image`.
        likes: As for `query_image`.
        unlikes: As for `query_image`.
        method: As for `query_image`.
        shows: As for `query_image`.
        limits: As for `query_image`.
        part: As for `query_image`.
        reading: As for `query_image`.
        asked: As for `query_image`.
        refused: Called with an image that cannot be asked with, and why; the others are answered all the same. Without
            it the first such image is an error.

    Yields:
        One result per image, in order; only a few images are in memory at a time.

    Raises:
        InputError: As for `query_image`; what concerns one image when its turn comes, and only without `refused`.
        MismatchError: As for `query_image`.
        ModelError: As for `query_image`.
    """
    built = query_scheme(scheme, metric=metric, direction=direction, vectors=vectors, several=bool(likes or unlikes))
    marked, limited = mark(index, likes, unlikes, method), LimitedIndex(index, limits)
    asking = Asking(index, model, built, top, within, None, None, tags_overlap, marked, shows, limited, asked)
    read_by = query_reading(index, reading)
    waiting = iter(images)
    while group := list(itertools.islice(waiting, IMAGES_AT_ONCE)):
        sources = [attempt(query_source, image, read_by, part) for image in group]
        for image, answer in zip(group, asking.answers(sources), strict=True):
            if not isinstance(answer, RsirError):
                yield answer
            elif refused is None:
                raise answer
            else:
                refused(str(image), answer)


def query_together(
    images: Sequence[str | os.PathLike[str] | Source],
    index: Index,
    model: Model,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    top: int | None = 10,
    within: float = math.inf,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    tags_overlap: bool = False,
    likes: Sequence[str] = (),
    unlikes: Sequence[str] = (),
    method: str = "rocchio",
    shows: Mapping[str, float] | None = None,
    limits: GeographicLimits | None = None,
    among: Candidates | None = None,
    part: QueryWindow | None = None,
    reading: Mapping[str, Any] | None = None,
    asked: dict[str, Any] | None = None,
) -> QueryResult:
    """Ask with several images together: what is like all of them comes first.

    Args:
        images: As for `query_image`, at least one. The first one is the query of the result: matches are with its
            regions, and limits, or classes that are shared, are its own.
        index: As for `query_image`.
        model: As for `query_image`.
        scheme: As for `query_image`.
        top: As for `query_image`.
        within: As for `query_image`.
        metric: As for `query_image`.
        direction: As for `query_image`.
        vectors: As for `query_image`.
        tags_overlap: As for `query_image`.
        likes: As for `query_image`.
        unlikes: As for `query_image`.
        method: As for `query_image`.
        shows: As for `query_image`.
        limits: As for `query_image`.
        among: As for `query_image`.
        part: As for `query_image`.
        reading: As for `query_image`.
        asked: As for `query_image`.

    Raises:
        InputError: As for `query_image`, about any of the images; or there is none.
        MismatchError: As for `query_image`.
        ModelError: As for `query_image`.
    """
    if not images:
        raise InputError("no image is given", wanted="at least one")
    built = query_scheme(scheme, metric=metric, direction=direction, vectors=vectors, several=True)
    marked, limited = mark(index, likes, unlikes, method), LimitedIndex(index, limits)
    asking = Asking(index, model, built, top, within, None, None, tags_overlap, marked, shows, limited, asked, among)
    read_by = query_reading(index, reading)
    return asking.together([query_source(image, read_by, part) for image in images])
