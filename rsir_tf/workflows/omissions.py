"""Sentences that say what figures leave out, and why: without them, a report would claim more than was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.archives.labels import plain_name

if TYPE_CHECKING:
    from rsir_tf.ranking import Index

GRADED = "ACG, NDCG and WAP"


def queries_left_out(
    left_out: int,
    relevance: str,
    scenes: Sequence[str | None],
    tags: Sequence[Collection[str] | None],
) -> list[str]:
    """A line on queries without a relevant image, if there are any.

    Args:
        left_out: How many there are.
        relevance: "scene", "tags" or "jaccard".
        scenes: [N], each image's.
        tags: [N], each image's.
    """
    if not left_out:
        return []
    by_scene = relevance == "scene"
    unknown = sum(scene is None for scene in scenes) if by_scene else sum(not own for own in tags)
    what = "scene class" if by_scene else "tags"
    why = f" ({unknown} of them have no {what})" if unknown else ""
    return [f"{left_out:,} of {len(scenes):,} queries are in no figure: no ranked image is relevant to them{why}."]


def cannot_ask_left_out(cannot_ask: Mapping[str, int], queries: int, min_area: int) -> list[str]:
    """Lines on queries without a region, under schemes that ask with regions.

    Args:
        cannot_ask: Title of a scheme → how many of its queries have none.
        queries: How many there are.
        min_area: The smallest region that the index keeps, in pixels.
    """
    what = f"region of at least {min_area} pixels" if min_area else "region"
    return [
        f"{count:,} of {queries:,} queries are in no figure of {title}: they have no {what}."
        for title, count in cannot_ask.items()
        if count
    ]


def single_scenes(scenes: Sequence[str | None]) -> list[str]:
    """A line on scene classes of one image, if there are any.

    Args:
        scenes: [N], each image's.
    """
    images = Counter(scene for scene in scenes if scene is not None)
    single = sum(count == 1 for count in images.values())
    return [f"{single} scene classes have one image, which can find none but itself."] if single else []


def graded_left_out(tags: Sequence[Collection[str] | None], graded: int) -> list[str]:
    """A line on queries that no graded figure counts, if there are any.

    Args:
        tags: [N], each image's.
        graded: Queries that share a tag with a ranked image.
    """
    if not any(tags):
        return [f"{GRADED} are left out: the images have no tags."]
    if graded == len(tags):
        return []
    without = sum(not own for own in tags)
    why = f" ({without} have none)" if without else ""
    return [f"{GRADED} are over {graded:,} of {len(tags):,} queries: the others share no tag with a ranked image{why}."]


def cutoffs_left_out(cutoffs: Sequence[int], ranked: int, *, graded: bool) -> list[str]:
    """A line on cut-offs beyond the number of ranked images, if there are any."""
    names = [f"{name}@{k}" for name in ("P", *(("ACG",) if graded else ())) for k in sorted(cutoffs) if k > ranked]
    if not names:
        return []
    return [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} left out: only {ranked} images are ranked."]


def shown_tags_left_out(index: Index) -> list[str]:
    """A line on images whose tags are not compared with what their segmentation shows, if there are any."""
    tags, what = index.images.tags, "How well the segmentations show the images' tags"
    if not any(tags):
        return [f"{what} is left out: the images have no tags."]
    classes = {plain_name(name) for name in index.settings.class_names}
    all_tags = {tag for own in tags for tag in own or ()}
    strangers = sorted(tag for tag in all_tags if plain_name(tag) not in classes)
    if strangers:
        first = ", ".join(strangers[:5]) + (", …" if len(strangers) > 5 else "")
        return [f"{what} is left out: {len(strangers)} of {len(all_tags)} tags are no class of the model ({first})."]
    known = sum(own is not None for own in tags)
    if known == len(tags):
        return _absent_classes(index)
    unknown = f"{what} is over {known:,} of {len(tags):,} images: the tags of the others are not known."
    return [*_absent_classes(index), unknown]


def _absent_classes(index: Index) -> list[str]:
    """A line on classes that pull the macro averages of shown tags down, though no image could test them."""
    tagged = {plain_name(tag) for own in index.images.tags for tag in own or ()}
    known = [own is not None for own in index.images.tags]
    shown: list[bool] = np.any(index.shown_classes[known], axis=0).tolist()
    names = index.settings.class_names
    absent = [name for name, seen in zip(names, shown, strict=True) if not seen and plain_name(name) not in tagged]
    if not absent:
        return []
    return [
        f"The macro averages of shown tags count {len(absent)} of {len(names)} classes as 0, which no image is tagged "
        f"with and no segmentation shows: {', '.join(absent)}."
    ]
