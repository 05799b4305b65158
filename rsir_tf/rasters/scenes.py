"""RasterSource: a scene, or a window of one, as a source."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import is_url
from rsir_tf.rasters.decoding import Window, read_window, to_pixels
from rsir_tf.rasters.identity import raster_digest, raster_fingerprint
from rsir_tf.rasters.layouts import Layout, layout_of
from rsir_tf.rasters.pixels import Pixels
from rsir_tf.rasters.places import moved
from rsir_tf.rasters.recipe import AS_IT_IS, Reading, Recipe, Tiling
from rsir_tf.rasters.source import Fingerprint, Place
from rsir_tf.rasters.warping import read_warped, scene_grid
from rsir_tf.wording import without_keys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KIND = "scene"
"""Name of this kind of sources in addresses."""


@dataclass(frozen=True, slots=True)
class RasterSource:
    """A raster file or URL, or a window of it, read by a recipe; see `Source`.

    Attributes:
        path: A file, or a URL that begins with http://, https:// or s3://.
        recipe: How its values become RGB.
        window: (x, y, width, height) in pixels; parts beyond the scene are not valid. None is the whole scene.
        onto: The grid that the scene is resampled to, which the window counts in; None is the file's own, or, of a
            whole scene whose recipe has a resolution, the one that this resolution gives.
        tile_names: Pattern of the names of web tiles, which gives the place; see `web_tile_place`.
    """

    path: str
    recipe: Recipe = AS_IT_IS
    window: Window | None = None
    onto: Place | None = None
    tile_names: str | None = None

    def __post_init__(self) -> None:
        """Refuse an impossible window."""
        if self.window is not None:
            object.__setattr__(self, "window", tuple(self.window))
            if len(self.window) != 4 or not all(isinstance(number, int) for number in self.window):
                raise InputError(f"a window of {self.window}", wanted="four whole numbers: x, y, width and height")
            if min(self.window[2:]) < 1:
                raise InputError(f"a window of {self.window[2]}×{self.window[3]} pixels", wanted="at least 1×1")
        elif self.onto is not None:
            raise InputError(f"{self.path}: a grid without a window", wanted="both, or neither")

    @property
    def address(self) -> str:
        """The kind, "scene:", and JSON, from which `open_source` makes the same source; file paths are absolute."""
        parts: dict[str, Any] = {"path": self.path if is_url(self.path) else os.path.abspath(self.path)}
        if self.window is not None:
            parts["window"] = list(self.window)
        if recipe := self.recipe.to_json():
            parts["recipe"] = recipe
        if self.onto is not None:
            parts["onto"] = {"crs": self.onto.crs, "transform": list(self.onto.transform)}
        if self.tile_names is not None:
            parts["tile_names"] = self.tile_names
        return f"{KIND}:{_json(parts)}"

    @classmethod
    def from_address(cls, rest: str) -> RasterSource:
        """Make a source of what follows "scene:" in an address.

        Raises:
            InputError: It is no address that `address` gives.
        """
        try:
            parts = json.loads(rest)
            onto, window = parts.get("onto"), parts.get("window")
            return cls(
                parts["path"],
                Recipe.from_json(parts.get("recipe", {})),
                None if window is None else tuple(window),
                None if onto is None else Place(onto["crs"], tuple(onto["transform"])),
                parts.get("tile_names"),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{rest[:80]!r} is no address of a scene ({error})", wanted="JSON with a path") from error

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels.

        Raises:
            InputError: The file cannot be opened, or needs bands or a stretch that the recipe does not say.
        """
        window = self.window or self._grid()[1]
        return window[3], window[2]

    @property
    def place(self) -> Place | None:
        """Where the window lies; None where the file does not say so.

        Raises:
            InputError: As for `shape`.
        """
        grid, window = self._grid()
        return None if grid is None else moved(grid, *window[:2])

    @property
    def fingerprint(self) -> Fingerprint:
        """That of the file or URL, which all its windows share; see `raster_fingerprint`."""
        return raster_fingerprint(self.path)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is worth telling of the file, each to follow its name; `InputError` as for `shape`."""
        return self._layout().notes

    def read(self) -> NDArray[np.uint8]:
        """Read the pixels: uint8 [H, W, 3]; those that are not valid hold `FILL`."""
        return self.read_pixels().values

    def read_pixels(self) -> Pixels:
        """Read the pixels with their validity.

        Raises:
            InputError: The file cannot be read, or needs bands or a stretch that the recipe does not say.
        """
        layout = self._layout()
        if self.window is not None and self.onto is None:
            return read_window(self.path, layout, self.window)
        grid, window = self._grid()
        if grid is not None and grid != layout.place:
            raw, mask = read_warped(self.path, layout, moved(grid, *window[:2]), (window[3], window[2]))
            return to_pixels(raw, mask, replace(layout, nodata=None))  # The mask has it.
        return read_window(self.path, layout, window)

    def windows(self, tile: int, overlap: int = 0, min_valid: float = 0.5, grid: bool = False) -> list[RasterSource]:
        """Cut the scene into windows, row by row; see `windows_of`.

        Args:
            tile: Side of a window in pixels.
            overlap: Pixels that neighbours share.
            min_valid: Least share of valid pixels.
            grid: Whether windows lie at multiples of their step on the ground.

        Raises:
            InputError: This is a window already, or a number is impossible.
        """
        from rsir_tf.rasters.windows import windows_of

        if self.window is not None:
            raise InputError(f"{self}: is a window already", wanted="a whole scene")
        reading = Reading(self.recipe, Tiling(tile, overlap, min_valid, grid), self.tile_names)
        return list(windows_of(self.path, reading))

    def digest(self) -> str | None:
        """Identity of the file's contents, the window and the recipe; None where the file cannot be read."""
        content = raster_digest(self.path)
        if content is None:
            return None
        rest = replace(self, path="https://").address
        return hashlib.sha256(f"{content} {rest}".encode()).hexdigest()[:16]

    def __str__(self) -> str:
        if self.window is None:
            return without_keys(self.path)
        return f"{without_keys(self.path)}, window {' '.join(map(str, self.window))}"

    def _grid(self) -> tuple[Place | None, Window]:
        """The grid that the pixels lie on, and the part of it that is read."""
        if self.window is not None:
            return self.onto or self._layout().place, self.window
        layout = self._layout()
        if self.recipe.resolution is None:
            return layout.place, (0, 0, layout.shape[1], layout.shape[0])
        place, *box = scene_grid(self.path, layout, self.recipe.resolution)
        return place, (box[0], box[1], box[2], box[3])

    def _layout(self) -> Layout:
        return layout_of(self.path, self.recipe, self.tile_names)


def path_of(address: str) -> str | None:
    """The file or URL that an address of any kind names; None of a kind that has none."""
    from rsir_tf.rasters.kinds import SOURCE_KINDS

    kind, colon, rest = address.partition(":")
    if not (colon and kind in SOURCE_KINDS) or is_url(address):
        return address
    return RasterSource.from_address(rest).path if kind == KIND else None


def with_path(address: str, path: str) -> str:
    """The same address with another path, which is kept as it is given (an index keeps relative ones).

    Raises:
        InputError: The address names no path.
    """
    old = path_of(address)
    if old is None:
        raise InputError(f"{address[:80]}: names no file", wanted="the address of a file or a scene")
    if not address.startswith(f"{KIND}:"):
        return path
    return f"{KIND}:{_json({**json.loads(address.partition(':')[2]), 'path': path})}"


def _json(parts: dict[str, Any]) -> str:
    return json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
