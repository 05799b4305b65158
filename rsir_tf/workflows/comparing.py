"""From an archive to the paper's Table I: every descriptor on the same queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.baselines import BASELINES, DescribedImages, Descriptor, describe_images, library_versions, parameters
from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    Evaluation,
    SceneConfusion,
    SchemeFigures,
    rankings,
)
from rsir_tf.evaluation.significance import PairedTests, paired_tests
from rsir_tf.presentation import MOST_CELLS
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import Scheme, archive_rankings, make_schemes
from rsir_tf.ranking.scheme import check_index
from rsir_tf.ranking.schemes import PAPER_SCHEMES
from rsir_tf.wording import counted
from rsir_tf.workflows.comparison_costs import describing_costs, index_costs
from rsir_tf.workflows.indexed_images import ids_in_index, require_all, require_unchanged, unread_by
from rsir_tf.workflows.measuring import Judge, Ranked, can_ask, judge_relevance
from rsir_tf.workflows.omissions import cannot_ask_left_out, graded_left_out, queries_left_out, single_scenes
from rsir_tf.workflows.visual_words import with_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive, Record
    from rsir_tf.ranking import Index

GRADED_AT = 10
"""The k of ACG@k and NDCG@k."""


@dataclass(slots=True)
class Comparison:
    """What `compare_descriptors` found.

    Attributes:
        evaluation: Figures of each descriptor, and the settings that they depend on.
        records: The images, in row order: sorted by id.
        average_precision: Descriptor → float64 [Q], AP of each query, NaN where nothing is relevant.
        first_hits: Descriptor → int64 [Q, ≤ FIRST_HITS], rows of each query's first hits without the query itself.
        relevant: Row → bool [N], which images are relevant to it.
        confusion: Descriptor → which scenes its hits confuse; empty where no scene is known, or more than 100 are.
        tests: Paired tests of each descriptor's AP against one; None if not wanted, or if there is nothing to test.
        remarks: What was left out and why, one line each.
        skipped: Id of an image that could not be read → why.
    """

    evaluation: Evaluation
    records: tuple[Record, ...]
    relevant: Callable[[int], NDArray[np.bool_]]
    average_precision: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    first_hits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    confusion: dict[str, SceneConfusion] = field(default_factory=dict)
    tests: PairedTests | None = None
    remarks: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, without what only pictures need."""
        content = {**self.evaluation.to_json(), "remarks": list(self.remarks), "skipped": dict(self.skipped)}
        if self.tests is not None:
            content["tests"] = self.tests.to_json()
        if self.confusion:
            content["confusion"] = {name: confusion.to_json() for name, confusion in self.confusion.items()}
        return content


def compare_descriptors(
    archive: Archive,
    cache: Path,
    *,
    descriptors: Sequence[Descriptor] | None = None,
    training: Archive | None = None,
    index: Index | None = None,
    schemes: Sequence[str | Scheme] = PAPER_SCHEMES,
    relevance: str | None = None,
    anmrr_variant: str = "2ng",
    query_counts: bool = True,
    intervals: bool = False,
    against: str | None = None,
    processes: int = 1,
    details: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Rank with every image as the query once, for each descriptor (paper, III.D and Table I).

    Vectors are kept in `cache`, so that a stopped run can be continued and a second one only ranks. Images that cannot
    be read are left out for all descriptors.

    Args:
        archive: The images to rank, usually the test part.
        cache: A folder; see `rsir_tf.baselines.describe_images`.
        descriptors: Baselines; None takes all with their defaults.
        training: Images to learn the visual words from, not images of `archive`. Without it, BoVW is left out.
        index: From `rsir_tf.open_index`, with these images, for `schemes`. Without it, the schemes are left out.
        schemes: "recnn", "recnn+", or any other `rsir_tf.ranking.Scheme`.
        relevance: "scene" or "tags"; None takes scenes if there are any, otherwise tags.
        anmrr_variant: A name of `rsir_tf.evaluation.ANMRR_VARIANTS`.
        query_counts: Whether the query itself is ranked and counts as relevant, as in the paper.
        intervals: Whether to add bootstrap intervals, and a paired test of each descriptor against one.
        against: Name of this one; None takes the best by mAP.
        processes: Number of processes that describe images.
        details: Further settings to record, for example the seed of the split.
        progress: Called with (done, total, text).

    Raises:
        InputError: There are neither scenes nor tags, fewer than two images can be read, nothing is left to compare,
            `against` is not compared, an option has no such value, or the index lacks images or what a
            scheme reads.
        MismatchError: An image has changed since it was indexed.
        ArtifactError: The cache is damaged, another process is writing it, or the disk is full or read-only.
        RsirError: A process that described images was killed.
    """
    remarks = [f"{line[0].upper()}{line[1:]}." for line in archive.remarks]
    chosen = list(descriptors) if descriptors is not None else [kind() for kind in BASELINES.values()]
    built = make_schemes(schemes) if index is not None else []
    _check_names([*(each.name for each in chosen), *(each.name for each in built)], against)
    relevance = relevance or _relevance(archive)
    if relevance not in ("scene", "tags"):
        raise InputError(f"relevance {relevance!r}", wanted="'scene' or 'tags'")
    judge_relevance([r.scene for r in archive], [r.tags for r in archive], relevance, str(archive.root))
    _require_two(archive.records, str(archive.root))
    held: dict[str, str] = {}
    if index is not None:
        for scheme in built:
            check_index(scheme, index)
        held = ids_in_index(index, archive)
        require_unchanged(index, [replace(record, id=held[record.id]) for record in archive], progress)
    described: dict[Descriptor, DescribedImages] = {}
    settings: dict[str, Any] = {"libraries": library_versions("opencv", "scikit-image", "scikit-learn", "scipy")}
    settings |= {"label_repairs": list(archive.repairs)} if archive.format == "mlrsnet" else {}
    images = {record.id: record.source for record in archive}
    for descriptor in chosen:
        fitted, origin = with_words(descriptor, training, cache, progress, remarks)
        if fitted is not None:
            described[fitted] = describe_images(images, fitted, cache, processes=processes, progress=progress)
            settings[f"{fitted.name}_parameters"] = {**parameters(fitted), "distance": fitted.distance} | origin
            settings[f"{fitted.name}_libraries"] = library_versions(*fitted.libraries)
    skipped = {name: why for found in described.values() for name, why in found.skipped.items()}
    if index is not None:
        unread = unread_by(index, [replace(record, id=held[record.id]) for record in archive])
        skipped = {name: unread[own] for name, own in held.items() if own in unread} | skipped
    records = tuple(record for record in archive if record.id not in skipped)
    _require_two(records, str(archive.root), next(iter(skipped.values()), None))
    if not described and index is None:
        raise InputError(f"{archive.root}: nothing to compare. {' '.join(remarks)}", wanted="one descriptor or more")
    if index is None:
        names = " and ".join(scheme.title for scheme in make_schemes(schemes))
        remarks.append(f"{names} are left out: neither an index nor a model was named.")
    else:
        require_all(index, [replace(record, id=held[record.id]) for record in records])
    titles = {each.name: getattr(each, "title", each.name) for each in chosen}  # A user's descriptor may have none.
    titles |= {each.name: each.title for each in built}
    run = _Comparer(
        records, titles, relevance, anmrr_variant, query_counts, intervals, str(archive.root), remarks, progress
    )
    for descriptor, found in described.items():
        vectors = _rows(found, records)
        costs = describing_costs(found, [record.id for record in records], descriptor.dimensions)
        run.measure(descriptor.name, partial(_vector_rankings, vectors, descriptor.distance), costs)
    if index is not None:
        rows = np.array([index.row_of(held[record.id]) for record in records], dtype=np.int64)
        for scheme in built:
            rank = partial(archive_rankings, index, scheme, rows)
            run.measure(scheme.name, rank, index_costs(index, scheme, rows), can_ask(index, scheme, rows))
        remarks += cannot_ask_left_out(run.cannot_ask, len(records), index.settings.min_area)
        settings["index"] = {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    return run.finish({**(details or {}), **settings}, skipped, against)


class _Comparer:
    """Ranks with one descriptor after another and collects the results."""

    def __init__(
        self,
        records: tuple[Record, ...],
        titles: Mapping[str, str],
        relevance: str,
        anmrr_variant: str,
        query_counts: bool,
        intervals: bool,
        where: str,
        remarks: list[str],
        tell: Progress,
    ) -> None:
        self.records, self.titles, self.relevance, self.variant = records, titles, relevance, anmrr_variant
        self.query_counts, self.intervals, self.remarks, self.tell = query_counts, intervals, remarks, tell
        self.scenes = [record.scene for record in records]
        tags = [record.tags for record in records]
        images = Counter(scene for scene in self.scenes if scene is not None)
        self.judge = Judge(
            self.scenes,
            tags,
            relevance,
            where,
            anmrr_variant=anmrr_variant,
            graded_cutoffs=(GRADED_AT,),
            query_counts=query_counts,
            intervals=intervals,
            confusion=0 < len(images) <= MOST_CELLS,
        )
        if not self.judge.graded:
            remarks.append("ACG, NDCG and WAP are left out: the images have no tags.")
        if all(scene is None for scene in self.scenes):
            remarks.append("Figures by scene class and their confusion are left out: the images have no scene class.")
        elif relevance != "scene":
            remarks.append("Figures by scene class are left out: an image is relevant where it shares a tag.")
        if self.judge.graded and self.judge.ranked < GRADED_AT:
            remarks.append(f"ACG@{GRADED_AT} is left out: only {self.judge.ranked} images are ranked.")
        remarks += single_scenes(self.scenes)
        if len(images) > MOST_CELLS:
            remarks.append(f"The confusion of {len(images)} scene classes is left out: more than {MOST_CELLS}.")
        self.schemes: dict[str, SchemeFigures] = {}
        self.cannot_ask: dict[str, int] = {}
        self.left_out = self.graded_queries = 0
        self.found = Comparison(self._evaluation({}), records, self.judge.relevant, remarks=remarks)

    def measure(
        self,
        name: str,
        rank: Callable[[range], Ranked],
        costs: Mapping[str, float],
        asks: NDArray[np.bool_] | None = None,
    ) -> None:
        words = f"{name}: ranking for each image"
        measured = self.judge.measure(rank, costs, lambda done: self.tell(done, len(self.records), words), can_ask=asks)
        self.cannot_ask[self.titles[name]] = measured.cannot_ask
        figures = measured.figures
        graded = {key: value for key, value in figures.graded.items() if not np.isnan(value)}
        self.schemes[name] = replace(figures, graded=graded)
        self.left_out = max(self.left_out, measured.left_out)
        self.graded_queries = max(self.graded_queries, measured.graded_queries)
        self.found.average_precision[name] = measured.average_precision
        self.found.first_hits[name] = measured.first_hits
        if measured.confusion is not None:
            self.found.confusion[name] = measured.confusion

    def finish(self, details: dict[str, Any], skipped: dict[str, str], against: str | None) -> Comparison:
        self.found.evaluation = self._evaluation(details)
        self.found.skipped = dict(sorted(skipped.items()))
        tags = [record.tags for record in self.records]
        if self.left_out == len(self.records):
            self.remarks.append("No query has a relevant image: there are no figures.")
        else:
            self.remarks += queries_left_out(self.left_out, self.relevance, self.scenes, tags)
        if self.judge.graded:
            self.remarks += graded_left_out(tags, self.graded_queries)
        if not self.intervals:
            return self.found
        if against is not None and against not in self.schemes:
            self.remarks.append(f"Paired tests are left out: {self.titles[against]} is.")
        else:
            self.found.tests = paired_tests(self.found.average_precision, against)
            if self.found.tests is None:
                why = "one descriptor is compared" if len(self.schemes) == 1 else "no query has a figure"
                self.remarks.append(f"Paired tests are left out: {why}.")
        return self.found

    def _evaluation(self, details: Mapping[str, Any]) -> Evaluation:
        return Evaluation(
            queries=len(self.records),
            archive=self.judge.ranked,
            relevance=self.relevance,
            anmrr_variant=self.variant,
            query_counts=self.query_counts,
            schemes=self.schemes,
            left_out=self.left_out,
            details=details,
            graded_queries=self.graded_queries if self.judge.graded else None,
            titles=self.titles,
        )


def _check_names(compared: Sequence[str], against: str | None) -> None:
    if len(set(compared)) < len(compared):
        raise InputError(f"descriptors are {', '.join(compared)}", wanted="each name once, since tables go by name")
    if against is not None and against not in compared:
        raise InputError(f"to test against {against!r}", wanted=f"one of {', '.join(compared)}, which are compared")


def _relevance(archive: Archive) -> str:
    if any(record.scene is not None for record in archive):
        return "scene"
    if any(record.tags for record in archive):
        return "tags"
    raise InputError(
        f"{archive.root}: its images have neither scene classes nor tags",
        wanted="one of them: without them no figure has a meaning",
        cure="put the images of each scene into a folder of their own, or name a tags file",
    )


def _require_two(records: Sequence[Record], where: str, reason: str | None = None) -> None:
    """Refuse a comparison of fewer than two images."""
    if len(records) < 2:
        unread = f" can be read ({reason})" if reason else ""
        raise InputError(f"{where}: {counted(len(records), 'image')} to compare{unread}", wanted="two or more")


def _rows(found: DescribedImages, records: Sequence[Record]) -> NDArray[np.float32]:
    place = {name: row for row, name in enumerate(found.ids)}
    return found.vectors[[place[record.id] for record in records]]


def _vector_rankings(vectors: NDArray[np.float32], distance: str, queries: range) -> Ranked:
    return rankings(vectors, distance, queries=queries)
