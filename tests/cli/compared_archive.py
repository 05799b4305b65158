"""An archive in miniature that every plain descriptor ranks without a fault, for the tests of `compare`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rsir_tf.presentation import save_png

COLOURS = {"desert": (200, 160, 90), "lake": (30, 60, 120), "wood": (30, 90, 40)}

FAST = ("--descriptor", "statistics", "--descriptor", "color", "--processes", 1)


def coloured_scenes(to: Path) -> Path:
    """Draw three scenes of four images, each of its own colour with some noise: every descriptor finds them."""
    generator = np.random.default_rng(0)
    for scene, colour in COLOURS.items():
        for number in range(4):
            image = np.clip(np.array(colour) + generator.integers(-6, 7, (32, 32, 3)), 0, 255).astype(np.uint8)
            save_png(to / scene / f"{scene}{number}.png", image)
    return to
