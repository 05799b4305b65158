"""One function for each scene class, which draws a random example of this class on an empty canvas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rsir_tf.archives.synthetic.canvas import Canvas
from rsir_tf.archives.synthetic.scenes import homes, land, town, transport, waters

Draw = Callable[[Canvas, np.random.Generator], None]

DRAWERS: dict[str, Draw] = {
    "agricultural": land.agricultural,
    "airplane": transport.airplane,
    "baseballdiamond": town.baseballdiamond,
    "beach": waters.beach,
    "buildings": town.buildings,
    "chaparral": land.chaparral,
    "denseresidential": homes.denseresidential,
    "forest": land.forest,
    "freeway": transport.freeway,
    "golfcourse": land.golfcourse,
    "harbor": waters.harbor,
    "intersection": transport.intersection,
    "mediumresidential": homes.mediumresidential,
    "mobilehomepark": homes.mobilehomepark,
    "overpass": transport.overpass,
    "parkinglot": town.parkinglot,
    "river": waters.river,
    "runway": transport.runway,
    "sparseresidential": homes.sparseresidential,
    "storagetanks": town.storagetanks,
    "tenniscourt": town.tenniscourt,
}
"""UC Merced's 21 scene classes, in alphabetical order."""
