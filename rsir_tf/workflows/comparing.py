"""From an archive to the paper's Table I: every descriptor on the same queries."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.artifacts import content_hash
from rsir_tf.baselines import (
    BASELINES,
    BagOfVisualWords,
    DescribedImages,
    Descriptor,
    describe_images,
    file_stamp,
    parameters,
    read_dictionary,
    write_dictionary,
)
from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    MOST_CELLS,
    Evaluation,
    RankingMetrics,
    SceneConfusion,
    SchemeFigures,
    acg_at,
    ndcg_at,
    paired_test,
    rank_error,
    rankings,
    shared_tags,
    tag_matrix,
    wap_at,
)
from rsir_tf.imagery import read_image
from rsir_tf.workflows.evaluating import SCHEMES, judge_relevance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.archives import Archive, Record
    from rsir_tf.index import Index

Progress = Callable[[int, int, str], None]
Ranked = Iterator[tuple[int, "NDArray[np.int64]"]]

FIRST_HITS = 5
"""Hits of each query that are kept for pictures, the query itself left out."""


@dataclass(slots=True)
class Comparison:
    """What `compare_descriptors` found.

    Attributes:
        evaluation: Figures of each descriptor, and the settings that they depend on.
        records: The images, in row order: sorted by id.
        average_precision: Descriptor → float64 [Q], AP of each query, NaN where nothing is relevant.
        first_hits: Descriptor → int64 [Q, ≤ FIRST_HITS], rows of each query's first hits, itself left out.
        relevant: Row → bool [N], which images are relevant to it.
        confusion: Descriptor → which scenes its hits confuse; empty where no scene is known, or more than 100 are.
        p_values: Descriptor → two-sided p of its AP against the best descriptor's; empty if not asked for.
        remarks: What was left out and why, a line each.
        skipped: Id of an image that could not be read → why.
    """

    evaluation: Evaluation
    records: tuple[Record, ...]
    relevant: Callable[[int], NDArray[np.bool_]]
    average_precision: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    first_hits: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    confusion: dict[str, SceneConfusion] = field(default_factory=dict)
    p_values: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON types, without what is for pictures alone."""
        content = {**self.evaluation.to_json(), "remarks": list(self.remarks), "skipped": dict(self.skipped)}
        if self.p_values:
            content["p_values"] = dict(self.p_values)
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
    index_seconds: float | None = None,
    relevance: str | None = None,
    anmrr_variant: str = "2ng",
    query_counts: bool = True,
    intervals: bool = False,
    processes: int = 1,
    details: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Let every image be the query once under each descriptor (paper, III.D and Table I).

    Vectors are kept in `cache`, so a stopped run goes on where it was and a second one only ranks. Images that cannot
    be read are left out for all descriptors alike.

    Args:
        archive: The images to rank, usually the test part.
        cache: A folder; see `rsir_tf.baselines.describe_images`.
        descriptors: Baselines; None takes all with their defaults.
        training: Images that the visual words are learned from; none of `archive`. Without it BoVW is left out.
        index: From `rsir_tf.open_index`, with these images, for ReCNN and ReCNN+. Without it they are left out.
        index_seconds: What describing an image for the index took, where that was measured.
        relevance: "scene" or "tags"; None takes scenes where there are any, else tags.
        anmrr_variant: A name of `rsir_tf.evaluation.ANMRR_VARIANTS`.
        query_counts: Whether the query itself is ranked and counts as relevant, as in the paper.
        intervals: Whether to add bootstrap intervals, and a paired test of each descriptor against the best.
        processes: How many describe images at once.
        details: Further settings to record, such as the split's seed.
        progress: Called with (done, in all, words).

    Raises:
        InputError: There are neither scenes nor tags, no image can be read, or the index lacks images.
        ArtifactError: The cache is damaged, or the disk is full or read-only.
    """
    tell = progress or (lambda *_: None)
    remarks: list[str] = []
    chosen = list(descriptors) if descriptors is not None else [kind() for kind in BASELINES.values()]
    names = [descriptor.name for descriptor in chosen]
    if len(set(names)) < len(names):
        raise InputError(f"descriptors are {', '.join(names)}", wanted="each name once, since tables go by name")
    relevance = relevance or _relevance(archive)
    judge_relevance([r.scene for r in archive], [r.tags for r in archive], relevance, str(archive.root))
    described = {}
    for descriptor in chosen:
        fitted = _fitted(descriptor, training, cache, tell, remarks)
        if fitted is not None:
            images = {record.id: record.image for record in archive}
            described[fitted] = describe_images(images, fitted, cache, processes=processes, progress=tell)
    skipped = {name: why for found in described.values() for name, why in found.skipped.items()}
    records = tuple(record for record in archive if record.id not in skipped)
    if index is not None:
        skipped.update({record.id: index.skipped[record.id] for record in records if record.id in index.skipped})
        records = tuple(record for record in records if record.id not in skipped)
        _require_all(index, records)
    else:
        remarks.append("ReCNN and ReCNN+ are left out: neither an index nor a model was named.")
    if not records or not (described or index):
        raise InputError(f"{archive.root}: nothing to compare ({len(records)} images)", wanted="images and descriptors")
    run = _Run(records, relevance, anmrr_variant, query_counts, intervals, str(archive.root), remarks, tell)
    for descriptor, found in described.items():
        vectors = _rows(found, records)
        costs = {"seconds an image": float(found.seconds.mean()), "bytes an image": 4.0 * descriptor.dimensions}
        run.measure(descriptor.name, rankings(vectors, descriptor.distance), costs)
    settings = {f"{d.name} parameters": {**parameters(d), "distance": d.distance} for d in described}
    if index is not None:
        for scheme in SCHEMES:
            costs = _index_costs(index, scheme) | ({"seconds an image": index_seconds} if index_seconds else {})
            run.measure(scheme, _index_rankings(index, scheme, records), costs)
        settings["index"] = {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    return run.finish({**(details or {}), **settings}, skipped)


class _Run:
    """Ranks for one descriptor after another and collects what is shown of them."""

    def __init__(
        self,
        records: tuple[Record, ...],
        relevance: str,
        anmrr_variant: str,
        query_counts: bool,
        intervals: bool,
        where: str,
        remarks: list[str],
        tell: Progress,
    ) -> None:
        self.records, self.relevance, self.variant = records, relevance, anmrr_variant
        self.query_counts, self.intervals, self.remarks, self.tell = query_counts, intervals, remarks, tell
        self.scenes = [record.scene for record in records]
        tags = [record.tags for record in records]
        self.judge = judge_relevance(self.scenes, tags, relevance, where)
        self.tags = tag_matrix(tags)[0] if any(tags) else None
        if self.tags is None:
            remarks.append("ACG, NDCG and WAP are left out: the images have no tags.")
        if all(scene is None for scene in self.scenes):
            remarks.append("Figures by scene class and their confusion are left out: the images have no scene class.")
        images = Counter(scene for scene in self.scenes if scene is not None)
        if single := sum(count == 1 for count in images.values()):
            remarks.append(f"{single} scene classes have one image, which can find none but itself.")
        self.confuses = 0 < len(images) <= MOST_CELLS
        if len(images) > MOST_CELLS:
            remarks.append(f"The confusion of {len(images)} scene classes is left out: more than {MOST_CELLS}.")
        self.largest = None
        if rank_error.anmrr_variant(anmrr_variant).needs_largest:
            # Needed before the first query; a query that is not ranked is not relevant either.
            counts = (
                self.judge(row).sum() - (not query_counts and self.judge(row)[row]) for row in range(len(records))
            )
            self.largest = int(max(counts))
        self.schemes: dict[str, SchemeFigures] = {}
        self.left_out = 0
        self.found = Comparison(self._evaluation({}), records, self.judge, remarks=remarks)

    def measure(self, name: str, ranked: Ranked, costs: Mapping[str, float]) -> None:
        metrics = RankingMetrics(variant=self.variant, max_relevant=self.largest)
        confusion = SceneConfusion(self.scenes) if self.confuses else None
        graded: list[tuple[float, ...]] = []
        hits, ranking_seconds, started = [], 0.0, time.perf_counter()
        for row, order in ranked:
            ranking_seconds += time.perf_counter() - started
            others = order[order != row]
            counted = order if self.query_counts else others
            metrics.add(self.judge(row)[counted], scene=self.scenes[row])
            hits.append(others[:FIRST_HITS])
            if confusion is not None:
                confusion.add(row, others)
            if self.tags is not None:
                gains = shared_tags(self.tags, self.tags[row])[counted][None]
                graded.append((acg_at(gains, 10), ndcg_at(gains, 10), wap_at(gains)))
            self.tell(row + 1, len(self.records), f"{name}: ranking for each image")
            started = time.perf_counter()
        figures = metrics.figures(intervals=self.intervals)
        self.schemes[name] = replace(
            figures,
            by_scene=figures.by_scene if self.relevance == "scene" else {},
            graded=_mean_graded(graded),
            costs={**costs, "seconds a query": ranking_seconds / len(self.records)},
        )
        self.left_out = metrics.left_out
        self.found.average_precision[name] = metrics.per_query("map")
        self.found.first_hits[name] = np.array(hits, dtype=np.int64).reshape(len(hits), -1)
        if confusion is not None:
            self.found.confusion[name] = confusion

    def finish(self, details: dict[str, Any], skipped: dict[str, str]) -> Comparison:
        self.found.evaluation = self._evaluation(details)
        self.found.skipped = dict(sorted(skipped.items()))
        if self.intervals and len(self.schemes) > 1:
            values = self.found.average_precision
            best = max(self.schemes, key=lambda name: np.nan_to_num(self.schemes[name].map))
            self.found.p_values = {name: paired_test(values[name], values[best]) for name in values if name != best}
        return self.found

    def _evaluation(self, details: Mapping[str, Any]) -> Evaluation:
        return Evaluation(
            queries=len(self.records),
            archive=len(self.records) if self.query_counts else len(self.records) - 1,
            relevance=self.relevance,
            anmrr_variant=self.variant,
            query_counts=self.query_counts,
            schemes=self.schemes,
            left_out=self.left_out,
            details=details,
        )


def _relevance(archive: Archive) -> str:
    if any(record.scene is not None for record in archive):
        return "scene"
    if any(record.tags for record in archive):
        return "tags"
    raise InputError(
        f"{archive.root}: its images have neither scene classes nor tags",
        wanted="one of them: without, no figure has a meaning",
        cure="put the images of each scene into a folder of their own, or name a tags file",
    )


def _fitted(
    descriptor: Descriptor, training: Archive | None, cache: Path, tell: Progress, remarks: list[str]
) -> Descriptor | None:
    """The descriptor, with a dictionary where it needs one; None where there is nothing to learn it from."""
    if not isinstance(descriptor, BagOfVisualWords) or descriptor.dictionary is not None:
        return descriptor
    if training is None:
        remarks.append("BoVW is left out: there is no training part to learn its words from.")
        return None
    learned_from = content_hash([[record.id, *file_stamp(record.image)] for record in training])
    path = cache / f"bovw-words-{content_hash([learned_from, parameters(descriptor)])[:12]}.npz"
    known = read_dictionary(path, descriptor, learned_from)
    if known is not None:
        return known
    try:
        fitted = descriptor.fit(_training_images(training, tell))
    except InputError as error:
        remarks.append(f"BoVW is left out: {error}.")
        return None
    write_dictionary(path, fitted, learned_from)
    return fitted


def _training_images(training: Archive, tell: Progress) -> Iterator[NDArray[np.uint8]]:
    for done, record in enumerate(training, start=1):
        with contextlib.suppress(
            InputError
        ):  # A training image that cannot be read teaches nothing, and stops nothing.
            yield read_image(record.image)
        tell(done, len(training), "bovw: learning words")


def _rows(found: DescribedImages, records: Sequence[Record]) -> NDArray[np.float32]:
    place = {name: row for row, name in enumerate(found.ids)}
    return found.vectors[[place[record.id] for record in records]]


def _require_all(index: Index, records: Sequence[Record]) -> None:
    known = set(index.images.ids)
    lacking = [record.id for record in records if record.id not in known]
    if lacking:
        raise InputError(
            f"{index.path}: lacks {len(lacking)} of the {len(records)} images to compare (first {lacking[0]})",
            wanted="an index of the same archive and split",
            cure="run rsir-tf index with this archive and split, or name the model instead",
        )


def _index_rankings(index: Index, scheme: str, records: Sequence[Record]) -> Ranked:
    """Rankings of the records alone, whatever else the index holds."""
    rows = np.array([index.row_of(record.id) for record in records], dtype=np.int64)
    for place, (_, distances) in enumerate(index.all_distances(scheme, rows=rows.tolist())):
        yield place, np.argsort(distances[rows], kind="stable")


def _index_costs(index: Index, scheme: str) -> dict[str, float]:
    vectors = float(np.mean(index.images.region_counts)) if scheme == "recnn" else 1.0
    return {"bytes an image": vectors * index.settings.channels * np.dtype(index.settings.dtype).itemsize}


def _mean_graded(values: Sequence[tuple[float, ...]]) -> dict[str, float]:
    table = np.array(values, dtype=np.float64).reshape(-1, 3)
    known = table[~np.isnan(table[:, 2])]  # A query without tags has no figure.
    if not len(known):
        return {}
    means = zip(("acg_at_10", "ndcg_at_10", "wap"), known.mean(axis=0).tolist(), strict=True)
    return {name: mean for name, mean in means if not np.isnan(mean)}
