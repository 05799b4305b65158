"""Bootstrap intervals, paired tests, and Holm's correction."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.evaluation import bootstrap_interval, paired_test
from rsir_tf.evaluation.significance import holm, paired_tests


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04; the last is at least the one before it.
    found = holm({"c": 0.01, "a": 0.04, "b": 0.03, "d": 0.005})
    assert list(found) == ["c", "a", "b", "d"]
    assert found == pytest.approx({"c": 0.03, "a": 0.06, "b": 0.06, "d": 0.02})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
@settings(max_examples=100)
def test_holm_rejects_what_its_steps_reject(p_values: list[float], level: float) -> None:
    """The steps themselves: smallest first, each against level / (tests left), until one is not below."""
    rejected = 0
    for place, p in enumerate(sorted(p_values)):
        if (len(p_values) - place) * p > level:
            break
        rejected += 1
    found = holm({str(place): p for place, p in enumerate(p_values)})
    assert sum(p <= level for p in found.values()) == rejected


def test_each_against_the_best() -> None:
    generator = np.random.default_rng(0)
    figures = {name: generator.random(20) + shift for name, shift in (("low", 0), ("best", 0.4), ("middle", 0.2))}
    figures["best"][3] = figures["low"][3] = figures["middle"][3] = np.nan
    found = paired_tests(figures)
    assert (found.against, found.chosen_as_best) == ("best", True)
    assert found.p_values == {name: paired_test(figures[name], figures["best"]) for name in ("low", "middle")}
    assert found.corrected == holm(found.p_values)
    named = paired_tests(figures, "low")
    assert (named.against, named.chosen_as_best, list(named.p_values)) == ("low", False, ["best", "middle"])


def test_nothing_to_test() -> None:
    assert paired_tests({"one": [0.5, 0.6]}) is None
    assert paired_tests({"one": [np.nan], "two": [np.nan]}) is None
    with pytest.raises(InputError, match="'three' was not compared; wanted one of one, two"):
        paired_tests({"one": [0.5], "two": [0.6]}, "three")


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
