"""Searches without a query image and without a model: by marked images of the index, or by what images show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rsir_tf.errors import InputError
from rsir_tf.ranking import (
    DEFAULT_SCHEME,
    Candidates,
    Scheme,
    Shown,
    class_numbers,
    search,
    sharing_classes,
    showing_classes,
)
from rsir_tf.ranking.searching import no_image
from rsir_tf.rasters import open_source
from rsir_tf.workflows.geographic_limits import GeographicLimits, LimitedIndex, both_of
from rsir_tf.workflows.marked_examples import mark
from rsir_tf.workflows.query_results import RankedHits, ranked_hits
from rsir_tf.workflows.scheme_choice import query_scheme

if TYPE_CHECKING:
    from rsir_tf.ranking import Index


def refine(
    index: Index,
    likes: Sequence[str],
    unlikes: Sequence[str] = (),
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    method: str = "rocchio",
    top: int | None = 10,
    within: float = math.inf,
    among: Candidates | None = None,
    tags_overlap: bool = False,
    shows: Mapping[str, float] | None = None,
    limits: GeographicLimits | None = None,
) -> RankedHits:
    """Find the images of an index that are like some of its images and unlike others; it needs no model.

    Args:
        index: From `rsir_tf.open_index`.
        likes: Ids of what hits shall be like, at least one. The first is the query: matches are with its regions.
        unlikes: Ids of what hits shall be unlike; these images are no hits.
        scheme: A name, or any other scheme.
        metric: For "recnn+": "l1", "l2" or "cosine", which is the default here.
        direction: For "recnn", as for `query_image`.
        vectors: For "irm", as for `query_image`.
        method: "rocchio" or "classifier"; see `rsir_tf.ranking.examples`. One liked image alone asks as a query would.
        top: How many hits at most; None gives all that lie `within`.
        within: The largest distance of a hit.
        among: Images that may be found; None for all.
        tags_overlap: Leave out images whose segmentation shares no class with the first example's.
        shows: Classes that hits have to show, each with the least share of the area; see `showing_classes`.
        limits: Where on Earth hits may lie; the query's own place is that of the first example.

    Raises:
        InputError: No example is liked; the index has no such image or class, or it is empty; an image is marked twice;
            an example has no region, where the scheme compares regions; or an option has no such value.
    """
    if not likes:
        if unlikes:
            raise InputError("only examples that are not liked are given", wanted="at least one that is liked")
        raise InputError("no example is given", wanted="at least one that is liked")
    built = query_scheme(scheme, metric=metric, direction=direction, vectors=vectors, several=True)
    marked = mark(index, likes, unlikes, method)
    query = marked.likes[0]
    ranks = marked.around(built, query=query)
    limited = LimitedIndex(index, limits)
    place = limited.candidates(open_source(index.address_of(query))) if limits else None
    shown = showing_classes(index, shows) if shows else None
    asked = marked.features(query, built)
    shared = sharing_classes(index, asked.classes.tolist()) if tags_overlap else None
    limit = both_of([among, marked.candidates(), shown, shared, place])
    answer = search(index, asked, ranks, top=top, within=within, among=limit)
    words = f"like {', '.join(likes)}" + (f"; unlike {', '.join(unlikes)}" if unlikes else "")
    return RankedHits(
        **ranked_hits(index, answer, shows=shows),
        query=words,
        scheme=ranks.name,
        ranking=ranks,
        examples=marked.named(),
        without_place=limited.without_place,
    )


def show_classes(
    index: Index,
    shows: Mapping[str, float],
    *,
    top: int | None = 10,
    within: float = math.inf,
    among: Candidates | None = None,
    limits: GeographicLimits | None = None,
) -> RankedHits:
    """Find the images of an index whose segmentation shows some classes; it needs neither a query image nor a model.

    Args:
        index: From `rsir_tf.open_index`.
        shows: Name of a class → its least share of the area, from 0 to 1; at 0 any region is enough. Hits show all of
            these classes. They are in order of the class that covers the smallest share; see `Shown`.
        top: How many hits at most; None gives all.
        within: The largest distance of a hit, which is 1 minus that share.
        among: Images that may be found; None for all.
        limits: Where on Earth hits may lie.

    Raises:
        InputError: The index has no such class; no class is given; or the limits are about a query's own place.
    """
    if not shows:
        raise InputError("no class is given", wanted="at least one")
    if limits is not None and (limits.same_place or limits.elsewhere):
        raise InputError("hits are limited by the query's own place, and there is no query image", cure="name an image")
    scheme = Shown(tuple(class_numbers(index, shows)))
    limited = LimitedIndex(index, limits)
    place = limited.candidates(None)
    found = showing_classes(index, shows)
    answer = search(index, no_image(index), scheme, top=top, within=within, among=both_of([among, found, place]))
    return RankedHits(
        **ranked_hits(index, answer, shows=shows),
        query="shows " + ", ".join(f"{name} (at least {share:g})" if share else name for name, share in shows.items()),
        scheme=scheme.name,
        ranking=scheme,
        without_place=limited.without_place,
    )
