"""A query and its hits on one picture."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters import open_source, pixel_hash, resize_image
from rsir_tf.workflows.query_results import QueryResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.index import IndexSettings
    from rsir_tf.ranking import Index
    from rsir_tf.regions import Regions


def draw_query(
    result: QueryResult, index: Index, model: Model, *, colours: Sequence[tuple[int, int, int]]
) -> NDArray[np.uint8]:
    """Draw the query and its hits with outlines of what the model sees in them.

    Args:
        result: From `query_image`.
        index: The same.
        model: The same; it is asked for the hits' segmentations, which an index does not hold.
        colours: RGB of each class.

    Returns:
        uint8 [H, W, 3], RGB. A hit whose source is gone or shows something else by now is left out.

    Raises:
        MismatchError: A server holds another model than before.
        ModelError: The model does not answer.
    """
    from rsir_tf.presentation import SheetItem, contact_sheet

    hashes = index.images.content_hashes
    scenes = dict(zip(hashes, index.images.scenes, strict=True))
    query = SheetItem(
        id=Path(result.query).name,
        image=result.image,
        segmentation=result.prediction.segmentation,
        labels=result.regions.labels,
        scene=scenes.get(result.content_hash),
    )
    found = []
    for rank, (hit, (scene, tags)) in enumerate(zip(result.hits, result.facts, strict=True), start=1):
        with contextlib.suppress(InputError):
            pixels = open_source(index.images.paths[hit.row]).read()
            if pixel_hash(pixels) == hashes[hit.row]:
                found.append((rank, hit, scene, tags, resize_image(pixels, index.settings.resize)))
    predictions = model.predict([pixels for *_, pixels in found])
    items = []
    for (rank, hit, scene, tags, pixels), prediction in zip(found, predictions, strict=True):
        regions = _regions(prediction.segmentation, index.settings)
        # A match names regions by number: it is shown only where this answer cuts the image as the indexed one did.
        same = np.array_equal(regions.areas, index.regions_of(hit.row).areas)
        matches = [(match.query_region, match.region, match.distance) for match in hit.matches] if same else []
        items.append(
            SheetItem(
                id=hit.id,
                image=pixels,
                segmentation=prediction.segmentation,
                labels=regions.labels,
                scene=scene,
                tags=tags,
                rank=rank,
                distance=hit.distance,
                matches=matches,
            )
        )
    title = f"{result.scheme}: {len(items)} of {len(index)} images"
    return contact_sheet(query, items, class_names=index.settings.class_names, class_colours=colours, title=title)


def _regions(segmentation: NDArray[np.uint8], settings: IndexSettings) -> Regions:
    from rsir_tf.regions import connected_regions

    return connected_regions(segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
