"""From an image, or several, to ranked hits."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import (
    DEFAULT_REGION_SCHEME,
    DEFAULT_SCHEME,
    Answer,
    ImageFeatures,
    Scheme,
    make_scheme,
    search_many,
    sharing_classes,
)
from rsir_tf.rasters import Source, open_source, pixel_hash, resize_image
from rsir_tf.workflows.describing import Described, describe_prediction
from rsir_tf.workflows.hit_pictures import look_up
from rsir_tf.workflows.query_results import QueryResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from rsir_tf.contract import Model, Prediction
    from rsir_tf.ranking import Index
    from rsir_tf.regions import Regions

IMAGES_AT_ONCE = 32
"""Queries that are described and then searched for together."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One query, described.

    Attributes:
        source: Of its pixels.
        image: uint8 [H, W, 3], as the model saw it.
        content_hash: Of its source's pixels.
        prediction: What the model answered.
        described: Its regions and descriptors; an indexed image's own where its pixels are in the index.
        regions: Numbers of the regions to ask with.
    """

    source: Source
    image: NDArray[np.uint8]
    content_hash: str
    prediction: Prediction
    described: Described
    regions: tuple[int, ...]


def query_scheme(
    scheme: str | Scheme | None = None,
    *,
    metric: str | None = None,
    direction: str | None = None,
    one_region: bool = False,
) -> Scheme:
    """Build the scheme of a query.

    Args:
        scheme: A name, or a scheme with its own options; None takes the default for what is asked with.
        metric: As for `query_image`.
        direction: As for `query_image`.
        one_region: Whether one region of the query is picked.

    Raises:
        InputError: As `rsir_tf.ranking.make_scheme`; or a region is picked under a scheme that asks with whole images.
    """
    built = make_scheme(
        scheme or (DEFAULT_REGION_SCHEME if one_region else DEFAULT_SCHEME), metric=metric, direction=direction
    )
    if one_region and built.asks_with != "regions":
        raise InputError(f"one region is picked under scheme {built.name}", wanted=f"scheme {DEFAULT_REGION_SCHEME}")
    return built


def query_image(
    image: str | os.PathLike[str] | Source,
    index: Index,
    model: Model,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    top: int = 10,
    metric: str | None = None,
    direction: str | None = None,
    region: int | None = None,
    at: tuple[int, int] | None = None,
    tags_overlap: bool = False,
    asked: dict[str, Any] | None = None,
) -> QueryResult:
    """Find the images of an index that show what an image shows, or that have a region like one of its regions.

    Args:
        image: The query's file, or its source.
        index: From `rsir_tf.open_index`.
        model: The one that made the index.
        scheme: "recnn" (Eq. 3 over regions), "recnn+" (one vector an image), or any other `rsir_tf.ranking.Scheme`.
        top: How many hits.
        metric: For "recnn+": "l1" (default), "l2" or "cosine".
        direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
        region: Under a scheme that asks with regions, ask with this region of the query alone, numbered from 0.
        at: Ask with the region at this point (x, y) of the query alone, in pixels from its top left corner.
        tags_overlap: Leave out images whose segmentation shares no class with the query's (paper, IV: the coarse filter
            by overlapping labels), or with the region's.
        asked: Settings that the caller insists on ("connectivity", "min_area", "convention", "resize"); the index must
            have the same.

    Raises:
        InputError: The image cannot be used, has no region to ask with, or not the one that was picked; a region is
            picked under a scheme that asks with whole images, or twice; or an option has no such value.
        MismatchError: The model, or a setting asked for, is not what the index was made with; both are named.
        ModelError: The model does not answer.
    """
    one_region = region is not None or at is not None
    built = query_scheme(scheme, metric=metric, direction=direction, one_region=one_region)
    if region is not None and at is not None:
        raise InputError(f"both region {region} and the point {at} are picked", wanted="one of them")
    (result,) = _results([open_source(image)], index, model, built, top, region, at, tags_overlap, asked)
    return result


def query_images(
    images: Iterable[str | os.PathLike[str] | Source],
    index: Index,
    model: Model,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    top: int = 10,
    metric: str | None = None,
    direction: str | None = None,
    tags_overlap: bool = False,
    asked: dict[str, Any] | None = None,
) -> Iterator[QueryResult]:
    """Ask with several images, going through the index once for many of them; as `query_image` for each.

    Yields:
        One result an image, in order; any number of images is held a few at a time.

    Raises:
        InputError: As for `query_image`, when that image's turn comes.
        MismatchError: As for `query_image`.
        ModelError: As for `query_image`.
    """
    built = make_scheme(scheme, metric=metric, direction=direction)
    waiting = map(open_source, images)
    while group := list(itertools.islice(waiting, IMAGES_AT_ONCE)):
        yield from _results(group, index, model, built, top, None, None, tags_overlap, asked)


def _results(
    sources: Sequence[Source],
    index: Index,
    model: Model,
    scheme: Scheme,
    top: int,
    region: int | None,
    at: tuple[int, int] | None,
    tags_overlap: bool,
    insisted: dict[str, Any] | None,
) -> list[QueryResult]:
    pixels = [source.read() for source in sources]
    description = model.describe()
    own = {
        name: getattr(index.settings, name) for name in ("connectivity", "min_area", "convention", "dtype", "resize")
    }
    settings = {"channels": description.channels, **own, **(insisted or {})}
    wanted = IndexSettings(description.model_id, description.class_names, **settings)
    index.settings.require_equal(wanted, whose="the query")
    asked = []
    seen = [resize_image(values, index.settings.resize) for values in pixels]
    for source, original, values, prediction in zip(sources, pixels, seen, model.predict(seen), strict=True):
        content_hash = pixel_hash(original)
        described = _described(content_hash, prediction, index)
        point = _moved(source, at, original.shape, values.shape)
        picked = _picked(source, described.regions, region, point) if scheme.asks_with == "regions" else ()
        if scheme.asks_with == "regions" and not picked:
            raise InputError(
                f"{source}: has no region of at least {index.settings.min_area} pixels", cure="use --scheme recnn+"
            )
        asked.append(_Asked(source, values, content_hash, prediction, described, picked))
    queries = [_features(each) for each in asked]
    among = [sharing_classes(index, query.classes.tolist()) for query in queries] if tags_overlap else None
    answers = search_many(index, queries, scheme, top=top, among=among)
    return [_result(each, answer, index, scheme) for each, answer in zip(asked, answers, strict=True)]


def _described(content_hash: str, prediction: Prediction, index: Index) -> Described:
    """Equal pixels get the very descriptors that the index holds, so that their distance is 0 and not a rounding error.

    A batch of another size adds up in another order.
    """
    described = describe_prediction(prediction, index.settings)
    known = index.find_content(content_hash)
    if known is None or not np.array_equal(known.areas, described.regions.areas):
        return described
    return dataclasses.replace(described, recnn=known.recnn, recnn_plus=known.recnn_plus)


def _moved(
    source: Source, at: tuple[int, int] | None, original: tuple[int, ...], seen: tuple[int, ...]
) -> tuple[int, int] | None:
    """Give a point of the source's image as one of the image that the model saw."""
    if at is None:
        return None
    (x, y), (height, width) = at, original[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"{source}: has no point ({x}, {y})", wanted=f"x below {width} and y below {height}")
    return (2 * x + 1) * seen[1] // (2 * width), (2 * y + 1) * seen[0] // (2 * height)  # of the pixel's centre


def _picked(source: Source, regions: Regions, region: int | None, at: tuple[int, int] | None) -> tuple[int, ...]:
    """The numbers of the regions to ask with."""
    if at is not None:
        x, y = at
        region = int(regions.labels[y, x]) - 1
        if region < 0:
            raise InputError(f"{source}: the point ({x}, {y}) lies in no region", cure="choose another point")
    if region is None:
        return tuple(range(len(regions)))
    if not 0 <= region < len(regions):
        raise InputError(f"{source}: has no region {region}", wanted=f"0 to {len(regions) - 1}")
    return (region,)


def _features(asked: _Asked) -> ImageFeatures:
    """What is asked with: the whole image, or the regions that were picked."""
    described, regions = asked.described, asked.described.regions
    features = ImageFeatures(
        regions.classes, regions.areas, regions.boxes, regions.centroids, described.recnn, described.recnn_plus
    )
    return features.only(asked.regions) if asked.regions else features


def _result(asked: _Asked, answer: Answer, index: Index, scheme: Scheme) -> QueryResult:
    named = tuple(
        dataclasses.replace(
            hit,
            matches=tuple(
                dataclasses.replace(match, query_region=asked.regions[match.query_region]) if asked.regions else match
                for match in hit.matches
            ),
        )
        for hit in answer.hits
    )
    scenes, tags = index.images.scenes, index.images.tags
    return QueryResult(
        query=str(asked.source),
        scheme=scheme.name,
        exact=answer.exact,
        image=asked.image,
        content_hash=asked.content_hash,
        prediction=asked.prediction,
        regions=asked.described.regions,
        asked=asked.regions,
        class_names=index.settings.class_names,
        hits=named,
        facts=tuple((scenes[hit.row], tags[hit.row]) for hit in named),
        pictures=tuple(look_up(index, hit.row) for hit in named),
    )
