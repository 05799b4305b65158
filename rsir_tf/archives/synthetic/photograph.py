"""From a drawing to a photograph: texture, shadow, light, haze, lens and sensor."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rsir_tf.archives.synthetic.canvas import SUPERSAMPLING, Canvas
from rsir_tf.archives.synthetic.materials import SURFACES, Material
from rsir_tf.archives.synthetic.noise import octaves, smooth_noise

Planes = NDArray[np.float32]
"""float32 [3, size, size]: red, green, blue, 0..255."""


def take_photograph(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Render the canvas as an aerial camera would see it.

    Args:
        canvas: A finished drawing.
        rng: Gives texture, light and noise; the numbers that depend on the size of the picture are drawn last.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    size = canvas.side // SUPERSAMPLING
    halved = cv2.resize(canvas.colour, (size, size), interpolation=cv2.INTER_AREA)
    planes = np.ascontiguousarray(halved.transpose(2, 0, 1), dtype=np.float32)
    _add_texture(planes, surface_map(canvas), rng)
    _add_shadows(planes, canvas, rng)
    planes *= 1 + np.float32(0.03) * octaves(rng, (2, 4), size)
    return _expose(planes, rng)


def surface_map(canvas: Canvas) -> NDArray[np.uint8]:
    """Return uint8 [size, size]: the material at each pixel of the final picture, by nearest neighbour."""
    return np.ascontiguousarray(canvas.material[::SUPERSAMPLING, ::SUPERSAMPLING])


def _add_texture(planes: Planes, materials: NDArray[np.uint8], rng: np.random.Generator) -> None:
    size = planes.shape[1]
    surfaces = [SURFACES[material] for material in Material]
    strength = rng.uniform(0.7, 1.5, (4, len(surfaces))).astype(np.float32)
    fields = (smooth_noise(rng, 256, size), octaves(rng, (32, 64, 128), size), octaves(rng, (6, 12, 24), size))
    amounts = np.array([[each.grain, each.mottle, each.patch] for each in surfaces], dtype=np.float32).T
    brightness = np.ones((size, size), dtype=np.float32)
    for field, amount in zip(fields, amounts * strength[:3], strict=True):
        brightness += field * amount[materials]
    hue = octaves(rng, (5, 16, 48), size)
    drifts = np.array([each.drift for each in surfaces], dtype=np.float32).T * strength[3]
    planes *= brightness
    for band, drift in enumerate(drifts):
        planes[band] += drift[materials] * hue


def _add_shadows(planes: Planes, canvas: Canvas, rng: np.random.Generator) -> None:
    size = planes.shape[1]
    shadow = cv2.resize(canvas.shadow, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    soft = cv2.GaussianBlur(shadow, (3, 3), 0.6)
    # Only light from the sky reaches the shade, and so it is bluish and dark.
    depths = rng.uniform(0.5, 0.72) * np.array([1.05, 1.0, 0.9]) / 255
    for band, depth in enumerate(depths.astype(np.float32)):
        planes[band] *= 1 - soft * depth


def _expose(planes: Planes, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Apply saturation, contrast, white balance and haze (together one affine map of colours), then lens and sensor."""
    saturation, level, contrast = rng.uniform((0.65, 96, 0.85), (1.3, 128, 1.25))
    gain = rng.uniform(0.78, 1.18) * (1 + 0.03 * rng.standard_normal(3))
    haze = rng.uniform(0, 22) * np.array([0.9, 1.0, 1.1])
    colours = saturation * np.eye(3) + (1 - saturation) / 3
    # The exposure is chosen so that few pixels are overexposed.
    sample = planes[:, ::4, ::4].reshape(3, -1)
    brightest = np.quantile(level + contrast * (colours @ sample - level), 0.98)
    gain *= min(1.0, 238 / float(brightest * gain.max() + haze.max()))
    affine = np.empty((3, 4))
    affine[:, :3] = contrast * gain[:, None] * colours
    affine[:, 3] = gain * level * (1 - contrast) + haze
    image = cv2.transform(np.ascontiguousarray(planes.transpose(1, 2, 0)), affine.astype(np.float32))
    blur = rng.uniform(0.3, 0.75) * len(image) / 256
    sensor = np.float32(rng.uniform(1.5, 5.0))
    image = cv2.GaussianBlur(image, (5, 5), max(blur, 0.2))
    image += sensor * rng.standard_normal(image.shape, dtype=np.float32)
    rounded: NDArray[np.uint8] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return rounded
