"""From an index to retrieval figures: every image asks, all images are ranked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.labels import plain_name
from rsir_tf.errors import InputError
from rsir_tf.evaluation import CUTOFFS, Evaluation, MultiLabelFigures, multilabel_figures
from rsir_tf.progress import Progress, silent
from rsir_tf.ranking import Scheme, archive_rankings, make_schemes, options_of
from rsir_tf.ranking.schemes import SCHEMES
from rsir_tf.workflows.measuring import Judge, can_ask
from rsir_tf.workflows.omissions import (
    cannot_ask_left_out,
    cutoffs_left_out,
    graded_left_out,
    queries_left_out,
    shown_tags_left_out,
    single_scenes,
)

if TYPE_CHECKING:
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
    built = make_schemes(schemes, metric=metric, direction=direction)
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
    )
    rows = np.arange(len(index), dtype=np.int64)
    found = {}
    for done, scheme in enumerate(built):

        def tell(row: int, before: int = done * len(index), name: str = scheme.name) -> None:
            progress(before + row, len(built) * len(index), f"{name}: ranking for each image")

        found[scheme.name] = judge.measure(
            partial(archive_rankings, index, scheme, rows, sharing_first=tags_overlap),
            {},
            tell,
            can_ask=can_ask(index, scheme, rows),
        )
    left_out = max((each.left_out for each in found.values()), default=0)
    graded_queries = max((each.graded_queries for each in found.values()), default=0)
    settings = {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    settings["scheme_options"] = {scheme.name: options_of(scheme) for scheme in built if options_of(scheme)}
    settings["images_sharing_no_class"] = "last" if tags_overlap else "ranked"
    if relevance == "jaccard":
        settings["jaccard_at"] = jaccard_at
    remarks = queries_left_out(left_out, relevance, scenes, tags) + graded_left_out(tags, graded_queries)
    cannot_ask = {name: each.cannot_ask for name, each in found.items()}
    remarks += cannot_ask_left_out(cannot_ask, len(index), index.settings.min_area)
    remarks += single_scenes(scenes) if relevance == "scene" else []
    remarks += cutoffs_left_out(cutoffs, judge.ranked, graded=judge.graded) + shown_tags_left_out(index)
    if relevance != "scene" and any(scenes):
        remarks.append("Figures by scene class are left out: an image is relevant by its tags.")
    return Evaluation(
        queries=len(index),
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
