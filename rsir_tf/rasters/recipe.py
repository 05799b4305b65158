"""How scenes are read: bands and stretch (a recipe), windows (a tiling), and both together (a reading)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from rsir_tf.errors import InputError

MIN_TILE = 32
"""Pixels: VGG-16 halves an image five times."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the values of a raster become 8-bit RGB. `Recipe()` takes the file as it is.

    Attributes:
        bands: Numbers of the bands for red, green and blue, from 1; None takes those that the file calls so, or all
            of a file with three.
        stretch: One range (low, high) for all bands, or one for each: low becomes 0, high 255, values between them
            are scaled linearly and rounded, values beyond them are clipped. None leaves 8-bit values as they are.
        nodata: The value of pixels that show nothing, in place of the one that the file declares; NaN: no value is.
            None takes the file's. The file's mask or alpha band counts as well.
        resolution: Metres a pixel on the ground, to which a scene is resampled; None keeps the file's own grid.
    """

    bands: tuple[int, int, int] | None = None
    stretch: tuple[tuple[float, float], ...] | None = None
    nodata: float | None = None
    resolution: float | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values, and take lists for tuples."""
        if self.bands is not None:
            object.__setattr__(self, "bands", tuple(self.bands))
            if len(self.bands) != 3 or not all(_whole(band) and band >= 1 for band in self.bands):
                raise InputError(f"bands {_listed(self.bands)}", wanted="three band numbers, counted from 1")
        if self.stretch is not None:
            object.__setattr__(self, "stretch", _ranges(self.stretch))
        if self.nodata is not None and not _number(self.nodata):
            raise InputError(f"nodata {self.nodata!r}", wanted="a number, or nan")
        if self.nodata is not None and math.isnan(self.nodata):
            object.__setattr__(self, "nodata", math.nan)  # One NaN for all, so that equal recipes are equal.
        if self.resolution is not None and not (_number(self.resolution) and 0 < self.resolution < math.inf):
            raise InputError(f"a resolution of {self.resolution}", wanted="metres a pixel, more than 0")

    def to_json(self) -> dict[str, Any]:
        """Give what differs from `Recipe()`, as JSON holds it (nodata that is no number as text)."""
        return _set_fields(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Recipe:
        """Make a recipe of what `to_json` gave.

        Raises:
            InputError: A name is not known or a value is impossible.
        """
        data = _known(cls, data)
        if isinstance(data.get("nodata"), str):
            data["nodata"] = float(data["nodata"])
        return cls(**data)

    def describe(self) -> str:
        """Say it in words: "bands 4 3 2, stretched from 0..3000"; empty where the file is taken as it is."""
        words = []
        if self.bands is not None:
            words.append(f"bands {_listed(self.bands)}")
        if self.stretch is not None:
            words.append(f"stretched from {', '.join(f'{low:g}..{high:g}' for low, high in self.stretch)}")
        if self.nodata is not None:
            words.append(f"nodata {self.nodata:g}")
        if self.resolution is not None:
            words.append(f"{self.resolution:g} m a pixel")
        return ", ".join(words)


AS_IT_IS = Recipe()
"""The recipe of files that are taken as they are."""

MIN_VALID = 0.5
"""Windows with a smaller share of valid pixels are left out."""


@dataclass(frozen=True, slots=True)
class Tiling:
    """How scenes are cut into windows.

    Attributes:
        tile: Side of a window in pixels.
        overlap: Pixels that a window shares with the next one of its row or column.
        min_valid: Least share of valid pixels, 0 to 1; windows with fewer are left out, and so are those with none.
        grid: Whether windows lie at multiples of their step on the ground, counted from the origin of the reference
            system, so that scenes of one place are cut alike; it takes a recipe with a resolution.
    """

    tile: int
    overlap: int = 0
    min_valid: float = MIN_VALID
    grid: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        if not _whole(self.tile) or self.tile < MIN_TILE:
            raise InputError(f"a tile of {self.tile} pixels", wanted=f"a whole number, at least {MIN_TILE}")
        if not _whole(self.overlap) or not 0 <= self.overlap < self.tile:
            raise InputError(
                f"an overlap of {self.overlap} pixels", wanted=f"a whole number from 0 to {self.tile - 1} (tile − 1)"
            )
        if not _number(self.min_valid) or not 0 <= self.min_valid <= 1:
            raise InputError(f"a least share of valid pixels of {self.min_valid}", wanted="0 to 1")

    @property
    def step(self) -> int:
        """Pixels from the start of a window to the start of the next one."""
        return self.tile - self.overlap

    def to_json(self) -> dict[str, Any]:
        """Give the tile and what differs from the defaults, as JSON holds it."""
        return _set_fields(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Tiling:
        """Make a tiling of what `to_json` gave; `InputError` where a name is not known or a value is impossible."""
        return cls(**_known(cls, data))

    def describe(self) -> str:
        """Say it in words: "windows of 256 pixels that overlap by 64"."""
        words = f"windows of {self.tile} pixels"
        if self.overlap:
            words += f" that overlap by {self.overlap}"
        if self.min_valid != MIN_VALID:
            words += f", at least {self.min_valid:.0%} valid"
        return f"{words}, on a common grid" if self.grid else words


@dataclass(frozen=True, slots=True)
class Reading:
    """How the images of an archive are read. `Reading()` takes files as ordinary pictures.

    Attributes:
        recipe: How values become RGB.
        tiling: How scenes are cut into windows; None reads each file as one image.
        tile_names: Pattern of the names of web tiles, such as "{z}/{x}/{y}.png", which gives each its place; see
            `web_tile_place`.
    """

    recipe: Recipe = AS_IT_IS
    tiling: Tiling | None = None
    tile_names: str | None = None

    def __post_init__(self) -> None:
        """Refuse a common grid without a resolution, and a pattern that names no web tile."""
        if self.tiling is not None and self.tiling.grid and self.recipe.resolution is None:
            raise InputError(
                "a common grid needs the size of its pixels",
                cure="say it in metres with --resolution (`rsir-tf check` tells the scenes' own)",
            )
        if self.tile_names is not None:
            from rsir_tf.rasters.tile_names import check_pattern

            check_pattern(self.tile_names)

    def to_json(self) -> dict[str, Any]:
        """Give what differs from `Reading()`, as JSON holds it: {} for pictures as they are."""
        parts = {
            "recipe": self.recipe.to_json() or None,
            "tiling": self.tiling and self.tiling.to_json(),
            "tile_names": self.tile_names,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Reading:
        """Make a reading of what `to_json` gave; `InputError` where a name is not known or a value is impossible."""
        data = _known(cls, data)
        tiling = data.get("tiling")
        return cls(
            recipe=Recipe.from_json(data.get("recipe", {})),
            tiling=None if tiling is None else Tiling.from_json(tiling),
            tile_names=data.get("tile_names"),
        )

    def describe(self) -> str:
        """Say it in words: "windows of 256 pixels; bands 4 3 2, stretched from 0..3000", or "as they are"."""
        parts = [
            self.tiling.describe() if self.tiling else "",
            self.recipe.describe(),
            f"web tiles named {self.tile_names}" if self.tile_names else "",
        ]
        return "; ".join(part for part in parts if part) or "as they are"


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(values: Sequence[object]) -> str:
    return " ".join(map(str, values))


def _ranges(stretch: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    try:
        ranges = tuple((float(low), float(high)) for low, high in stretch)
    except (TypeError, ValueError) as error:
        raise InputError(f"a stretch of {stretch!r}", wanted="pairs of numbers (low, high)") from error
    for low, high in ranges:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise InputError(f"a stretch from {low:g} to {high:g}", wanted="two numbers, the lower one first")
    if len(ranges) not in (1, 3):
        raise InputError(f"a stretch of {len(ranges)} ranges", wanted="one range for all bands, or three")
    return ranges


def _set_fields(value: Any) -> dict[str, Any]:
    """A dataclass's fields that differ from their defaults, tuples as lists and NaN as text."""
    found = {}
    for field in fields(value):
        content = getattr(value, field.name)
        if content == field.default:
            continue
        if isinstance(content, tuple):
            content = [list(part) if isinstance(part, tuple) else part for part in content]
        found[field.name] = content if not isinstance(content, float) or math.isfinite(content) else str(content)
    return found


def _known(cls: type, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise InputError(f"a {cls.__name__.lower()} of {data!r}", wanted="an object of JSON")
    known = [field.name for field in fields(cls)]
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise InputError(
            f"a {cls.__name__.lower()} with {', '.join(unknown)}",
            wanted=", ".join(known),
            cure="a newer rsir_tf may have written it",
        )
    return dict(data)
