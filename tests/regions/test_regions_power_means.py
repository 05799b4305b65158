"""Generalised means against the literal formula: upsample every pixel, then take the mean of its powers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_regions_pooling import label_maps, literal_upsampling, random_features

from rsir_tf.errors import InputError
from rsir_tf.index.settings import POOLINGS as STORED
from rsir_tf.regions import CONVENTIONS, POOLINGS, pool, pool_power_means, pool_regions


def literal_means(features, labels, stride, convention, power):
    upsampled = literal_upsampling(features, labels.shape, stride, convention) ** power
    means = [upsampled[labels == label].mean(axis=0) for label in range(1, labels.max() + 1)]
    return np.array(means).reshape(-1, features.shape[2]) ** (1 / power)


@settings(max_examples=25)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    stride=st.sampled_from([1, 3, 8, 16]),
    convention=st.sampled_from(CONVENTIONS),
    power=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_mean_over_all_pixels(height, width, stride, convention, power, seed) -> None:
    features = np.maximum(random_features(seed, height, width, 5, stride), 0)
    for labels in label_maps(height, width, seed).values():
        found = pool_power_means(features, labels, convention, power=power, stride=stride)
        wanted = literal_means(features, labels, stride, convention, power)
        assert found.dtype == np.float32
        # A root enlarges the rounding of numbers near 0: (1e-16)^(1/4) is 1e-4 of the largest feature.
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-15 ** (1 / power) * features.max())


def test_bands_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.abs(random_features(0, 100, 70, 6, 8))
    labels = label_maps(100, 70, 0)["one region"]
    whole = pool_power_means(features, labels, power=3, stride=8)
    monkeypatch.setattr("rsir_tf.regions.power_means._BAND", 1)
    np.testing.assert_allclose(pool_power_means(features, labels, power=3, stride=8), whole, rtol=1e-6)


def test_lies_between_mean_and_maximum_and_comes_near_it() -> None:
    """Of powers of one region, a larger power gives no smaller mean (the inequality of power means)."""
    features = np.abs(random_features(1, 64, 64, 16, 16))
    labels = np.ones((64, 64), np.int32)
    means = [pool_power_means(features, labels, power=power)[0] for power in (1, 2, 3, 8)]
    largest = pool_regions(features, labels)[0]
    for lower, higher in zip(means, [*means[1:], largest], strict=True):
        assert (lower <= higher * (1 + 1e-6)).all()
    assert (means[-1] > 0.5 * largest).all()


@pytest.mark.parametrize("power", [0, -1, 1.5, True])
def test_refuses_other_powers(power) -> None:
    with pytest.raises(InputError, match="wanted a whole number of at least 1"):
        pool_power_means(np.ones((1, 1, 2), np.float32), np.ones((4, 4), np.int32), power=power)


def test_refuses_negative_features() -> None:
    with pytest.raises(InputError, match=r"features: hold -2; wanted numbers of at least 0"):
        pool_power_means(np.full((1, 1, 2), -2, np.float32), np.ones((4, 4), np.int32), power=3)


def test_no_region_gives_no_row() -> None:
    assert pool_power_means(np.ones((1, 1, 2), np.float32), np.zeros((4, 4), np.int32), power=3).shape == (0, 2)


@pytest.mark.parametrize("pooling", ["gem", "mean"])
def test_void_pixels_count_nowhere_and_pull_nothing_down(pooling: str) -> None:
    """Where all that is valid shows one value, so does the descriptor, whatever the void part holds."""
    features = np.full((4, 4, 3), 2, np.float32)
    features[:, 2:] = 9
    valid = np.zeros((64, 64), bool)
    valid[:, :32] = True
    labels = valid.astype(np.int32)
    regions, image = pool(features, labels, valid, pooling=pooling)
    np.testing.assert_allclose(regions, np.full((1, 3), 2), rtol=1e-6)
    np.testing.assert_allclose(image, np.full(3, 2), rtol=1e-6)
    none, nothing = pool(features, 0 * labels, valid < 0, pooling=pooling)
    assert none.shape == (0, 3)
    assert nothing.tolist() == [0, 0, 0]


def test_poolings_by_name_are_what_they_say() -> None:
    features = np.abs(random_features(2, 50, 70, 4, 16))
    labels = label_maps(50, 70, 2)["diagonal"]
    for pooling, power in (("mean", 1), ("gem", 3)):
        regions, image = pool(features, labels, pooling=pooling)
        np.testing.assert_allclose(regions, literal_means(features, labels, 16, "half_pixel", power), rtol=1e-5)
        whole = literal_means(features, np.ones_like(labels), 16, "half_pixel", power)
        np.testing.assert_allclose(image, whole[0], rtol=1e-5)
    np.testing.assert_array_equal(pool(features, labels)[0], pool_regions(features, labels))
    with pytest.raises(InputError, match="pooling is 'median'; wanted max or gem or mean or rmac"):
        pool(features, labels, pooling="median")
    assert POOLINGS == STORED
