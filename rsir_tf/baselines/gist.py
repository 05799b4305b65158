"""GIST: the energy of oriented filters over a coarse grid."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rsir_tf.baselines.descriptor import require
from rsir_tf.rasters import check_image

CONTRAST_CYCLES = 4.0
"""Cut-off of the low-pass filter in the local contrast normalisation, in cycles per image."""

CONTRAST_FLOOR = 0.2
"""Added to the local deviation of log intensity, so that flat ground is not amplified."""

FLAT = 1e-3
"""Grey levels: differences below this come from scaling an image of one grey."""


@dataclass(frozen=True, slots=True)
class GIST:
    """Mean amplitude of Gabor filters of several scales and orientations, in each cell of a grid.

    Source: Oliva and Torralba, Modeling the shape of the scene: a holistic representation of the spatial envelope, IJCV
    42(3), 2001, with the steps and constants of the authors' reference program: the mean of the channels is scaled and
    cropped to a square, stretched to 0..255, its log is normalised by local contrast, and filtered in the frequency
    domain by G(f, θ) = exp(−3.5·(f/f₀ − 1)² − 2π·(P/8)²·Δθ²), with f₀ = 0.3/1.85^s cycles per pixel at scale s, and P
    orientations.

    Args:
        side: Pixels of the square, a multiple of `grid`: images are scaled until their shorter side has this length,
            and the middle of the longer side is kept.
        scales: Number of centre frequencies.
        orientations: Number of filters at each scale, over half a turn.
        grid: Cells along each side.
        border: Pixels by which the image is extended with its mirror image before filtering.
    """

    side: int = 256
    scales: int = 4
    orientations: int = 8
    grid: int = 4
    border: int = 32
    name: ClassVar[str] = "gist"
    title: ClassVar[str] = "GIST"
    distance: ClassVar[str] = "l2"
    libraries: ClassVar[tuple[str, ...]] = ("opencv", "scipy")

    def __post_init__(self) -> None:
        require(1 <= self.scales <= 8 and 1 <= self.orientations <= 32, f"{self.scales} scales", "1 to 8, 1 to 32 each")
        require(
            self.side % 2 == 0 and self.side >= 16 and self.grid >= 1 and self.side % self.grid == 0,
            f"a side of {self.side} pixels in {self.grid} cells",
            "an even side of 16 or more that the grid divides",
        )
        require(0 <= self.border < self.side, f"a border of {self.border} pixels", f"0 to {self.side - 1}")

    @property
    def dimensions(self) -> int:
        return self.scales * self.orientations * self.grid**2

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Give mean amplitudes, ≥ 0, ordered by filter (scale, then orientation), then by cell (row, then column)."""
        from scipy import fft

        check_image(image, "image")
        square = stretched(middle_square(image.mean(axis=2, dtype=np.float32), self.side))
        padded = np.pad(normalise_contrast(square), self.border, mode="symmetric")
        spectrum = fft.fft2(padded)
        cell, inner = self.side // self.grid, slice(self.border, self.border + self.side)
        found = []
        for transfer in transfer_functions(len(padded), self.scales, self.orientations):
            amplitude = np.abs(fft.ifft2(spectrum * transfer))[inner, inner]
            found.append(amplitude.reshape(self.grid, cell, self.grid, cell).mean(axis=(1, 3)))
        return np.concatenate([cells.ravel() for cells in found]).astype(np.float32)


@functools.cache
def transfer_functions(side: int, scales: int, orientations: int) -> NDArray[np.float32]:
    """Transfer functions of the filters, float32 [scales · orientations, side, side], in the order of `fft2`'s output.

    Args:
        side: Side of the padded image in pixels.
        scales: Number of centre frequencies.
        orientations: Number of filters at each scale.
    """
    frequency, angle = _polar(side)
    found = []
    for scale in range(scales):
        centre = 0.3 / 1.85**scale
        radial = -3.5 * (frequency / centre - 1) ** 2
        for orientation in range(orientations):
            turned = angle + np.pi * orientation / orientations
            turned = np.where(turned > np.pi, turned - 2 * np.pi, turned)
            found.append(np.exp(radial - 2 * np.pi * (orientations / 8) ** 2 * turned**2))
    return np.stack(found).astype(np.float32)


def middle_square(intensity: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Scale until the shorter side has `side` pixels, keep the aspect ratio, and crop the longer side to its middle.

    Args:
        intensity: float32 [H, W].
        side: Pixels.

    Returns:
        float32 [side, side]; area interpolation where it shrinks, bilinear where it grows.
    """
    import cv2

    height, width = intensity.shape
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    scaled = cv2.resize(intensity, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (size[1] - side) // 2, (size[0] - side) // 2
    return np.asarray(scaled[top : top + side, left : left + side], dtype=np.float32)


def stretched(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale the least intensity to 0 and the greatest to 255.

    Args:
        intensity: float32 [H, W], 0..255.

    Returns:
        float32 [H, W]; all 0 for flat ground, so that rounding errors are not amplified.
    """
    least = intensity.min()
    span = float(intensity.max() - least)
    return np.zeros_like(intensity) if span < FLAT else (intensity - least) * np.float32(255 / span)


def normalise_contrast(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log intensity minus its low-pass part, divided by its local deviation.

    Args:
        intensity: float32 [N, N], 0..255, N even.

    Returns:
        float32 [N, N].
    """
    from scipy import fft

    border = 5
    logs = np.pad(np.log1p(intensity), border, mode="symmetric")
    frequency, _ = _polar(len(logs))
    # In cycles per image: the gain falls to one half at CONTRAST_CYCLES.
    cycles = frequency * len(logs)
    low_pass = np.exp2(-((cycles / CONTRAST_CYCLES) ** 2)).astype(np.float32)

    def smooth(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(fft.ifft2(fft.fft2(values) * low_pass).real)

    detail = logs - smooth(logs)
    deviation = np.sqrt(np.abs(smooth(detail**2)))
    result = detail / (CONTRAST_FLOOR + deviation)
    return np.asarray(result[border:-border, border:-border], dtype=np.float32)


def _polar(side: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequency in cycles per pixel, and angle in −π..π, of each place in an FFT's output, float64 [side, side]."""
    steps = np.fft.fftfreq(side)
    return np.hypot(steps[:, None], steps[None]), np.arctan2(steps[:, None], steps[None])
