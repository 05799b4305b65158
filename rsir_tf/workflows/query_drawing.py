"""A query and its hits on one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsir_tf.workflows.hit_regions import look_again
from rsir_tf.workflows.query_results import QueryResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.presentation import Ground
    from rsir_tf.ranking import Index


def draw_query(
    result: QueryResult,
    index: Index,
    model: Model,
    *,
    colours: Sequence[tuple[int, int, int]],
    missing: Callable[[str, str], None] = lambda *_: None,
) -> NDArray[np.uint8]:
    """Draw the query and its hits with outlines of the model's segmentations.

    Where an image's place is known, it has a scale bar and an arrow to the north.

    Args:
        result: From `query_image`.
        index: The same.
        model: The same; it computes the hits' segmentations, which an index does not have.
        colours: RGB of each class.
        missing: Called with the id of each hit whose picture is gone or has changed, and why.

    Returns:
        uint8 [H, W, 3], RGB. A missing picture is replaced by a cross with the reason below it.

    Raises:
        MismatchError: A server holds another model than before.
        ModelError: The model does not answer.
    """
    from rsir_tf.presentation import SheetItem, contact_sheet, ground_of, no_picture

    place = result.source.place
    query = SheetItem(
        id=Path(result.query).name,
        image=result.image,
        segmentation=result.prediction.segmentation,
        labels=result.regions.labels,
        scene=query_scene(result, index),
        ground=None if place is None else _resized(ground_of(place, result.source.shape), result),
    )
    items = []
    seen = look_again(result, index, model)
    for rank, (hit, (scene, tags), picture, view) in enumerate(
        zip(result.hits, result.facts, result.pictures, seen, strict=True), start=1
    ):
        facts: dict[str, Any] = {"scene": scene, "tags": tags, "rank": rank, "distance": hit.distance}
        if isinstance(view, str):
            entry = index.entry(hit.row)
            items.append(SheetItem(hit.id, no_picture(entry.height, entry.width), **facts, remark=view))
            missing(hit.id, f"{picture.path}: {view}")
            continue
        place = index.images.places[hit.row]
        matches = [(match.query_region, match.region, match.distance) for match in hit.matches]
        items.append(
            SheetItem(
                id=hit.id,
                image=view.image,
                segmentation=view.segmentation,
                labels=view.regions.labels,
                **facts,
                matches=matches if view.as_indexed else [],
                ground=None if place is None else ground_of(place, view.image.shape),
            )
        )
    title = f"{result.scheme}: {len(items)} of {len(index)} images"
    return contact_sheet(query, items, class_names=index.settings.class_names, class_colours=colours, title=title)


def query_scene(result: QueryResult, index: Index) -> str | None:
    """The scene class of a query: its own where it is an image of the index, or that of all images with its pixels.

    Args:
        result: From `query_image`.
        index: The same.

    Returns:
        None where the index has no such pixels, has them in several scenes and none of these files is the query, or
        does not know the scene.
    """
    images = index.images
    equal = [row for row, content in enumerate(images.content_hashes) if content == result.content_hash]
    own = [row for row in equal if images.paths[row] == result.source.address]
    scenes = {images.scenes[row] for row in own or equal}
    return scenes.pop() if len(scenes) == 1 else None


def _resized(ground: Ground | None, result: QueryResult) -> Ground | None:
    """The ground of the query in pixels of what the model saw of it."""
    return None if ground is None else ground.scaled(result.image.shape[1] / result.source.shape[1])
