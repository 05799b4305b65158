"""Scenes of traffic: airplane, freeway, intersection, overpass, runway."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import REACH, Path, box, disc, place, rectangle
from rsir_tf.archives.synthetic.materials import CONCRETE, FLAT_ROOF, GRASS, Colour, Material, choose, shift
from rsir_tf.archives.synthetic.roads import (
    LANE,
    WHITE,
    YELLOW,
    choose_paving,
    draw_carriageway,
    draw_parking_row,
    draw_street,
    drive,
)
from rsir_tf.archives.synthetic.scenes.ground import bare_soil, cover_ground, plant_along, plant_trees, random_heading
from rsir_tf.archives.synthetic.structures import draw_block
from rsir_tf.archives.synthetic.vehicles import draw_airplane, draw_cart


def airplane(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one large or a few small airplanes with carts on an apron of slabs, beside a terminal or grass."""
    canvas.turn(random_heading(rng))
    colour, material = choose_paving(rng, concrete=0.75)
    canvas.cover(colour, material)
    slab = rng.uniform(16, 26)
    for line in np.arange(-REACH, REACH, slab):
        for joint in (box(line, -REACH, line + 0.5, REACH), box(-REACH, line, REACH, line + 0.5)):
            canvas.fill(joint, shift(colour, 0.86), material)
    for _ in range(int(rng.integers(6, 16))):
        # Slabs that were renewed later have other tones.
        column, row = rng.integers(-7, 7, 2) * slab
        canvas.fill(box(column, row, column + slab, row + slab), shift(colour, rng.uniform(0.92, 1.07)), material)
    canvas.band(
        Path.straight((-REACH, rng.uniform(-60, 60)), (REACH, rng.uniform(-60, 60))), 1.4, YELLOW, Material.MARKING
    )
    edge = rng.random()
    if edge < 0.35:
        draw_block(canvas, rng, box(-REACH, 88, REACH, REACH), choose(rng, FLAT_ROOF), rng.uniform(20, 34))
        for along in np.arange(-150, 150, 17):
            if rng.random() < 0.5:
                draw_cart(canvas, rng, float(along), 78 + rng.normal(0, 2), rng.choice([0, np.pi]))
    elif edge < 0.6:
        canvas.fill(box(-REACH, 84, REACH, REACH), choose(rng, GRASS), Material.GRASS)
        canvas.band(Path.straight((-REACH, 82), (REACH, 82)), 1.4, YELLOW, Material.MARKING)
    middle = -20 if edge < 0.6 else 0
    if rng.random() < 0.45:
        stands = [(rng.uniform(-15, 15), middle + rng.uniform(-6, 6), rng.uniform(165, 215))]
    else:
        length = rng.uniform(72, 108)
        columns = np.arange(-1, 2) * length * rng.uniform(1.1, 1.25) + rng.uniform(-30, 30)
        rows = np.array([-0.6, 0.6]) * length * 1.1 + middle
        stands = [(x, y, length * rng.uniform(0.9, 1.1)) for y in rows for x in columns if rng.random() < 0.72]
    common = rng.uniform(-np.pi, np.pi) if len(stands) == 1 else rng.choice([-1, 1]) * np.pi / 2
    for x, y, length in stands:
        heading = common + rng.normal(0, 0.12)
        draw_airplane(canvas, rng, x, y, heading, length)
        for _ in range(int(rng.integers(1, 5))):
            angle, distance = rng.uniform(-np.pi, np.pi), length * rng.uniform(0.32, 0.5)
            spot = (x + distance * np.cos(angle), y + distance * np.sin(angle))
            # Whether a spot is free can depend on a single pixel; the numbers that are drawn later must not.
            own = np.random.default_rng(int(rng.integers(2**32)))
            if canvas.material_at(*spot) in (Material.CONCRETE, Material.ASPHALT):
                draw_cart(canvas, own, *spot, heading=heading + own.choice([0, np.pi / 2, np.pi]))


def freeway(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw two carriageways with three to five lanes each, a median, and verges with trees."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    cover_ground(canvas, rng, bare=0.3, worn=0.25)
    bend = rng.normal(0, 9, 5) * (rng.random() < 0.5)
    middle = Path.smooth(np.stack([np.linspace(-REACH, REACH, 5), rng.uniform(-25, 25) + bend], axis=1), 6)
    paving = choose_paving(rng, concrete=0.6)
    lanes = int(rng.integers(3, 6))
    shoulder = rng.uniform(5, 10)
    half = lanes * LANE / 2 + shoulder
    median = rng.choice([3.0, rng.uniform(14, 40)], p=[0.5, 0.5])
    if median > 3:
        colour, material = (choose(rng, GRASS), Material.GRASS) if rng.random() < 0.6 else bare_soil(rng)
        canvas.band(middle, median + 2, colour, material)
    for side in (-1, 1):
        carriageway = middle.offset(side * (half + median / 2))
        draw_carriageway(canvas, carriageway, lanes, paving, shoulder=shoulder)
    if median <= 3:
        canvas.band(middle, 2.2, shift(paving[0], 1.25), Material.CONCRETE)
    spacing = rng.uniform(60, 170)
    for side in (-1, 1):
        carriageway = middle.offset(side * (half + median / 2))
        for lane in range(lanes):
            drive(canvas, rng, carriageway.offset((lane - (lanes - 1) / 2) * LANE), spacing, backward=side < 0)
    reach = 2 * half + median / 2
    for side in (-1, 1):
        if rng.random() < 0.75:
            plant_along(canvas, rng, middle.offset(side * (reach + 16)), 15, (6, 13))
            plant_along(canvas, rng, middle.offset(side * (reach + 34)), 18, (7, 14))


def intersection(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw two crossing streets with crosswalks and stop lines; blocks, car parks or lawns are at the corners."""
    canvas.turn(random_heading(rng))
    cover_ground(canvas, rng, bare=0.25, worn=0.1)
    paving = choose_paving(rng, concrete=0.15)
    lanes = rng.choice([2, 4, 4, 6], 2)
    widths = lanes * LANE + rng.uniform(2, 8, 2)
    lean = rng.normal(0, 0.2) * (rng.random() < 0.5)
    across = Path.straight((-REACH * np.sin(lean), -REACH * np.cos(lean)), (REACH * np.sin(lean), REACH * np.cos(lean)))
    along = Path.straight((-REACH, 0), (REACH, 0))
    corner = max(widths) / 2 + rng.uniform(10, 15)
    for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        _corner(canvas, rng, x, y, corner)
    sidewalk = rng.uniform(5, 8)
    for path, width in ((along, widths[0]), (across, widths[1])):
        canvas.band(path, width + 2 * sidewalk, choose(rng, CONCRETE, 0.05), Material.CONCRETE)
    for path, width in ((along, widths[0]), (across, widths[1])):
        draw_street(canvas, rng, path, width, paving)
    # The middle has no lines, and its corners are round because of the turning traffic.
    half_x, half_y = widths[1] / 2, widths[0] / 2
    canvas.fill(box(-half_x - 5, -half_y - 1, half_x + 5, half_y + 1), paving[0], paving[1])
    canvas.fill(box(-half_x - 1, -half_y - 5, half_x + 1, half_y + 5), paving[0], paving[1])
    for arm in range(4):
        heading = arm * np.pi / 2
        _arm_markings(canvas, heading, half_x if arm % 2 == 0 else half_y, widths[arm % 2], int(lanes[arm % 2]))
    spacing = rng.uniform(45, 110)
    for path, count in ((along, int(lanes[0])), (across, int(lanes[1]))):
        for lane in range(count):
            offset = (lane - (count - 1) / 2) * LANE
            middle = path.length / 2
            # One street has a green light; on the other one, cars wait at the line.
            parts = (
                [(0.0, 2 * middle)]
                if path is along
                else [(0.0, middle - half_y - 26), (middle + half_y + 26, 2 * middle)]
            )
            for part in parts:
                drive(canvas, rng, path.offset(offset).piece(*part), spacing, backward=offset < 0)
    plant_trees(canvas, rng, 26, (6, 12), 0.4)


def _corner(canvas: Canvas, rng: np.random.Generator, x: int, y: int, corner: float) -> None:
    kind = rng.random()
    near, far = corner + 4, REACH
    outline = box(min(x * near, x * far), min(y * near, y * far), max(x * near, x * far), max(y * near, y * far))
    if kind < 0.4:
        colour, material = choose_paving(rng)
        canvas.fill(outline, colour, material)
        for row in range(2):
            left = min(x * near, x * far)
            draw_parking_row(canvas, rng, (left + 6, y * (near + 14 + 42 * row)), 0.0, 14, filled=rng.uniform(0.2, 0.8))
    if kind < 0.8:
        size = rng.uniform(50, 90, 2)
        block = place(rectangle(size[0], size[1]), x * (corner + 14 + size[0] / 2), y * (corner + 14 + size[1] / 2))
        if kind < 0.4:
            block = place(block, 0, y * 70)
        draw_block(canvas, rng, block, choose(rng, FLAT_ROOF), rng.uniform(14, 30))


def _arm_markings(canvas: Canvas, heading: float, start: float, width: float, lanes: int) -> None:
    zebra = start + 8
    for stripe_y in np.arange(-width / 2 + 2, width / 2 - 1, 4.4):
        bar = place(rectangle(8, 2.0), zebra + 1, stripe_y)
        canvas.fill(place(bar, 0, 0, heading), WHITE, Material.MARKING)
    stop = place(rectangle(1.6, width / 2 - 1), start + 16, -width / 4)
    canvas.fill(place(stop, 0, 0, heading), WHITE, Material.MARKING)
    for lane in range(1, lanes):
        offset = lane * LANE - lanes * LANE / 2
        if abs(offset) < 1:
            continue
        begin = start + 18
        line = place(rectangle(36, 0.8), begin + 18, offset)
        canvas.fill(place(line, 0, 0, heading), WHITE, Material.MARKING)
        for dash in range(4):
            mark = place(rectangle(9, 0.8), begin + 50 + 25 * dash, offset)
            canvas.fill(place(mark, 0, 0, heading), WHITE, Material.MARKING)


def overpass(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a freeway and one or two roads that cross it on bridges, with parapets and a broad shadow."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    cover_ground(canvas, rng, bare=0.35, worn=0.2)
    below, above = choose_paving(rng, concrete=0.4), choose_paving(rng, concrete=0.6)
    lanes = int(rng.integers(2, 5))
    median = rng.uniform(6, 30)
    for side in (-1, 1):
        offset = side * (median / 2 + lanes * LANE / 2 + 6)
        road = Path.straight((-REACH, offset), (REACH, offset))
        draw_carriageway(canvas, road, lanes, below, shoulder=6)
        for lane in range(lanes):
            drive(canvas, rng, road.offset((lane - (lanes - 1) / 2) * LANE), rng.uniform(60, 150), backward=side < 0)
    plant_trees(canvas, rng, 24, (6, 12), rng.uniform(0.2, 0.6))
    lean = rng.uniform(-0.45, 0.45)
    bridges = [0.0] if rng.random() < 0.6 else [-36.0, 36.0]
    for position in bridges:
        bend = rng.normal(0, 22) * (len(bridges) == 1)
        ends = np.array(
            [[position - REACH * np.tan(lean), -REACH], [position + bend, 0], [position + REACH * np.tan(lean), REACH]]
        )
        _bridge(canvas, rng, Path.smooth(ends, 8), 2 if len(bridges) == 2 else int(rng.integers(2, 6)), above)


def _bridge(canvas: Canvas, rng: np.random.Generator, path: Path, lanes: int, paving: tuple[Colour, Material]) -> None:
    width = lanes * LANE + 8
    for piece in path.band(width + 4):
        canvas.cast(piece, 24.0, lift=14.0)
    canvas.band(path, width + 4, shift(paving[0], 1.3, 12), Material.CONCRETE, lit=True)
    draw_carriageway(canvas, path, lanes, paving, shoulder=4)
    for lane in range(lanes):
        drive(
            canvas, rng, path.offset((lane - (lanes - 1) / 2) * LANE), rng.uniform(50, 120), backward=lane < lanes / 2
        )


def runway(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a runway with its edge and centre lines, rubber marks, threshold bars, or a taxiway beside it."""
    canvas.turn(float(rng.uniform(-np.pi, np.pi)))
    ground, material = bare_soil(rng) if rng.random() < 0.4 else (choose(rng, GRASS, 0.1), Material.GRASS)
    canvas.cover(ground, material)
    middle = rng.uniform(-30, 30)
    paving = choose_paving(rng, concrete=0.4)
    width = rng.uniform(96, 150)
    strip = Path.straight((-REACH, middle), (REACH, middle))
    canvas.band(strip, width + rng.uniform(8, 40), shift(choose_paving(rng, 0.1)[0], 0.95), Material.ASPHALT)
    canvas.band(strip, width, *paving)
    for seam in np.arange(-width / 2, width / 2, rng.uniform(10, 18)):
        canvas.band(strip.offset(seam), 0.6, shift(paving[0], 0.88), paving[1])
    # Wheels leave rubber along two broad lines.
    across = np.abs(canvas.axes()[1] - np.float32(middle))
    wear = (0.55 + 0.08 * canvas.noise(rng, 8, 40)) / (1 + ((across - 11) / np.float32(6)) ** 2)
    canvas.paint(across < 24, paving[0], shift(paving[0], 0.6), wear, paving[1])
    for side in (-1, 1):
        canvas.band(strip.offset(side * (width / 2 - 5)), 3, WHITE, Material.MARKING)
    begin = rng.uniform(-140, 40)
    threshold = rng.random() < 0.45
    for dash in Path.straight((begin + 84 if threshold else -REACH, middle), (REACH, middle)).dashes(
        rng.uniform(38, 60), rng.uniform(30, 46)
    ):
        canvas.band(dash, 3, WHITE, Material.MARKING)
    if threshold:
        for bar in np.arange(-width / 2 + 14, width / 2 - 10, 10):
            canvas.fill(box(begin, middle + bar, begin + 50, middle + bar + 5), WHITE, Material.MARKING)
    elif rng.random() < 0.6:
        for side in (-1, 1):
            touchdown = place(rectangle(60, 8), begin + 60, middle + side * width * 0.22)
            canvas.fill(touchdown, WHITE, Material.MARKING)
    if rng.random() < 0.5:
        beside = middle + width / 2 + rng.uniform(34, 60)
        taxiway = Path.straight((-REACH, beside), (REACH, beside))
        canvas.band(taxiway, 40, *choose_paving(rng, 0.4))
        canvas.band(taxiway, 1.3, YELLOW, Material.MARKING)
    for lamp in np.arange(-REACH, REACH, 40):
        canvas.fill(place(disc(1.0, 6), lamp, middle - width / 2 - 3), WHITE, Material.MARKING)
