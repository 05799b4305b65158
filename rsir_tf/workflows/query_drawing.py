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
    hashes = index.images.content_hashes
    scenes = dict(zip(hashes, index.images.scenes, strict=True))
    query = SheetItem(
        id=Path(result.query).name,
        image=result.image,
        segmentation=result.prediction.segmentation,
        labels=result.regions.labels,
        scene=scenes.get(result.content_hash),
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


def _resized(ground: Ground | None, result: QueryResult) -> Ground | None:
    """The ground of the query in pixels of what the model saw of it."""
    return None if ground is None else ground.scaled(result.image.shape[1] / result.source.shape[1])
