"""Bootstrap intervals and the paired randomisation test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.evaluation import bootstrap_interval, paired_test


def test_interval_matches_the_normal_theory_of_the_mean():
    values = np.random.default_rng(1).random(2000)
    low, high = bootstrap_interval(values, seed=3)
    # 95% of a mean: ± 1.96 standard errors; the bootstrap's own noise at 2,000 resamples is a few percent of that.
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)
    narrow = bootstrap_interval(values, level=0.5, seed=3)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_interval_is_seeded_and_leaves_nan_out():
    values = [0.1, 0.5, 0.9, 0.3]
    assert bootstrap_interval(values, seed=7) == bootstrap_interval([*values, math.nan], seed=7)
    assert bootstrap_interval([0.4, 0.4]) == (pytest.approx(0.4), pytest.approx(0.4))
    assert all(math.isnan(end) for end in bootstrap_interval([math.nan]))
    for bad in ({"level": 1.0}, {"resamples": 0}):
        with pytest.raises(InputError):
            bootstrap_interval(values, **bad)
    with pytest.raises(InputError):
        bootstrap_interval([[0.1]])


def test_paired_test_approaches_the_exact_p():
    first, second = np.array([0.9, 0.7, 0.8, 0.6, 0.9, 0.5]), np.array([0.5, 0.6, 0.4, 0.65, 0.2, 0.3])
    difference = first - second
    signs = np.array(list(itertools.product((-1, 1), repeat=6)))
    exact = (np.abs(signs @ difference) >= abs(difference.sum()) - 1e-12).mean()
    # 10,000 patterns: standard error below .003.
    assert paired_test(first, second) == pytest.approx(exact, abs=0.01)
    assert paired_test(first, second) == paired_test(second, first)


def test_paired_test_at_the_edges():
    values = np.linspace(0, 1, 50)
    assert paired_test(values, values) == 1
    assert paired_test(values + 0.1, values, resamples=999) == pytest.approx(1 / 1000)
    assert paired_test([0.1, math.nan], [math.nan, 0.2]) == 1
    with pytest.raises(InputError):
        paired_test([0.1], [0.1, 0.2])
