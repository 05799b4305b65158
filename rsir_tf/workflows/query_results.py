"""What a query found, as plain data and as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rsir_tf.contract import Prediction
    from rsir_tf.ranking import Hit, ImageFeatures, Scheme
    from rsir_tf.regions import Regions
    from rsir_tf.workflows.hit_pictures import HitPicture


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query found.

    Attributes:
        query: The query's path or source, as given.
        scheme: The scheme's name.
        exact: Whether no other image of the index could be among the hits.
        image: uint8 [H, W, 3], the query as the model saw it.
        content_hash: Identity of its source's pixels.
        prediction: The model's answer for it.
        regions: Its m regions; `asked` and matches use their numbers.
        asked: The numbers of the query regions, ascending: all, or the chosen one; empty if the scheme asks with whole
            images.
        class_names: One per class index.
        hits: Nearest first.
        facts: Scene and tags of each hit.
        pictures: Where each hit's picture lies, and whether it is still what was indexed.
        features: What was asked with: the whole image, or the chosen region.
        ranking: The scheme with its options.
    """

    query: str
    scheme: str
    exact: bool
    image: NDArray[np.uint8]
    content_hash: str
    prediction: Prediction
    regions: Regions
    asked: tuple[int, ...]
    class_names: tuple[str, ...]
    hits: tuple[Hit, ...]
    facts: tuple[tuple[str | None, tuple[str, ...] | None], ...]
    pictures: tuple[HitPicture, ...]
    features: ImageFeatures
    ranking: Scheme

    def to_json(self) -> dict[str, Any]:
        """As JSON types; an infinite distance (an image without regions) becomes null."""
        regions = [
            {
                "region": number,
                "class": self.class_names[self.regions.classes[number]],
                "area": int(self.regions.areas[number]),
                "box": self.regions.boxes[number].tolist(),
            }
            for number in self.asked
        ]
        hits = []
        known = zip(self.hits, self.facts, self.pictures, strict=True)
        for rank, (hit, (scene, tags), picture) in enumerate(known, start=1):
            matches = [
                {
                    "query_region": match.query_region,
                    "region": match.region,
                    "distance": match.distance,
                    "class": self.class_names[match.class_index],
                    "box": list(match.box),
                }
                for match in hit.matches
            ]
            hits.append(
                {
                    "rank": rank,
                    "id": hit.id,
                    "distance": hit.distance if math.isfinite(hit.distance) else None,
                    "scene": scene,
                    "tags": None if tags is None else list(tags),
                    "path": picture.path,
                    "problem": picture.problem,
                    "matches": matches,
                }
            )
        return {"query": self.query, "scheme": self.scheme, "exact": self.exact, "regions": regions, "hits": hits}
