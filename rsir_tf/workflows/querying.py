"""From an image, or several, to ranked hits."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rsir_tf.errors import InputError, ModelError, RsirError, ServerUnavailableError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import (
    DEFAULT_REGION_SCHEME,
    DEFAULT_SCHEME,
    Answer,
    Candidates,
    Scheme,
    make_scheme,
    search_many,
    sharing_classes,
)
from rsir_tf.rasters import Source, read_pixels, resize_pixels
from rsir_tf.workflows.asked_images import AskedImage, describe_asked
from rsir_tf.workflows.geographic_limits import GeographicLimits, LimitedIndex, both_of
from rsir_tf.workflows.hit_pictures import look_up
from rsir_tf.workflows.query_results import QueryResult
from rsir_tf.workflows.query_windows import QueryWindow, query_reading, query_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rsir_tf.contract import Model, Prediction
    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Pixels

Given = TypeVar("Given")
Made = TypeVar("Made")

_OWN = ("connectivity", "min_area", "convention", "dtype", "resize", "pooling")
"""Settings with which a query is described as the index was, unless others are asked for, which are refused."""

IMAGES_AT_ONCE = 32
"""Number of queries that are described and then searched together."""


def query_scheme(
    scheme: str | Scheme | None = None,
    *,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    one_region: bool = False,
) -> Scheme:
    """Build the scheme of a query.

    Args:
        scheme: A name, or a scheme with its own options; None takes the default for the query.
        metric: As for `query_image`.
        direction: As for `query_image`.
        vectors: As for `query_image`.
        one_region: Whether one region of the query is picked.

    Raises:
        InputError: As `rsir_tf.ranking.make_scheme`; or a region is picked under a scheme that asks with whole images.
    """
    built = make_scheme(
        scheme or (DEFAULT_REGION_SCHEME if one_region else DEFAULT_SCHEME),
        metric=metric,
        direction=direction,
        vectors=vectors,
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
    top: int | None = 10,
    within: float = math.inf,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    region: int | None = None,
    at: tuple[int, int] | None = None,
    tags_overlap: bool = False,
    limits: GeographicLimits | None = None,
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
        metric: For "recnn+": "l1" (default), "l2" or "cosine".
        direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
        vectors: For "irm": "unit" (the default) or "raw".
        region: Under a scheme that asks with regions, ask with this region of the query alone, numbered from 0.
        at: Ask with the region at this point (x, y) of the query alone, in pixels from its top left corner.
        tags_overlap: Leave out images whose segmentation shares no class with the query's (paper, IV: the coarse filter
            by overlapping labels), or with the region's.
        limits: Where on Earth hits may lie; None for anywhere or nowhere known.
        part: Which part of the image asks, where it is a scene; None for all of it. `at` counts from its corner.
        reading: Fields of `rsir_tf.rasters.Recipe`, and "tile_names", that the image is read by and not as the index's.
        asked: Settings that the index must have ("connectivity", "min_area", "convention", "pooling", "resize").

    Raises:
        InputError: The index is empty; the image cannot be used, has no region to ask with, or not the one that was
            picked; a region is picked under a scheme that asks with whole images, or twice; an option has no such
            value; or a place is asked for and nothing says where the image lies.
        MismatchError: The model, or a setting asked for, is not what the index was made with; both are named.
        ModelError: The model does not answer.
    """
    one_region = region is not None or at is not None
    built = query_scheme(scheme, metric=metric, direction=direction, vectors=vectors, one_region=one_region)
    if region is not None and at is not None:
        raise InputError(f"both region {region} and the point {at} are picked", wanted="one of them")
    asking = _Asking(index, model, built, top, within, region, at, tags_overlap, LimitedIndex(index, limits), asked)
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
    built = make_scheme(scheme, metric=metric, direction=direction, vectors=vectors)
    asking = _Asking(index, model, built, top, within, None, None, tags_overlap, LimitedIndex(index, limits), asked)
    read_by = query_reading(index, reading)
    waiting = iter(images)
    while group := list(itertools.islice(waiting, IMAGES_AT_ONCE)):
        sources = [_attempt(query_source, image, read_by, part) for image in group]
        for image, answer in zip(group, asking.answers(sources), strict=True):
            if not isinstance(answer, RsirError):
                yield answer
            elif refused is None:
                raise answer
            else:
                refused(str(image), answer)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is asked of which index and model, whatever the image; see `query_image`."""

    index: Index
    model: Model
    scheme: Scheme
    top: int | None
    within: float
    region: int | None
    at: tuple[int, int] | None
    tags_overlap: bool
    limited: LimitedIndex
    insisted: dict[str, Any] | None

    def answers(self, sources: Sequence[Source | RsirError]) -> list[QueryResult | RsirError]:
        """Answer each image for itself: its result, or why it cannot be asked with."""
        index = self.index
        if not len(index):
            raise InputError(f"{index.path}: the index is still empty", cure="index an archive into it first")
        pixels = _each(read_pixels, sources)
        self._require_settings()
        predictions = self._predictions([each for each in pixels if not isinstance(each, RsirError)])
        asked = [
            each if isinstance(each, RsirError) else _attempt(self._asked, source, each, next(predictions))
            for source, each in zip(sources, pixels, strict=True)
        ]
        among = _each(self._candidates, asked)
        good = [
            (each, limit)
            for each, limit in zip(asked, among, strict=True)
            if not (isinstance(each, RsirError) or isinstance(limit, RsirError))
        ]
        found = search_many(
            index,
            [each.features() for each, _ in good],
            self.scheme,
            top=self.top,
            within=self.within,
            among=[limit for _, limit in good],
        )
        results = iter([self._result(each, answer) for (each, _), answer in zip(good, found, strict=True)])
        return [each if isinstance(each, RsirError) else next(results) for each in among]

    def _candidates(self, asked: AskedImage) -> Candidates | None:
        """The images that may be found; None for all."""
        limits = [self.limited.candidates(asked.source)]
        if self.tags_overlap:
            limits.append(sharing_classes(self.index, asked.features().classes.tolist()))
        return both_of(limits)

    def _require_settings(self) -> None:
        """Refuse another model than the index's, or other settings than it has."""
        description, own = self.model.describe(), self.index.settings
        kept = {name: getattr(own, name) for name in _OWN}
        settings = {"channels": description.channels, **kept, **(self.insisted or {})}
        wanted = IndexSettings(description.model_id, description.class_names, **settings)
        own.require_equal(wanted, whose="the query")

    def _predictions(self, pixels: list[Pixels]) -> Iterator[tuple[Pixels, Prediction | RsirError]]:
        """What the model saw and answered, image by image: one that it refuses does not take the others along."""
        seen = [resize_pixels(each, self.index.settings.resize) for each in pixels]
        values = [each.values for each in seen]
        try:
            return zip(seen, self.model.predict(values), strict=True)
        except ServerUnavailableError:
            raise
        except ModelError:
            if len(seen) < 2:
                raise
            answers = _each(lambda image: self.model.predict([image])[0], values)
            if all(isinstance(answer, RsirError) for answer in answers):
                raise
            return zip(seen, answers, strict=True)

    def _asked(self, source: Source, original: Pixels, answered: tuple[Pixels, Prediction | RsirError]) -> AskedImage:
        seen, prediction = answered
        if isinstance(prediction, RsirError):
            raise type(prediction)(f"{source}: {prediction.found}", wanted=prediction.wanted, cure=prediction.cure)
        return describe_asked(
            source, original, seen, prediction, self.index, self.scheme, region=self.region, at=self.at
        )

    def _result(self, asked: AskedImage, answer: Answer) -> QueryResult:
        named = tuple(
            dataclasses.replace(
                hit,
                matches=tuple(
                    dataclasses.replace(match, query_region=asked.regions[match.query_region])
                    if asked.regions
                    else match
                    for match in hit.matches
                ),
            )
            for hit in answer.hits
        )
        index = self.index
        scenes, tags = index.images.scenes, index.images.tags
        return QueryResult(
            query=str(asked.source),
            scheme=self.scheme.name,
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
            features=asked.features(),
            ranking=self.scheme,
            source=asked.source,
            footprints=tuple(index.entry(hit.row).footprint for hit in named),
            without_place=self.limited.without_place,
        )


def _attempt(make: Callable[..., Made], *arguments: Any) -> Made | RsirError:
    """What a function makes of one image, or why it cannot."""
    try:
        return make(*arguments)
    except ServerUnavailableError:
        raise
    except (InputError, ModelError) as error:
        return error


def _each(make: Callable[[Given], Made], images: Sequence[Given | RsirError]) -> list[Made | RsirError]:
    """The same of several images; why one could not be used before is kept."""
    return [image if isinstance(image, RsirError) else _attempt(make, image) for image in images]
