"""Scenes of open land: agricultural, chaparral, forest, golfcourse."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, Points, blob, box, place, scatter
from rsir_tf.archives.synthetic.materials import (
    CONCRETE,
    CROP,
    CROWN,
    GRASS,
    SAND,
    SHRUB,
    SOIL,
    WATER,
    Material,
    choose,
    mix,
    shift,
)
from rsir_tf.archives.synthetic.plants import Nursery
from rsir_tf.archives.synthetic.scenes.ground import (
    OPEN_GROUND,
    cover_ground,
    dirt_track,
    plant_trees,
    plant_wood,
    random_heading,
    stripe,
)


def agricultural(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one to four fields, each with its own crop and furrows, with tracks between them."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.6)
    track = rng.uniform(6, 14)
    cut_x, cut_y = rng.uniform(-90, 90, 2)
    kind = rng.random()
    if kind < 0.35:
        fields = [box(-REACH, -REACH, REACH, REACH)]
    elif kind < 0.75:
        fields = [box(-REACH, -REACH, cut_x, REACH), box(cut_x + track, -REACH, REACH, REACH)]
    else:
        fields = [
            box(-REACH, -REACH, cut_x, REACH),
            box(cut_x + track, -REACH, REACH, cut_y),
            box(cut_x + track, cut_y + track, REACH, REACH),
        ]
    for outline in fields:
        _plough(canvas, rng, outline)
    if rng.random() < 0.5:
        plant_trees(canvas, rng, 26, (6, 13), 0.5)


def _plough(canvas: Canvas, rng: np.random.Generator, outline: Points) -> None:
    crop = choose(rng, CROP, 0.1)
    soil = mix(choose(rng, SOIL, 0.1), shift(crop, rng.choice([0.66, 1.3])), rng.uniform(0.45, 0.9))
    period = rng.uniform(4.0, 12)
    heading = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.05) * (rng.random() < 0.4)
    x, y = canvas.axes()
    across = x * np.float32(np.cos(heading)) + y * np.float32(np.sin(heading))
    across += np.float32(rng.uniform(0.2, 1.0)) * canvas.noise(rng, 6, 24)
    rows = 0.5 + 0.5 * np.sin(across * np.float32(2 * np.pi / period))
    # Plants grow differently in different places, so that rows fade and have gaps.
    growth = rows * np.float32(rng.uniform(0.75, 1.0)) + np.float32(0.13) * canvas.noise(rng, 9, 40)
    tramlines = np.abs((across + np.float32(500)) % np.float32(rng.uniform(45, 90))) < np.float32(2.2)
    growth[tramlines] *= 0.35
    canvas.paint(canvas.inside(outline), soil, crop, growth, Material.CROP)


def chaparral(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw shrubs, dense in some places, on bare or sandy ground with a track."""
    canvas.turn(random_heading(rng))
    sandy = rng.random() < 0.35
    ground = choose(rng, SAND if sandy else SOIL, 0.08)
    canvas.cover(ground, Material.SAND if sandy else Material.SOIL)
    dry = canvas.noise(rng, 4, 9, 20)
    canvas.lay(dry > 1.1, shift(ground, 1.12), Material.SOIL)
    track = dirt_track(canvas, rng, rng.uniform(8, 14)) if rng.random() < 0.5 else None
    density = canvas.noise(rng, 4, 8)
    sparse = rng.uniform(-0.5, 0.8)
    places = canvas.within(scatter(rng, rng.uniform(8, 12)))
    columns, rows = canvas.pixels(places).T
    grown = density[rows, columns] > sparse - rng.exponential(0.8, len(places))
    if track is not None:
        grown &= np.abs(places[:, 1] - np.interp(places[:, 0], *track.points.T)) > 10
    large = rng.uniform(3.4, 6.4)
    nursery = Nursery(canvas, rng, SHRUB, Material.SHRUB, height=0.9)
    for share, factor in ((0.5, 0.55), (0.85, 0.85), (1.0, 1.3)):
        drawn = rng.random(len(places)) < share
        nursery.plant(places[grown & drawn], (0.75 * factor * large, 1.25 * factor * large))
        grown &= ~drawn


def forest(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw overlapping crowns, sometimes with a clearing or a track."""
    canvas.turn(random_heading(rng))
    canvas.cover(shift(choose(rng, CROWN, 0.08), 0.5), Material.CROWN)
    clearing = rng.random()
    gap: Path | None = None
    if clearing < 0.3:
        gap = dirt_track(canvas, rng, rng.uniform(9, 16))
    elif clearing < 0.6:
        x, y = rng.uniform(-110, 110, 2)
        colour, material = (
            (choose(rng, GRASS), Material.GRASS) if rng.random() < 0.6 else (choose(rng, SOIL), Material.SOIL)
        )
        canvas.fill(place(blob(rng, rng.uniform(25, 55), 0.4), x, y), colour, material)
    scale = rng.uniform(0.85, 1.3)
    places = scatter(rng, 12.5 * scale)
    if gap is not None:
        places = places[np.abs(places[:, 1] - np.interp(places[:, 0], *gap.points.T)) > 11 * scale]
    places = places[[canvas.material_at(x, y) not in OPEN_GROUND for x, y in places]]
    Nursery(canvas, rng, CROWN, height=0.7).plant(places, (6.5 * scale, 13 * scale))


def golfcourse(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw rough, a mown fairway, a green with bunkers, trees, a path and sometimes a pond."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    rough = choose(rng, GRASS, 0.08)
    canvas.cover(rough, Material.GRASS)
    if rng.random() < 0.4:
        canvas.lay(canvas.noise(rng, 4, 9, 25) > 1.5, choose(rng, SOIL, 0.08), Material.SOIL)
    fairway = mix(rough, (104, 138, 88), rng.uniform(0.3, 0.7))
    middle = rng.uniform(-30, 30)
    lane = place(blob(rng, 74, 0.12) * (2.4, 1.0), rng.uniform(-40, 40), middle)
    stripe(canvas, lane, fairway, Material.TURF, rng.uniform(8, 16), rng.uniform(0.02, 0.1), rng.uniform(-0.4, 0.4))
    if rng.random() < 0.3:
        canvas.fill(
            place(blob(rng, rng.uniform(28, 48), 0.3), rng.uniform(-90, 90), middle - 95),
            choose(rng, WATER),
            Material.WATER,
        )
    if rng.random() < 0.6:
        controls = np.stack([np.linspace(-REACH, REACH, 5), middle + 88 + rng.normal(0, 14, 5)], axis=1)
        canvas.band(Path.smooth(controls), 7, choose(rng, CONCRETE, 0.08), Material.CONCRETE)
    green_x, green_y = rng.uniform(-70, 70), middle + rng.uniform(-25, 25)
    green = blob(rng, rng.uniform(28, 38), 0.18)
    canvas.fill(place(green * 1.22, green_x, green_y), shift(fairway, 1.05), Material.TURF)
    canvas.fill(place(green, green_x, green_y), mix(shift(fairway, 1.12), (130, 160, 106), 0.35), Material.TURF)
    sand = choose(rng, SAND, 0.04)
    for _ in range(int(rng.integers(2, 5))):
        angle, distance = rng.uniform(-np.pi, np.pi), rng.uniform(52, 66)
        x, y = green_x + distance * np.cos(angle), green_y + distance * np.sin(angle)
        shape = blob(rng, rng.uniform(11, 20), 0.5)
        canvas.fill(place(shape * 1.12, x, y), shift(rough, 0.86), Material.GRASS)
        canvas.fill(place(shape, x, y), shift(sand, 1.08), Material.SAND)
    plant_trees(canvas, rng, 26, (7, 14), 0.22, (-REACH, middle - 160, REACH, middle - 70))
    plant_trees(canvas, rng, 26, (7, 14), 0.22, (-REACH, middle + 70, REACH, middle + 160))
    if rng.random() < 0.6:
        plant_wood(canvas, rng, place(blob(rng, 62, 0.3) * (1.8, 1), rng.uniform(-60, 60), middle - 130), 14, (8, 15))
