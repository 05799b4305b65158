"""What a search with query images is asked beside the images: one set of options for one image, several or many."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsir_tf.ranking import DEFAULT_SCHEME, Scheme

if TYPE_CHECKING:
    from rsir_tf.ranking import Candidates
    from rsir_tf.workflows.geographic_limits import GeographicLimits
    from rsir_tf.workflows.proposing import Proposals
    from rsir_tf.workflows.query_windows import QueryWindow


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """The options of `query_image`, `query_images` and `query_together`.

    Attributes:
        scheme: "recnn" (Eq. 3 over regions), "recnn+" (one vector an image), or any other `rsir_tf.ranking.Scheme`.
        top: How many hits at most; None gives all that lie `within`.
        within: The largest distance of a hit; what lies farther away is no hit.
        metric: For "recnn+": "l1" (default), "l2" or "cosine", which is the default with further examples.
        direction: For "recnn": "query" (Eq. 3, the default) or "both" (the mean of Eq. 3 in both directions).
        vectors: For "recnn" and "irm": "unit" or "raw"; None takes the default, "raw" and "unit".
        tags_overlap: Leave out images whose segmentation shares no class with the query's (paper, IV: the coarse filter
            by overlapping labels), or with the region's.
        likes: Ids of images of the index that hits shall be like too.
        unlikes: Ids of images that hits shall be unlike; these images are no hits.
        method: How these examples and the query ask together: "rocchio" or "classifier"; see
            `rsir_tf.ranking.examples`.
        shows: Classes that hits have to show, each with the least share of the area; see `showing_classes`.
        limits: Where on Earth hits may lie; None for anywhere or nowhere known.
        among: Which images may be hits, besides all other limits; None for all.
        proposals: A vector database that proposes images, of which the hits are the nearest; None searches them all.
        part: Which part of the image asks, where it is a scene; None for all of it. A picked point counts from its
            corner.
        reading: Fields of `rsir_tf.rasters.Recipe`, and "tile_names", that images are read by and not as the index's.
        asked: Settings that the index must have ("connectivity", "min_area", "convention", "pooling", "resize"); None
            for any.
    """

    scheme: str | Scheme = DEFAULT_SCHEME
    top: int | None = 10
    within: float = math.inf
    metric: str | None = None
    direction: str | None = None
    vectors: str | None = None
    tags_overlap: bool = False
    likes: Sequence[str] = ()
    unlikes: Sequence[str] = ()
    method: str = "rocchio"
    shows: Mapping[str, float] | None = None
    limits: GeographicLimits | None = None
    among: Candidates | None = None
    proposals: Proposals | None = None
    part: QueryWindow | None = None
    reading: Mapping[str, Any] | None = None
    asked: Mapping[str, Any] | None = None


def search_options(options: SearchOptions | None, named: Mapping[str, Any]) -> SearchOptions:
    """These options, with the ones that are named in their place.

    Args:
        options: None for the defaults.
        named: Name of a field of `SearchOptions` → its value.

    Raises:
        TypeError: There is no such option.
    """
    return dataclasses.replace(options or SearchOptions(), **named)
