"""From an index to retrieval figures: every image asks, all images are ranked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.evaluation import Evaluation, RankingMetrics, rank_error, relevance_by_scene, shared_tags, tag_matrix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.index import Index

SCHEMES = ("recnn", "recnn+")


def evaluate_index(
    index: Index,
    *,
    schemes: Sequence[str] = SCHEMES,
    relevance: str = "scene",
    anmrr_variant: str = "2ng",
    query_counts: bool = True,
    metric: str | None = None,
    direction: str = "query",
    tags_overlap: bool = False,
    intervals: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Let every image of an index be the query once and measure the rankings (paper, III.D).

    Args:
        index: From `rsir_tf.open_index`.
        schemes: "recnn", "recnn+".
        relevance: "scene": of the query's scene class, as in the paper; "tags": shares a tag with the query.
        anmrr_variant: A name of `rsir_tf.evaluation.ANMRR_VARIANTS`.
        query_counts: Whether the query itself is ranked and counts as relevant, as in the paper.
        metric: For "recnn+": "l1" (default), "l2" or "cosine".
        direction: For "recnn": "query" (Eq. 3) or "both" (the mean of Eq. 3 there and back).
        tags_overlap: Rank images last whose segmentation shares no class with the query's (paper, IV: the coarse
            filter by overlapping labels).
        intervals: Whether to add 95% bootstrap intervals over queries.
        progress: Called after each query.

    Raises:
        InputError: The index holds no image, or no scenes or tags to tell relevance by.
    """
    if len(index) == 0:
        raise InputError(f"{index.path}: holds no image", wanted="at least one")
    judge = judge_relevance(index.images.scenes, index.images.tags, relevance, str(index.path))
    scenes = index.images.scenes
    found, left_out, largest = {}, 0, None
    if rank_error.anmrr_variant(anmrr_variant).needs_largest:
        # Needed before the first query. A query that is not ranked is not relevant either.
        counts = [int(judge(row).sum()) - (not query_counts and bool(judge(row)[row])) for row in range(len(index))]
        largest = max(counts)
    for done, scheme in enumerate(schemes):
        started = time.perf_counter()
        metrics = RankingMetrics(variant=anmrr_variant, max_relevant=largest)
        own = {"direction": direction} if scheme == "recnn" else {"metric": metric}
        for row, distances in index.all_distances(scheme, share_classes=tags_overlap, **own):
            # Rows are in order of id: a stable sort breaks ties by id, as a search does.
            order = np.argsort(distances, kind="stable")
            if not query_counts:
                order = order[order != row]
            metrics.add(judge(row)[order], scene=scenes[row] if relevance == "scene" else None)
            if progress:
                progress(done * len(index) + row + 1, len(schemes) * len(index), f"{scheme}: ranking for each image")
        left_out = metrics.left_out
        costs = {"seconds a query": (time.perf_counter() - started) / len(index)}
        found[scheme] = replace(metrics.figures(intervals=intervals), costs=costs)
    settings = {key: value for key, value in index.settings.to_json().items() if key != "class_names"}
    settings["recnn+ metric"] = metric or "l1"
    settings["recnn direction"] = direction
    settings["images that share no class"] = "last" if tags_overlap else "ranked"
    return Evaluation(
        queries=len(index),
        archive=len(index) if query_counts else len(index) - 1,
        relevance=relevance,
        anmrr_variant=anmrr_variant,
        query_counts=query_counts,
        schemes=found,
        left_out=left_out,
        details=settings,
    )


def judge_relevance(
    scenes: Sequence[str | None], tags: Sequence[tuple[str, ...] | None], relevance: str, where: str
) -> Callable[[int], NDArray[np.bool_]]:
    """Give a function from a row to which images are relevant to it, bool [N].

    Args:
        scenes: [N], each image's scene class, where known.
        tags: [N], each image's tags, where known.
        relevance: "scene" or "tags".
        where: What the images are of, for the error's text.

    Raises:
        InputError: No image has a scene, or tags; or `relevance` is neither.
    """
    if relevance == "scene":
        known = np.array(scenes, dtype=object)
        if all(scene is None for scene in scenes):
            raise InputError(
                f"{where}: its images have no scene class",
                cure="use --relevance tags, or index an archive with one folder a scene",
            )
        nothing = np.zeros(len(scenes), dtype=np.bool_)
        return lambda row: nothing if scenes[row] is None else relevance_by_scene(known, str(scenes[row]))
    if relevance == "tags":
        if not any(tags):
            raise InputError(f"{where}: its images have no tags", cure="use --relevance scene")
        matrix, _ = tag_matrix(tags)
        return lambda row: shared_tags(matrix, matrix[row]) > 0
    raise InputError(f"relevance {relevance!r}", wanted="'scene' or 'tags'")
