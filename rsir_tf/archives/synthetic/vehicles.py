"""Vehicles and tanks. Each vehicle is drawn around its centre and points towards `heading`."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Points, disc, place, rectangle
from rsir_tf.archives.synthetic.materials import AIRPLANE, CAR, LIVERY, SHIP, TARPAULIN, Colour, Material, choose, shift

GLASS: Colour = (36, 42, 50)

_CAR = np.array([[-7, -2.6], [-6, -3.2], [5.5, -3.1], [7.2, -2], [7.2, 2], [5.5, 3.1], [-6, 3.2], [-7, 2.6]])
_WINDSCREEN = np.array([[1.4, -2.4], [3.6, -2.7], [3.6, 2.7], [1.4, 2.4]])
_REAR_WINDOW = np.array([[-5.2, -2.4], [-4, -2.1], [-4, 2.1], [-5.2, 2.4]])
_HULL = np.array([[-0.5, -0.34], [-0.2, -0.48], [0.1, -0.45], [0.34, -0.26], [0.5, 0.0]])
_HULL = np.concatenate([_HULL, _HULL[-2::-1] * (1, -1)])


def draw_car(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    """Draw a passenger car of about 4.4 m."""
    colour = choose(rng, CAR, 0.06)
    size = rng.uniform(0.92, 1.12)
    body = place(_CAR * size, x, y, heading)
    canvas.cast(body, 5.0)
    canvas.fill(body, colour, Material.CAR, lit=True)
    glass = GLASS if sum(colour) > 180 else shift(GLASS, 2.2)
    canvas.fill(place(_WINDSCREEN * size, x, y, heading), glass, Material.CAR)
    canvas.fill(place(_REAR_WINDOW * size, x, y, heading), glass, Material.CAR)


def draw_lorry(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    """Draw a lorry of 9 to 16 m: a box behind a cab."""
    colour = choose(rng, CAR[:4], 0.06)
    length = rng.uniform(28, 50)
    box = place(place(rectangle(length - 9, 8.4), -5, 0), x, y, heading)
    cab = place(place(rectangle(7.5, 7.4), length / 2 - 4.5, 0), x, y, heading)
    for part in (box, cab):
        canvas.cast(part, 11.0)
    canvas.fill(box, colour, Material.CAR, lit=True)
    canvas.fill(cab, choose(rng, CAR, 0.06), Material.CAR, lit=True)
    canvas.fill(place(place(rectangle(1.6, 6.4), length / 2 - 2.2, 0), x, y, heading), GLASS, Material.CAR)


def draw_ship(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float, length: float) -> None:
    """Draw a moored boat or yacht: hull, deck, cabin or tarpaulin."""
    colour = choose(rng, SHIP, 0.05)
    width = length * rng.uniform(0.27, 0.34)
    hull = _HULL * (length, width)
    canvas.cast(place(hull, x, y, heading), 5.0)
    canvas.fill(place(hull, x, y, heading), colour, Material.SHIP, lit=True)
    canvas.fill(place(hull * 0.8, x, y, heading), shift(colour, 0.86), Material.SHIP)
    cabin = place(rectangle(0.4 * length, 0.5 * width), -0.06 * length, 0)
    kind = rng.random()
    if kind < 0.55:
        canvas.fill(place(cabin, x, y, heading), shift(colour, 1.07), Material.SHIP)
        canvas.fill(
            place(place(rectangle(0.08 * length, 0.46 * width), 0.16 * length, 0), x, y, heading), GLASS, Material.SHIP
        )
        canvas.fill(
            place(place(rectangle(0.16 * length, 0.4 * width), -0.36 * length, 0), x, y, heading),
            shift(colour, 0.66),
            Material.SHIP,
        )
    elif kind < 0.8:
        canvas.fill(place(cabin * (1.3, 1.2), x, y, heading), choose(rng, TARPAULIN), Material.SHIP)
    else:
        # A sailing boat: the foot of the mast, and the furled sail on the boom.
        canvas.fill(
            place(place(rectangle(0.46 * length, 1.6), -0.1 * length, 0), x, y, heading), (70, 90, 140), Material.SHIP
        )
        canvas.fill(place(rectangle(0.3 * length, 0.36 * width), x, y, heading), shift(colour, 1.06), Material.SHIP)


def draw_airplane(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float, length: float) -> None:
    """Draw an airliner or a business jet: fuselage, swept wings with engines, tail."""
    colour = choose(rng, AIRPLANE, 0.03)
    livery = choose(rng, LIVERY, 0.1)
    span, sweep = rng.uniform(0.42, 0.5), rng.uniform(0.14, 0.26)
    width = rng.uniform(0.042, 0.055)
    fuselage = _fuselage(width)
    wing = np.array([[0.14, 0], [0.14 - sweep, span], [0.09 - sweep, span], [-0.06, 0]])
    tail = np.array([[-0.38, 0], [-0.46, 0.17], [-0.5, 0.17], [-0.47, 0]])
    wing_engines = rng.random() < 0.65
    engine = rectangle(0.13, 0.05) + ((0.1 - 0.32 * sweep, 0.32 * span) if wing_engines else (-0.3, 0.085))
    sides = (np.array([1.0, 1.0]), np.array([1.0, -1.0]))
    parts = [fuselage, *(part * side for part in (wing, tail, engine) for side in sides)]
    for part in parts:
        canvas.cast(place(part * length, x, y, heading), 11.0, lift=5.0)

    def draw(part: Points, shade: Colour) -> None:
        canvas.fill(place(part * length, x, y, heading), shade, Material.AIRPLANE, lit=True)

    for side in sides:
        draw(engine * side, shift(colour, 0.62))
        # Wings are slightly grey; the wing that leans towards the sun is brighter.
        draw(wing * side, shift(colour, 0.9 + 0.05 * canvas.light(heading + np.pi / 2 * side[1])))
        flap = np.array([[-0.04, 0.05], [0.1 - sweep, span], [0.09 - sweep, span], [-0.06, 0.05]])
        draw(flap * side, shift(colour, 0.72))
        draw(tail * side, shift(colour, 0.88))
    draw(fuselage, shift(colour, 0.88))
    draw(fuselage * (0.99, 0.55), colour)
    draw(place(rectangle(0.02, width * 1.1), 0.465, 0), GLASS)
    draw(np.array([[-0.34, -0.008], [-0.34, 0.008], [-0.5, 0.012], [-0.5, -0.012]]), livery)


def draw_cart(canvas: Canvas, rng: np.random.Generator, x: float, y: float, heading: float) -> None:
    """Draw a vehicle of an airfield: a tug, a fuel bowser, a row of trolleys."""
    colour = choose(rng, (*CAR[:3], (206, 160, 50)), 0.06)
    for index in range(int(rng.integers(1, 4))):
        body = place(place(rectangle(9, 5.5), -10.5 * index, 0), x, y, heading)
        canvas.cast(body, 5.0)
        canvas.fill(body, colour, Material.CAR, lit=True)
    canvas.fill(place(place(rectangle(2, 4.5), 2, 0), x, y, heading), GLASS, Material.CAR)


def draw_tank(canvas: Canvas, rng: np.random.Generator, x: float, y: float, radius: float, colour: Colour) -> None:
    """Draw a round storage tank: the rim of the wall, a roof shaded like a flat cone, a stair."""
    circle = disc(radius, 40)
    canvas.cast(place(circle, x, y), rng.uniform(0.35, 0.7) * radius)
    canvas.fill(place(circle, x, y), shift(colour, 0.68), Material.TANK, lit=True)
    inner = radius * 0.94
    floating = rng.random() < 0.35
    for start in np.arange(24) * (2 * np.pi / 24):
        wedge = np.array([[0, 0], [np.cos(start), np.sin(start)], [np.cos(start + 0.28), np.sin(start + 0.28)]]) * inner
        # A floating roof is lower than the wall, therefore the far side is the bright one.
        lean = (-0.1 if floating else 0.11) * canvas.light(start + 0.13)
        canvas.fill(place(wedge, x, y), shift(colour, (0.88 if floating else 1.0) + lean), Material.TANK)
    if floating:
        canvas.fill(place(disc(0.55 * radius), x, y), shift(colour, 0.8), Material.TANK)
    stair = rng.uniform(0, 2 * np.pi)
    canvas.fill(
        place(place(rectangle(radius * 0.9, 1.2), 0.5 * radius, 0), x, y, stair), shift(colour, 0.55), Material.TANK
    )
    canvas.fill(place(disc(max(1.5, 0.06 * radius), 8), x, y), shift(colour, 0.5), Material.TANK)


def _fuselage(width: float) -> Points:
    nose = [[0.5, 0.0], [0.485, 0.45], [0.455, 0.8], [0.4, 1.0], [-0.2, 1.0], [-0.38, 0.62], [-0.5, 0.12]]
    upper = np.array(nose) * (1, width)
    return np.concatenate([upper, upper[:0:-1] * (1, -1)])
