"""RasterSource: a scene, or a window of one, as a source."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsir_tf.artifacts import file_hash
from rsir_tf.errors import InputError
from rsir_tf.rasters.datasets import is_url, open_dataset
from rsir_tf.rasters.layouts import Layout, layout_of
from rsir_tf.rasters.pixels import FILL, Pixels
from rsir_tf.rasters.places import moved
from rsir_tf.rasters.recipe import AS_IT_IS, Reading, Recipe, Tiling
from rsir_tf.rasters.source import MISSING, Fingerprint, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIND = "scene"
"""Name of this kind of sources in addresses."""

Window = tuple[int, int, int, int]
"""(x, y, width, height) in pixels of a scene's grid."""


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
        if self.window is not None:
            return self.window[3], self.window[2]
        return self._layout().shape

    @property
    def place(self) -> Place | None:
        """Where the window lies; None where the file does not say so.

        Raises:
            InputError: As for `shape`.
        """
        grid = self.onto or self._layout().place
        if grid is None or self.window is None:
            return grid
        return moved(grid, *self.window[:2])

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's size and time of change; `MISSING` where there is nothing."""
        try:
            status = os.stat(self.path)
        except OSError:
            return MISSING
        return Fingerprint(status.st_size, status.st_mtime_ns)

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
        with open_dataset(self.path) as dataset:
            return _decode(dataset, layout, self.window or (0, 0, layout.shape[1], layout.shape[0]))

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
        """Identity of the file's bytes, the window and the recipe; None where the file cannot be read."""
        content = _file_digest(self.path, self.fingerprint)
        if content is None:
            return None
        rest = replace(self, path="https://").address
        return hashlib.sha256(f"{content} {rest}".encode()).hexdigest()[:16]

    def __str__(self) -> str:
        if self.window is None:
            return self.path
        return f"{self.path}, window {' '.join(map(str, self.window))}"

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


def _file_digest(path: str, fingerprint: Fingerprint) -> str | None:
    if fingerprint == MISSING:
        return None
    try:
        return file_hash(Path(path))[:16]
    except OSError:
        return None


def _decode(dataset: Any, layout: Layout, window: Window) -> Pixels:
    """Read a window by a layout; what lies beyond the scene is not valid."""
    x, y, width, height = window
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, layout.shape[1]), min(y + height, layout.shape[0])
    values = np.empty((height, width, 3), np.uint8)
    values[:] = FILL
    valid = np.zeros((height, width), bool)
    if left < right and top < bottom:
        part = ((top, bottom), (left, right))
        bands = sorted(set(layout.bands))
        raw = dataset.read(bands, window=part)
        mask = dataset.read_masks(layout.bands[0], window=part) if layout.masked else None
        inner = np.s_[top - y : bottom - y, left - x : right - x]
        known = valid_pixels(raw, mask, layout)
        valid[inner] = known
        colours = to_rgb(raw[[bands.index(band) for band in layout.bands]], layout)
        colours[~known] = FILL
        values[inner] = colours
    return Pixels(values, None if valid.all() else valid)


def valid_pixels(raw: NDArray[Any], mask: NDArray[np.uint8] | None, layout: Layout) -> NDArray[np.bool_]:
    """Which pixels show something: [H, W] of raw values [bands, H, W] and the file's mask [H, W].

    A pixel that the mask (or alpha) gives as 0 is not valid, nor is one with NaN or an infinite value in any band. A
    pixel whose value is nodata is not valid either: of 8-bit files where all its bands hold nodata, since 0 and 255
    are also what one band of a colour holds; of other types where any does, since a colour is not known then.
    """
    valid = np.ones(raw.shape[1:], bool) if mask is None else mask > 0
    if raw.dtype.kind == "f":
        valid &= np.isfinite(raw).all(axis=0)
    if layout.nodata is not None:
        missing = raw == np.asarray(layout.nodata).astype(raw.dtype) if _fits(layout.nodata, raw.dtype) else None
        if missing is not None:
            valid &= ~(missing.all(axis=0) if raw.dtype == np.uint8 else missing.any(axis=0))
    return valid


def to_rgb(raw: NDArray[Any], layout: Layout) -> NDArray[np.uint8]:
    """Turn raw values [3, H, W] into uint8 [H, W, 3] by a layout's ranges or palette."""
    if layout.palette is not None:
        return np.asarray(layout.palette[raw[0]])
    colours = np.empty((*raw.shape[1:], 3), np.uint8)
    for number, band in enumerate(raw):
        if layout.ranges is None:
            colours[..., number] = band
            continue
        low, high = layout.ranges[number]
        scaled = (band.astype(np.float64) - low) * (255 / (high - low))
        colours[..., number] = np.rint(np.clip(np.nan_to_num(scaled, posinf=255.0, neginf=0.0), 0, 255))
    return colours


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return value == int(value) and limits.min <= value <= limits.max
