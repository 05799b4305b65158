"""Scenes of business and sport: buildings, parkinglot, storagetanks, tenniscourt, baseballdiamond."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, box, disc, place, rectangle, sector
from rsir_tf.archives.synthetic.materials import (
    CONCRETE,
    COURT,
    FLAT_ROOF,
    GRASS,
    ROOF,
    SOIL,
    TANK,
    Colour,
    Material,
    choose,
    mix,
    shift,
)
from rsir_tf.archives.synthetic.roads import WHITE, choose_paving, draw_parking_row, draw_street, drive
from rsir_tf.archives.synthetic.scenes.ground import (
    bare_soil,
    cover_ground,
    plant_along,
    plant_trees,
    random_heading,
    stripe,
)
from rsir_tf.archives.synthetic.structures import draw_block, draw_house
from rsir_tf.archives.synthetic.vehicles import draw_car, draw_tank


def buildings(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw large flat-roofed blocks of several heights around yards and streets."""
    canvas.turn(random_heading(rng))
    colour, material = choose_paving(rng)
    canvas.cover(colour, material)
    yard = rng.random()
    if yard < 0.4:
        canvas.fill(box(-70, -60, 70, 60), choose(rng, GRASS), Material.GRASS)
    street = rng.uniform(-30, 30)
    width = rng.uniform(26, 40)
    road = Path.straight((-REACH, street), (REACH, street))
    draw_street(canvas, rng, road, width, choose_paving(rng, 0.1), sidewalk=8)
    for side in (-1, 1):
        drive(canvas, rng, road.offset(side * width * 0.2), rng.uniform(50, 120), backward=side < 0)
    for side in (-1, 1):
        left = -REACH + rng.uniform(0, 40)
        while left < REACH:
            length, depth = rng.uniform(56, 130), rng.uniform(60, 110)
            near = street + side * (width / 2 + 12 + rng.uniform(0, 10))
            _block_or_wings(canvas, rng, left, length, near, side * depth)
            if rng.random() < 0.5:
                draw_parking_row(
                    canvas, rng, (left + 6, near + side * (depth + 16)), 0.0, int(length / 9.4), filled=0.6
                )
            left += length + rng.choice([rng.uniform(4, 10), rng.uniform(20, 34)])
    plant_along(canvas, rng, road.offset(width / 2 + 8), 30, (4, 7))
    plant_trees(canvas, rng, 22, (5, 10), 0.5)


def _block_or_wings(
    canvas: Canvas, rng: np.random.Generator, left: float, length: float, near: float, depth: float
) -> None:
    top, bottom = sorted((near, near + depth))
    colour = choose(rng, FLAT_ROOF)
    height = rng.uniform(18, 50)
    draw_block(canvas, rng, box(left, top, left + length, bottom), colour, height)
    kind = rng.random()
    if kind < 0.35:
        # A smaller storey on a part of the roof.
        inset = rng.uniform(0.15, 0.3)
        raised = box(left + inset * length, top + 10, left + (0.5 + inset) * length, bottom - 12)
        draw_block(canvas, rng, raised, shift(colour, rng.uniform(0.85, 1.12)), 14)
    elif kind < 0.55:
        draw_house(
            canvas,
            rng,
            left + length / 2,
            (top + bottom) / 2,
            0.0,
            0.9 * length,
            0.6 * (bottom - top),
            choose(rng, ROOF),
        )


def parkinglot(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw double rows of parked cars with aisles between them, and islands with trees."""
    canvas.turn(random_heading(rng))
    colour, material = choose_paving(rng, concrete=0.3)
    canvas.cover(colour, material)
    aisle = rng.uniform(22, 30)
    slant = np.pi / 2 + rng.choice([0.0, 0.0, rng.uniform(-0.5, 0.5)])
    double = rng.random() < 0.8
    filled = rng.uniform(0.5, 0.97)
    row_depth = 38.0 if double else 19.0
    islands = rng.random() < 0.6
    for y in np.arange(rng.uniform(-REACH - 40, -REACH), REACH, row_depth + aisle):
        canvas.band(
            Path.straight((-REACH, y + row_depth + aisle / 2), (REACH, y + row_depth + aisle / 2)),
            aisle * 0.5,
            shift(colour, 0.95),
            material,
        )
        for line in range(2 if double else 1):
            draw_parking_row(canvas, rng, (-REACH, y + 9.5 + 19 * line), 0.0, 42, filled=filled, slant=slant)
        if islands:
            for x in np.arange(-REACH + rng.uniform(0, 60), REACH, rng.uniform(80, 130)):
                outline = place(rectangle(13, row_depth), x, y + row_depth / 2)
                canvas.fill(outline, shift(colour, 1.0, 50), Material.CONCRETE, lit=True)
                inner = place(rectangle(10, row_depth - 3), x, y + row_depth / 2)
                ground = (choose(rng, GRASS), Material.GRASS) if rng.random() < 0.7 else bare_soil(rng)
                canvas.fill(inner, *ground)
        for _ in range(int(rng.integers(0, 3))):
            heading = rng.choice([0, np.pi])
            draw_car(canvas, rng, rng.uniform(-150, 150), y + row_depth + aisle * rng.uniform(0.3, 0.7), heading)
    if rng.random() < 0.4:
        canvas.fill(box(-REACH, 96, REACH, REACH), choose(rng, CONCRETE), Material.CONCRETE, lit=True)
        canvas.fill(box(-REACH, 102, REACH, REACH), choose(rng, GRASS), Material.GRASS)
    plant_trees(canvas, rng, 15, (5, 9), 0.6)


def storagetanks(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw round tanks in a bund of soil or gravel, with pipes, a road and a pump house."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.55, worn=0.2)
    colour = choose(rng, TANK, 0.05)
    many = rng.random() < 0.7
    radius = rng.uniform(17, 30) if many else rng.uniform(38, 56)
    pitch = radius * rng.uniform(2.5, 3.1)
    count = max(1, int(230 / pitch))
    start = -pitch * (count - 1) / 2 + rng.uniform(-16, 16)
    bund = 0.5 * pitch * count + 8
    ground, material = bare_soil(rng) if rng.random() < 0.65 else choose_paving(rng)
    canvas.fill(rectangle(2 * bund + 10, 2 * bund + 10), shift(ground, 1.18), material)
    canvas.fill(rectangle(2 * bund, 2 * bund), ground, material)
    road = bund + 18
    paving = choose_paving(rng, concrete=0.4)
    for path in (Path.straight((-REACH, road), (REACH, road)), Path.straight((-road, -REACH), (-road, REACH))):
        draw_street(canvas, rng, path, 18, paving, centre_line=False)
        drive(canvas, rng, path.offset(4), 200, lorries=0.4)
    centres = [(start + column * pitch, start + row * pitch) for row in range(count) for column in range(count)]
    for y in {row for _, row in centres}:
        for lane in (0, 2.4):
            pipe = Path.straight((-bund, y + radius + 5 + lane), (bund, y + radius + 5 + lane))
            for piece in pipe.band(1.2):
                canvas.cast(piece, 1.2)
            canvas.band(pipe, 1.4, (186, 184, 178), material, lit=True)
    for x, y in centres:
        if rng.random() < 0.86 or len(centres) == 1:
            shade = colour if rng.random() < 0.8 else choose(rng, TANK)
            draw_tank(canvas, rng, x, y, radius * rng.choice([1.0, 1.0, 0.78]), shade)
        elif rng.random() < 0.6:
            draw_house(canvas, rng, x, y, 0.0, 34, 24, choose(rng, ROOF))
    if not many:
        draw_block(canvas, rng, place(rectangle(60, 30), 20, road + 32), choose(rng, FLAT_ROOF), 14)
    for extent in (
        (-REACH, road + 12, REACH, REACH),
        (-REACH, -REACH, REACH, -bund - 10),
        (-REACH, -REACH, -road - 12, REACH),
    ):
        plant_trees(canvas, rng, 26, (6, 12), 0.4, extent)


def tenniscourt(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one to four tennis courts with their lines inside a fence, a path, trees, a house or a car park."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.1, worn=0.2)
    courts = int(rng.choice([1, 2, 3, 4], p=[0.3, 0.4, 0.1, 0.2]))
    columns = 1 if courts == 1 else 2 if courts in (2, 4) else 3
    rows = 2 if courts == 4 else 1
    colour = choose(rng, COURT)
    surround = colour if rng.random() < 0.35 else mix(choose(rng, COURT), colour, 0.25)
    bay_x, bay_y = 58.0, 118.0
    shrink = {1: 1.15, 2: 1.0, 3: 0.95, 4: 0.92}[courts]
    centre = rng.uniform(-18, 18, 2)
    road = centre[1] + rows * bay_y * shrink / 2 + rng.uniform(16, 26)
    paving = choose_paving(rng)
    street = Path.straight((-REACH, road), (REACH, road))
    draw_street(canvas, rng, street, rng.uniform(16, 24), paving, centre_line=False)
    drive(canvas, rng, street.offset(5), 120)
    frame = rectangle(columns * bay_x * shrink, rows * bay_y * shrink) + centre
    canvas.fill((frame - centre) * 1.06 + centre, choose(rng, CONCRETE, 0.06), Material.CONCRETE)
    canvas.fill(frame, surround, Material.COURT)
    for column in range(columns):
        for row in range(rows):
            x = centre[0] + (column - (columns - 1) / 2) * bay_x * shrink
            y = centre[1] + (row - (rows - 1) / 2) * bay_y * shrink
            _court(canvas, x, y, shrink, colour)
    side = rng.choice([-1, 1])
    beside = centre[0] + side * (columns * bay_x * shrink / 2 + 34)
    if rng.random() < 0.5:
        draw_house(canvas, rng, beside, centre[1] - 30, np.pi / 2, 58, 34, choose(rng, ROOF))
    else:
        ground, material = choose_paving(rng)
        canvas.fill(place(rectangle(40, 150), beside, centre[1]), ground, material)
        draw_parking_row(canvas, rng, (beside, centre[1] - 68), np.pi / 2, 15, filled=0.5)
    plant_trees(canvas, rng, 24, (6, 13), rng.uniform(0.35, 0.7))


def _court(canvas: Canvas, x: float, y: float, scale: float, colour: Colour) -> None:
    """Draw a court of 23.8 × 11 m with its lines and net; the long side is along y."""
    half, doubles, singles, service = 39.5 * scale, 18.2 * scale, 13.7 * scale, 21.2 * scale
    canvas.fill(box(x - doubles, y - half, x + doubles, y + half), colour, Material.COURT)
    line = 0.5 * scale
    for across in (-doubles, -singles, singles, doubles):
        canvas.fill(box(x + across - line, y - half, x + across + line, y + half), WHITE, Material.COURT)
    for along in (-half, half):
        canvas.fill(box(x - doubles, y + along - line, x + doubles, y + along + line), WHITE, Material.COURT)
    for along in (-service, service):
        canvas.fill(box(x - singles, y + along - line, x + singles, y + along + line), WHITE, Material.COURT)
    canvas.fill(box(x - line, y - service, x + line, y + service), WHITE, Material.COURT)
    net = box(x - doubles - 3, y - line, x + doubles + 3, y + line)
    canvas.cast(net, 1.5)
    canvas.fill(net, shift(colour, 0.75), Material.COURT, lit=True)


def baseballdiamond(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw an infield of bare soil around a square of grass, foul lines, mown outfield, dugouts, stands."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    cover_ground(canvas, rng, bare=0.1, worn=0.12)
    lawn, soil = choose(rng, GRASS, 0.08), choose(rng, SOIL, 0.06)
    # The home plate; the field extends from it towards smaller y.
    x, y = rng.uniform(-20, 20), rng.uniform(60, 95)
    base = rng.uniform(58, 72) if rng.random() < 0.6 else rng.uniform(84, 100)
    fence = base * rng.uniform(2.6, 3.4)
    left, right = -0.75 * np.pi, -0.25 * np.pi
    canvas.fill(place(sector(fence, left - 0.12, right + 0.12, 40), x, y + 14), shift(soil, 0.95), Material.SOIL)
    outfield = place(sector(fence - 9, left - 0.1, right + 0.1, 40), x, y + 12)
    mown = rng.uniform(9, 16), rng.uniform(0.0, 0.14), rng.uniform(-np.pi, np.pi)
    stripe(canvas, outfield, lawn, Material.TURF, *mown)
    canvas.fill(place(disc(base * 0.36), x, y), soil, Material.SOIL)
    canvas.fill(place(sector(base * 1.42, left, right, 40), x, y + 4), soil, Material.SOIL)
    if rng.random() < 0.6:
        square = place(rectangle(base * 0.8, base * 0.8), x, y - base * 0.707, np.pi / 4)
        canvas.fill(square, shift(lawn, 1.04), Material.TURF)
    canvas.fill(place(disc(base * 0.1), x, y - base * 0.66), shift(soil, 1.1), Material.SOIL)
    for side in (-1, 1):
        reach = 0.693 * fence
        line = Path.straight((x, y), (x + side * reach, y - reach))
        canvas.band(line.piece(4, base * 1.35), 0.8, WHITE, Material.SOIL)
        canvas.band(line.piece(base * 1.35, line.length), 0.8, WHITE, Material.TURF)
        heading = -side * np.pi / 4
        dugout = place(rectangle(34, 9), x + side * base * 0.62, y - base * 0.08, heading)
        draw_block(canvas, rng, dugout, choose(rng, FLAT_ROOF), 7, heading)
    for right_of, ahead in ((0.707, 0.707), (-0.707, 0.707), (0.0, 1.414)):
        canvas.fill(place(rectangle(2, 2), x + right_of * base, y - ahead * base, np.pi / 4), WHITE, Material.SOIL)
    if rng.random() < 0.5:
        _stand(canvas, rng, x, y + base * 0.36 + 18)
    # Trees are only outside the fence.
    plant_trees(canvas, rng, 22, (6, 12), 0.5, (-REACH, y + 34, REACH, REACH))
    if rng.random() < 0.6:
        plant_trees(canvas, rng, 20, (6, 12), 0.7, (-REACH, -REACH, REACH, y - fence - 4))


def _stand(canvas: Canvas, rng: np.random.Generator, x: float, y: float) -> None:
    """Draw four steps of seats that rise away from the field, and the path behind them."""
    for row in range(4):
        step = place(rectangle(70, 5), x, y - 7.5 + 5 * row)
        canvas.cast(step, 3 + 2 * row)
        canvas.fill(step, (178, 170, 152) if row % 2 else (150, 150, 152), Material.FLAT_ROOF, lit=True)
    canvas.fill(place(rectangle(90, 26), x, y + 24), *choose_paving(rng))
