"""Scenes at the water: beach, harbor, river."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, box, place, rectangle, scatter
from rsir_tf.archives.synthetic.materials import (
    CONCRETE,
    CROWN,
    DOCK,
    GRASS,
    SAND,
    SEA,
    SOIL,
    WATER,
    Colour,
    Material,
    choose,
    mix,
    shift,
)
from rsir_tf.archives.synthetic.noise import Field, enlarge, smooth_noise
from rsir_tf.archives.synthetic.plants import Nursery
from rsir_tf.archives.synthetic.scenes.ground import cover_ground, random_heading
from rsir_tf.archives.synthetic.vehicles import draw_car, draw_ship


def beach(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw sea, surf and sand along a wavy shore, sometimes with dunes and grass or a promenade."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    y = canvas.axes()[1]
    along = smooth_noise(rng, 5, canvas.side)
    # Height of the sand above the edge of the water in ground units; positive on land.
    shore = y - np.float32(rng.uniform(-40, 45)) + 9 * along + 3 * canvas.noise(rng, 14, 30)
    sea = choose(rng, SEA, 0.08)
    shallow = mix(choose(rng, SEA, 0.05), (150, 160, 140), 0.45)
    swell = np.sin((y + 5 * along + 4 * canvas.noise(rng, 8)) * np.float32(2 * np.pi / rng.uniform(9, 15)))
    depth = np.minimum(-shore / np.float32(rng.uniform(60, 140)), 0.85) + np.float32(rng.uniform(0.06, 0.16)) * swell
    canvas.paint(np.ones_like(shore, dtype=bool), shallow, sea, depth, Material.SEA)
    _surf(canvas, rng, shore, shallow)
    sand = choose(rng, SAND, 0.05)
    damp = shore / np.float32(rng.uniform(10, 30))
    canvas.paint(shore > 0, shift(sand, 0.74), sand, damp, Material.SAND)
    inland = rng.random()
    edge = rng.uniform(70, 110)
    if inland < 0.3:
        canvas.lay(shore + 8 * canvas.noise(rng, 12, 26, 60) > edge, choose(rng, GRASS, 0.08), Material.GRASS)
    elif inland < 0.45:
        middle = float(np.mean(y - shore)) + edge + 30
        canvas.band(Path.straight((-REACH, middle), (REACH, middle)), 22, choose(rng, CONCRETE), Material.CONCRETE)
    for _ in range(int(rng.integers(0, 12))):
        # Towels and parasols are too small for a class of their own: they count as sand.
        (x, across), (red, green, blue) = rng.uniform(-120, 120, 2), rng.integers(60, 230, 3).tolist()
        if canvas.material_at(x, across) == Material.SAND:
            canvas.fill(place(rectangle(3, 3), x, across), (red, green, blue), Material.SAND)


def _surf(canvas: Canvas, rng: np.random.Generator, shore: Field, water: Colour) -> None:
    ragged = canvas.noise(rng, 12, 28, 60)
    lace = np.abs(canvas.noise(rng, 30, 64, 128))
    cover = np.zeros_like(shore)
    for line in range(int(rng.integers(2, 5))):
        centre = -rng.uniform(2, 8) - line * rng.uniform(18, 38)
        width = rng.uniform(5, 13) * (0.75 if line else 1)
        # A breaking wave has a sharp edge towards the shore and fades away behind.
        ahead = (shore - np.float32(centre) + 6 * ragged) / np.float32(width)
        crest = np.exp(-(np.where(ahead > 0, 3 * ahead, 0.55 * ahead) ** 2))
        cover = np.maximum(cover, crest * np.clip(1.35 - 0.75 * lace + 0.3 * ragged, 0, 1))
    canvas.paint((cover > 0.2) & (shore <= 0), water, (228, 232, 230), cover, Material.FOAM)


def harbor(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw piers with finger docks and a ship in most berths, sometimes with a quay."""
    canvas.turn(random_heading(rng) + rng.choice([0, np.pi / 2]))
    water = choose(rng, WATER, 0.08)
    canvas.cover(water, Material.WATER)
    ripple = 0.5 + 0.25 * canvas.noise(rng, 3, 7, 50, 100)
    canvas.paint(np.ones_like(ripple, dtype=bool), shift(water, 0.8), shift(water, 1.2), ripple, Material.WATER)
    planks = choose(rng, DOCK, 0.06)
    length = rng.uniform(26, 44)
    gap = 2 * length + rng.uniform(20, 55)
    start = rng.uniform(-REACH, -REACH + gap)
    quay = rng.random() < 0.45
    for across in np.arange(start, REACH, gap):
        _pier(canvas, rng, float(across), length, planks)
    if quay:
        colour = choose(rng, CONCRETE, 0.08)
        canvas.cast(box(80, -REACH, REACH, REACH), 6)
        canvas.fill(box(80, -REACH, REACH, REACH), colour, Material.CONCRETE, lit=True)
        canvas.fill(box(80, -REACH, 83, REACH), shift(colour, 0.8), Material.CONCRETE)
        for spot in np.arange(-REACH, REACH, 11):
            if rng.random() < 0.5:
                draw_car(canvas, rng, 112 + rng.normal(), float(spot), 0.0)


def _pier(canvas: Canvas, rng: np.random.Generator, across: float, length: float, planks: tuple[int, int, int]) -> None:
    width = rng.uniform(7, 10)
    pitch = rng.uniform(0.4, 0.5) * length
    pier = box(-REACH, across - width / 2, REACH, across + width / 2)
    fingers = rng.random() < 0.75
    canvas.cast(pier, 4)
    for side in (-1, 1):
        for berth, along in enumerate(np.arange(-REACH, REACH, pitch)):
            if not canvas.near(float(along), across + side * 0.5 * length, 30):
                continue
            if fingers and berth % 2 == 0:
                finger = place(rectangle(3.2, 0.85 * length), along, across + side * (width / 2 + 0.42 * length))
                canvas.cast(finger, 3)
                canvas.fill(finger, shift(planks, 1.05), Material.DOCK, lit=True)
            if rng.random() < 0.86:
                size = length * rng.uniform(0.72, 0.98)
                middle = across + side * (width / 2 + 2.5 + size / 2)
                heading = side * np.pi / 2 * (1 if rng.random() < 0.75 else -1) + rng.normal(0, 0.03)
                draw_ship(canvas, rng, float(along) + pitch / 2, middle, heading, size)
    canvas.fill(pier, planks, Material.DOCK, lit=True)
    for plank in np.arange(-REACH, REACH, 7.0):
        canvas.fill(place(rectangle(0.6, width), plank, across), shift(planks, 0.84), Material.DOCK)


def river(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a river with bends and sandy or bare banks, with meadows and woods beside it."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    cover_ground(canvas, rng, bare=0.25, worn=0.12)
    bends = np.stack([np.linspace(-REACH, REACH, 6), rng.uniform(-30, 30) + rng.normal(0, 26, 6)], axis=1)
    course = Path.smooth(bends, 10)
    distance = _across(canvas, course) + 5 * canvas.noise(rng, 9, 20) + 2 * canvas.noise(rng, 50)
    width = rng.uniform(22, 46)
    bank = width + rng.uniform(6, 26) * (1 + 0.6 * smooth_noise(rng, 5, canvas.side))
    sandy = rng.random() < 0.55
    canvas.lay(
        np.abs(distance) < bank, choose(rng, SAND if sandy else SOIL, 0.08), Material.SAND if sandy else Material.SOIL
    )
    water, bed = choose(rng, WATER, 0.08), mix(choose(rng, WATER), choose(rng, SOIL), 0.4)
    shallow = np.maximum(np.abs(distance) / np.float32(width) - 0.55, 0) * np.float32(1.3)
    streaks = 0.15 + 0.1 * np.sin(distance * np.float32(0.5) + 2 * canvas.noise(rng, 12))
    canvas.paint(np.abs(distance) < width, water, bed, shallow + streaks, Material.WATER)
    woods = canvas.noise(rng, 3, 6)
    places = canvas.within(scatter(rng, 14))
    columns, rows = canvas.pixels(places).T
    places = places[woods[rows, columns] > rng.uniform(-0.7, 0.5)]
    Nursery(canvas, rng, CROWN).plant(places, (6, 13), (Material.GRASS, Material.SOIL))


def _across(canvas: Canvas, course: Path) -> Field:
    """Return the distance of each canvas pixel from a course along x, measured perpendicularly to the course."""
    coarse = 4
    x, y = (axis[::coarse, ::coarse] for axis in canvas.axes())
    slope = np.gradient(course.points[:, 1], course.points[:, 0])
    middle = np.interp(x, course.points[:, 0], course.points[:, 1])
    steep = np.interp(x, course.points[:, 0], slope)
    distance = ((y - middle) / np.sqrt(1 + steep**2)).astype(np.float32)
    return enlarge(distance, canvas.side)
