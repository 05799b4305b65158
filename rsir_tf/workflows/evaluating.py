"""From an index to retrieval figures: every image is the query once, and all images are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.archives.labels import plain_name
from rsir_tf.errors import InputError
from rsir_tf.evaluation import CUTOFFS, Evaluation, MultiLabelFigures, multilabel_figures
from rsir_tf.presentation import MOST_CELLS
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import Scheme, make_schemes, options_of
from rsir_tf.ranking.schemes import PAPER_SCHEMES
from rsir_tf.workflows.clustered_evaluation import RankingQuestion, SpreadRankings
from rsir_tf.workflows.measuring import Judge, can_ask
from rsir_tf.workflows.omissions import (
    cannot_ask_left_out,
    cutoffs_left_out,
    graded_left_out,
    queries_left_out,
    shown_tags_left_out,
    single_scenes,
)
from rsir_tf.workflows.ranking_records import RankingRecord, archive_folders

if TYPE_CHECKING:
    from rsir_tf.cluster import WorkerPool
    from rsir_tf.ranking import Index
    from rsir_tf.workflows.query_sets import QuerySets


def evaluate_index(
    index: Index,
    *,
    schemes: Sequence[str | Scheme] = PAPER_SCHEMES,
    relevance: str = "scene",
    jaccard_at: float = 0.5,
    cutoffs: Sequence[int] = CUTOFFS,
    anmrr_variant: str = "2ng",
    query_counts: bool = True,
    metric: str | None = None,
    direction: str | None = None,
    vectors: str | None = None,
    tags_overlap: bool = False,
    intervals: bool = False,
    sets: QuerySets | None = None,
    record: RankingRecord | None = None,
    pool: WorkerPool[Index] | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Rank with every image of an index as the query once, and measure the rankings (paper, III.D).

    Where images have tags, rankings are graded by the tags shared with the query too; and where each tag is a class of
    the model, the classes that the segmentations show are compared with the tags.

    Args:
        index: From `rsir_tf.open_index`.
        schemes: "recnn", "recnn+", or any other `rsir_tf.ranking.Scheme`.
        relevance: "scene": of the query's scene class, as in the paper; "tags": shares a tag with the query; "jaccard":
            the Jaccard index of its tags and the query's is `jaccard_at` or more.
        jaccard_at: For "jaccard", above 0 and at most 1.
        cutoffs: The k of P@k and recall@k and, where images have tags, of ACG@k and NDCG@k.
        anmrr_variant: A name of `rsir_tf.evaluation.ANMRR_VARIANTS`.
        query_counts: Whether the query itself is ranked and counts as relevant, as in the paper.
        metric: For "recnn+": "l1" (default), "l2" or "cosine".
        direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
        vectors: For "recnn" and "irm": "unit" or "raw"; None takes the default of each, "raw" and "unit".
        tags_overlap: Put images whose segmentation shares no class with the query's last (paper, IV: the coarse filter
            by overlapping labels).
        intervals: Whether to add 95% bootstrap intervals over queries.
        sets: Which images are queries and which are ranked, from `sets_of_split`; None takes all for both. A query that
            is not ranked does not count, whatever `query_counts` says.
        record: Filled with what a report shows of single queries.
        pool: Workers on a cluster that rank; see `clustered_evaluation`. None ranks in this process.
        progress: Called after each query.

    Raises:
        InputError: The index has no image, or no scenes or tags for the relevance; or an option has no such
            value, or no scheme takes it; or two schemes have one name.
    """
    if len(index) == 0:
        raise InputError(f"{index.path}: holds no image", wanted="at least one")
    scenes, tags = index.images.scenes, index.images.tags
    built = make_schemes(schemes, metric=metric, direction=direction, vectors=vectors)
    names = [scheme.name for scheme in built]
    if len(set(names)) < len(names):
        raise InputError(f"schemes are {', '.join(names)}", wanted="each name once, since tables go by name")
    rows = np.arange(len(index), dtype=np.int64)
    asking = rows if sets is None else sets.queries
    gallery = None
    if sets is not None:
        gallery = np.zeros(len(index), dtype=np.bool_)
        gallery[sets.gallery] = True
        query_counts = query_counts and not sets.disjoint
    judge = Judge(
        scenes,
        tags,
        relevance,
        str(index.path),
        jaccard_at=jaccard_at,
        anmrr_variant=anmrr_variant,
        cutoffs=cutoffs,
        graded_cutoffs=cutoffs,
        query_counts=query_counts,
        intervals=intervals,
        confusion=record is not None and sets is None and 0 < len(set(scenes) - {None}) <= MOST_CELLS,
        queries=asking.tolist(),
        gallery=gallery,
    )
    found = {}
    for done, scheme in enumerate(built):

        def tell(asked: int, before: int = done * judge.queries, name: str = scheme.name) -> None:
            progress(before + asked, len(built) * judge.queries, f"{name}: ranking for each query")

        question = RankingQuestion(scheme, sets, tags_overlap)
        spread = None if pool is None else SpreadRankings(pool, index, question)
        found[scheme.name] = judge.measure(
            partial(question.rankings, index) if spread is None else spread.rankings,
            {},
            tell,
            can_ask=can_ask(index, scheme, rows),
            depth=0 if record is None else record.depth,
            seconds=None if spread is None else partial(spread.seconds, judge.queries),
        )
    if record is not None:
        record.measured, record.relevant, record.query_counts = found, judge.relevant, query_counts
    left_out = max((each.left_out for each in found.values()), default=0)
    graded_queries = max((each.graded_queries for each in found.values()), default=0)
    settings: dict[str, Any] = {"index": str(index.path.resolve()), "archive": archive_folders(index)}
    settings |= {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    settings |= {} if sets is None else sets.details
    settings["scheme_options"] = {scheme.name: options_of(scheme) for scheme in built if options_of(scheme)}
    settings["images_sharing_no_class"] = "last" if tags_overlap else "ranked"
    if relevance == "jaccard":
        settings["jaccard_at"] = jaccard_at
    own_scenes, own_tags = [scenes[row] for row in asking], [tags[row] for row in asking]
    remarks = queries_left_out(left_out, relevance, own_scenes, own_tags)
    remarks += graded_left_out(own_tags, graded_queries) if judge.graded else graded_left_out([], 0)
    cannot_ask = {scheme.title: found[scheme.name].cannot_ask for scheme in built}
    remarks += cannot_ask_left_out(cannot_ask, judge.queries, index.settings.min_area)
    remarks += single_scenes(scenes) if relevance == "scene" and sets is None else []
    remarks += cutoffs_left_out(cutoffs, judge.ranked, graded=judge.graded) + shown_tags_left_out(index)
    if relevance != "scene" and any(scenes):
        remarks.append("Figures by scene class are left out: an image is relevant by its tags.")
    return Evaluation(
        queries=judge.queries,
        archive=judge.ranked,
        relevance=relevance,
        anmrr_variant=anmrr_variant,
        query_counts=query_counts,
        schemes={name: each.figures for name, each in found.items()},
        left_out=left_out,
        details=settings,
        shown_tags=shown_tags(index),
        graded_queries=graded_queries if judge.graded else None,
        remarks=tuple(remarks),
        titles={scheme.name: scheme.title for scheme in built},
    )


def shown_tags(index: Index) -> MultiLabelFigures | None:
    """Compare the classes that an index's regions have with its images' tags.

    An image shows a class if it has a region of this class, of the index's minimum area or larger. The labels are all
    classes of the model; a class that is neither a tag nor shown anywhere counts as 0 in the macro averages. Names can
    be written with spaces, hyphens or underscores. Images whose tags are not known do not count.

    Returns:
        The figures; None if no image has a tag, or if a tag is not a class of the model.
    """
    classes = {plain_name(name): number for number, name in enumerate(index.settings.class_names)}
    tags = [None if own is None else [plain_name(tag) for tag in own] for own in index.images.tags]
    if not any(tags) or any(tag not in classes for own in tags for tag in own or ()):
        return None
    known = [row for row, own in enumerate(tags) if own is not None]
    truth = np.zeros((len(tags), len(index.settings.class_names)), dtype=np.bool_)
    for row in known:
        truth[row, [classes[tag] for tag in tags[row] or ()]] = True
    return multilabel_figures(truth[known], index.shown_classes[known])
