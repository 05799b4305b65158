"""From labels on a grid to polygons that share their borders: a coverage, without gaps and overlaps.

GDAL follows the borders. It keeps the corners of each polygon alone, so that where two areas meet at a straight side of
a third, the third would have no vertex, and moving all vertices to another coordinate system would tear the three
apart. So each polygon here gets a vertex at every node of the grid that lies on its border, and nodes are a property of
the grid, not of one polygon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.presentation.maps.earth_rings import closed, earth_polygons, poles_of, spacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.rasters import Place

BEND = 64
"""Pixels, a power of two: in lon/lat, a straight side has a vertex at least this often; it may be an arc there."""

_BATCH = 400_000  # pixels of border that are looked at together: 40 MB


@dataclass(frozen=True)
class Nodes:
    """The points of a grid of labels at which borders bend or meet: all but those with a straight border or none.

    Attributes:
        bits: uint8 [H + 1, ⌈(W + 1) / 8⌉], one bit a grid point. Point (row, column) is the upper left corner of the
            pixel of that name.
    """

    bits: NDArray[np.uint8]

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether points are nodes: bool [n], of int [n] and int [n]."""
        return np.asarray((self.bits[rows, columns >> 3] >> (7 - (columns & 7))) & 1, np.bool_)


def find_nodes(strips: Iterable[NDArray[Any]], height: int, width: int) -> Nodes:
    """Find the nodes of a grid of labels.

    Args:
        strips: The labels, whole numbers [h, W] of at least 0, from top to bottom; each is needed only once.
        height: H of all.
        width: W.
    """
    bits = np.zeros((height + 1, (width + 8) // 8), np.uint8)
    above = np.full((1, width + 2), -1, np.int32)  # beyond the border lies a label that no pixel has
    row = 0
    for strip in strips:
        block = np.concatenate([above, np.pad(strip.astype(np.int32), ((0, 0), (1, 1)), constant_values=-1)])
        bits[row : row + len(strip)] = _nodes(block)
        above, row = block[-1:], row + len(strip)
    bits[height:] = _nodes(np.concatenate([above, np.full_like(above, -1)]))
    return Nodes(bits)


def _nodes(block: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Of [h + 1, W + 2] labels, whether the [h, W + 1] points between them are nodes, as bits."""
    across, down = block[:, 1:] == block[:, :-1], block[1:] == block[:-1]
    straight = (across[1:] & across[:-1]) | (down[:, 1:] & down[:, :-1])
    return np.packbits(~straight, axis=1)


def outlines(labels: NDArray[Any], place: Place | None = None, *, lonlat: bool = False) -> NDArray[np.object_]:
    """Give the outline of each label.

    Args:
        labels: Whole numbers [H, W]: 0 where there is nothing, otherwise 1..m, such as `Regions.labels`.
        place: Where the labels lie; None leaves coordinates in pixels, x to the right and y down from the upper left
            corner of the first pixel.
        lonlat: Whether coordinates are degrees of longitude and latitude (WGS 84) instead of the place's own.

    Returns:
        shapely geometries [m]; row i is the area of label i + 1 as a Polygon with its holes, a MultiPolygon where it
        has several parts (those that touch at corners alone are several), or an empty Polygon where no pixel has the
        label. Exteriors are counter-clockwise. Neighbours have the same vertices along the border that they share
        (but not where both sides of an image that goes around the whole Earth meet).
        In lon/lat, an area across the antimeridian is cut there, one around a pole reaches to latitude 90 or -90, and
        some have no outline: see `earth_polygons`.

    Raises:
        InputError: The labels are no such array, or lon/lat is asked for without a place.
    """
    import shapely

    if labels.ndim != 2 or labels.dtype.kind not in "iu" or labels.size == 0 or labels.min() < 0:
        raise InputError(f"labels are {labels.dtype} {list(labels.shape)}", wanted="whole numbers from 0, [H, W]")
    found = np.full(int(labels.max()), shapely.Polygon(), np.object_)
    nodes = find_nodes([labels], *labels.shape)
    values, polygons = [], []
    for value, polygon in areas(labels.astype(np.int32), nodes, place, lonlat=lonlat):
        values.append(value)
        polygons.append(polygon)
    parts, owners = shapely.get_parts(np.array(polygons, np.object_), return_index=True)
    owners = np.array(values, np.int64)[owners] - 1
    order = np.argsort(owners, kind="stable")
    several = np.bincount(owners, minlength=len(found)) > 1
    alone = ~several[owners]
    found[owners[alone]] = parts[alone]
    order = order[several[owners[order]]]
    shapely.multipolygons(parts[order], indices=owners[order], out=found)
    if lonlat:  # Areas at the two ends of an image that goes around the whole Earth have a side in common.
        for index in np.flatnonzero(~shapely.is_valid(found)):
            found[index] = shapely.orient_polygons(shapely.union_all(shapely.get_parts(found[index])))
    return found


def areas(
    labels: Any, nodes: Nodes, place: Place | None = None, *, nothing: int = 0, lonlat: bool = False
) -> Iterator[tuple[int, Any]]:
    """Follow the borders of all areas: pixels of one label that are connected along their sides.

    Args:
        labels: int16, int32, uint8 or uint16 [H, W]; or `rasterio.band(dataset, 1)` of a dataset without a place, which
            is read row by row.
        nodes: Of the same labels.
        place: As for `outlines`.
        nothing: The label of pixels that belong to no area.
        lonlat: As for `outlines`.

    Yields:
        (label, shapely Polygon), as `outlines` has them: a MultiPolygon where the antimeridian cuts it, and empty where
        it has no outline.

    Raises:
        InputError: Lon/lat is asked for without a place.
    """
    from rasterio.features import shapes

    if lonlat and place is None:
        raise InputError("an image without a place has no longitude and latitude")
    rings: list[NDArray[np.int64]] = []
    owners: list[int] = []
    values: list[int] = []
    waiting = 0
    for geometry, value in shapes(labels, connectivity=4):
        if int(value) == nothing:
            continue
        for ring in geometry["coordinates"]:
            rings.append(np.array(ring, np.int64))
            owners.append(len(values))
            waiting += int(np.abs(np.diff(rings[-1], axis=0)).sum())
        values.append(int(value))
        if waiting >= _BATCH:
            yield from zip(values, _polygons(rings, owners, nodes, place, lonlat), strict=True)
            rings, owners, values, waiting = [], [], [], 0
    if values:
        yield from zip(values, _polygons(rings, owners, nodes, place, lonlat), strict=True)


def _polygons(
    rings: list[NDArray[np.int64]], owners: list[int], nodes: Nodes, place: Place | None, lonlat: bool
) -> NDArray[np.object_]:
    owner = np.array(owners)
    if place is not None and lonlat:
        poles = poles_of(place)
        points, ring_of_point = _along(rings, nodes, lambda some: spacing(place, poles, some, BEND))
        return earth_polygons(points.astype(np.float64), ring_of_point, owner, place, poles)
    points, ring_of_point = _along(rings, nodes)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    if place is not None:
        a, b, c, d, e, f = place.transform
        x, y = a * x + b * y + c, d * x + e * y + f
    return closed(x, y, ring_of_point, owner)


def _along(
    rings: list[NDArray[np.int64]], nodes: Nodes, every: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give rings a vertex at each node that they pass: points [n, 2] (x, y), and the ring of each [n].

    Args:
        rings: int [k, 2] each, (x, y) in pixels; the last point is the first, and all sides are level or upright.
        nodes: Of the grid.
        every: Pixels [n], at points [n, 2]; sides have a vertex wherever the grid's row or column is a multiple of it,
            too.
    """
    lengths = np.array([len(ring) for ring in rings])
    begins = np.concatenate(rings)
    follows = np.roll(begins, -1, axis=0)
    ring_of_side = np.repeat(np.arange(len(rings)), lengths)
    last = np.zeros(len(begins), np.bool_)
    last[np.cumsum(lengths) - 1] = True
    begins, sides, ring_of_side = begins[~last], (follows - begins)[~last], ring_of_side[~last]
    steps = np.abs(sides).sum(axis=1)
    side_of_point = np.repeat(np.arange(len(sides)), steps)
    taken = np.arange(int(steps.sum())) - np.repeat(np.cumsum(steps) - steps, steps)
    points = begins[side_of_point] + np.sign(sides)[side_of_point] * taken[:, None]
    kept = nodes.at(points[:, 1], points[:, 0])
    if every is not None:
        upright = sides[:, 1] != 0
        kept |= np.where(upright[side_of_point], points[:, 1], points[:, 0]) % every(points) == 0
    points, ring_of_point = points[kept], ring_of_side[side_of_point[kept]]
    # The first point of each ring once more, after its last one.
    ends = np.flatnonzero(np.diff(ring_of_point, append=-1)) + 1
    firsts = np.concatenate([[0], ends[:-1]])
    return np.insert(points, ends, points[firsts], axis=0), np.insert(ring_of_point, ends, ring_of_point[firsts])
