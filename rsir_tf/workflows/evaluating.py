"""From an index to retrieval figures: every image asks, all images are ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.labels import plain_name
from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    CUTOFFS,
    Evaluation,
    GradedMetrics,
    MultiLabelFigures,
    RankingMetrics,
    TagSets,
    multilabel_figures,
    rank_error,
)
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import Scheme, archive_rankings, make_schemes, options_of
from rsir_tf.ranking.schemes import SCHEMES
from rsir_tf.workflows.comparison_costs import seconds_per_query
from rsir_tf.workflows.left_out import cutoffs_left_out, graded_left_out, queries_left_out, shown_tags_left_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index


def evaluate_index(
    index: Index,
    *,
    schemes: Sequence[str | Scheme] = tuple(SCHEMES),
    relevance: str = "scene",
    jaccard_at: float = 0.5,
    cutoffs: Sequence[int] = CUTOFFS,
    anmrr_variant: str = "2ng",
    query_counts: bool = True,
    metric: str | None = None,
    direction: str | None = None,
    tags_overlap: bool = False,
    intervals: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Let every image of an index be the query once and measure the rankings (paper, III.D).

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
        tags_overlap: Rank images last whose segmentation shares no class with the query's (paper, IV: the coarse
            filter by overlapping labels).
        intervals: Whether to add 95% bootstrap intervals over queries.
        progress: Called after each query.

    Raises:
        InputError: The index holds no image, or no scenes or tags to tell relevance by; or an option has no such
            value.
    """
    if len(index) == 0:
        raise InputError(f"{index.path}: holds no image", wanted="at least one")
    scenes, tags = index.images.scenes, index.images.tags
    judge = judge_relevance(scenes, tags, relevance, str(index.path), jaccard_at=jaccard_at)
    tag_sets = TagSets(tags) if any(tags) else None
    found, left_out, graded_queries, largest = {}, 0, 0, None
    built = make_schemes(schemes, metric=metric, direction=direction)
    rows = np.arange(len(index), dtype=np.int64)
    if rank_error.anmrr_variant(anmrr_variant).needs_largest:
        largest = largest_relevant(judge, len(index), query_counts)
    for done, scheme in enumerate(built):
        metrics = RankingMetrics(variant=anmrr_variant, cutoffs=cutoffs, max_relevant=largest)
        graded = GradedMetrics(cutoffs)
        rank = partial(archive_rankings, index, scheme, rows, sharing_first=tags_overlap)
        for row, ranked in rank(range(len(index))):
            order = ranked if query_counts else ranked[ranked != row]
            metrics.add(judge(row)[order], scene=scenes[row] if relevance == "scene" else None)
            if tag_sets is not None:
                graded.add(tag_sets.shared(row)[order])
            progress(done * len(index) + row + 1, len(built) * len(index), f"{scheme.name}: ranking for each image")
        left_out, graded_queries = metrics.left_out, graded.queries
        costs = {"seconds_per_query": seconds_per_query(rank, len(index))}
        found[scheme.name] = replace(metrics.figures(intervals=intervals), graded=graded.figures(), costs=costs)
    settings = {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    settings["scheme_options"] = {scheme.name: options_of(scheme) for scheme in built if options_of(scheme)}
    settings["images_sharing_no_class"] = "last" if tags_overlap else "ranked"
    if relevance == "jaccard":
        settings["jaccard_at"] = jaccard_at
    archive = len(index) if query_counts else len(index) - 1
    remarks = queries_left_out(left_out, relevance, scenes, tags) + graded_left_out(tags, graded_queries)
    remarks += cutoffs_left_out(cutoffs, archive, graded=tag_sets is not None) + shown_tags_left_out(index)
    if relevance != "scene" and any(scenes):
        remarks.append("Figures by scene class are left out: an image is relevant by its tags.")
    return Evaluation(
        queries=len(index),
        archive=archive,
        relevance=relevance,
        anmrr_variant=anmrr_variant,
        query_counts=query_counts,
        schemes=found,
        left_out=left_out,
        details=settings,
        shown_tags=shown_tags(index),
        graded_queries=None if tag_sets is None else graded_queries,
        remarks=tuple(remarks),
    )


def shown_tags(index: Index) -> MultiLabelFigures | None:
    """Compare the classes that an index's regions have with its images' tags.

    An image shows a class where it has a region of it, of the index's minimum area or larger. Labels are all classes of
    the model; one that is no image's tag and nowhere shown counts 0 in the macro averages. Names may be spelt with
    spaces, hyphens or underscores. Images whose tags are not known do not count.

    Returns:
        The figures; None where no image has a tag, or a tag is no class of the model.
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


def judge_relevance(
    scenes: Sequence[str | None],
    tags: Sequence[tuple[str, ...] | None],
    relevance: str,
    where: str,
    *,
    jaccard_at: float = 0.5,
) -> Callable[[int], NDArray[np.bool_]]:
    """Give a function from a row to which images are relevant to it, bool [N].

    Args:
        scenes: [N], each image's scene class, where known.
        tags: [N], each image's tags, where known.
        relevance: "scene", "tags" or "jaccard".
        where: What the images are of, for the error's text.
        jaccard_at: For "jaccard": from which Jaccard index of the tags on an image is relevant; above 0, at most 1.

    Raises:
        InputError: No image has a scene, or tags; or `relevance` or `jaccard_at` is another.
    """
    if relevance == "scene":
        if all(scene is None for scene in scenes):
            raise InputError(
                f"{where}: its images have no scene class",
                cure="use --relevance tags, or index an archive with one folder a scene",
            )
        numbers = {scene: number for number, scene in enumerate(dict.fromkeys(scenes)) if scene is not None}
        codes = np.array([-1 if scene is None else numbers[scene] for scene in scenes], dtype=np.int32)
        return lambda row: (codes == codes[row]) & (codes[row] >= 0)
    if relevance not in ("tags", "jaccard"):
        raise InputError(f"relevance {relevance!r}", wanted="'scene', 'tags' or 'jaccard'")
    if not any(tags):
        raise InputError(f"{where}: its images have no tags", cure="use --relevance scene")
    if not 0 < jaccard_at <= 1:
        raise InputError(f"a Jaccard index of {jaccard_at}", wanted="above 0 and at most 1")
    sets = TagSets(tags)
    if relevance == "tags":
        return lambda row: sets.shared(row) > 0
    return lambda row: sets.jaccard(row) >= jaccard_at


def largest_relevant(judge: Callable[[int], NDArray[np.bool_]], images: int, query_counts: bool) -> int:
    """The largest number of relevant images of any query; `RankingMetrics` may need it before the first.

    Args:
        judge: From `judge_relevance`.
        images: How many there are, at least one.
        query_counts: Whether the query itself is ranked; one that is not is not relevant either.
    """

    def count(row: int) -> int:
        relevant = judge(row)
        return int(np.count_nonzero(relevant)) - (not query_counts and bool(relevant[row]))

    return max(map(count, range(images)))
