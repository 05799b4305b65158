"""Tests of several descriptors against one, and Holm's correction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.evaluation import paired_test
from rsir_tf.evaluation.significance import holm, paired_tests


def test_holm_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04; the last is at least the one before it.
    found = holm({"c": 0.01, "a": 0.04, "b": 0.03, "d": 0.005})
    assert list(found) == ["c", "a", "b", "d"]
    assert found == pytest.approx({"c": 0.03, "a": 0.06, "b": 0.06, "d": 0.02})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.floats(0.001, 0.999))
@settings(deadline=None, max_examples=100)
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
    assert "is over the 2 tests of this table" in named.sentence()


def test_nothing_to_test() -> None:
    assert paired_tests({"one": [0.5, 0.6]}) is None
    assert paired_tests({"one": [np.nan], "two": [np.nan]}) is None
    with pytest.raises(InputError, match="'three' was not compared; wanted one of one, two"):
        paired_tests({"one": [0.5], "two": [0.6]}, "three")
