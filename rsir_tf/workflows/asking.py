"""What images ask of an index: they are shown to the model, described, and answered one by one or together."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rsir_tf.errors import InputError, ModelError, RsirError, ServerUnavailableError
from rsir_tf.index import IndexSettings
from rsir_tf.ranking import (
    Answer,
    Candidates,
    Scheme,
    layers_read,
    search,
    search_many,
    sharing_classes,
    showing_classes,
)
from rsir_tf.ranking.scheme import check_index
from rsir_tf.rasters import Reading, Source, read_pixels, resize_pixels
from rsir_tf.workflows.asked_images import AskedImage, describe_asked
from rsir_tf.workflows.geographic_limits import LimitedIndex, both_of
from rsir_tf.workflows.marked_examples import MarkedExamples
from rsir_tf.workflows.query_results import Examples, QueryResult, ranked_hits
from rsir_tf.workflows.query_windows import dark_reading, query_source
from rsir_tf.workflows.search_options import SearchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rsir_tf.contract import Model, Prediction
    from rsir_tf.ranking import ImageFeatures, Index
    from rsir_tf.rasters import Pixels
    from rsir_tf.workflows.proposing import Proposed

Given = TypeVar("Given")
Made = TypeVar("Made")

_OWN = ("connectivity", "min_area", "convention", "dtype", "resize", "pooling", "layers")
"""Settings with which a query is described as the index was, unless others are asked for, which are refused."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of which index and model, whatever the image; `scheme` is the one that the options name."""

    index: Index
    model: Model
    options: SearchOptions
    scheme: Scheme
    marked: MarkedExamples
    limited: LimitedIndex
    reading: Reading
    region: int | None
    at: tuple[int, int] | None

    def source(self, image: str | os.PathLike[str] | Source) -> Source:
        """A query image as it is to be read."""
        return query_source(image, self.reading, self.options.part)

    def answers(self, sources: Sequence[Source | RsirError]) -> list[QueryResult | RsirError]:
        """Answer each image for itself: its result, or why it cannot be asked with."""
        ranks, named = self._ranks(), self.marked.named()
        asked = self._described(sources)
        always = self._always()
        among = _each(lambda each: self._candidates(each, always), asked)
        good = [
            (each, limit)
            for each, limit in zip(asked, among, strict=True)
            if not (isinstance(each, RsirError) or isinstance(limit, RsirError))
        ]
        found = search_many(
            self.index,
            [each.features() for each, _ in good],
            ranks,
            top=self.options.top,
            within=self.options.within,
            among=[limit for _, limit in good],
        )
        answered = zip(good, found, strict=True)
        results = iter([self._result(each, answer, ranks, named) for (each, _), answer in answered])
        return [each if isinstance(each, RsirError) else next(results) for each in among]

    def together(self, sources: Sequence[Source]) -> QueryResult:
        """Answer all images together."""
        asked = []
        for each in self._described(sources):
            if isinstance(each, RsirError):
                raise each
            asked.append(each)
        first, *others = asked
        ranks = self._ranks([each.features() for each in others])
        answer = search(
            self.index,
            first.features(),
            ranks,
            top=self.options.top,
            within=self.options.within,
            among=self._candidates(first, self._always()),
        )
        result = self._result(first, answer, ranks, self.marked.named(*(str(each.source) for each in others)))
        return dataclasses.replace(result, remarks=tuple(line for each in asked for line in self._remarks(each)))

    def _described(self, sources: Sequence[Source | RsirError]) -> list[AskedImage | RsirError]:
        """What each image is to ask with, or why it cannot."""
        if not len(self.index):
            raise InputError(f"{self.index.path}: the index is still empty", cure="index an archive into it first")
        pixels = _each(read_pixels, sources)
        self._require_settings()
        predictions = self._predictions([each for each in pixels if not isinstance(each, RsirError)])
        return [
            each if isinstance(each, RsirError) else attempt(self._asked, source, each, next(predictions))
            for source, each in zip(sources, pixels, strict=True)
        ]

    def _always(self) -> Candidates | None:
        """The images that may be found whatever the query; None for all."""
        shown = showing_classes(self.index, self.options.shows) if self.options.shows else None
        return both_of([self.options.among, self.marked.candidates(), shown])

    def _candidates(self, asked: AskedImage, always: Candidates | None) -> Candidates | None:
        """The images that may be found; None for all."""
        limits = [always, self.limited.candidates(asked.source)]
        if self.options.tags_overlap:
            limits.append(sharing_classes(self.index, asked.features().classes.tolist()))
        limit, proposals = both_of(limits), self.options.proposals
        return limit if proposals is None else proposals.candidates(asked.features(), limit)

    def _ranks(self, further: Sequence[ImageFeatures] = ()) -> Scheme:
        """The scheme, with further examples around it."""
        ranks = self.marked.around(self.scheme, further=further)
        if self.options.proposals is not None:
            self.options.proposals.require_scheme(ranks)
        return ranks

    def _proposed(self) -> Proposed | None:
        """What is known of the images that were proposed; None where all were searched."""
        options, one_region = self.options, self.region is not None or self.at is not None
        if options.proposals is None:
            return None
        limited = bool(self.limited or options.shows) or options.among is not None or options.tags_overlap
        return options.proposals.about(measured=not (limited or one_region))

    def _require_settings(self) -> None:
        """Refuse another model than the index's, or other settings than it has."""
        description, own = self.model.describe(), self.index.settings
        kept = {name: getattr(own, name) for name in _OWN}
        settings = {"channels": description.channels, **kept, **(self.options.asked or {})}
        wanted = IndexSettings(description.model_id, description.class_names, **settings)
        own.require_equal(wanted, whose="the query")
        check_index(self.scheme, self.index)

    def _predictions(self, pixels: list[Pixels]) -> Iterator[tuple[Pixels, Prediction | RsirError]]:
        """What the model saw and answered, image by image: one that it refuses does not take the others along."""
        seen = [resize_pixels(each, self.index.settings.resize) for each in pixels]
        values = [each.values for each in seen]
        layers = [read] if (read := layers_read(self.scheme)) else []
        try:
            return zip(seen, self.model.predict(values, *layers), strict=True)
        except ServerUnavailableError:
            raise
        except ModelError:
            if len(seen) < 2:
                raise
            answers = _each(lambda image: self.model.predict([image], *layers)[0], values)
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

    def _result(self, asked: AskedImage, answer: Answer, ranks: Scheme, examples: Examples | None) -> QueryResult:
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
        return QueryResult(
            **ranked_hits(self.index, dataclasses.replace(answer, hits=named), shows=self.options.shows),
            query=str(asked.source),
            scheme=ranks.name,
            image=asked.image,
            content_hash=asked.content_hash,
            prediction=asked.prediction,
            regions=asked.described.regions,
            asked=asked.regions,
            features=asked.features(),
            ranking=ranks,
            examples=examples,
            source=asked.source,
            without_place=self.limited.without_place,
            proposed=self._proposed(),
            remarks=self._remarks(asked),
        )

    def _remarks(self, asked: AskedImage) -> tuple[str, ...]:
        """What is worth telling of how an image was read, unless the index holds it so."""
        remark = dark_reading(asked.source, self.options.reading)
        return () if remark is None or self.index.find_content(asked.content_hash) else (remark,)


def attempt(make: Callable[..., Made], *arguments: Any) -> Made | RsirError:
    """What a function makes of one image, or why it cannot."""
    try:
        return make(*arguments)
    except ServerUnavailableError:
        raise
    except (InputError, ModelError) as error:
        return error


def _each(make: Callable[[Given], Made], images: Sequence[Given | RsirError]) -> list[Made | RsirError]:
    """The same of several images; why one could not be used before is kept."""
    return [image if isinstance(image, RsirError) else attempt(make, image) for image in images]
