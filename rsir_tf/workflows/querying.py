"""From an image to ranked hits, and a contact sheet of them."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.imagery import pixel_hash, read_image
from rsir_tf.index import Hit, Index, IndexSettings
from rsir_tf.workflows.describing import describe_prediction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rsir_tf.regions import Regions
    from rsir_tf.serving.contract import Model, Prediction


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query found.

    Attributes:
        query: The query's path, as given.
        scheme: "recnn" or "recnn+".
        image: uint8 [H, W, 3], the query.
        prediction: What the model answered for it.
        classes: int [m], class index of each of its regions.
        hits: Nearest first.
        facts: Scene and tags of each hit.
    """

    query: str
    scheme: str
    image: NDArray[np.uint8]
    prediction: Prediction
    classes: NDArray[np.int32]
    hits: tuple[Hit, ...]
    facts: tuple[tuple[str | None, tuple[str, ...] | None], ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON types; an infinite distance (an image without regions) becomes null."""
        hits = []
        for rank, (hit, (scene, tags)) in enumerate(zip(self.hits, self.facts, strict=True), start=1):
            matches = [
                {"query_region": match.query_region, "region": match.region, "distance": match.distance}
                for match in hit.matches
            ]
            hits.append(
                {
                    "rank": rank,
                    "id": hit.id,
                    "distance": hit.distance if math.isfinite(hit.distance) else None,
                    "scene": scene,
                    "tags": None if tags is None else list(tags),
                    "matches": matches,
                }
            )
        return {"query": self.query, "scheme": self.scheme, "exact": True, "hits": hits}


def query_image(
    image: Path,
    index: Index,
    model: Model,
    *,
    scheme: str = "recnn+",
    top: int = 10,
    metric: str | None = None,
    tags_overlap: bool = False,
    asked: dict[str, Any] | None = None,
) -> QueryResult:
    """Find the images of an index that show what an image shows.

    Args:
        image: The query's file.
        index: From `rsir_tf.open_index`.
        model: The one that made the index.
        scheme: "recnn" (Eq. 3 over regions) or "recnn+" (one vector an image).
        top: How many hits.
        metric: For "recnn+": "l1" (default), "l2" or "cosine".
        tags_overlap: Leave out images whose segmentation shares no class with the query's (paper, IV: the coarse filter
            by overlapping labels).
        asked: Settings that the caller insists on ("connectivity", "min_area", "convention"); the index must
            have the same.

    Raises:
        InputError: The image cannot be used, or has no region under "recnn".
        MismatchError: The model, or a setting asked for, is not what the index was made with; both are named.
        ModelError: The model does not answer.
    """
    pixels = read_image(image)
    description = model.describe()
    own = {
        name: getattr(index.settings, name) for name in ("connectivity", "min_area", "convention", "dtype", "channels")
    }
    wanted = IndexSettings(description.model_id, description.class_names, **{**own, **(asked or {})})
    index.settings.require_equal(wanted, whose="the query")
    prediction = model.predict([pixels])[0]
    known = index.find_content(pixel_hash(pixels))
    # Equal pixels get the very descriptors that the index holds, so that their distance is 0 and not a rounding error:
    # a batch of another size adds up in another order.
    described = describe_prediction(prediction, index.settings)
    classes = described.regions.classes if known is None else known.classes
    recnn, recnn_plus = (described.recnn, described.recnn_plus) if known is None else (known.recnn, known.recnn_plus)
    if scheme == "recnn" and len(recnn) == 0:
        raise InputError(
            f"{image}: has no region of at least {index.settings.min_area} pixels", cure="use --scheme recnn+"
        )
    shared = sorted({int(value) for value in classes}) if tags_overlap else None
    features = recnn if scheme == "recnn" else recnn_plus
    hits = tuple(index.search(features, scheme=scheme, top=top, metric=metric, share_classes=shared))
    scenes, tags = index.images.scenes, index.images.tags
    facts = tuple((scenes[hit.row], tags[hit.row]) for hit in hits)
    return QueryResult(str(image), scheme, pixels, prediction, classes, hits, facts)


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
        uint8 [H, W, 3], RGB. A hit whose file is gone or shows something else by now is left out.

    Raises:
        ModelError: The model does not answer.
    """
    from rsir_tf.evaluation import SheetItem, contact_sheet

    query_regions = _regions(result.prediction.segmentation, index.settings)
    hashes = index.images.content_hashes
    scenes = dict(zip(hashes, index.images.scenes, strict=True))
    query = SheetItem(
        id=Path(result.query).name,
        image=result.image,
        segmentation=result.prediction.segmentation,
        labels=query_regions.labels,
        scene=scenes.get(pixel_hash(result.image)),
    )
    found = []
    for rank, (hit, (scene, tags)) in enumerate(zip(result.hits, result.facts, strict=True), start=1):
        with contextlib.suppress(InputError):
            pixels = read_image(index.images.paths[hit.row])
            if pixel_hash(pixels) == hashes[hit.row]:
                found.append((rank, hit, scene, tags, pixels))
    predictions = model.predict([pixels for *_, pixels in found])
    items = []
    for (rank, hit, scene, tags, pixels), prediction in zip(found, predictions, strict=True):
        regions = _regions(prediction.segmentation, index.settings)
        # A match names regions by number: it is shown only where this answer cuts the image as the indexed one did.
        same = np.array_equal(regions.areas, index.regions_of(hit.row).areas)
        same &= np.array_equal(query_regions.classes, result.classes)
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
