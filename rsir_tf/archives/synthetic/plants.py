"""Trees and shrubs: lumpy crowns, lit from the sun's side, each with its shadow."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Points, disc
from rsir_tf.archives.synthetic.materials import Colour, Material, choose, shift

SHAPES = 5
"""Different crowns a nursery grows; each is drawn at several sizes."""


class Nursery:
    """Plants of one kind on one canvas.

    Args:
        canvas: Where they grow.
        rng: Source of their shapes and colours.
        colours: RGB of the species; two or three of them are taken for this tile.
        material: `CROWN` for trees, `SHRUB` for chaparral.
        height: Of a plant, relative to its radius: how far its shadow reaches.
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
        self._species = [choose(rng, colours, 0.08) for _ in range(int(rng.integers(2, 4)))]
        self._phases = rng.uniform(0, 2 * np.pi, (SHAPES, 3))
        self._material = material
        self._height = height
        self._grown: dict[tuple[int, int], tuple[NDArray[np.bool_], NDArray[np.float32]]] = {}

    def plant(self, x: float, y: float, radius: float) -> None:
        """Draw one plant and its shadow; `radius` in ground units."""
        colour = shift(choose(self._rng, self._species, 0.1), 1.0)
        kind = int(self._rng.integers(SHAPES))
        column, row = self._canvas.pixels(np.array([[x, y]]))[0]
        margin = 3 * radius * self._canvas.scale
        if not (-margin < column < self._canvas.side + margin and -margin < row < self._canvas.side + margin):
            return
        # A crown floats on a trunk: its shadow begins a little away from it.
        self._canvas.cast(disc(0.9 * radius, 10) + (x, y), self._height * radius, lift=0.3 * radius)
        shape, shade = self._grow(kind, max(1, round(radius * self._canvas.scale)))
        shaded = np.clip(shade[..., None] * np.asarray(colour, dtype=np.float32), 3, 250).astype(np.uint8)
        self._canvas.stamp(x, y, shape, shaded, self._material)

    def plant_where(self, points: Points, radii: tuple[float, float], ground: Sequence[Material]) -> None:
        """Draw plants of random radius at those points that lie on one of some materials."""
        for x, y in points:
            radius = float(self._rng.uniform(*radii))
            if self._canvas.material_at(x, y) in ground:
                self.plant(x, y, radius)

    def _grow(self, kind: int, radius: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        if (kind, radius) not in self._grown:
            self._grown[kind, radius] = self._shape(kind, radius)
        return self._grown[kind, radius]

    def _shape(self, kind: int, radius: int) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        reach = int(np.ceil(1.25 * radius))
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32) / radius
        distance, angle = np.hypot(x, y), np.arctan2(y, x)
        outline = np.ones_like(angle)
        for order, phase, depth in zip((2, 5, 9), self._phases[kind], (0.07, 0.09, 0.06), strict=True):
            outline += depth * np.sin(order * angle + phase)
        # Leaves come in clumps of about half a metre to a metre.
        clumps = int(np.clip(radius / self._canvas.scale * 0.9, 3, 40))
        noise = self._canvas.grain.standard_normal((clumps, clumps), dtype=np.float32)
        lumps = cv2.resize(noise, (len(x), len(x)), interpolation=cv2.INTER_CUBIC)
        toward = self._canvas.sun / np.hypot(*self._canvas.sun)
        slope = (x * toward[0] + y * toward[1]) * np.minimum(distance, 1)
        shade = 0.98 - 0.42 * slope + 0.2 * lumps - 0.3 * np.maximum(distance - 0.6, 0)
        return distance < outline, np.maximum(shade, 0.25).astype(np.float32)
