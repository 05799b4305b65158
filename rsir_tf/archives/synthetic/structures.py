"""Buildings: houses with pitched roofs, flat-roofed blocks, mobile homes; and pools."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Points, blob, place, rectangle
from rsir_tf.archives.synthetic.materials import MOBILE_HOME, POOL, Colour, Material, choose, shift

CONTRAST = 0.24
"""How much brighter or darker a side of a roof is that faces the sun or faces away from it."""


def draw_house(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    y: float,
    heading: float,
    length: float,
    width: float,
    colour: Colour,
) -> None:
    """Draw a house with a gabled or hipped roof; larger ones have a wing across.

    Args:
        canvas: The canvas to draw on.
        rng: Decides what kind of house it is.
        x: Position of its centre in ground units.
        y: Position of its centre.
        heading: Direction of its ridge in radians.
        length: Size along the ridge in ground units.
        width: Size across the ridge.
        colour: RGB of the roof.
    """
    height = rng.uniform(11, 16)
    hip = float(rng.choice([0.0, 0.0, 0.5, 0.42])) * width
    bodies = [(0.0, 0.0, length, width, 0.0)]
    if length > 1.3 * width and rng.random() < 0.6:
        reach = width * rng.uniform(1.2, 1.6)
        side = rng.choice([-1, 1])
        bodies.append(
            (side * (length - 0.62 * width) / 2, rng.choice([-1, 1]) * 0.22 * width, reach, 0.62 * width, np.pi / 2)
        )
    for dx, dy, long, short, turn in bodies:
        canvas.cast(place(place(rectangle(long, short), dx, dy, turn), x, y, heading), height)
    for dx, dy, long, short, turn in bodies:
        centre = place(np.array([[dx, dy]]), x, y, heading)[0]
        _pitched_roof(canvas, centre[0], centre[1], heading + turn, long, short, hip, colour)
    for _ in range(int(rng.integers(0, 4))):
        spot = place(np.array([[rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.35, 0.35) * width]]), x, y, heading)[0]
        vent = place(rectangle(3, 2.4), spot[0], spot[1], heading)
        canvas.cast(vent, 3)
        canvas.fill(vent, shift(colour, rng.choice([0.6, 1.35])), Material.ROOF, lit=True)


def _pitched_roof(
    canvas: Canvas, x: float, y: float, heading: float, length: float, width: float, hip: float, colour: Colour
) -> None:
    half, side, ridge = length / 2, width / 2, length / 2 - hip
    planes = [
        (np.array([[-half, side], [half, side], [ridge, 0], [-ridge, 0]]), np.pi / 2),
        (np.array([[-half, -side], [half, -side], [ridge, 0], [-ridge, 0]]), -np.pi / 2),
    ]
    if hip > 0:
        planes += [
            (np.array([[half, -side], [half, side], [ridge, 0]]), 0.0),
            (np.array([[-half, -side], [-half, side], [-ridge, 0]]), np.pi),
        ]
    for outline, slope in planes:
        shade = 1 + CONTRAST * canvas.light(heading + slope)
        canvas.fill(place(outline, x, y, heading), shift(colour, shade), Material.ROOF, lit=True)
    canvas.fill(place(rectangle(2 * ridge, 0.8), x, y, heading), shift(colour, 1.12), Material.ROOF)


def draw_block(
    canvas: Canvas, rng: np.random.Generator, outline: Points, colour: Colour, height: float, heading: float = 0.0
) -> None:
    """Draw a flat-roofed building with a parapet, machines and skylights.

    Args:
        canvas: The canvas to draw on.
        rng: Decides what is on the roof.
        outline: float64 [4, 2], a rectangle in ground units.
        colour: RGB of the roof.
        height: Height in ground units.
        heading: Direction of the first side of the rectangle.
    """
    canvas.cast(outline, height)
    canvas.fill(outline, shift(colour, 1.12, 6), Material.FLAT_ROOF, lit=True)
    centre = outline.mean(axis=0)
    length = float(np.hypot(*(outline[1] - outline[0])))
    width = float(np.hypot(*(outline[2] - outline[1])))
    inner = place(rectangle(length - 3, width - 3), centre[0], centre[1], heading)
    canvas.fill(inner, colour, Material.FLAT_ROOF)
    if rng.random() < 0.5:
        # A part of the roof has a membrane of another colour.
        part = rng.uniform(0.3, 0.6)
        strip = place(rectangle((length - 3) * part, width - 3), 0.5 * (length - 3) * (1 - part), 0)
        canvas.fill(
            place(strip, centre[0], centre[1], heading), shift(colour, rng.uniform(0.82, 1.1)), Material.FLAT_ROOF
        )
    if rng.random() < 0.4:
        for u in np.arange(-length / 2 + 12, length / 2 - 8, rng.uniform(14, 24)):
            for v in np.arange(-width / 2 + 12, width / 2 - 8, rng.uniform(16, 26)):
                spot = place(np.array([[u, v]]), centre[0], centre[1], heading)[0]
                light = place(rectangle(5, 3), spot[0], spot[1], heading)
                canvas.fill(light, shift(colour, 0.7), Material.FLAT_ROOF)
    for _ in range(int(rng.integers(2, int(4 + length * width / 1500)))):
        u, v = rng.uniform(-0.42, 0.42, 2) * (length - 6, width - 6)
        spot = place(np.array([[u, v]]), centre[0], centre[1], heading)[0]
        unit = place(rectangle(rng.uniform(3, 8), rng.uniform(3, 6)), spot[0], spot[1], heading)
        canvas.cast(unit, rng.uniform(3, 6))
        grey = rng.uniform(90, 225)
        canvas.fill(unit, (int(grey), int(grey), int(grey * 0.97)), Material.FLAT_ROOF, lit=True)


def draw_mobile_home(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    """Draw a mobile home: long, narrow, low, with a shallow roof and often an awning along a side."""
    colour = choose(rng, MOBILE_HOME, 0.06)
    length, width = rng.uniform(46, 60), rng.choice([13.0, 15.0, 24.0], p=[0.4, 0.35, 0.25])
    body = place(rectangle(length, width), x, y, heading)
    canvas.cast(body, 9)
    for side in (-1, 1):
        plane = place(place(rectangle(length, width / 2), 0, side * width / 4), x, y, heading)
        shade = 1 + 0.09 * canvas.light(heading + side * np.pi / 2)
        canvas.fill(plane, shift(colour, shade), Material.MOBILE_HOME, lit=True)
    for joint in np.arange(-length / 2 + 8, length / 2 - 4, rng.uniform(8, 14)):
        seam = place(place(rectangle(0.7, width), joint, 0), x, y, heading)
        canvas.fill(seam, shift(colour, 0.88), Material.MOBILE_HOME)
    if rng.random() < 0.5:
        side = rng.choice([-1, 1])
        awning = place(rectangle(length * rng.uniform(0.3, 0.6), 7), 0, side * (width / 2 + 3.5))
        canvas.fill(place(awning, x, y, heading), shift(colour, 0.9), Material.MOBILE_HOME, lit=True)
    for _ in range(2):
        vent = place(rectangle(2.4, 2), rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.3, 0.3) * width)
        canvas.fill(place(vent, x, y, heading), shift(colour, 0.7), Material.MOBILE_HOME)


def draw_pool(canvas: Canvas, rng: np.random.Generator, x: float, y: float, radius: float) -> None:
    """Draw a swimming pool with its paved rim."""
    outline = blob(rng, radius, 0.25) if rng.random() < 0.6 else rectangle(2.4 * radius, 1.3 * radius)
    canvas.fill(place(outline * 1.35, x, y), (186, 180, 168), Material.CONCRETE)
    canvas.fill(place(outline, x, y), choose(rng, POOL, 0.06), Material.WATER)
