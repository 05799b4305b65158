"""The drawing board of one scene: colours, materials and shadows at twice the picture's resolution."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.geometry import Path, Points
from rsir_tf.archives.synthetic.materials import Colour, Material
from rsir_tf.archives.synthetic.noise import Field, octaves

TILE = 256.0
"""Ground units along a tile's side, whatever its size in pixels; one is about 0.3 m."""

SUPERSAMPLING = 2
"""Canvas pixels along a side of a picture's pixel."""


class Canvas:
    """What is drawn so far.

    Things are drawn from the ground up: what comes later lies on top. Shadows fall on what was drawn before them, and never
    change its material. Drawing uses whole canvas pixels, so that masks are exact and the same everywhere.

    Args:
        size: Pixels along a side of the final picture.
        rng: Source of the sun's position.
        grain: Source of small textures. Apart from `rng`, since how many numbers it gives depends on the size.

    Attributes:
        side: Pixels along a side of the canvas.
        scale: Canvas pixels in a ground unit.
        colour: uint8 [side, side, 3], RGB without texture, shadow or haze.
        material: uint8 [side, side], a `Material` a pixel.
        shadow: uint8 [side, side], 255 in shadow.
        sun: float64 [2], where the shadow of a point one unit high falls, in the tile's own axes.
        grain: See above.
    """

    def __init__(self, size: int, rng: np.random.Generator, grain: np.random.Generator) -> None:
        self.side = SUPERSAMPLING * size
        self.scale = self.side / TILE
        self.colour = np.zeros((self.side, self.side, 3), dtype=np.uint8)
        self.material = np.zeros((self.side, self.side), dtype=np.uint8)
        self.shadow = np.zeros((self.side, self.side), dtype=np.uint8)
        self.grain = grain
        # Shadows point north, more or less, as at mid-northern latitudes; flights wait for a high sun.
        azimuth = np.radians(rng.uniform(-160, -20))
        self.sun = rng.uniform(0.45, 1.1) * np.array([np.cos(azimuth), np.sin(azimuth)])
        self._turn = np.eye(2)

    def turn(self, heading: float) -> None:
        """Turn all that is drawn from now on around the tile's centre by `heading` radians."""
        cos, sin = np.cos(heading), np.sin(heading)
        self._turn = np.array([[cos, sin], [-sin, cos]])

    def cover(self, colour: Colour, material: Material) -> None:
        """Fill the whole tile."""
        self.colour[:] = colour
        self.material[:] = material

    def fill(self, outline: Points, colour: Colour, material: Material, *, lit: bool = False) -> None:
        """Fill a polygon.

        Args:
            outline: float64 [N, 2], ground units.
            colour: RGB.
            material: What it is made of.
            lit: Whether it rises above shadows drawn before.
        """
        corners = [self.pixels(outline)]
        cv2.fillPoly(self.colour, corners, colour)
        cv2.fillPoly(self.material, corners, int(material))
        if lit:
            cv2.fillPoly(self.shadow, corners, 0)

    def band(self, path: Path, width: float, colour: Colour, material: Material, *, lit: bool = False) -> None:
        """Fill a band of some width along a path."""
        for piece in path.band(width):
            corners = self.pixels(piece)
            cv2.fillConvexPoly(self.colour, corners, colour)
            cv2.fillConvexPoly(self.material, corners, int(material))
            if lit:
                cv2.fillConvexPoly(self.shadow, corners, 0)

    def cast(self, outline: Points, height: float, lift: float = 0.0) -> None:
        """Let a convex thing throw a shadow on what is drawn so far.

        Args:
            outline: float64 [N, 2], ground units, convex.
            height: Of its top, ground units.
            lift: Of its underside: 0 where it stands on the ground.
        """
        corners = outline @ self._turn
        swept = np.concatenate([corners + lift * self.sun, corners + height * self.sun])
        hull = cv2.convexHull(self._grid(swept))
        cv2.fillConvexPoly(self.shadow, hull, 255)

    def paint(self, where: NDArray[np.bool_], colour: NDArray[np.float32], material: Material) -> None:
        """Fill the pixels of a mask, each with its own colour.

        Args:
            where: bool [side, side].
            colour: float32 [side, side, 3], RGB.
            material: What it is made of.
        """
        np.copyto(self.colour, np.clip(colour, 0, 255).astype(np.uint8), where=where[..., None])
        self.material[where] = material

    def stamp(
        self, x: float, y: float, shape: NDArray[np.bool_], colour: NDArray[np.uint8], material: Material
    ) -> None:
        """Put a small picture on top, lit by the sun.

        Args:
            x: Of its centre, ground units.
            y: Of its centre.
            shape: bool [h, w], canvas pixels that it covers.
            colour: uint8 [h, w, 3].
            material: What it is made of.
        """
        column, row = self.pixels(np.array([[x, y]]))[0]
        height, width = shape.shape
        top, left = int(row) - height // 2, int(column) - width // 2
        rows = slice(max(top, 0), min(top + height, self.side))
        columns = slice(max(left, 0), min(left + width, self.side))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        part = (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        covered = shape[part]
        np.copyto(self.colour[rows, columns], colour[part], where=covered[..., None])
        np.copyto(self.material[rows, columns], np.uint8(material), where=covered)
        np.copyto(self.shadow[rows, columns], np.uint8(0), where=covered)

    def inside(self, outline: Points) -> NDArray[np.bool_]:
        """Return bool [side, side]: the canvas pixels of a polygon."""
        mask = np.zeros((self.side, self.side), dtype=np.uint8)
        cv2.fillPoly(mask, [self.pixels(outline)], 1)
        return mask.astype(bool)

    def axes(self) -> tuple[Field, Field]:
        """Return x and y of every canvas pixel: two float32 [side, side], ground units, turned as the drawing is."""
        steps = (np.arange(self.side, dtype=np.float32) + np.float32(0.5)) / np.float32(self.scale) - np.float32(
            TILE / 2
        )
        turn = self._turn.astype(np.float32)
        x = steps[None, :] * turn[0, 0] + steps[:, None] * turn[0, 1]
        y = steps[None, :] * turn[1, 0] + steps[:, None] * turn[1, 1]
        return x, y

    def noise(self, rng: np.random.Generator, *cells: int) -> Field:
        """Return float32 [side, side], mean 0, deviation about 1: equal octaves of `cells` grid cells a side."""
        return octaves(rng, cells, self.side)

    def light(self, heading: float) -> float:
        """Return how much brighter a slope is than flat ground, where it falls towards `heading` (radians): -1 to 1."""
        downhill = np.array([np.cos(heading), np.sin(heading)]) @ self._turn
        return float(-downhill @ self.sun / np.hypot(*self.sun))

    def material_at(self, x: float, y: float) -> Material | None:
        """Return what lies at a point, or None outside the tile."""
        column, row = self.pixels(np.array([[x, y]]))[0]
        if not (0 <= column < self.side and 0 <= row < self.side):
            return None
        return Material(int(self.material[row, column]))

    def pixels(self, points: Points) -> NDArray[np.int32]:
        """Return int32 [N, 2]: (column, row) of canvas pixels."""
        return self._grid(points @ self._turn)

    def _grid(self, turned: Points) -> NDArray[np.int32]:
        return np.floor((turned + TILE / 2) * self.scale).astype(np.int32)
