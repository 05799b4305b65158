"""An index whose segments are searched elsewhere, in parts: each part answers exactly, and the answers are joined here.

A scheme's distance is between a query and an image, so that a part can measure its images without the others, and its
first K hold all of its images that can be among the first K of the index. What a second stage does with the answers
needs the whole index; so it runs here, and reads the few vectors that it needs from the same files.

The result is that of one machine to the last bit. A part is some whole segments, and schemes measure images in blocks
that end where a segment ends, or measure each image for itself; where that is not so, a scheme `JoinsParts`. That
principal components are looked at or not, and how many images are measured, changes the time alone. All this holds
where the processors of the machines round in the same way, as those of one family do.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsir_tf.artifacts import MANIFEST
from rsir_tf.distances import QUERIES_AT_ONCE
from rsir_tf.errors import ArtifactError, MismatchError
from rsir_tf.index.layout import SegmentRecord, read_layout
from rsir_tf.index.segment import Segment
from rsir_tf.index.settings import IndexSettings
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking import brute_force
from rsir_tf.ranking.scheme import FIELDS, Found, ImageFeatures, JoinsParts, Scheme, Staged

Asks = Callable[[Callable[[StoredVectors, "Question"], Any], Mapping[int, "Question"]], Mapping[int, Any]]
"""Has some parts, by number, called with a question each, and gives what each of them answers."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some segments of an index; calling it opens them, on any machine that sees the index.

    Attributes:
        path: The index's folder, an absolute path.
        settings: Of the index.
        records: The segments.
        rows: int64 [P], the place of each image among those of the part, in the order of the index's rows; −1 for
            removed images.
    """

    path: Path
    settings: IndexSettings
    records: tuple[SegmentRecord, ...]
    rows: NDArray[np.int64]

    def __call__(self) -> StoredVectors:
        """Open the part.

        Raises:
            ArtifactError: The index cannot be read here.
            MismatchError: It is another one here, or has changed since it was opened where it is asked.
        """
        if not (self.path / MANIFEST).exists():
            raise ArtifactError(
                f"{self.path}: is not there", wanted="an index on storage that all machines see at the same path"
            )
        known = {record.name: record.hashes for record in read_layout(self.path).segments}
        for record in self.records:
            if known.get(record.name) != record.hashes:
                raise MismatchError(
                    f"{self.path}: segment {record.name} is not what it was when the index was opened",
                    wanted="one index on storage that all machines share, as it was then",
                    cure="open it again",
                )
        return StoredVectors([Segment(self.path, record, self.settings) for record in self.records], self.rows)


def divide(
    path: Path, settings: IndexSettings, stored: StoredVectors, parts: int
) -> tuple[list[list[int]], list[Part]]:
    """Cut an index into parts of about equally many bytes.

    Args:
        path: The index's folder.
        settings: Of the index.
        stored: Its vectors.
        parts: How many parts there are to be; there are fewer where there are fewer segments.

    Returns:
        The numbers of the segments of each part, ascending; and the parts.
    """
    sizes = [sum(segment.record.sizes.values()) for segment in stored.segments]
    own: list[list[int]] = [[] for _ in range(min(parts, len(sizes)))]
    filled = [0] * len(own)
    for number in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        emptiest = filled.index(min(filled))
        own[emptiest].append(number)
        filled[emptiest] += sizes[number]
    own = [sorted(numbers) for numbers in own]
    return own, [
        Part(path.absolute(), settings, tuple(stored.segments[number].record for number in numbers), _places(rows))
        for numbers in own
        for rows in [stored.rows[_positions(stored, numbers)]]
    ]


class Question(NamedTuple):
    """What a part is asked.

    Attributes:
        scheme: How images are compared; no second stage.
        queries: The queries.
        top: How many images to find for each; None measures all.
        wanted: For each query which of the part's images to look at, as packed bits; None for all that are not removed.
    """

    scheme: Scheme
    queries: tuple[ImageFeatures, ...]
    top: int | None
    wanted: tuple[NDArray[np.uint8] | None, ...]


class DividedVectors(StoredVectors):
    """The vectors of an index, whose distances others compute.

    Args:
        stored: The vectors.
        parts: The numbers of the segments of each part, as `divide` gives them.
        ask: Asks the parts.
    """

    def __init__(self, stored: StoredVectors, parts: Sequence[Sequence[int]], ask: Asks) -> None:
        super().__init__(stored.segments, stored.rows)
        self._parts = [_positions(stored, numbers) for numbers in parts]
        self._ask = ask

    @staticmethod
    def asks_parts(scheme: Scheme) -> bool:
        """Whether a scheme's questions can be answered part by part; those of a second stage cannot."""
        return not isinstance(scheme, Staged)

    def nearest(
        self, scheme: Scheme, queries: Sequence[ImageFeatures], top: int, wanted: Sequence[NDArray[np.bool_]]
    ) -> list[Found]:
        """As `whole_archives.nearest`."""
        answers = self._answers(scheme, queries, top, wanted)
        found = []
        for at in range(len(queries)):
            positions = [own[answer[at][0]] for own, answer in answers]
            distances = [answer[at][1] for _, answer in answers]
            every = np.concatenate([np.empty(0, np.int64), *positions]), np.concatenate([np.empty(0), *distances])
            found.append(brute_force.first(self, *every, top))
        return found

    def all_distances(
        self, scheme: Scheme, queries: Iterable[ImageFeatures], wanted: NDArray[np.bool_]
    ) -> Iterator[NDArray[np.float64]]:
        """As `whole_archives.all_distances`."""
        waiting = iter(queries)
        while asked := list(itertools.islice(waiting, QUERIES_AT_ONCE)):
            answers = self._answers(scheme, asked, None, [wanted] * len(asked))
            for at, query in enumerate(asked):
                distances = np.full(len(self), np.nan)
                for own, answer in answers:
                    distances[own[wanted[own]]] = answer[at]
                yield scheme.joined(self, query, wanted, distances) if isinstance(scheme, JoinsParts) else distances

    def _answers(
        self,
        scheme: Scheme,
        queries: Sequence[ImageFeatures],
        top: int | None,
        wanted: Sequence[NDArray[np.bool_]],
    ) -> list[tuple[NDArray[np.int64], Any]]:
        """The positions of each part that has something to look at, and what it answers."""
        held = tuple(_in_memory(query) for query in queries)
        if all(mask is self.live for mask in wanted):
            # The usual case: the same question for all, without masks.
            questions = dict.fromkeys(self._parts_with_images, Question(scheme, held, top, (None,) * len(wanted)))
        else:
            questions = {
                number: Question(scheme, held, top, tuple(np.packbits(mask[own]) for mask in wanted))
                for number, own in enumerate(self._parts)
                if any(mask[own].any() for mask in wanted)
            }
        answers = self._ask(_answer, questions)
        return [(self._parts[number], answers[number]) for number in questions]

    @cached_property
    def _parts_with_images(self) -> list[int]:
        return [number for number, own in enumerate(self._parts) if self.live[own].any()]


def _answer(stored: StoredVectors, question: Question) -> list[Any]:
    """What a part answers to each query: positions and distances of the nearest images, or all wanted distances."""
    from rsir_tf.ranking import whole_archives

    scheme, queries, top, packed = question
    wanted = [stored.live if bits is None else np.unpackbits(bits, count=len(stored)).astype(bool) for bits in packed]
    if top is None:
        return [distances[wanted[0]] for distances in whole_archives.all_distances(scheme, stored, queries, wanted[0])]
    found = whole_archives.nearest(scheme, stored, queries, top, wanted)
    return [
        (np.array([at for at, _ in near], np.int64), np.array([distance for _, distance in near])) for near in found
    ]


def _in_memory(image: ImageFeatures) -> ImageFeatures:
    """An image without the files that its arrays may be mapped from."""
    arrays = ((name, getattr(image, name)) for name in FIELDS)
    held: dict[str, Any] = {name: None if array is None else np.array(array) for name, array in arrays}
    return ImageFeatures(**held)


def _positions(stored: StoredVectors, segments: Sequence[int]) -> NDArray[np.int64]:
    """int64 [k], the positions of the images of some segments."""
    ranges = [np.arange(stored.first[number], stored.first[number + 1]) for number in segments]
    return np.concatenate([np.empty(0, np.int64), *ranges])


def _places(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number some rows of the index from 0, in their order; −1 stays."""
    order = np.argsort(rows, kind="stable")
    removed = int((rows < 0).sum())
    places = np.full(len(rows), -1, np.int64)
    places[order[removed:]] = np.arange(len(rows) - removed)
    return places
