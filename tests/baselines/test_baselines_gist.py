"""GIST against its literal definition, and what must hold whatever the constants are."""

from __future__ import annotations

import numpy as np
import pytest

from rsir_tf.baselines import GIST
from rsir_tf.baselines.gist import normalise_contrast, transfer_functions
from rsir_tf.errors import InputError


def literal_gain(side: int, scale: int, orientation: int, orientations: int, row: int, column: int) -> float:
    """G(f, θ) at one place of the FFT's output, by the formula."""
    fy, fx = (k if k < side / 2 else k - side for k in (row, column))
    frequency, angle = np.hypot(fx, fy), np.arctan2(fy, fx)
    turned = angle + np.pi * orientation / orientations
    turned += 2 * np.pi * (turned < -np.pi) - 2 * np.pi * (turned > np.pi)
    centre = 0.3 / 1.85**scale
    width = 16 * orientations**2 / 32**2
    return np.exp(-10 * 0.35 * (frequency / side / centre - 1) ** 2 - 2 * width * np.pi * turned**2)


def test_filters_are_the_formula() -> None:
    side, scales, orientations = 24, 3, 6
    filters = transfer_functions(side, scales, orientations)
    assert filters.shape == (18, side, side)
    for place in np.random.default_rng(0).integers(0, side, (60, 2)).tolist():
        for scale in range(scales):
            for orientation in range(orientations):
                # At −π and π, one direction, the sign of a zero decides: it is left out.
                if place[0] == 0 and place[1] >= side / 2:
                    continue
                expected = literal_gain(side, scale, orientation, orientations, *place)
                assert filters[scale * orientations + orientation][tuple(place)] == pytest.approx(expected, abs=1e-6)


def test_contrast_normalisation_is_the_formula() -> None:
    side, border = 16, 5
    intensity = np.random.default_rng(1).uniform(0, 255, (side, side)).astype(np.float32)
    padded = np.pad(np.log(1 + intensity.astype(np.float64)), border, mode="symmetric")
    extent = len(padded)
    cycles = np.array([k if k < extent / 2 else k - extent for k in range(extent)])
    gain = np.exp(-(cycles[:, None] ** 2 + cycles**2) / (4 / np.sqrt(np.log(2))) ** 2)

    def low(values: np.ndarray) -> np.ndarray:
        return np.real(np.fft.ifft2(np.fft.fft2(values) * gain))

    detail = padded - low(padded)
    expected = (detail / (0.2 + np.sqrt(np.abs(low(detail**2)))))[border:-border, border:-border]
    np.testing.assert_allclose(normalise_contrast(intensity), expected, atol=2e-4)


def test_vector_is_the_mean_amplitude_in_each_cell() -> None:
    settings = GIST(side=32, scales=2, orientations=4, grid=2, border=8)
    image = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    padded = np.pad(normalise_contrast(image.mean(axis=2, dtype=np.float32)), 8, mode="symmetric").astype(np.float64)
    expected = []
    for gain in transfer_functions(48, 2, 4).astype(np.float64):
        response = np.abs(np.fft.ifft2(np.fft.fft2(padded) * gain))[8:40, 8:40]
        expected += [response[r : r + 16, c : c + 16].mean() for r in (0, 16) for c in (0, 16)]
    np.testing.assert_allclose(settings.describe(image), expected, rtol=1e-3, atol=1e-5)


def grating(side: int, cycles: float, degrees: float) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    turned = np.deg2rad(degrees)
    wave = 128 + 60 * np.sin(2 * np.pi * cycles / side * (x * np.cos(turned) + y * np.sin(turned)))
    return np.repeat(wave.round().astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize(("degrees", "orientation"), [(0, 0), (45, 6), (90, 4), (135, 2)])
def test_a_grating_wakes_the_filters_of_its_direction(degrees: float, orientation: int) -> None:
    # A real wave has both directions, θ and θ + 180°; filter k sits at θ = −k·22.5°.
    vector = GIST(side=128).describe(grating(128, 128 * 0.3, degrees)).reshape(4, 8, 16)
    assert int(vector[0].mean(axis=1).argmax()) == orientation


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_a_grating_wakes_the_filters_of_its_scale(scale: int) -> None:
    vector = GIST(side=128).describe(grating(128, 128 * 0.3 / 1.85**scale, 0)).reshape(4, 8, 16)
    assert int(vector[:, 0].mean(axis=1).argmax()) == scale


def test_cells_are_places() -> None:
    image = np.full((128, 128, 3), 128, dtype=np.uint8)
    image[64:, 64:] = grating(128, 128 * 0.3, 0)[64:, 64:]
    cells = GIST(side=128, grid=2).describe(image).reshape(4, 8, 2, 2)[0, 0]
    assert cells[1, 1] > 4 * max(cells[0, 0], cells[0, 1], cells[1, 0])


def test_any_size_gives_the_512_of_the_paper() -> None:
    image = np.random.default_rng(3).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    vector = GIST().describe(image)
    assert vector.shape == (512,)
    assert np.isfinite(vector).all()
    assert not GIST(side=64).describe(np.full((64, 64, 3), 77, np.uint8)).max() > 1e-3  # Flat ground: nothing.


@pytest.mark.parametrize(
    "change", [{"side": 250}, {"side": 15, "grid": 5}, {"grid": 0}, {"scales": 0}, {"border": 256}]
)
def test_parameters_out_of_range(change: dict) -> None:
    with pytest.raises(InputError, match="wanted"):
        GIST(**change)
