"""From a drawing to a photograph: texture, shadow, light, haze, lens and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.canvas import SUPERSAMPLING, Canvas
from rsir_tf.archives.synthetic.materials import SURFACES, Material
from rsir_tf.archives.synthetic.noise import octaves, smooth_noise


def take_photograph(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render what an aerial camera would see of the canvas.

    Args:
        canvas: A finished drawing.
        rng: Source of texture, light and noise; the numbers that depend on the picture's size come last.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    size = canvas.side // SUPERSAMPLING
    photograph = _halve(canvas.colour)
    photograph = _texture(photograph, surface_map(canvas), rng)
    photograph *= _shade(canvas, rng)
    photograph *= 1 + 0.05 * octaves(rng, (2, 4), size)[..., None]
    return _expose(photograph, rng)


def surface_map(canvas: Canvas) -> NDArray[np.uint8]:
    """Return uint8 [size, size]: the material at each pixel of the final picture, by nearest neighbour."""
    return np.ascontiguousarray(canvas.material[::SUPERSAMPLING, ::SUPERSAMPLING])


def _halve(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    whole = plane.astype(np.uint16)
    quarters = whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]
    return quarters.astype(np.float32) * np.float32(0.25)


def _texture(
    photograph: NDArray[np.float32], materials: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.float32]:
    size = len(photograph)
    surfaces = [SURFACES[material] for material in Material]
    strength = rng.uniform(0.7, 1.5, (4, len(surfaces))).astype(np.float32)
    fields = (smooth_noise(rng, 256, size), octaves(rng, (32, 64, 128), size), octaves(rng, (6, 12, 24), size))
    brightness = np.ones((size, size), dtype=np.float32)
    amounts = np.array([[each.grain, each.mottle, each.patch] for each in surfaces], dtype=np.float32).T
    for field, amount in zip(fields, amounts * strength[:3], strict=True):
        brightness += field * amount[materials]
    drift = np.array([each.drift for each in surfaces], dtype=np.float32) * strength[3][:, None]
    hue = octaves(rng, (5, 16, 48), size)
    textured: NDArray[np.float32] = photograph * brightness[..., None] + drift[materials] * hue[..., None]
    return textured


def _shade(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.float32]:
    # Sky light alone reaches the shade, so it is bluish as well as dark.
    depth = rng.uniform(0.5, 0.72) * np.array([1.05, 1.0, 0.9], dtype=np.float32)
    soft = cv2.GaussianBlur(_halve(canvas.shadow), (3, 3), 0.6) * np.float32(1 / 255)
    shade: NDArray[np.float32] = 1 - soft[..., None] * depth.astype(np.float32)
    return shade


def _expose(photograph: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    grey = photograph.mean(axis=2, keepdims=True)
    photograph = grey + (photograph - grey) * np.float32(rng.uniform(0.65, 1.3))
    level = np.float32(rng.uniform(96, 128))
    photograph = level + (photograph - level) * np.float32(rng.uniform(0.85, 1.25))
    gain = rng.uniform(0.78, 1.18) * (1 + 0.06 * rng.normal(size=3))
    haze = rng.uniform(0, 22) * np.array([0.9, 1.0, 1.1])
    photograph = photograph * gain.astype(np.float32) + haze.astype(np.float32)
    blur = rng.uniform(0.3, 0.75) * len(photograph) / 256
    sensor = np.float32(rng.uniform(1.5, 5.0))
    photograph = cv2.GaussianBlur(photograph, (5, 5), max(blur, 0.2))
    photograph += sensor * rng.standard_normal(photograph.shape, dtype=np.float32)
    return np.clip(np.rint(photograph), 0, 255).astype(np.uint8)
