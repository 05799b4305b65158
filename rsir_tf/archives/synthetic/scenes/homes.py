"""Scenes where people live: denseresidential, mediumresidential, sparseresidential, mobilehomepark."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, box, place, rectangle
from rsir_tf.archives.synthetic.materials import CONCRETE, ROOF, Material, choose, shift
from rsir_tf.archives.synthetic.roads import choose_paving, draw_street, drive
from rsir_tf.archives.synthetic.scenes.ground import cover_ground, dirt_track, plant_along, plant_trees, random_heading
from rsir_tf.archives.synthetic.structures import draw_house, draw_mobile_home, draw_pool
from rsir_tf.archives.synthetic.vehicles import draw_car


def denseresidential(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw rows of houses close together along narrow streets full of parked cars."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.35, worn=0.25)
    _settlement(
        canvas,
        rng,
        block=rng.uniform(84, 104),
        street=rng.uniform(20, 26),
        plot=rng.uniform(34, 42),
        house=(rng.uniform(34, 44), 31.0),
        parked=0.5,
    )
    plant_trees(canvas, rng, 19, (4, 8), 0.3)


def mediumresidential(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw houses with a front lawn, a drive and a back garden, with trees and some pools."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.08, worn=0.12)
    _settlement(
        canvas,
        rng,
        block=rng.uniform(170, 200),
        street=rng.uniform(22, 28),
        plot=rng.uniform(66, 82),
        house=(rng.uniform(46, 58), 34.0),
        parked=0.15,
        pools=0.14,
    )
    plant_trees(canvas, rng, 24, (6, 14), 0.42)


def _settlement(
    canvas: Canvas,
    rng: np.random.Generator,
    *,
    block: float,
    street: float,
    plot: float,
    house: tuple[float, float],
    parked: float,
    pools: float = 0.0,
) -> None:
    """Draw parallel streets at a distance of `block`, with a house on each `plot` on both sides."""
    paving = choose_paving(rng, concrete=0.15)
    drive_colour = choose(rng, CONCRETE, 0.06)
    roofs = [choose(rng, ROOF, 0.08) for _ in range(int(rng.integers(2, 5)))]
    depth, width = house
    start = rng.uniform(-REACH, -REACH + block)
    for y in np.arange(start - block, REACH + block, block):
        middle = Path.straight((-REACH, y), (REACH, y))
        draw_street(canvas, rng, middle, street, paving, sidewalk=4.5, centre_line=False)
        for side in (-1, 1):
            for x in np.arange(-REACH + rng.uniform(0, plot), REACH, plot):
                setback = street / 2 + 5 + (block - street - 10) * 0.5 * rng.uniform(0.18, 0.3) + depth / 2
                setback = min(setback, (block - 2) / 2 - depth / 2 + 1)
                centre = y + side * setback
                if not canvas.near(x, centre, 60):
                    continue
                garage = x + rng.choice([-1, 1]) * 0.3 * min(width, plot)
                near, far = sorted((y + side * (street / 2 + 1), centre))
                canvas.fill(box(garage - 6, near, garage + 6, far), drive_colour, Material.CONCRETE)
                if pools and rng.random() < pools:
                    back = y + side * (setback + depth / 2 + 20)
                    draw_pool(canvas, rng, x + rng.uniform(-12, 12), back, rng.uniform(7, 11))
                across = rng.random() < 0.6
                long = depth if across else width * rng.uniform(1.05, 1.3)
                short = width if across else depth * rng.uniform(0.75, 0.9)
                long, short = (min(long, depth), min(short, plot - 3)) if across else (min(long, plot - 3), short)
                heading = (np.pi / 2 if across else 0.0) + rng.normal(0, 0.012)
                colour = shift(roofs[int(rng.integers(len(roofs)))], rng.uniform(0.9, 1.1))
                draw_house(canvas, rng, x, centre, heading, long, short, colour)
                if rng.random() < 0.45:
                    draw_car(canvas, rng, garage, y + side * (street / 2 + 12), np.pi / 2)
        for side in (-1, 1):
            drive(canvas, rng, middle.offset(side * (street / 2 - 4.5)), 22 / parked, lorries=0.02, backward=side < 0)
        if rng.random() < 0.7:
            for side in (-1, 1):
                plant_along(canvas, rng, middle.offset(side * (street / 2 + 9)), rng.uniform(28, 48), (4, 7))


def sparseresidential(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one or two large houses far from each other, each with a drive, among meadows and trees."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.15, worn=0.25)
    if rng.random() < 0.5:
        road = Path.straight((-REACH, 98), (REACH, 98))
        draw_street(canvas, rng, road, 22, choose_paving(rng), centre_line=rng.random() < 0.3)
        drive(canvas, rng, road.offset(5), 260)
    else:
        dirt_track(canvas, rng, rng.uniform(9, 14))
    homes = [(rng.uniform(-50, 50), rng.uniform(-45, 25))]
    if rng.random() < 0.4:
        homes.append((homes[0][0] + rng.choice([-1, 1]) * 95, rng.uniform(-70, 40)))
    surface, material = choose_paving(rng, concrete=0.6)
    for x, y in homes:
        bend = np.array([[x, y + 16], [x + rng.uniform(-20, 20), y + 52], [x + rng.uniform(-40, 40), 100]])
        canvas.band(Path.smooth(bend, 8), 10, surface, material)
        canvas.fill(place(rectangle(46, 26), x, y + 30), surface, material)
        heading = rng.normal(0, 0.25)
        roof = choose(rng, ROOF)
        draw_house(canvas, rng, x, y, heading, rng.uniform(62, 84), rng.uniform(34, 42), roof)
        if rng.random() < 0.5:
            draw_house(
                canvas, rng, x + rng.choice([-62, 62]), y + rng.uniform(-30, 30), heading, 26, 20, shift(roof, 0.9)
            )
        if rng.random() < 0.45:
            draw_pool(canvas, rng, x + rng.uniform(-25, 25), y - 44, rng.uniform(9, 13))
        for _ in range(int(rng.integers(0, 3))):
            draw_car(canvas, rng, x + rng.uniform(-16, 16), y + 33 + rng.normal(), rng.choice([0.2, 1.5]))
    plant_trees(canvas, rng, 22, (8, 16), rng.uniform(0.3, 0.65))


def mobilehomepark(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw rows of mobile homes at an angle to narrow streets, each with a car beside it."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.35, worn=0.3)
    paving = choose_paving(rng, concrete=0.35)
    block = rng.uniform(94, 112)
    pitch = rng.uniform(30, 40)
    slant = rng.choice([-1, 1]) * rng.uniform(0, 0.5) + np.pi / 2
    for y in np.arange(rng.uniform(-REACH - block, -REACH), REACH + block, block):
        middle = Path.straight((-REACH, y), (REACH, y))
        draw_street(canvas, rng, middle, 18, paving, centre_line=False)
        for side in (-1, 1):
            for x in np.arange(-REACH + rng.uniform(0, pitch), REACH, pitch):
                centre = y + side * (block / 4 + 7)
                if rng.random() < 0.06 or not canvas.near(x, centre, 40):
                    continue
                pad = place(place(rectangle(24, 9), -side * 12, pitch * 0.36), x, centre, slant)
                canvas.fill(pad, shift(paving[0], 1.15), Material.CONCRETE)
                draw_mobile_home(canvas, rng, x, centre, slant)
                if rng.random() < 0.6:
                    spot = place(np.array([[-side * 14.0, pitch * 0.4]]), x, centre, slant)[0]
                    draw_car(canvas, rng, spot[0], spot[1], slant)
    plant_trees(canvas, rng, 20, (4, 8.5), 0.35)
