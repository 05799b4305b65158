"""The materials of the ground and of the things on it: class, texture and usual colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np

Colour = tuple[int, int, int]


class Material(IntEnum):
    """A material; several materials can have the same class."""

    ASPHALT = 0
    CONCRETE = auto()
    MARKING = auto()
    GRASS = auto()
    TURF = auto()
    SOIL = auto()
    SAND = auto()
    SEA = auto()
    FOAM = auto()
    WATER = auto()
    ROOF = auto()
    FLAT_ROOF = auto()
    CAR = auto()
    SHIP = auto()
    DOCK = auto()
    AIRPLANE = auto()
    TANK = auto()
    COURT = auto()
    CROWN = auto()
    SHRUB = auto()
    CROP = auto()
    MOBILE_HOME = auto()


@dataclass(frozen=True, slots=True)
class Surface:
    """The class and the texture of a material.

    Attributes:
        label: The class's name in the label set.
        grain: Relative deviation of the brightness from pixel to pixel.
        mottle: The same over distances of one to five metres.
        patch: The same over distances of ten to forty metres.
        drift: RGB that patches add or subtract, for dry spots in grass or damp spots in soil.
    """

    label: str
    grain: float
    mottle: float
    patch: float
    drift: Colour = (0, 0, 0)


SURFACES: dict[Material, Surface] = {
    Material.ASPHALT: Surface("pavement", 0.05, 0.022, 0.03, (1, 1, 0)),
    Material.CONCRETE: Surface("pavement", 0.035, 0.022, 0.028, (1, 1, -1)),
    Material.MARKING: Surface("pavement", 0.05, 0.05, 0.02),
    Material.GRASS: Surface("grass", 0.08, 0.07, 0.05, (9, 3, 3)),
    Material.TURF: Surface("grass", 0.045, 0.025, 0.03, (4, 1, 1)),
    Material.SOIL: Surface("bare soil", 0.055, 0.045, 0.045, (2, 3, 4)),
    Material.SAND: Surface("sand", 0.025, 0.015, 0.018, (1, 2, 2)),
    Material.SEA: Surface("sea", 0.04, 0.025, 0.03, (-1, 1, 2)),
    Material.FOAM: Surface("sea", 0.04, 0.03, 0.02),
    Material.WATER: Surface("water", 0.045, 0.025, 0.035, (1, 1, -1)),
    Material.ROOF: Surface("buildings", 0.055, 0.03, 0.015, (1, 0, 0)),
    Material.FLAT_ROOF: Surface("buildings", 0.03, 0.025, 0.02),
    Material.CAR: Surface("cars", 0.02, 0.015, 0.0),
    Material.SHIP: Surface("ship", 0.03, 0.03, 0.0),
    Material.DOCK: Surface("dock", 0.05, 0.04, 0.03, (1, 1, 0)),
    Material.AIRPLANE: Surface("airplane", 0.015, 0.015, 0.0),
    Material.TANK: Surface("tanks", 0.03, 0.025, 0.025, (2, 0, -1)),
    Material.COURT: Surface("court", 0.025, 0.018, 0.025, (1, 1, 1)),
    Material.CROWN: Surface("trees", 0.12, 0.08, 0.05, (5, 2, 2)),
    Material.SHRUB: Surface("chaparral", 0.12, 0.10, 0.05, (3, 2, 1)),
    Material.CROP: Surface("field", 0.06, 0.025, 0.035, (3, 1, 1)),
    Material.MOBILE_HOME: Surface("mobile home", 0.03, 0.025, 0.0),
}

ASPHALT: tuple[Colour, ...] = ((84, 84, 86), (102, 100, 98), (72, 74, 80), (120, 117, 112), (132, 126, 114))
CONCRETE: tuple[Colour, ...] = ((170, 166, 156), (190, 184, 170), (156, 153, 146), (180, 168, 146), (140, 136, 128))
GRASS: tuple[Colour, ...] = (
    (78, 104, 62),
    (92, 116, 74),
    (112, 120, 80),
    (64, 90, 58),
    (134, 130, 92),
    (146, 136, 104),
)
SOIL: tuple[Colour, ...] = ((156, 126, 98), (172, 144, 112), (140, 112, 90), (184, 158, 126), (132, 118, 104))
SAND: tuple[Colour, ...] = ((204, 188, 156), (220, 206, 178), (194, 174, 146), (212, 204, 190))
SEA: tuple[Colour, ...] = ((66, 98, 102), (56, 80, 92), (92, 114, 106), (116, 132, 118), (58, 90, 82), (96, 112, 122))
WATER: tuple[Colour, ...] = ((40, 64, 60), (60, 70, 54), (48, 58, 66), (84, 84, 66), (30, 68, 74), (58, 66, 82))
POOL: tuple[Colour, ...] = ((96, 184, 196), (120, 196, 200), (70, 150, 180))
ROOF: tuple[Colour, ...] = (
    (126, 116, 108),
    (150, 100, 80),
    (166, 128, 106),
    (100, 101, 106),
    (184, 176, 162),
    (118, 90, 74),
    (88, 84, 84),
    (140, 134, 120),
    (108, 114, 112),
)
FLAT_ROOF: tuple[Colour, ...] = (
    (198, 194, 184),
    (220, 216, 206),
    (164, 160, 154),
    (130, 128, 126),
    (180, 166, 144),
    (106, 108, 114),
    (152, 112, 96),
)
CAR: tuple[Colour, ...] = (
    (232, 232, 232),
    (226, 226, 222),
    (184, 188, 192),
    (120, 124, 130),
    (34, 36, 40),
    (48, 52, 62),
    (158, 40, 36),
    (56, 74, 118),
    (176, 160, 130),
    (64, 84, 70),
)
SHIP: tuple[Colour, ...] = (
    (230, 228, 222),
    (214, 212, 206),
    (238, 236, 232),
    (190, 190, 186),
    (120, 132, 150),
    (96, 84, 80),
)
TARPAULIN: tuple[Colour, ...] = ((58, 92, 156), (70, 84, 110), (204, 200, 190), (120, 60, 56), (90, 110, 100))
DOCK: tuple[Colour, ...] = ((148, 130, 110), (182, 174, 160), (126, 112, 98), (168, 158, 148))
AIRPLANE: tuple[Colour, ...] = ((234, 234, 232), (216, 218, 220), (242, 242, 240), (196, 200, 206))
LIVERY: tuple[Colour, ...] = ((44, 66, 130), (150, 42, 44), (60, 110, 90), (200, 130, 50), (90, 90, 96))
TANK: tuple[Colour, ...] = (
    (226, 224, 216),
    (204, 198, 184),
    (164, 120, 98),
    (186, 188, 188),
    (150, 140, 128),
    (112, 116, 112),
)
COURT: tuple[Colour, ...] = (
    (66, 100, 80),
    (62, 90, 118),
    (140, 88, 72),
    (100, 100, 102),
    (86, 118, 92),
    (150, 108, 88),
)
CROWN: tuple[Colour, ...] = ((58, 80, 48), (68, 90, 54), (50, 72, 50), (86, 96, 62), (100, 92, 66), (78, 78, 60))
SHRUB: tuple[Colour, ...] = ((72, 74, 54), (86, 82, 62), (64, 70, 58), (98, 90, 68))
CROP: tuple[Colour, ...] = (
    (74, 104, 66),
    (118, 110, 92),
    (148, 132, 110),
    (110, 122, 84),
    (100, 90, 80),
    (66, 104, 80),
    (134, 130, 126),
)
MOBILE_HOME: tuple[Colour, ...] = (
    (206, 200, 188),
    (186, 178, 164),
    (222, 218, 210),
    (150, 146, 140),
    (170, 150, 130),
    (194, 202, 206),
)


def choose(rng: np.random.Generator, colours: Sequence[Colour], spread: float = 0.1) -> Colour:
    """Choose one of several colours and vary it.

    Args:
        rng: Makes the choice.
        colours: RGB, 0..255.
        spread: Relative deviation of the brightness; in addition, each channel varies by a third of it.
    """
    red, green, blue = colours[int(rng.integers(len(colours)))]
    bright, *channels = (spread * rng.standard_normal(4)).tolist()
    factors = [1 + bright + channel / 3 for channel in channels]
    return tint(red * factors[0], green * factors[1], blue * factors[2])


def shift(colour: Colour, factor: float, add: float = 0.0) -> Colour:
    """Return a brighter (`factor` > 1) or darker colour."""
    red, green, blue = colour
    return tint(red * factor + add, green * factor + add, blue * factor + add)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Return a mixture of two colours with this share of the second one."""
    return tint(*(one + (other - one) * share for one, other in zip(first, second, strict=True)))


def tint(red: float, green: float, blue: float) -> Colour:
    """Round three numbers and clip them to a colour; pure black and pure white do not occur outdoors."""
    return min(max(round(red), 4), 250), min(max(round(green), 4), 250), min(max(round(blue), 4), 250)
