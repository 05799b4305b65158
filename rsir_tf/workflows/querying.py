"""From an image, or several, to ranked hits."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError, RsirError
from rsir_tf.rasters import Source
from rsir_tf.workflows.asking import Asking, attempt
from rsir_tf.workflows.geographic_limits import LimitedIndex
from rsir_tf.workflows.marked_examples import mark
from rsir_tf.workflows.query_results import QueryResult
from rsir_tf.workflows.query_windows import query_reading
from rsir_tf.workflows.scheme_choice import query_scheme
from rsir_tf.workflows.search_options import SearchOptions, search_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index

IMAGES_AT_ONCE = 32
"""Number of queries that are described and then searched together."""


def query_image(
    image: str | os.PathLike[str] | Source,
    index: Index,
    model: Model,
    options: SearchOptions | None = None,
    *,
    region: int | None = None,
    at: tuple[int, int] | None = None,
    **named: Any,
) -> QueryResult:
    """Find the images of an index that show what an image shows, or that have a region like one of its regions.

    Args:
        image: The query's file, or its source.
        index: From `rsir_tf.open_index`.
        model: The one that made the index.
        options: How is searched and for what; None takes the defaults.
        region: Under a scheme that asks with regions, ask with this region of the query alone, numbered from 0.
        at: Ask with the region at this point (x, y) of the query alone, in pixels from its top left corner.
        **named: Fields of `SearchOptions`, which stand above `options`: `query_image(…, scheme="irm", top=5)`.

    Raises:
        InputError: The index is empty; the image cannot be used, has no region to ask with, or not the one that was
            picked; a region is picked under a scheme that asks with whole images, or twice; an option has no such
            value; the index has no such example or class, or an example is marked twice; or a place is asked for and
            nothing says where the image lies.
        MismatchError: The model, or a setting asked for, is not what the index was made with; or `proposals` are for
            another scheme; both are named.
        ModelError: The model does not answer.
        DatabaseError: The vector database does not answer.
    """
    asking = _asking(index, model, search_options(options, named), region=region, at=at)
    (answer,) = asking.answers([asking.source(image)])
    if isinstance(answer, RsirError):
        raise answer
    return answer


def query_images(
    images: Iterable[str | os.PathLike[str] | Source],
    index: Index,
    model: Model,
    options: SearchOptions | None = None,
    *,
    refused: Callable[[str, RsirError], None] | None = None,
    **named: Any,
) -> Iterator[QueryResult]:
    """Search with several images, reading the index once for many of them; like `query_image` for each.

    Args:
        images: As for `query_image`.
        index: As for `query_image`.
        model: As for `query_image`.
        options: As for `query_image`.
        refused: Called with an image that cannot be asked with, and why; the others are answered all the same. Without
            it the first such image is an error.
        **named: As for `query_image`.

    Yields:
        One result per image, in order; only a few images are in memory at a time.

    Raises:
        InputError: As for `query_image`; what concerns one image when its turn comes, and only without `refused`.
        MismatchError: As for `query_image`.
        ModelError: As for `query_image`.
    """
    asking = _asking(index, model, search_options(options, named))
    waiting = iter(images)
    while group := list(itertools.islice(waiting, IMAGES_AT_ONCE)):
        sources = [attempt(asking.source, image) for image in group]
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
    options: SearchOptions | None = None,
    **named: Any,
) -> QueryResult:
    """Ask with several images together: what is like all of them comes first.

    Args:
        images: As for `query_image`, at least one. The first one is the query of the result: matches are with its
            regions, and limits, or classes that are shared, are its own.
        index: As for `query_image`.
        model: As for `query_image`.
        options: As for `query_image`.
        **named: As for `query_image`.

    Raises:
        InputError: As for `query_image`, about any of the images; or there is none.
        MismatchError: As for `query_image`.
        ModelError: As for `query_image`.
    """
    if not images:
        raise InputError("no image is given", wanted="at least one")
    asking = _asking(index, model, search_options(options, named), together=True)
    return asking.together([asking.source(image) for image in images])


def _asking(
    index: Index,
    model: Model,
    options: SearchOptions,
    *,
    region: int | None = None,
    at: tuple[int, int] | None = None,
    together: bool = False,
) -> Asking:
    scheme = query_scheme(
        options.scheme,
        metric=options.metric,
        direction=options.direction,
        vectors=options.vectors,
        one_region=region is not None or at is not None,
        several=together or bool(options.likes or options.unlikes),
    )
    if region is not None and at is not None:
        raise InputError(f"both region {region} and the point {at} are picked", wanted="one of them")
    marked = mark(index, options.likes, options.unlikes, options.method)
    limited = LimitedIndex(index, options.limits)
    return Asking(index, model, options, scheme, marked, limited, query_reading(index, options.reading), region, at)
