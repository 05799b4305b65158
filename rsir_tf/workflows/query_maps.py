"""What queries found, on a map: the footprints of hits, or the outlines of their regions that matched."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rsir_tf.presentation.maps.geojson import Feature
from rsir_tf.wording import without_keys

if TYPE_CHECKING:
    import pyarrow as pa

    from rsir_tf.contract import Model
    from rsir_tf.ranking import Index
    from rsir_tf.workflows.query_results import RankedHits

Missing = Callable[[str, str], None]
"""Called with a hit's id, and why it is not on the map."""

NO_PLACE = "nothing says where on Earth it lies"


def hit_features(result: RankedHits, missing: Missing = lambda *_: None) -> Iterator[Feature]:
    """The footprints of a query's hits, nearest first.

    Args:
        result: Of the query.
        missing: Called for each hit without a place.

    Yields:
        Features with the properties query, rank, distance (null where it is infinite), id, scheme, scene, tags, path.
    """
    for number, hit in enumerate(result.hits):
        footprint = result.footprint(number)
        if footprint is None:
            missing(hit.id, NO_PLACE)
        else:
            yield Feature(footprint, _properties(result, number))


def region_features(
    result: RankedHits, index: Index, model: Model, missing: Missing = lambda *_: None
) -> Iterator[Feature]:
    """The outlines of the regions that matched, hit by hit, in the order of the query's regions.

    Args:
        result: Of a query whose scheme names matches.
        index: That was asked.
        model: The one that made the index: an index does not hold segmentations.
        missing: Called for each hit that cannot be drawn.

    Yields:
        Features with the properties of `hit_features`, and query_region, region, class, match_distance.

    Raises:
        MismatchError: A server holds another model than before.
        ModelError: The model does not answer.
    """
    from rsir_tf.presentation.maps.outlines import outlines
    from rsir_tf.workflows.hit_regions import look_again

    for number, seen in enumerate(look_again(result, index, model)):
        hit = result.hits[number]
        place = index.facts_of(hit.row).place
        if place is None or isinstance(seen, str):
            missing(hit.id, NO_PLACE if place is None else str(seen))
        elif not seen.as_indexed:
            missing(hit.id, "the model finds other regions in it than were indexed")
        else:
            shapes = outlines(seen.regions.labels, place, lonlat=True)
            for match in hit.matches:
                matched = {
                    "query_region": match.query_region,
                    "region": match.region,
                    "class": result.class_names[match.class_index],
                    "match_distance": match.distance,
                }
                yield Feature(shapes[match.region], {**_properties(result, number), **matched})


def table_fields(*, matched_regions: bool = False) -> pa.Schema:
    """The columns of the properties in GeoParquet.

    Args:
        matched_regions: Whether the features are those of `region_features`.
    """
    import pyarrow as pa

    whole, number, text = pa.int32(), pa.float64(), pa.string()
    fields = [("query", text), ("rank", whole), ("distance", number), ("id", text), ("scheme", text), ("scene", text)]
    fields += [("tags", pa.list_(text)), ("path", text), ("address", text)]
    if matched_regions:
        fields += [("query_region", whole), ("region", whole), ("class", text), ("match_distance", number)]
    return pa.schema(fields)


def _properties(result: RankedHits, number: int) -> dict[str, Any]:
    hit, (scene, tags) = result.hits[number], result.facts[number]
    return {
        "query": result.query.encode("utf-8", "backslashreplace").decode(),  # A file's name may be no text.
        "rank": number + 1,
        "distance": hit.distance if math.isfinite(hit.distance) else None,
        "id": hit.id,
        "scheme": result.scheme,
        "scene": scene,
        "tags": None if tags is None else list(tags),
        "path": without_keys(result.pictures[number].path),
        "address": without_keys(result.pictures[number].address),
    }
