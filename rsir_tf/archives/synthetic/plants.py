"""Trees and shrubs: lumpy crowns that the sun lights from one side, each with its shadow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Points
from rsir_tf.archives.synthetic.materials import Colour, Material, choose
from rsir_tf.archives.synthetic.noise import Field

SHAPES = 4
SHADES = 6
"""Number of different outlines and of different colours; each crown has one of each, and one of several sizes."""

STEP = 1.12
"""Ratio of neighbouring sizes. Sizes in between are drawn as one of them, which saves most of the work in a wood."""


class Nursery:
    """Plants of one kind on one canvas.

    Args:
        canvas: The canvas to draw on.
        rng: Gives shapes and colours.
        colours: RGB of the species; two or three of them are used in this tile.
        material: `CROWN` for trees, `SHRUB` for chaparral.
        height: Height of a plant relative to its radius, which decides the length of its shadow.
    """

    def __init__(
        self,
        canvas: Canvas,
        rng: np.random.Generator,
        colours: Sequence[Colour],
        material: Material = Material.CROWN,
        height: float = 1.5,
    ) -> None:
        self._canvas = canvas
        self._rng = rng
        species = [choose(rng, colours, 0.08) for _ in range(int(rng.integers(2, 4)))]
        self._colours = [choose(rng, species, 0.1) for _ in range(SHADES)]
        self._phases = rng.uniform(0, 2 * np.pi, (SHAPES, 5))
        self._material = material
        self._height = height
        self._shapes: dict[tuple[int, int], tuple[NDArray[np.bool_], Field]] = {}
        self._crowns: dict[tuple[int, int, int], NDArray[np.uint8]] = {}

    def plant(self, points: Points, radii: tuple[float, float], ground: Sequence[Material] | None = None) -> None:
        """Draw plants and their shadows.

        Args:
            points: float64 [N, 2], possible places in ground units.
            radii: Smallest and largest radius of a crown.
            ground: Materials that they grow on; all by default.
        """
        count = len(points)
        low, high = np.log(radii)
        sizes = np.rint(self._rng.uniform(low, high, count) / np.log(STEP)).astype(int)
        shapes = self._rng.integers(SHAPES, size=count)
        shades = self._rng.integers(SHADES, size=count)
        pixels = self._canvas.pixels(points)
        margin = 3 * radii[1] * self._canvas.scale
        near = np.all((pixels > -margin) & (pixels < self._canvas.side + margin), axis=1)
        for index in np.flatnonzero(near):
            column, row = int(pixels[index, 0]), int(pixels[index, 1])
            if ground is None or self._canvas.material_of(column, row) in ground:
                self._draw(column, row, int(sizes[index]), int(shapes[index]), int(shades[index]))

    def _draw(self, column: int, row: int, size: int, kind: int, shade: int) -> None:
        radius = STEP**size
        # A crown is above a trunk: its shadow begins at some distance from it.
        self._canvas.cast_round(column, row, 0.9 * radius, self._height * radius, lift=0.3 * radius)
        if (kind, size) not in self._shapes:
            self._shapes[kind, size] = self._grow(kind, max(1, round(radius * self._canvas.scale)))
        shape, light = self._shapes[kind, size]
        if (kind, size, shade) not in self._crowns:
            lit = light[..., None] * np.asarray(self._colours[shade], dtype=np.float32)
            self._crowns[kind, size, shade] = np.clip(lit, 3, 250).astype(np.uint8)
        self._canvas.stamp(column, row, shape, self._crowns[kind, size, shade], self._material)

    def _grow(self, kind: int, radius: int) -> tuple[NDArray[np.bool_], Field]:
        reach = int(np.ceil(1.25 * radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32) / np.float32(radius)
        distance, angle = np.hypot(x, y), np.arctan2(y, x)
        outline = np.ones_like(angle)
        for order, phase, depth in zip(
            (2, 3, 5, 8, 13), self._phases[kind], (0.08, 0.05, 0.05, 0.06, 0.05), strict=True
        ):
            outline += np.float32(depth) * np.sin(np.float32(order) * angle + np.float32(phase))
        # Leaves come in clumps of about half a metre to a metre.
        clumps = int(np.clip(radius / self._canvas.scale * 0.9, 3, 40))
        noise = self._canvas.grain.standard_normal((clumps, clumps), dtype=np.float32)
        lumps = cv2.resize(noise, (len(x), len(x)), interpolation=cv2.INTER_CUBIC)
        toward = (self._canvas.sun / np.hypot(*self._canvas.sun)).astype(np.float32)
        slope = (x * toward[0] + y * toward[1]) * np.minimum(distance, 1)
        light = 0.98 - 0.42 * slope + 0.2 * lumps - 0.3 * np.maximum(distance - 0.6, 0)
        return distance < outline, np.maximum(light, 0.25).astype(np.float32)
