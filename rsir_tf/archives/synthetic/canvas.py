"""The canvas of one scene: colours, materials and shadows at twice the resolution of the picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.geometry import Path, Points, disc
from rsir_tf.archives.synthetic.materials import Colour, Material
from rsir_tf.archives.synthetic.noise import Field, enlarge, octaves

TILE = 256.0
"""Ground units along a side of a tile of any size in pixels; one unit is about 0.3 m."""

SUPERSAMPLING = 2
"""Canvas pixels along one side of a pixel of the picture."""


class Canvas:
    """What has been drawn so far.

    Things are drawn from the ground up: later things lie on top of earlier ones. A shadow falls on what was drawn
    before it, and never changes the material. Only whole canvas pixels are drawn, so that masks are exact and equal on
    all machines.

    Args:
        size: Pixels along a side of the final picture.
        rng: Gives the position of the sun.
        grain: Gives the small textures. It is separate from `rng`, because the size decides how many numbers it gives.

    Attributes:
        side: Pixels along a side of the canvas.
        scale: Canvas pixels in a ground unit.
        colour: uint8 [side, side, 3], RGB without texture, shadow or haze.
        material: uint8 [side, side], the `Material` of each pixel.
        shadow: uint8 [side, side], 255 in shadow.
        sun: float64 [2], offset of the shadow of a point at a height of one unit, along the axes of the tile.
        grain: As given.
    """

    def __init__(self, size: int, rng: np.random.Generator, grain: np.random.Generator) -> None:
        self.side = SUPERSAMPLING * size
        self.scale = self.side / TILE
        self.colour = np.zeros((self.side, self.side, 3), dtype=np.uint8)
        self.material = np.zeros((self.side, self.side), dtype=np.uint8)
        self.shadow = np.zeros((self.side, self.side), dtype=np.uint8)
        self.grain = grain
        # As at mid-northern latitudes: shadows point roughly north. Photographs are taken when the sun is high.
        azimuth = np.radians(rng.uniform(-160, -20))
        self.sun = rng.uniform(0.45, 1.1) * np.array([np.cos(azimuth), np.sin(azimuth)])
        self._turn = np.eye(2)
        self._hulls: dict[tuple[float, float, float], NDArray[np.int32]] = {}

    def turn(self, heading: float) -> None:
        """Turn everything that is drawn from now on by `heading` radians around the centre of the tile."""
        cos, sin = np.cos(heading), np.sin(heading)
        self._turn = np.array([[cos, sin], [-sin, cos]])

    def cover(self, colour: Colour, material: Material) -> None:
        """Fill the whole tile."""
        self.colour = self._plain(colour)
        self.material[:] = material

    def fill(self, outline: Points, colour: Colour, material: Material, *, lit: bool = False) -> None:
        """Fill a polygon.

        Args:
            outline: float64 [N, 2], ground units.
            colour: RGB.
            material: The material.
            lit: Whether it is above the shadows that were drawn before, and removes them.
        """
        corners = [self.pixels(outline)]
        cv2.fillPoly(self.colour, corners, colour)
        cv2.fillPoly(self.material, corners, int(material))
        if lit:
            cv2.fillPoly(self.shadow, corners, 0)

    def band(self, path: Path, width: float, colour: Colour, material: Material, *, lit: bool = False) -> None:
        """Fill a band of a given width along a path."""
        for piece in path.band(width):
            corners = self.pixels(piece)
            cv2.fillConvexPoly(self.colour, corners, colour)
            cv2.fillConvexPoly(self.material, corners, int(material))
            if lit:
                cv2.fillConvexPoly(self.shadow, corners, 0)

    def cast(self, outline: Points, height: float, lift: float = 0.0) -> None:
        """Draw the shadow of a convex thing on what has been drawn so far.

        Args:
            outline: float64 [N, 2], ground units, convex.
            height: Height of its top in ground units.
            lift: Height of its underside; 0 if it stands on the ground.
        """
        corners = outline @ self._turn
        swept = np.concatenate([corners + lift * self.sun, corners + height * self.sun])
        cv2.fillConvexPoly(self.shadow, cv2.convexHull(self._grid(swept)), 255)

    def cast_round(self, column: int, row: int, radius: float, height: float, lift: float) -> None:
        """Like `cast`, for a round thing around a canvas pixel; the shadow of each size is computed once."""
        key = (radius, height, lift)
        if key not in self._hulls:
            outline = disc(radius, 10)
            swept = np.concatenate([outline + lift * self.sun, outline + height * self.sun]) * self.scale
            self._hulls[key] = cv2.convexHull(np.floor(swept).astype(np.int32))
        cv2.fillConvexPoly(self.shadow, self._hulls[key] + np.array([column, row], dtype=np.int32), 255)

    def lay(self, where: NDArray[np.bool_], colour: Colour, material: Material) -> None:
        """Fill the pixels of a mask, bool [side, side], with one colour."""
        cv2.copyTo(self._plain(colour), where.view(np.uint8), self.colour)
        np.copyto(self.material, np.uint8(material), where=where)

    def paint(self, where: NDArray[np.bool_], first: Colour, second: Colour, share: Field, material: Material) -> None:
        """Fill the pixels of a mask with a mixture of two colours.

        Args:
            where: bool [side, side].
            first: RGB.
            second: RGB.
            share: float32 [side, side], share of the second colour; values outside 0..1 are clipped.
            material: The material.
        """
        steps = np.linspace(0, 1, 256)[:, None]
        table = np.rint(np.asarray(first) * (1 - steps) + np.asarray(second) * steps).astype(np.uint8)
        levels = np.clip(share * np.float32(255), 0, 255).astype(np.uint8)
        mixture = cv2.LUT(cv2.merge([levels, levels, levels]), table[None])
        cv2.copyTo(mixture, where.view(np.uint8), self.colour)
        np.copyto(self.material, np.uint8(material), where=where)

    def stamp(
        self, column: int, row: int, shape: NDArray[np.bool_], colour: NDArray[np.uint8], material: Material
    ) -> None:
        """Draw a small picture on top of everything, in the light of the sun.

        Args:
            column: Column of its centre, in canvas pixels.
            row: Row of its centre, in canvas pixels.
            shape: bool [h, w], the canvas pixels that it covers.
            colour: uint8 [h, w, 3].
            material: The material.
        """
        height, width = shape.shape
        top, left = row - height // 2, column - width // 2
        rows = slice(max(top, 0), min(top + height, self.side))
        columns = slice(max(left, 0), min(left + width, self.side))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        part = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        covered = shape[part]
        cv2.copyTo(colour[part], covered.view(np.uint8), self.colour[rows, columns])
        self.material[rows, columns][covered] = material
        self.shadow[rows, columns][covered] = 0

    def inside(self, outline: Points) -> NDArray[np.bool_]:
        """Return bool [side, side]: which canvas pixels lie in a polygon."""
        mask = np.zeros((self.side, self.side), dtype=np.uint8)
        cv2.fillPoly(mask, [self.pixels(outline)], 1)
        return mask.astype(bool)

    def axes(self) -> tuple[Field, Field]:
        """Return x and y of every canvas pixel, float32 [side, side] each, in ground units, turned like the drawing."""
        steps = (np.arange(self.side, dtype=np.float32) + np.float32(0.5)) / np.float32(self.scale) - np.float32(
            TILE / 2
        )
        turn = self._turn.astype(np.float32)
        x = steps[None, :] * turn[0, 0] + steps[:, None] * turn[0, 1]
        y = steps[None, :] * turn[1, 0] + steps[:, None] * turn[1, 1]
        return x, y

    def noise(self, rng: np.random.Generator, *cells: int) -> Field:
        """Return noise, float32 [side, side], mean 0, deviation about 1: equal octaves of `cells` grid cells."""
        return enlarge(octaves(rng, cells, self.side // 2), self.side)

    def light(self, heading: float) -> float:
        """Return how much brighter than flat ground a slope is that falls towards `heading` (radians): -1 to 1."""
        downhill = np.array([np.cos(heading), np.sin(heading)]) @ self._turn
        return float(-downhill @ self.sun / np.hypot(*self.sun))

    def material_at(self, x: float, y: float) -> Material | None:
        """Return the material at a point; None outside the tile."""
        column, row = self.pixels(np.array([[x, y]]))[0]
        return self.material_of(int(column), int(row))

    def material_of(self, column: int, row: int) -> Material | None:
        """Return the material at a canvas pixel; None outside the tile."""
        if not (0 <= column < self.side and 0 <= row < self.side):
            return None
        return Material(int(self.material[row, column]))

    def near(self, x: float, y: float, margin: float = 16.0) -> bool:
        """Return whether a point lies on the tile, or at most `margin` ground units outside of it."""
        return bool(np.all(np.abs(np.array([x, y]) @ self._turn) < TILE / 2 + margin))

    def within(self, points: Points) -> Points:
        """Return the points that lie on the tile."""
        pixels = self.pixels(points)
        inside: Points = points[np.all((pixels >= 0) & (pixels < self.side), axis=1)]
        return inside

    def pixels(self, points: Points) -> NDArray[np.int32]:
        """Return int32 [N, 2]: (column, row) of canvas pixels."""
        return self._grid(points @ self._turn)

    def _plain(self, colour: Colour) -> NDArray[np.uint8]:
        plane = np.empty((self.side, self.side, 3), dtype=np.uint8)
        cv2.rectangle(plane, (0, 0), (self.side, self.side), colour, cv2.FILLED)
        return plane

    def _grid(self, turned: Points) -> NDArray[np.int32]:
        return np.floor((turned + TILE / 2) * self.scale).astype(np.int32)
