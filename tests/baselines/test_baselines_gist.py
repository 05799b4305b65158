"""GIST against its literal definition, and what must hold whatever the constants are."""

from __future__ import annotations

import numpy as np
import pytest

from rsir_tf.baselines import GIST
from rsir_tf.baselines.gist import middle_square, normalise_contrast, transfer_functions
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
    intensity = image.mean(axis=2)
    full = (255 * (intensity - intensity.min()) / (intensity.max() - intensity.min())).astype(np.float32)
    padded = np.pad(normalise_contrast(full), 8, mode="symmetric").astype(np.float64)
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


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (90, 130)])
def test_flat_ground_is_nothing(size: tuple[int, int]) -> None:
    assert not GIST(side=64).describe(np.full((*size, 3), 77, np.uint8)).any()


def test_dim_pictures_are_stretched() -> None:
    # Even levels: half of them and 20 more are whole numbers, so both are stretched to the same picture.
    image = np.random.default_rng(4).integers(0, 100, (64, 64, 3), dtype=np.uint8) * 2
    settings = GIST(side=64)
    np.testing.assert_allclose(settings.describe(image // 2 + 20), settings.describe(image), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("width", [128, 129])
def test_the_middle_is_what_is_described(width: int) -> None:
    image = np.full((64, width, 3), 255, dtype=np.uint8)  # Whiter than what is in the middle: no part of the stretch.
    image[:, 32:96] = np.random.default_rng(5).integers(20, 200, (64, 64, 3), dtype=np.uint8)
    settings = GIST(side=64)
    np.testing.assert_array_equal(settings.describe(image), settings.describe(image[:, 32:96]))


def test_scaling_keeps_the_aspect() -> None:
    ramp = np.repeat(np.arange(64, dtype=np.float32)[None], 32, axis=0)
    # Twice as large, columns 32 to 95 of 128: pixel centres lie at (c + ½) / 2 − ½.
    np.testing.assert_allclose(
        middle_square(ramp, 64), np.tile((np.arange(32, 96) + 0.5) / 2 - 0.5, (64, 1)), atol=1e-5
    )
    # Half as large, columns 8 to 23 of 32: means of two columns.
    np.testing.assert_allclose(middle_square(ramp, 16), np.tile(np.arange(8, 24) * 2 + 0.5, (16, 1)), atol=1e-5)
    np.testing.assert_array_equal(middle_square(ramp.T, 16), middle_square(ramp, 16).T)


@pytest.mark.parametrize(
    "change", [{"side": 250}, {"side": 15, "grid": 5}, {"grid": 0}, {"scales": 0}, {"border": 256}]
)
def test_parameters_out_of_range(change: dict) -> None:
    with pytest.raises(InputError, match="wanted"):
        GIST(**change)
