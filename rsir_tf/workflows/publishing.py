"""An index's vectors into a vector database, and how well it proposes images from then on."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.databases import Collection, Point, VectorKind, open_collection
from rsir_tf.errors import DatabaseError, InputError
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import DEFAULT_SCHEME, make_scheme, options_of, proposal_of, search
from rsir_tf.ranking.images import image_at, image_blocks
from rsir_tf.ranking.scheme import check_index
from rsir_tf.workflows.published import FIRST, Published, state_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import ImageFeatures, Index, Proposal, Scheme

NUMBERS_AT_ONCE = 1 << 18
"""Numbers of the vectors that one request carries: about 5 MB as JSON, where servers take 32."""

TOPS = (100, 1000)
"""For so many proposed images recall is measured."""

QUERIES = 200
"""So many images of the index ask when recall is measured."""


@dataclass(frozen=True, slots=True)
class PublishSummary:
    """What was published.

    Attributes:
        address: The collection.
        images: Images that it has now.
        sent: How many of them were sent, because they were not there or had other vectors.
        removed: How many were there and are no longer in the index.
        queries: How many images asked when recall was measured.
        recall: How many images were proposed → the mean share of the exact first ten that were among them.
    """

    address: str
    images: int
    sent: int
    removed: int
    queries: int
    recall: dict[int, float]


def publish_index(
    index: Index,
    to: str | Collection,
    *,
    scheme: str | Scheme = DEFAULT_SCHEME,
    queries: int = QUERIES,
    progress: Progress = silent,
) -> PublishSummary:
    """Bring a collection to the state of an index, and measure how well it proposes.

    Only what is not there yet is sent, so that a call that was stopped can be repeated. The collection is marked as
    complete at the end; until then no query is answered with it.

    Args:
        index: From `rsir_tf.open_index`.
        to: The collection's address, as for `rsir_tf.databases.open_collection`, or the collection. It is made if there
            is none.
        scheme: The scheme that will rank what is proposed.
        queries: How many images of the index ask, each without itself, to measure recall; evenly spread over the ids.
        progress: Called with (done, total, words).

    Raises:
        InputError: The index is empty, an image has too many regions for the database, the scheme cannot be proposed
            for, or fewer than one query.
        MismatchError: The collection was made with another model, settings or scheme.
        DatabaseError: The database cannot be reached, refuses, or holds a collection of another program; or another
            process published into it meanwhile.
    """
    ranks = make_scheme(scheme)
    proposal = proposal_of(ranks)
    check_index(ranks, index)
    if not len(index):
        raise InputError(f"{index.path}: the index is still empty", cure="index an archive into it first")
    if queries < 1:
        raise InputError(f"recall is to be measured with {queries} queries", wanted="at least 1")
    collection = open_collection(to) if isinstance(to, str) else to
    _require_room(index, proposal, collection)
    facts = _begin(index, ranks, proposal, collection)
    there = dict(collection.stored())
    sent = 0
    for batch in _batches(_missing(index, proposal, there, progress)):
        collection.put(batch)
        sent += len(batch)
    gone = sorted(there.keys() - set(index.images.ids))
    collection.remove(gone)
    collection.settle(progress)
    asked, recall = measure_recall(index, ranks, proposal, collection, queries, progress)
    now = Published.from_json(collection.facts() or {}, collection.address)
    if now.writer != facts.writer:
        raise DatabaseError(
            f"{collection.address}: another process published into it meanwhile",
            cure="publish again when it has ended",
        )
    collection.note(dataclasses.replace(facts, complete=True, queries=asked, recall=recall).to_json())
    return PublishSummary(collection.address, len(index), sent, len(gone), asked, recall)


def measure_recall(
    index: Index, scheme: Scheme, proposal: Proposal, collection: Collection, queries: int, progress: Progress = silent
) -> tuple[int, dict[int, float]]:
    """Measure which share of the exact first ten images a collection proposes.

    Images of the index ask; neither the exact ten nor the proposed ones include the image that asks. A proposed image
    that is as near as the tenth counts as one of the ten.

    Args:
        index: That was published.
        scheme: That ranks.
        proposal: What the collection compares.
        collection: That proposes.
        queries: How many images ask at most.
        progress: Called with (done, total, words).

    Returns:
        How many asked, and how many images were proposed → the mean share.
    """
    able = np.flatnonzero(index.images.region_counts > 0) if proposal.of_regions else np.arange(len(index))
    asking = np.unique(np.linspace(0, len(able) - 1, min(queries, len(able))).astype(np.int64))
    shares: dict[int, list[float]] = {top: [] for top in TOPS}
    for done, row in enumerate(able[asking].tolist(), start=1):
        features = image_at(index.vectors, index.position_of(row))
        exact = _nearest_others(index, scheme, features, row)
        for top in TOPS if exact else ():
            proposed = map(index.row_of, collection.nearest(proposal.vectors(features), top + 1))
            others = [each for each in proposed if each != row][:top]
            # Distances within a part of the index may differ from those within all in the last bits.
            near = [each <= exact[-1] * (1 + 1e-9) for each in _nearest_others(index, scheme, features, row, others)]
            shares[top].append(sum(near) / len(exact))
        progress(done, len(asking), "measuring recall")
    return len(asking), {top: float(np.mean(values)) for top, values in shares.items() if values}


def _nearest_others(
    index: Index, scheme: Scheme, features: ImageFeatures, row: int, among: list[int] | None = None
) -> list[float]:
    """The distances from the image of a row to the nearest `FIRST` others, ascending; infinite ones are left out."""
    hits = search(index, features, scheme, top=FIRST + 1, among=among).hits
    return [hit.distance for hit in hits if hit.row != row and np.isfinite(hit.distance)][:FIRST]


def _begin(index: Index, scheme: Scheme, proposal: Proposal, collection: Collection) -> Published:
    """Take the mark of a complete collection away, or make a new one."""
    kind = VectorKind(index.settings.channels, proposal.metric, proposal.of_regions)
    known = collection.facts()
    if known is not None:
        Published.from_json(known, collection.address).require_made_for(index, scheme, collection.address)
        collection.require(kind)
    writer = uuid.uuid4().hex
    facts = Published(index.settings, scheme.name, options_of(scheme), len(index), state_of(index), writer)
    if known is None:
        collection.create(kind, facts.to_json())
    else:
        collection.note(facts.to_json())
    return facts


def _require_room(index: Index, proposal: Proposal, collection: Collection) -> None:
    most = collection.most_numbers // index.settings.channels
    counts = index.images.region_counts
    if proposal.of_regions and len(counts) and counts.max() > most:
        image = index.images.ids[int(counts.argmax())]
        raise InputError(
            f"{image}: has {counts.max():,} regions of {index.settings.channels} numbers, too many for one point",
            wanted=f"at most {most:,} regions",
            cure="publish for recnn+, or index with a larger --min-area",
        )


def _missing(index: Index, proposal: Proposal, there: dict[str, str], progress: Progress) -> Iterator[Point]:
    """The images that the collection does not have, or has with other vectors."""
    done = 0
    for positions, block in image_blocks(index.vectors, index.vectors.live):
        for position, features in zip(positions.tolist(), block, strict=True):
            image = index.images.ids[index.vectors.rows[position]]
            vectors = proposal.vectors(features)
            digest = _digest(vectors)
            if there.get(image) != digest:
                yield Point(image, digest, vectors)
            done += 1
            progress(done, len(index), image)


def _batches(points: Iterator[Point]) -> Iterator[list[Point]]:
    """Groups of points that together have at most `NUMBERS_AT_ONCE` numbers, or are one point."""
    batch: list[Point] = []
    numbers = 0
    for point in points:
        size = max(1, point.vectors.size)
        if batch and numbers + size > NUMBERS_AT_ONCE:
            yield batch
            batch, numbers = [], 0
        batch.append(point)
        numbers += size
    if batch:
        yield batch


def _digest(vectors: NDArray[np.float32]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(vectors, dtype="<f4").tobytes(), digest_size=8).hexdigest()
