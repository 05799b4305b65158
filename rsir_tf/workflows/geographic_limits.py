"""Where hits of a query may lie: near a point, within areas, on the query's own ground, or anywhere but there."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rsir_tf.errors import InputError
from rsir_tf.ranking import Candidates
from rsir_tf.rasters import footprint, path_of
from rsir_tf.workflows.footprints import Footprints, read_areas

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rsir_tf.ranking import Index
    from rsir_tf.rasters import Source

SAME_PLACE = 0.5
"""Two images show the same place where at least this part of the smaller footprint is common ground.

Windows of one grid (`--grid`) share all of it or nothing; windows that were cut from the corners of two scenes share
less than all.
"""

ELSEWHERE = 0.001
"""An image shows other ground than the query where less than this part of the smaller footprint is common ground.

Neighbouring windows share a border, of which rounding makes a sliver.
"""


@dataclass(frozen=True, slots=True)
class GeographicLimits:
    """Where hits may lie. Images without a place are no hits where there is any such limit.

    Attributes:
        near: (longitude, latitude, kilometres): the footprint comes as near to this point as that, on WGS 84.
        areas: Vector files: the footprint shares ground with an area of each file.
        same_place: Only images of other scenes that show the query's place; see `SAME_PLACE`.
        elsewhere: Only images that do not show the query's ground, in whichever scene; see `ELSEWHERE`.

    Raises:
        InputError: There is no such point or distance, or the two last ones are both asked for.
    """

    near: tuple[float, float, float] | None = None
    areas: tuple[str, ...] = ()
    same_place: bool = False
    elsewhere: bool = False

    def __post_init__(self) -> None:
        if self.near is not None:
            lon, lat, kilometres = self.near
            check_lonlat(lon, lat)
            if not 0 <= kilometres < np.inf:
                raise InputError(f"the distance from the point is {kilometres} km", wanted="a number of at least 0")
        if self.same_place and self.elsewhere:
            raise InputError("both the query's place and anywhere but there are asked for", wanted="one of them")

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self.near is not None or self.areas or self.same_place or self.elsewhere)


def check_lonlat(lon: float, lat: float) -> None:
    """Refuse what is no longitude and latitude.

    Raises:
        InputError: The two may stand in the wrong order.
    """
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise InputError(
            f"longitude {lon}, latitude {lat}", wanted="−180 to 180 and −90 to 90, in degrees, the longitude first"
        )


class LimitedIndex:
    """The images of an index that limits leave, for one query after another.

    Args:
        index: That is searched.
        limits: Where hits may lie.

    Attributes:
        without_place: How many images are left out because nobody knows where they lie; 0 where there is no limit.
    """

    def __init__(self, index: Index, limits: GeographicLimits | None) -> None:
        self._index = index
        self._limits = limits or GeographicLimits()
        self.without_place = int((~self._footprints.known).sum()) if limits else 0

    def __bool__(self) -> bool:
        """Whether there is any limit."""
        return bool(self._limits)

    def candidates(self, source: Source | None) -> Candidates | None:
        """The images that may be found for a query; None where there is no limit.

        Args:
            source: Of the query; None without a query image, where no limit is about its place.

        Raises:
            InputError: Its ground is asked for, and it has no place.
        """
        if not self._limits:
            return None
        rows = self._everywhere
        if source is not None and (self._limits.same_place or self._limits.elsewhere):
            ground = ground_of(source)
            if self._limits.elsewhere:
                rows = np.setdiff1d(rows, self._footprints.sharing(ground, ELSEWHERE))
            else:
                rows = self._of_other_scenes(np.intersect1d(rows, self._footprints.sharing(ground, SAME_PLACE)), source)
        return Candidates(rows, complete=True)

    @cached_property
    def _footprints(self) -> Footprints:
        return Footprints(self._index.images.footprints)

    @cached_property
    def _everywhere(self) -> NDArray[np.int64]:
        """Rows that the limits leave which are the same for all queries."""
        left = self._footprints.known.copy()
        if self._limits.near is not None:
            lon, lat, kilometres = self._limits.near
            left &= self._footprints.near(lon, lat, kilometres * 1000)
        for path in self._limits.areas:
            left &= self._footprints.within(read_areas(path))
        return np.flatnonzero(left)

    def _of_other_scenes(self, rows: NDArray[np.int64], source: Source) -> NDArray[np.int64]:
        own = path_of(source.address)
        others = [row for row in rows.tolist() if not _same_file(path_of(self._index.address_of(row)), own)]
        return np.array(others, dtype=np.int64)


def both_of(limits: Sequence[Candidates | None]) -> Candidates | None:
    """The images that all limits leave; None where there is no limit."""
    given = [limit for limit in limits if limit is not None]
    if not given:
        return None
    rows = functools.reduce(np.intersect1d, (limit.rows for limit in given))
    return Candidates(rows, complete=all(limit.complete for limit in given))


def ground_of(source: Source) -> object:
    """The footprint of a query, a shapely geometry in longitude and latitude.

    Raises:
        InputError: It has no place.
    """
    if source.place is None:
        raise InputError(
            f"{source}: nothing in the file says where on Earth it lies",
            wanted="a georeferenced image, since its ground is asked for",
        )
    ground = footprint(source.place, source.shape)
    if ground.is_empty:
        raise InputError(f"{source}: a part of it is not on Earth", wanted="an image whose ground is known")
    return ground


def _same_file(path: str | None, other: str | None) -> bool:
    if path is None or other is None:
        return False
    try:
        return path == other or os.path.samefile(path, other)
    except OSError:  # A URL, or gone.
        return False
