"""What most scenes have in common: the ground that is drawn first, and the plants that are drawn last."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, Points, scatter
from rsir_tf.archives.synthetic.materials import CROWN, GRASS, SAND, SOIL, Colour, Material, choose, shift
from rsir_tf.archives.synthetic.plants import Nursery

OPEN_GROUND = (Material.GRASS, Material.SOIL, Material.SAND, Material.TURF)


def random_heading(rng: np.random.Generator) -> float:
    """Return a direction in radians; half of them are near an axis, like many streets."""
    return float(rng.normal(0, 0.06) if rng.random() < 0.5 else rng.uniform(-np.pi, np.pi))


def cover_ground(canvas: Canvas, rng: np.random.Generator, bare: float = 0.3, worn: float = 0.0) -> Colour:
    """Cover the tile with grass, or with bare soil.

    Args:
        canvas: The canvas to draw on.
        rng: Makes the choice.
        bare: Probability of bare soil.
        worn: Approximate share of the grass that is worn down to soil, in patches.

    Returns:
        RGB of the ground.
    """
    if rng.random() < bare:
        colour = choose(rng, SOIL, 0.08)
        canvas.cover(colour, Material.SOIL)
        return colour
    colour = choose(rng, GRASS, 0.1)
    canvas.cover(colour, Material.GRASS)
    if worn:
        patches = canvas.noise(rng, 5, 11, 23, 50)
        threshold = float(np.quantile(patches[::8, ::8], 1 - worn))
        canvas.lay(patches > threshold, choose(rng, SOIL, 0.08), Material.SOIL)
    return colour


def bare_soil(rng: np.random.Generator) -> tuple[Colour, Material]:
    """Return a colour of soil or sand, and the material."""
    if rng.random() < 0.75:
        return choose(rng, SOIL, 0.08), Material.SOIL
    return choose(rng, SAND, 0.06), Material.SAND


def stripe(
    canvas: Canvas,
    outline: Points,
    colour: Colour,
    material: Material,
    width: float,
    contrast: float,
    heading: float = 0.0,
) -> None:
    """Draw mown stripes on an area; every second one is a little darker."""
    x, y = canvas.axes()
    across = -x * np.float32(np.sin(heading)) + y * np.float32(np.cos(heading))
    dark = np.floor(across / np.float32(width)) % 2
    canvas.paint(canvas.inside(outline), colour, shift(colour, 1 - contrast), dark, material)


def plant_trees(
    canvas: Canvas,
    rng: np.random.Generator,
    spacing: float,
    radii: tuple[float, float],
    share: float = 1.0,
    extent: tuple[float, float, float, float] | None = None,
) -> None:
    """Plant trees on open ground.

    Args:
        canvas: The canvas to draw on.
        rng: Gives places, sizes and colours.
        spacing: Mean distance between possible places in ground units.
        radii: Smallest and largest radius of a crown.
        share: Share of these places that have a tree.
        extent: Left, top, right, bottom of the places; by default everything that a turned tile can show.
    """
    places = scatter(rng, spacing, extent)
    Nursery(canvas, rng, CROWN).plant(places[rng.random(len(places)) < share], radii, OPEN_GROUND)


def plant_along(
    canvas: Canvas, rng: np.random.Generator, path: Path, spacing: float, radii: tuple[float, float]
) -> None:
    """Plant a row of trees along a path, on open ground."""
    distances = np.arange(rng.uniform(0, spacing), path.length, spacing)
    places = np.array([path.at(float(distance))[:2] for distance in distances]) + rng.normal(0, 3, (len(distances), 2))
    Nursery(canvas, rng, CROWN).plant(places, radii, OPEN_GROUND)


def plant_wood(
    canvas: Canvas, rng: np.random.Generator, where: Points, spacing: float, radii: tuple[float, float]
) -> None:
    """Fill an outline with dense trees, on any material."""
    mask = canvas.inside(where)
    places = canvas.within(scatter(rng, spacing))
    columns, rows = canvas.pixels(places).T
    Nursery(canvas, rng, CROWN).plant(places[mask[rows, columns]], radii)


def dirt_track(canvas: Canvas, rng: np.random.Generator, width: float) -> Path:
    """Draw a winding dirt track across the tile and return its middle."""
    controls = np.stack([np.linspace(-REACH, REACH, 6), rng.normal(0, 22, 6) + rng.uniform(-80, 80)], axis=1)
    path = Path.smooth(controls)
    colour, material = choose(rng, SOIL, 0.08), Material.SOIL
    canvas.band(path, width, shift(colour, 1.1), material)
    canvas.band(path, 0.35 * width, colour, material)
    return path
