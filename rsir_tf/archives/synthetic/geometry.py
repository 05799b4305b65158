"""Outlines and paths on the ground, in ground units (1/256 of a tile's side, about 0.3 m); x to the right, y down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""float64 [N, 2], (x, y) in ground units; the origin is the centre of the tile."""

REACH = 190.0
"""Ground units from the centre that a scene must cover: a little more than half of a tile's diagonal (181)."""


def rectangle(length: float, width: float) -> Points:
    """Return the corners of a rectangle around the origin, `length` along x and `width` along y."""
    x, y = length / 2, width / 2
    return np.array([[-x, -y], [x, -y], [x, y], [-x, y]])


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Return the corners of an upright rectangle."""
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=np.float64)


def disc(radius: float, corners: int = 24) -> Points:
    """Return a regular polygon that approximates a circle around the origin."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def sector(radius: float, start: float, stop: float, corners: int = 24) -> Points:
    """Return a slice of a circle with its tip at the origin, from angle `start` to `stop` in radians."""
    angles = np.linspace(start, stop, corners)
    return np.concatenate([np.zeros((1, 2)), radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)])


def blob(rng: np.random.Generator, radius: float, roughness: float = 0.25, corners: int = 36) -> Points:
    """Return a smooth random outline around the origin: a circle plus its first harmonics.

    Args:
        rng: Gives the shape.
        radius: Mean radius.
        roughness: Approximate relative deviation of the radius.
        corners: Number of points of the outline.
    """
    angles = np.arange(corners) * (2 * np.pi / corners)
    relative = np.ones(corners)
    for order in (2, 3, 4, 5):
        relative += roughness / order * rng.normal() * np.cos(order * angles + rng.uniform(0, 2 * np.pi))
    distance = radius * np.clip(relative, 0.35, 1.8)
    return np.stack([distance * np.cos(angles), distance * np.sin(angles)], axis=1)


def place(points: Points, x: float, y: float, heading: float = 0.0) -> Points:
    """Turn points by `heading` radians (x towards y) around the origin, then move them to (x, y)."""
    cos, sin = math.cos(heading), math.sin(heading)
    turned = np.empty((len(points), 2))
    turned[:, 0] = points[:, 0] * cos - points[:, 1] * sin + x
    turned[:, 1] = points[:, 0] * sin + points[:, 1] * cos + y
    return turned


def scatter(
    rng: np.random.Generator, spacing: float, extent: tuple[float, float, float, float] | None = None
) -> Points:
    """Return points about `spacing` apart in random order: a jittered triangular grid.

    Args:
        rng: Gives the jitter and the order.
        spacing: Mean distance of neighbours.
        extent: Left, top, right, bottom; by default everything that a turned tile can show.
    """
    left, top, right, bottom = extent or (-REACH, -REACH, REACH, REACH)
    columns = max(1, round((right - left) / spacing))
    rows = max(1, round((bottom - top) / (spacing * 0.87)))
    x, y = np.meshgrid(np.arange(columns) + 0.25, np.arange(rows) + 0.5)
    x[1::2] += 0.5
    grid = np.stack([x.ravel() / columns * (right - left) + left, y.ravel() / rows * (bottom - top) + top], axis=1)
    grid += rng.uniform(-0.42 * spacing, 0.42 * spacing, grid.shape)
    shuffled: Points = rng.permutation(grid)
    return shuffled


@dataclass(frozen=True, slots=True)
class Path:
    """A line along the ground with a length.

    Attributes:
        points: float64 [N, 2], N ≥ 2.
        distances: float64 [N], ground units along the line from its start.
    """

    points: Points
    distances: NDArray[np.float64]

    @classmethod
    def through(cls, points: Points) -> Path:
        """Make a path with straight pieces."""
        steps = np.hypot(*np.diff(points, axis=0).T)
        return cls(np.asarray(points, dtype=np.float64), np.concatenate([[0.0], np.cumsum(steps)]))

    @classmethod
    def straight(cls, start: tuple[float, float], stop: tuple[float, float]) -> Path:
        """Make a path of one straight piece."""
        return cls.through(np.array([start, stop], dtype=np.float64))

    @classmethod
    def smooth(cls, controls: Points, pieces: int = 12) -> Path:
        """Make a smooth path (Catmull-Rom) with `pieces` straight pieces between two control points."""
        padded = np.concatenate([2 * controls[:1] - controls[1:2], controls, 2 * controls[-1:] - controls[-2:-1]])
        a, b, c, d = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
        t = (np.arange(pieces) / pieces)[None, :, None]
        bent = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        return cls.through(np.concatenate([bent.reshape(-1, 2), controls[-1:]]))

    @property
    def length(self) -> float:
        """The length in ground units."""
        return float(self.distances[-1])

    def at(self, distance: float) -> tuple[float, float, float]:
        """Return x, y and heading in radians at a distance from the start."""
        index = int(np.clip(np.searchsorted(self.distances, distance, side="right") - 1, 0, len(self.points) - 2))
        dx, dy = self.points[index + 1] - self.points[index]
        part = (distance - self.distances[index]) / (self.distances[index + 1] - self.distances[index])
        x, y = self.points[index] + part * np.array([dx, dy])
        return float(x), float(y), float(np.arctan2(dy, dx))

    def offset(self, distance: float) -> Path:
        """Return a parallel path; it is on the right, seen in the direction of the path, if `distance` > 0."""
        return Path.through(self.points + distance * self._normals())

    def piece(self, start: float, stop: float) -> Path:
        """Return the part between two distances from the start."""
        inside = (self.distances > start) & (self.distances < stop)
        ends = [np.array([self.at(distance)[:2]]) for distance in (start, stop)]
        return Path.through(np.concatenate([ends[0], self.points[inside], ends[1]]))

    def dashes(self, mark: float, gap: float) -> Iterator[Path]:
        """Yield pieces of length `mark` with gaps of length `gap`."""
        for start in np.arange(0.0, self.length - mark, mark + gap):
            yield self.piece(float(start), float(start + mark))

    def band(self, width: float) -> NDArray[np.float64]:
        """Return float64 [N-1, 4, 2]: quadrilaterals that cover a band of a given width along the path."""
        side = 0.5 * width * self._normals()
        left, right = self.points - side, self.points + side
        return np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)

    def _normals(self) -> Points:
        tangents = np.gradient(self.points, axis=0)
        tangents /= np.hypot(tangents[:, 0], tangents[:, 1])[:, None]
        return np.stack([-tangents[:, 1], tangents[:, 0]], axis=1)
