"""What a query found, as plain data and as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from rsir_tf.contract import Prediction
    from rsir_tf.ranking import Hit, ImageFeatures, Scheme
    from rsir_tf.rasters import Source
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
        source: The query.
        footprints: The ground of each hit: WKB in longitude and latitude, cut at the antimeridian; None where it has no
            place.
        without_place: How many images of the index could be no hits because they have no place; 0 where hits were not
            limited to a part of the Earth.
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
    source: Source
    footprints: tuple[bytes | None, ...]
    without_place: int = 0

    def footprint(self, number: int) -> BaseGeometry | None:
        """The ground of a hit in longitude and latitude, cut at the antimeridian; None where it has no place.

        Args:
            number: Of the hit, from 0.
        """
        import shapely

        encoded = self.footprints[number]
        ground = None if encoded is None else shapely.from_wkb(encoded)
        return None if ground is None or ground.is_empty else ground

    def to_geojson(self) -> dict[str, Any]:
        """The footprints of the hits as a GeoJSON FeatureCollection (RFC 7946); hits without a place are not in it.

        Each feature has the properties query, rank, distance, id, scheme, scene, tags, path and
        address.
        """
        from rsir_tf.presentation.maps.geojson import feature_collection
        from rsir_tf.workflows.query_maps import hit_features

        return feature_collection(hit_features(self), {"queries": [self.query], "scheme": self.scheme})

    def to_json(self) -> dict[str, Any]:
        """As JSON types; an infinite distance (an image without regions) becomes null.

        The place of a hit is (west, south, east, north) of its footprint in degrees, null where it has none; west
        exceeds east across the antimeridian.
        """
        from rsir_tf.presentation.maps.geojson import lonlat_box

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
            ground = self.footprint(rank - 1)
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
                    "address": picture.address,
                    "problem": picture.problem,
                    "place": None if ground is None else list(lonlat_box(ground)),
                    "matches": matches,
                }
            )
        return {
            "query": self.query,
            "scheme": self.scheme,
            "exact": self.exact,
            "without_place": self.without_place,
            "regions": regions,
            "hits": hits,
        }
