"""The regions of an image as outlines that a page can draw and point at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rsir_tf.presentation.badges import BADGE_COLOURS, largest_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rsir_tf.regions import Regions


@dataclass(frozen=True, slots=True)
class ShownRegion:
    """A region of an image.

    Attributes:
        region: Its number, from 0.
        name: Of its class.
        index: Of its class.
        share: Of the image's area, 0 to 1.
        outline: As the path of an SVG drawing whose unit is a pixel, with holes by the even-odd rule.
    """

    region: int
    name: str
    index: int
    share: float
    outline: str

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "region": self.region,
            "class": self.name,
            "class_index": self.index,
            "share": self.share,
            "outline": self.outline,
        }


def shown_regions(regions: Regions, class_names: Sequence[str]) -> list[ShownRegion]:
    """Give the outlines of regions.

    Args:
        regions: Of an image.
        class_names: One per class index.
    """
    from rsir_tf.presentation.maps.outlines import outlines

    shapes = outlines(regions.labels)
    return [
        ShownRegion(
            number,
            class_names[regions.classes[number]],
            int(regions.classes[number]),
            float(regions.areas[number]) / regions.labels.size,
            svg_path(shape),
        )
        for number, shape in enumerate(shapes.tolist())
    ]


def svg_path(shape: Any) -> str:
    """The outline of a polygon or several, in whole pixels, as the path of an SVG drawing.

    Args:
        shape: A shapely Polygon or MultiPolygon.
    """
    import shapely

    parts = []
    for polygon in shapely.get_parts(shape).tolist():
        for ring in (polygon.exterior, *polygon.interiors):
            points = [f"{x:g} {y:g}" for x, y in shapely.get_coordinates(ring)[:-1].tolist()]
            parts.append("M" + "L".join(points) + "Z")
    return "".join(parts)


def region_colours(labels: NDArray[Any], count: int) -> list[str]:
    """A colour for each region, "#rrggbb": those of badges, the largest region first, which repeat.

    Args:
        labels: int32 [H, W], 0 for no region, otherwise 1..m.
        count: Of the regions, m.
    """
    found = ["#ffffff"] * count
    for rank, region in enumerate(largest_regions(labels, count)):
        found[region - 1] = "#{:02x}{:02x}{:02x}".format(*BADGE_COLOURS[rank % len(BADGE_COLOURS)])
    return found
