"""Each descriptor's numbers, worked out by hand or by the literal formula."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.baselines import (
    BASELINES,
    GLCM,
    MLIR,
    ColourHistogram,
    Statistics,
    UniformLBP,
    parameters,
    region_features,
    settable,
    with_parameters,
)
from rsir_tf.errors import InputError


def noise(seed: int, height: int = 32, width: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey_image(levels: np.ndarray) -> np.ndarray:
    """An RGB image of these grey levels; its luma is the levels themselves, since the weights sum to 1."""
    return np.repeat(np.asarray(levels, dtype=np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", [name for name in BASELINES if name not in ("bovw", "gist")])
def test_contract_of_all(name: str) -> None:
    descriptor = BASELINES[name]()
    vector = descriptor.describe(noise(0))
    assert vector.dtype == np.float32
    assert vector.shape == (descriptor.dimensions,)
    assert np.isfinite(vector).all()
    assert descriptor.name == name
    assert (vector == descriptor.describe(noise(0).copy())).all()
    with pytest.raises(InputError, match="wanted uint8"):
        descriptor.describe(noise(0).astype(np.float32))


def test_distances_are_the_papers() -> None:
    found = {name: kind.distance for name, kind in BASELINES.items()}
    assert found == {**dict.fromkeys(("statistics", "lbp", "glcm", "gist", "bovw", "mlir"), "l2"), "color": "l1"}


def test_statistics_of_two_halves() -> None:
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:8] = (200, 100, 40)
    # Mean: half of it; deviation of a half-and-half split: half of the difference.
    np.testing.assert_array_equal(Statistics("rgb").describe(image), [100, 50, 20, 100, 50, 20])
    # Luma (BT.601): 0.299·200 + 0.587·100 + 0.114·40 = 123.06, rounded 123.
    np.testing.assert_array_equal(Statistics("grey").describe(image), [61.5, 61.5])


def test_colour_histogram_by_hand() -> None:
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    image[:4] = (255, 31, 32)  # Bins 7, 0, 1 of 8: a quarter of the pixels.
    joint = ColourHistogram(bins=8).describe(image)
    assert dict(zip(np.flatnonzero(joint).tolist(), joint[joint > 0].tolist(), strict=True)) == {
        0: 0.75,
        7 * 64 + 0 * 8 + 1: 0.25,
    }
    apart = ColourHistogram(bins=8, joint=False).describe(image)
    assert dict(zip(np.flatnonzero(apart).tolist(), apart[apart > 0].tolist(), strict=True)) == {
        0: 0.75,
        7: 0.25,
        8: 1.0,
        16: 0.75,
        17: 0.25,
    }


@given(st.integers(2, 64), st.integers(0, 1000))
@settings(max_examples=25)
def test_colour_histogram_is_numpys(bins: int, seed: int) -> None:
    image = noise(seed, 17, 19)
    edges = [[256 * k / bins for k in range(bins + 1)]] * 3
    expected = np.histogramdd(image.reshape(-1, 3).astype(float), bins=edges)[0].ravel() / (17 * 19)
    np.testing.assert_allclose(ColourHistogram(bins=bins).describe(image), expected, atol=1e-7)


def test_colour_histogram_knows_no_places() -> None:
    image = noise(3)
    shuffled = np.random.default_rng(0).permutation(image.reshape(-1, 3)).reshape(image.shape)
    np.testing.assert_array_equal(ColourHistogram().describe(image), ColourHistogram().describe(shuffled))


def uniform_code(luma: np.ndarray, row: int, column: int) -> int:
    """LBP^riu2 of 8 points at radius 1, by the definition: bilinear samples, ≥ centre, changes around the circle."""
    bits = []
    for point in range(8):
        y, x = row - np.sin(2 * np.pi * point / 8), column + np.cos(2 * np.pi * point / 8)
        top, left = int(np.floor(np.round(y, 5))), int(np.floor(np.round(x, 5)))
        dy, dx = np.round(y, 5) - top, np.round(x, 5) - left
        value = sum(
            weight * luma[top + i, left + j]
            for (i, j), weight in {
                (0, 0): (1 - dy) * (1 - dx),
                (0, 1): (1 - dy) * dx,
                (1, 0): dy * (1 - dx),
                (1, 1): dy * dx,
            }.items()
            if weight
        )
        bits.append(int(np.round(value, 6) >= luma[row, column]))
    changes = sum(bits[k] != bits[k - 1] for k in range(8))
    return sum(bits) if changes <= 2 else 9


def test_lbp_is_the_definition_inside() -> None:
    from rsir_tf.baselines.lbp import pattern_codes

    luma = np.random.default_rng(5).integers(0, 256, (16, 18)).astype(np.uint8)
    codes = pattern_codes(luma, 8, 1.0, rotation_invariant=True)
    for row, column in itertools.product(range(1, 15), range(1, 17)):
        assert codes[row, column] == uniform_code(luma, row, column), (row, column)


def test_lbp_sums_to_one_and_keeps_orientation_or_not() -> None:
    stripes = grey_image(np.tile([0, 0, 255, 255], (32, 8)))
    turned = np.ascontiguousarray(np.rot90(stripes))
    kept, free = UniformLBP(), UniformLBP(rotation_invariant=True)
    assert kept.dimensions == 59  # 8·7 uniform patterns of some ones, all zeros, all ones, and the rest.
    assert free.dimensions == 10
    for descriptor in (kept, free):
        assert descriptor.describe(stripes).sum() == pytest.approx(1)
    np.testing.assert_allclose(free.describe(stripes), free.describe(turned), atol=1e-7)
    assert np.abs(kept.describe(stripes) - kept.describe(turned)).sum() > 0.5


def test_glcm_of_stripes_by_hand() -> None:
    # Columns 0, 255, 0, 255, … in two levels. Horizontal and diagonal neighbours always differ, vertical never do.
    image = grey_image(np.tile([0, 255], (16, 8)))
    found = GLCM(levels=2).describe(image).reshape(4, 4)  # Properties by angles 0°, 45°, 90°, 135°.
    np.testing.assert_allclose(found[0], [1, 1, 0, 1], atol=1e-6)  # Σ p·(i − j)²
    np.testing.assert_allclose(found[1], [-1, -1, 1, -1], atol=1e-6)
    np.testing.assert_allclose(found[2], np.sqrt(0.5), atol=1e-6)  # Two cells of 1/2 each: √(¼ + ¼)
    np.testing.assert_allclose(found[3], [0.5, 0.5, 1, 0.5], atol=1e-6)  # Σ p / (1 + (i − j)²)
    np.testing.assert_allclose(GLCM(levels=2, mean_over_angles=True).describe(image), found.mean(axis=1), atol=1e-6)


def test_glcm_of_counted_pairs() -> None:
    image = noise(7)
    luma = (image.astype(float) @ [0.299, 0.587, 0.114]).round().astype(int) * 8 // 256
    counts = np.zeros((8, 8))
    for row, column in itertools.product(range(luma.shape[0]), range(luma.shape[1] - 2)):  # 0°, two pixels apart.
        counts[luma[row, column], luma[row, column + 2]] += 1
        counts[luma[row, column + 2], luma[row, column]] += 1
    share = counts / counts.sum()
    i, j = np.mgrid[:8, :8]
    mean, deviation = (i * share).sum(), np.sqrt(((i - (i * share).sum()) ** 2 * share).sum())
    expected = [
        (share * (i - j) ** 2).sum() / 49,
        (share * (i - mean) * (j - mean)).sum() / deviation**2,
        np.sqrt((share**2).sum()),
        (share / (1 + (i - j) ** 2)).sum(),
    ]
    np.testing.assert_allclose(GLCM(levels=8, offsets=(2,)).describe(image)[::4], expected, atol=1e-5)


def test_mlir_regions_by_hand() -> None:
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[:, :10] = (255, 0, 51)
    labels = np.full((20, 30), 2, dtype=np.int32)
    labels[:, :10] = 1
    first, second = region_features(image, labels)
    np.testing.assert_allclose(first[:6], [1, 0, 0.2, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(second[:6], 0, atol=1e-6)
    np.testing.assert_allclose([first[6:16].sum(), second[6:16].sum()], 1, atol=1e-6)
    # 10 of 30 columns; a rectangle fills its box and its hull. Eccentricity is √(1 − λ₂/λ₁) of the pixels' second
    # moments; of n equidistant points that is (n² − 1)/12: here 99/12 and 399/12. A square has none.
    np.testing.assert_allclose(first[16:], [1 / 3, 1, np.sqrt(1 - 99 / 399), 1], atol=1e-6)
    np.testing.assert_allclose(second[16:], [2 / 3, 1, 0, 1], atol=1e-6)


def test_mlir_is_the_largest_over_regions() -> None:
    image = np.zeros((40, 40, 3), dtype=np.uint8)
    image[:20] = (250, 0, 0)
    image[20:] = (0, 0, 250)
    vector = MLIR(sigma=0, min_area=50).describe(image)
    labels = np.repeat([1, 2], 20)[:, None].repeat(40, axis=1).astype(np.int32)
    np.testing.assert_allclose(vector, region_features(image, labels).max(axis=0), atol=1e-6)
    assert vector[0] == vector[2] == pytest.approx(250 / 255)  # Red of one region, blue of the other.


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.ones((4, 4), np.int32), "wanted .16, 16. with a region"),
        (np.zeros((16, 16), np.int32), "wanted .16, 16. with a region"),
        (np.full((16, 16), 3, np.int32), "region 1 has no pixel"),
    ],
)
def test_mlir_refuses_labels(labels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        region_features(np.zeros((16, 16, 3), dtype=np.uint8), labels)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Statistics("hsv"),
        lambda: ColourHistogram(bins=1),
        lambda: UniformLBP(neighbours=2),
        lambda: UniformLBP(radius=0),
        lambda: GLCM(levels=1),
        lambda: GLCM(offsets=()),
        lambda: MLIR(scale=0),
        lambda: MLIR(min_area=0),
    ],
)
def test_parameters_out_of_range(make: object) -> None:
    with pytest.raises(InputError, match="wanted"):
        make()


def test_parameters_from_text() -> None:
    assert with_parameters(GLCM, {}) == GLCM()
    texts = {"levels": "16", "offsets": "1, 3", "mean_over_angles": "Yes"}
    assert with_parameters(GLCM, texts) == GLCM(levels=16, offsets=(1, 3), mean_over_angles=True)
    assert with_parameters(UniformLBP, {"radius": "2"}) == UniformLBP(radius=2.0)
    assert with_parameters(ColourHistogram, {"joint": "false"}) == ColourHistogram(joint=False)
    assert with_parameters(Statistics, {"channels": "rgb"}) == Statistics("rgb")
    assert settable(BASELINES["bovw"]) == {"words": int, "sample": int, "seed": int}  # A dictionary is learned.


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"grey": "3"}, "no parameter 'grey'; wanted one of glcm.levels, glcm.offsets, glcm.mean_over_angles"),
        ({"levels": "many"}, "glcm.levels is 'many'; wanted a whole number; the parameters are glcm.levels, "),
        ({"offsets": "1;2"}, "wanted numbers with commas between them"),
        ({"mean_over_angles": "2"}, "wanted true or false"),
        ({"levels": "1"}, "glcm: 1 grey levels; wanted 2 to 256; the parameters are glcm.levels, "),
    ],
)
def test_parameters_from_wrong_text(texts: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        with_parameters(GLCM, texts)


@pytest.mark.parametrize("text", ["inf", "nan", "1e999"])
def test_parameters_are_finite(text: str) -> None:
    with pytest.raises(InputError, match="wanted a number"):
        with_parameters(MLIR, {"scale": text})


def test_parameters_are_recorded() -> None:
    assert parameters(GLCM(levels=8)) == {"levels": 8, "offsets": [1], "mean_over_angles": False}
