"""What a query found, as plain data and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rsir_tf.ranking import described, options_of
from rsir_tf.ranking.content import class_numbers
from rsir_tf.workflows.hit_pictures import look_up

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from rsir_tf.contract import Prediction
    from rsir_tf.ranking import Answer, Hit, ImageFeatures, Index, Scheme
    from rsir_tf.rasters import Source
    from rsir_tf.regions import Regions
    from rsir_tf.workflows.hit_pictures import HitPicture
    from rsir_tf.workflows.proposing import Proposed


@dataclass(frozen=True, slots=True)
class Examples:
    """Which examples asked together with a query image, or instead of one.

    Attributes:
        likes: Ids in the index, or paths of further query images, of what hits shall be like.
        unlikes: Ids in the index of what they shall not be like; these images are no hits.
        method: How the examples ask together, one of `rsir_tf.ranking.EXAMPLE_METHODS`.
    """

    likes: tuple[str, ...]
    unlikes: tuple[str, ...]
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedHits:
    """Images of an index that were found, nearest first; of a search without a query image, this is the result.

    Attributes:
        query: The query's path or source, as given; without a query image, what was asked for in words.
        scheme: The scheme's name.
        exact: Whether no other image of the index could be among the hits.
        class_names: One per class index.
        hits: Nearest first.
        facts: Scene and tags of each hit.
        pictures: Where each hit's picture lies, and whether it is still what was indexed.
        ranking: The scheme with its options.
        footprints: The ground of each hit: WKB in longitude and latitude, cut at the antimeridian; None where it has no
            place.
        without_place: How many images of the index could be no hits because they have no place; 0 where hits were not
            limited to a part of the Earth.
        examples: Which examples asked; None where one image asked alone.
        shows: The classes that hits have to show, each with the least share of the area; empty where there is no such
            limit.
        shares: The shares of these classes in each hit, in the same order.
        never_shown: Those of these classes that no image of the index shows.
        proposed: What is known of the images that a vector database proposed; None where all were searched.
        remarks: What is worth telling of how query images were read, one line each.
    """

    query: str
    scheme: str
    exact: bool
    class_names: tuple[str, ...]
    hits: tuple[Hit, ...]
    facts: tuple[tuple[str | None, tuple[str, ...] | None], ...]
    pictures: tuple[HitPicture, ...]
    ranking: Scheme
    footprints: tuple[bytes | None, ...]
    without_place: int = 0
    examples: Examples | None = None
    shows: Mapping[str, float] = field(default_factory=dict)
    shares: tuple[tuple[float, ...], ...] = ()
    never_shown: tuple[str, ...] = ()
    proposed: Proposed | None = None
    remarks: tuple[str, ...] = ()

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
            shown = {"shares": dict(zip(self.shows, self.shares[rank - 1], strict=True))} if self.shows else {}
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
                    **shown,
                }
            )
        return {
            "query": self.query,
            "scheme": self.scheme,
            "scheme_options": options_of(self.ranking),
            "ranking": described(self.ranking),
            **({"examples": {**asdict(self.examples), "matches_with": self._matched}} if self.examples else {}),
            **({"shows": dict(self.shows)} if self.shows else {}),
            "exact": self.exact,
            **({"candidates": self.proposed.to_json()} if self.proposed else {}),
            "without_place": self.without_place,
            "regions": self._asked_regions(),
            "hits": hits,
        }

    @property
    def _matched(self) -> str:
        """The example whose regions are matched with those of hits: the query image, or the first liked one."""
        return self.examples.likes[0] if self.examples else self.query

    def _asked_regions(self) -> list[dict[str, Any]]:
        """The regions of the query image, or the one that was picked; there are none without an image."""
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult(RankedHits):
    """What a query image found.

    Attributes:
        image: uint8 [H, W, 3], the query as the model saw it.
        content_hash: Identity of its source's pixels.
        prediction: The model's answer for it.
        regions: Its m regions; `asked` and matches use their numbers.
        asked: The numbers of the query regions, ascending: all, or the chosen one; empty if the scheme asks with whole
            images.
        features: What was asked with: the whole image, or the chosen region.
        source: The query.
    """

    image: NDArray[np.uint8]
    content_hash: str
    prediction: Prediction
    regions: Regions
    asked: tuple[int, ...]
    features: ImageFeatures
    source: Source

    @property
    def _matched(self) -> str:
        return self.query

    def _asked_regions(self) -> list[dict[str, Any]]:
        return [
            {
                "region": number,
                "class": self.class_names[self.regions.classes[number]],
                "area": int(self.regions.areas[number]),
                "box": self.regions.boxes[number].tolist(),
            }
            for number in self.asked or range(len(self.regions))
        ]


def ranked_hits(
    index: Index,
    answer: Answer,
    *,
    shows: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """What a result says of the images that a search found, as fields of `RankedHits`.

    Args:
        index: That was searched.
        answer: Of the search.
        shows: The classes that hits have to show.
    """
    scenes, tags = index.images.scenes, index.images.tags
    entries = [index.entry(hit.row) for hit in answer.hits]
    numbers = class_numbers(index, shows or {})
    shares = [
        [entry.areas[entry.classes == at].sum() / max(1, entry.areas.sum()) for at in numbers] for entry in entries
    ]
    return {
        "exact": answer.exact,
        "class_names": index.settings.class_names,
        "hits": answer.hits,
        "facts": tuple((scenes[hit.row], tags[hit.row]) for hit in answer.hits),
        "pictures": tuple(look_up(index, hit.row) for hit in answer.hits),
        "footprints": tuple(entry.footprint for entry in entries),
        "never_shown": tuple(
            name for name, at in zip(shows or (), numbers, strict=True) if not index.shown_classes[:, at].any()
        ),
        "shows": dict(shows or {}),
        "shares": tuple(map(tuple, shares)) if numbers else (),
    }
