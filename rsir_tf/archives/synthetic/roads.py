"""Roads with kerbs, lanes and markings, the traffic on them, and parking rows."""

from __future__ import annotations

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.geometry import Path, place, rectangle
from rsir_tf.archives.synthetic.materials import ASPHALT, CONCRETE, Colour, Material, choose, shift
from rsir_tf.archives.synthetic.vehicles import draw_car, draw_lorry

LANE = 12.0
"""Ground units: 3.6 m."""

WHITE: Colour = (214, 214, 208)
YELLOW: Colour = (206, 176, 92)


def choose_paving(rng: np.random.Generator, concrete: float = 0.3) -> tuple[Colour, Material]:
    """Choose asphalt or, with probability `concrete`, concrete."""
    if rng.random() < concrete:
        return choose(rng, CONCRETE, 0.08), Material.CONCRETE
    return choose(rng, ASPHALT, 0.1), Material.ASPHALT


def draw_street(
    canvas: Canvas,
    rng: np.random.Generator,
    path: Path,
    width: float,
    paving: tuple[Colour, Material],
    *,
    sidewalk: float = 0.0,
    centre_line: bool = True,
) -> None:
    """Draw a two-way street.

    Args:
        canvas: The canvas to draw on.
        rng: Gives the stains.
        path: The middle of the road.
        width: Distance between the kerbs in ground units.
        paving: Colour and material of the roadway.
        sidewalk: Width of the sidewalk on each side; 0 for none.
        centre_line: Whether a yellow line divides it.
    """
    colour, material = paving
    if sidewalk:
        canvas.band(path, width + 2 * sidewalk, shift(colour, 1.0, 58), Material.CONCRETE)
    canvas.band(path, width + 1.6, shift(colour, 1.0, 34), Material.CONCRETE)
    canvas.band(path, width, colour, material)
    wear_lanes(canvas, path, width, colour, material)
    if centre_line:
        if rng.random() < 0.5:
            for side in (-0.9, 0.9):
                canvas.band(path.offset(side), 0.7, YELLOW, Material.MARKING)
        else:
            for dash in path.dashes(10, 16):
                canvas.band(dash, 0.9, YELLOW, Material.MARKING)


def wear_lanes(canvas: Canvas, path: Path, width: float, colour: Colour, material: Material) -> None:
    """Darken the middle of each lane, where oil drips between the wheels."""
    count = max(1, round(width / LANE))
    for index in range(count):
        offset = (index - (count - 1) / 2) * width / count
        canvas.band(path.offset(offset), 0.4 * width / count, shift(colour, 0.93), material)


def draw_carriageway(
    canvas: Canvas, path: Path, lanes: int, paving: tuple[Colour, Material], *, shoulder: float = 8.0
) -> float:
    """Draw one direction of a freeway: lanes, shoulders, lines.

    Args:
        canvas: The canvas to draw on.
        path: The middle of the road.
        lanes: Number of lanes.
        paving: Colour and material.
        shoulder: Width of the hard shoulder on each side in ground units.

    Returns:
        The whole width in ground units.
    """
    colour, material = paving
    width = lanes * LANE
    canvas.band(path, width + 2 * shoulder, shift(colour, 0.9), material)
    canvas.band(path, width, colour, material)
    wear_lanes(canvas, path, width, colour, material)
    canvas.band(path.offset(-width / 2), 0.9, YELLOW, Material.MARKING)
    canvas.band(path.offset(width / 2), 0.9, WHITE, Material.MARKING)
    for lane in range(1, lanes):
        for dash in path.offset(lane * LANE - width / 2).dashes(9, 27):
            canvas.band(dash, 0.9, WHITE, Material.MARKING)
    return width + 2 * shoulder


def drive(
    canvas: Canvas,
    rng: np.random.Generator,
    path: Path,
    spacing: float,
    *,
    lorries: float = 0.08,
    backward: bool = False,
) -> None:
    """Put traffic on a lane.

    Args:
        canvas: The canvas to draw on.
        rng: Gives gaps and vehicles.
        path: The middle of the lane.
        spacing: Mean distance between vehicles in ground units.
        lorries: Share of lorries.
        backward: Whether the traffic moves against the direction of the path.
    """
    distance = rng.uniform(0, spacing)
    while distance < path.length:
        x, y, heading = path.at(distance)
        draw = draw_lorry if rng.random() < lorries else draw_car
        draw(canvas, rng, x, y, heading + (np.pi if backward else 0) + 0.02 * rng.normal())
        distance += 58 * (draw is draw_lorry) + 24 + rng.exponential(max(spacing - 24, 4))


def draw_parking_row(
    canvas: Canvas,
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    stalls: int,
    *,
    filled: float,
    slant: float = np.pi / 2,
    pitch: float = 9.4,
) -> None:
    """Draw a row of marked stalls with cars in some of them.

    Args:
        canvas: The canvas to draw on.
        rng: Decides which stalls are taken.
        start: (x, y) of the first stall's centre.
        heading: Direction of the row, radians.
        stalls: Number of stalls.
        filled: Probability that a stall is taken.
        slant: Angle of a stall to the row, radians.
        pitch: Distance from stall to stall, ground units.
    """
    line = rectangle(18, 0.6)
    for index in range(stalls + 1):
        along = (index - 0.5) * pitch
        x, y = start[0] + along * np.cos(heading), start[1] + along * np.sin(heading)
        if not canvas.near(x, y):
            continue
        canvas.fill(place(line, x, y, heading + slant), WHITE, Material.MARKING)
        if index < stalls and rng.random() < filled:
            wobble = rng.normal(0, 0.6, 2)
            nose = heading + slant + (np.pi if rng.random() < 0.5 else 0) + 0.025 * rng.normal()
            draw_car(
                canvas,
                rng,
                x + 0.5 * pitch * np.cos(heading) + wobble[0],
                y + 0.5 * pitch * np.sin(heading) + wobble[1],
                nose,
            )
