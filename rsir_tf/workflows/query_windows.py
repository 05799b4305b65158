"""Which part of a scene asks: a window in pixels, around a point, or of a box in longitude and latitude."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.presentation.maps.geojson import lonlat_box
from rsir_tf.rasters import (
    MAX_PIXELS,
    MIN_SIDE,
    Reading,
    Recipe,
    Source,
    footprint,
    lonlat_to_pixel,
    open_source,
    windows_of,
)
from rsir_tf.workflows.geographic_limits import check_lonlat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Place, RasterSource

T = TypeVar("T")

EDGE = 64
"""Points of each side of a box."""


@dataclass(frozen=True, slots=True)
class QueryWindow:
    """A part of a scene; one of the first three at most.

    Attributes:
        window: (x, y, width, height) in pixels of the scene as it is read, from its top left corner.
        lonlat: (longitude, latitude) of a point, degrees: the window of `tile` pixels a side around it, which is
            shifted inwards at the scene's border; or, where the index's windows lie on a common grid, the one of this
            grid that shows the point.
        bbox: (west, south, east, north), degrees: the smallest window that holds what the scene has of this box; west
            exceeds east across the antimeridian.
        tile: Pixels a side; None takes those of the index's windows.

    Raises:
        InputError: More than one is given, or there is no such place.
    """

    window: tuple[int, int, int, int] | None = None
    lonlat: tuple[float, float] | None = None
    bbox: tuple[float, float, float, float] | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.window, self.lonlat, self.bbox)) > 1:
            raise InputError("a window is named more than once", wanted="one of --window, --lonlat and --bbox")
        if self.tile is not None and self.lonlat is None:
            raise InputError("the side of a window is given without its place", wanted="--lonlat with --tile")
        if self.window is not None and not (min(self.window[:2]) >= 0 and min(self.window[2:]) >= MIN_SIDE):
            raise InputError(
                f"the window is {self.window}", wanted=f"x, y of at least 0 and {MIN_SIDE} pixels a side or more"
            )
        if self.lonlat is not None:
            check_lonlat(*self.lonlat)
        if self.bbox is not None:
            west, south, east, north = self.bbox
            check_lonlat(west, south)
            check_lonlat(east, north)
            if south >= north or west == east:
                raise InputError(f"the box {west} {south} {east} {north} is empty", wanted="west, south, east, north")
            if west > east and west - east < 180:
                raise InputError(
                    f"the box {west} {south} {east} {north} goes around more than half of the Earth",
                    wanted="west, south, east, north; west exceeds east only across the antimeridian",
                )

    def __bool__(self) -> bool:
        """Whether a part of the scene is named at all."""
        return self != QueryWindow()


def query_reading(index: Index, given: Mapping[str, Any] | None = None) -> Reading:
    """How queries of an index are read: as its images were, but for what is given.

    Args:
        index: That is asked.
        given: Fields of `Recipe`, and "tile_names", that queries have of their own.

    Raises:
        InputError: The images of the index were read in several ways, and nothing is given; or an impossible value is.
    """
    readings = list(index.readings.values()) or [Reading()]
    own = dict(given or {})
    recipe = _common([reading.recipe for reading in readings])
    if recipe is None and not own:
        ways = "; ".join(f"{name or 'the first'}: {each.describe()}" for name, each in sorted(index.readings.items()))
        raise InputError(
            f"{index.path}: its archives were read in several ways ({ways})",
            wanted="the way of this query, by --bands, --stretch, --nodata or --resolution",
        )
    names = own.pop("tile_names", _common([reading.tile_names for reading in readings]))
    tiling = _common([reading.tiling for reading in readings])
    return Reading(dataclasses.replace(recipe or Recipe(), **own), tiling, names)


def query_source(image: str | os.PathLike[str] | Source, reading: Reading, part: QueryWindow | None = None) -> Source:
    """Open a query, or the part of it that is to ask.

    Args:
        image: A file or URL, which is read as `reading` says; or a source or its address, which say that themselves.
        reading: From `query_reading`.
        part: None takes all of it.

    Raises:
        InputError: It has no such part, or a place on Earth is asked for and nothing says where it lies; or its values
            need a choice.
    """
    from rsir_tf.rasters import FileSource, RasterSource, is_url

    source = open_source(image)
    name = os.fspath(image) if isinstance(image, str | os.PathLike) else ""
    if name and isinstance(source, FileSource) and (part or reading != Reading()):
        source = RasterSource(os.fspath(source.path), reading.recipe, tile_names=reading.tile_names)
    elif is_url(name) and isinstance(source, RasterSource):
        source = dataclasses.replace(source, recipe=reading.recipe, tile_names=reading.tile_names)
    if not part:
        return _small_enough(source) if isinstance(source, RasterSource) else source
    if not isinstance(source, RasterSource) or source.window is not None:
        raise InputError(f"{source}: has no parts to choose from", wanted="the path or URL of a scene")
    tiling = reading.tiling
    if part.lonlat is not None and tiling is not None and tiling.grid and part.tile in (None, tiling.tile):
        return _on_grid(source, reading, part.lonlat)
    window = _window(source, part, part.tile or (tiling.tile if tiling else None))
    own = dataclasses.replace(source, recipe=dataclasses.replace(source.recipe, resolution=None)).place
    onto = None if source.place == own else source.place
    return _small_enough(dataclasses.replace(source, window=window, onto=onto))


def dark_reading(source: Source, given: Mapping[str, Any] | None = None) -> str | None:
    """Say in a line that a query of 8-bit values is stretched from a range that reaches beyond them, as of an index.

    An index does not know what type of values its scenes have: others may be read so rightly, a picture may not.

    Args:
        source: From `query_source`, with the recipe by which it is read.
        given: As for `query_reading`. Who gives a stretch of their own is told nothing.

    Returns:
        None where there is nothing to tell.
    """
    from rsir_tf.rasters import RasterSource
    from rsir_tf.rasters.layouts import layout_of

    if not isinstance(source, RasterSource) or source.recipe.stretch is None or "stretch" in (given or {}):
        return None
    recipe = source.recipe
    highest = max(high for _, high in source.recipe.stretch)
    if highest <= 255 or layout_of(source.path, recipe, source.tile_names).dtype != "uint8":
        return None
    bands = "" if recipe.bands in (None, (1, 2, 3)) or "bands" in (given or {}) else "--bands 1 2 3 "
    return (
        f"{source}: holds 8-bit values and was read as the images of the index were ({recipe.describe()}), which makes "
        f"it dark; to read it as it is, say {bands}--stretch 0 255"
    )


def windows_as_indexed(
    image: str | os.PathLike[str] | Source, index: Index, given: Mapping[str, Any] | None = None
) -> list[RasterSource]:
    """Cut a whole scene into windows as the scenes of an index are cut; none where those are not cut alike.

    Args:
        image: A file or URL.
        index: That is asked.
        given: As for `query_reading`.

    Raises:
        InputError: As for `query_source`.
    """
    from rsir_tf.rasters import FileSource, RasterSource

    reading, source = query_reading(index, given), open_source(image)
    if reading.tiling is None or not isinstance(source, FileSource | RasterSource):
        return []
    if isinstance(source, RasterSource) and source.window is not None:
        return []
    return list(windows_of(os.fspath(source.path), reading))


def _small_enough(source: RasterSource) -> RasterSource:
    height, width = source.shape
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{source}: is {width}×{height} pixels",
            wanted=f"at most {MAX_PIXELS:,} pixels at once",
            cure="name a part of it by --window, --lonlat or --bbox",
        )
    return source


def _on_grid(scene: RasterSource, reading: Reading, lonlat: tuple[float, float]) -> RasterSource:
    """The window of the common grid that shows a point: it covers the same ground as those of other scenes."""
    place = _known_place(scene)
    _require_inside(scene, place, scene.shape, lonlat)
    own = dataclasses.replace(reading, recipe=scene.recipe, tile_names=scene.tile_names)
    windows = list(windows_of(scene.path, own, every=True))
    column, row = lonlat_to_pixel(place, *lonlat, scene.shape)
    scene_grid, lattice = (
        np.array([*each.transform, 0, 0, 1]).reshape(3, 3) for each in (place, windows[0].onto or place)
    )
    column, row, _ = np.linalg.solve(lattice, scene_grid @ (float(column), float(row), 1))

    def off(source: RasterSource) -> float:
        x, y, width, height = source.window or (0, 0, 0, 0)
        return float(max(abs(x + width / 2 - column), abs(y + height / 2 - row)))

    return min(windows, key=off)


def _window(source: RasterSource, part: QueryWindow, tile: int | None) -> tuple[int, int, int, int]:
    height, width = source.shape
    if part.window is not None:
        x, y, across, down = part.window
        if x + across > width or y + down > height:
            raise InputError(
                f"{source}: has no window {x} {y} {across} {down}", wanted=f"within {width}×{height} pixels"
            )
        return part.window
    place = _known_place(source)
    if part.bbox is not None:
        return _around_box(source, place, (height, width), part.bbox)
    assert part.lonlat is not None
    return _around_point(source, place, (height, width), part.lonlat, tile)


def _around_point(
    source: Source, place: Place, shape: tuple[int, int], lonlat: tuple[float, float], tile: int | None
) -> tuple[int, int, int, int]:
    if tile is None:
        raise InputError(f"{source}: nothing says how large the window around the point is", cure="say it by --tile")
    _require_inside(source, place, shape, lonlat)
    column, row = lonlat_to_pixel(place, *lonlat, shape)
    x, y = (
        min(max(round(float(middle) - tile / 2), 0), max(length - tile, 0))
        for middle, length in ((column, shape[1]), (row, shape[0]))
    )
    return x, y, tile, tile


def _around_box(
    source: Source, place: Place, shape: tuple[int, int], box: tuple[float, float, float, float]
) -> tuple[int, int, int, int]:
    import shapely

    west, south, east, north = box
    boxes = [shapely.box(west, south, east, north)]
    if west > east:
        boxes = [shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)]
    extent, common = footprint(place, shape), shapely.MultiPolygon(boxes)
    common = common if extent.is_empty else shapely.intersection(extent, common)
    if not common.area > 0:
        raise _outside(source, place, shape, f"the box {west} {south} {east} {north}")
    # The sides of a box may be arcs in the scene.
    points = shapely.get_coordinates(shapely.segmentize(common, max(north - south, (east - west) % 360) / EDGE))
    columns, rows = lonlat_to_pixel(place, points[:, 0], points[:, 1], shape)
    if not (np.isfinite(columns).all() and np.isfinite(rows).all()):
        raise _outside(source, place, shape, f"all of the box {west} {south} {east} {north}")
    # Rounding must not add a row of pixels to a box that was taken from a window's own corners.
    left, right, top, bottom = np.array([columns.min(), columns.max(), rows.min(), rows.max()]).round(3)
    x, y = max(int(np.floor(left)), 0), max(int(np.floor(top)), 0)
    across, down = min(int(np.ceil(right)), shape[1]) - x, min(int(np.ceil(bottom)), shape[0]) - y
    if min(across, down) < MIN_SIDE:
        raise InputError(
            f"{source}: has {across}×{down} pixels of the box {west} {south} {east} {north}",
            wanted=f"at least {MIN_SIDE} pixels a side",
        )
    return x, y, across, down


def _known_place(source: RasterSource) -> Place:
    place = source.place
    if place is None:
        why = next((note for note in source.notes if "without a place" in note), "has no coordinate reference system")
        raise InputError(
            f"{source}: nothing in the file says where on Earth each pixel lies (it {why})",
            cure="name the window in pixels: --window X Y WIDTH HEIGHT",
        )
    return place


def _require_inside(source: Source, place: Place, shape: tuple[int, int], lonlat: tuple[float, float]) -> None:
    import shapely

    extent = footprint(place, shape)
    # Of a scene that is only partly on Earth, such as a whole disk from space, the footprint is empty.
    if not extent.is_empty and not shapely.intersects(extent, shapely.Point(lonlat)):
        raise _outside(source, place, shape, f"longitude {lonlat[0]}, latitude {lonlat[1]}")


def _outside(source: Source, place: Place, shape: tuple[int, int], what: str) -> InputError:
    extent = footprint(place, shape)
    sides = "" if extent.is_empty else " ".join(f"{side:.6f}" for side in lonlat_box(extent))
    return InputError(
        f"{source}: does not show {what}", wanted=f"a place in its extent, {sides} (west south east north)"
    )


def _common(values: list[T]) -> T | None:
    """The one value that all are; None where they differ."""
    return values[0] if all(value == values[0] for value in values) else None
