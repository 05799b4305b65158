"""The regions of hits, of which an index keeps no outlines: the model is asked for them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.rasters import MISSING, content_hash, open_source, read_pixels, resize_pixels
from rsir_tf.regions import Regions, connected_regions
from rsir_tf.workflows.describing import void_where
from rsir_tf.workflows.hit_pictures import CHANGED, GONE, UNREADABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Pixels
    from rsir_tf.workflows.query_results import RankedHits


@dataclass(frozen=True, slots=True, eq=False)
class SeenAgain:
    """A hit's picture, and what the model sees in it.

    Attributes:
        image: uint8 [H, W, 3], as the model saw it.
        segmentation: uint8 [H, W]; 255, of no class, where the picture shows nothing.
        regions: Its regions, by the index's settings.
        as_indexed: Whether they are those of the index, so that a match's number names one of them.
    """

    image: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    regions: Regions
    as_indexed: bool


def look_again(result: RankedHits, index: Index, model: Model) -> list[SeenAgain | str]:
    """Show the hits of a query to the model once more.

    Args:
        result: Of the query.
        index: That was asked.
        model: The one that made it.

    Returns:
        For each hit what was seen, or why its picture is not what was indexed.

    Raises:
        MismatchError: A server holds another model than before.
        ModelError: The model does not answer.
    """
    return look_at([hit.row for hit in result.hits], index, model)


def look_at(rows: Sequence[int], index: Index, model: Model) -> list[SeenAgain | str]:
    """Show images of an index to the model once more; as `look_again`, for images by their rows."""
    read = [_pixels(index, row, index.address_of(row)) for row in rows]
    images = [resize_pixels(each, index.settings.resize) for each in read if not isinstance(each, str)]
    answers = iter(zip(images, model.predict([image.values for image in images]), strict=True))
    seen: list[SeenAgain | str] = []
    for row, pixels in zip(rows, read, strict=True):
        if isinstance(pixels, str):
            seen.append(pixels)
            continue
        image, prediction = next(answers)
        segmentation, settings = prediction.segmentation, index.settings
        if image.valid is not None:
            segmentation = void_where(segmentation, ~image.valid)
        regions = connected_regions(segmentation, connectivity=settings.connectivity, min_area=settings.min_area)
        same = np.array_equal(regions.areas, index.regions_of(row).areas)
        seen.append(SeenAgain(image.values, segmentation, regions, same))
    return seen


def _pixels(index: Index, row: int, path: str) -> Pixels | str:
    """The picture that was indexed, or why it cannot be shown."""
    source = open_source(path)
    try:
        pixels = read_pixels(source)
    except InputError:
        return GONE if source.fingerprint == MISSING else UNREADABLE
    return pixels if content_hash(pixels) == index.facts_of(row).content_hash else CHANGED
