"""A query and its hits on one picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters import MISSING, open_source, pixel_hash, resize_image
from rsir_tf.workflows.hit_pictures import CHANGED, GONE, UNREADABLE
from rsir_tf.workflows.query_results import QueryResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.index import IndexSettings
    from rsir_tf.ranking import Index
    from rsir_tf.regions import Regions


def draw_query(
    result: QueryResult,
    index: Index,
    model: Model,
    *,
    colours: Sequence[tuple[int, int, int]],
    missing: Callable[[str, str], None] = lambda *_: None,
) -> NDArray[np.uint8]:
    """Draw the query and its hits with outlines of the model's segmentations.

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
    from rsir_tf.presentation import SheetItem, contact_sheet, no_picture

    hashes = index.images.content_hashes
    scenes = dict(zip(hashes, index.images.scenes, strict=True))
    query = SheetItem(
        id=Path(result.query).name,
        image=result.image,
        segmentation=result.prediction.segmentation,
        labels=result.regions.labels,
        scene=scenes.get(result.content_hash),
    )
    items: list[SheetItem | None] = []
    drawn: list[tuple[int, NDArray[np.uint8]]] = []
    for place, (hit, (scene, tags), picture) in enumerate(zip(result.hits, result.facts, result.pictures, strict=True)):
        rank, pixels = place + 1, _pixels(index, hit.row, picture.path)
        if isinstance(pixels, str):
            entry = index.entry(hit.row)
            cross = no_picture(entry.height, entry.width)
            items.append(
                SheetItem(hit.id, cross, scene=scene, tags=tags, rank=rank, distance=hit.distance, remark=pixels)
            )
            missing(hit.id, f"{picture.path}: {pixels}")
        else:
            items.append(None)
            drawn.append((place, resize_image(pixels, index.settings.resize)))
    predictions = model.predict([pixels for _, pixels in drawn])
    for (place, pixels), prediction in zip(drawn, predictions, strict=True):
        hit, (scene, tags) = result.hits[place], result.facts[place]
        regions = _regions(prediction.segmentation, index.settings)
        # A match names regions by number: it is shown only if this answer has the same regions as the indexed one.
        same = np.array_equal(regions.areas, index.regions_of(hit.row).areas)
        matches = [(match.query_region, match.region, match.distance) for match in hit.matches] if same else []
        items[place] = SheetItem(
            id=hit.id,
            image=pixels,
            segmentation=prediction.segmentation,
            labels=regions.labels,
            scene=scene,
            tags=tags,
            rank=place + 1,
            distance=hit.distance,
            matches=matches,
        )
    shown = [item for item in items if item is not None]
    title = f"{result.scheme}: {len(shown)} of {len(index)} images"
    return contact_sheet(query, shown, class_names=index.settings.class_names, class_colours=colours, title=title)


def _pixels(index: Index, row: int, path: str) -> NDArray[np.uint8] | str:
    """The picture that was indexed, or why it cannot be drawn."""
    source = open_source(path)
    try:
        pixels = source.read()
    except InputError:
        return GONE if source.fingerprint == MISSING else UNREADABLE
    return pixels if pixel_hash(pixels) == index.facts_of(row).content_hash else CHANGED


def _regions(segmentation: NDArray[np.uint8], settings: IndexSettings) -> Regions:
    from rsir_tf.regions import connected_regions

    return connected_regions(segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
