"""What a comparison shows beside figures: rankings, confusion, heat maps, extremes, the CSV table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    SceneConfusion,
    extreme_queries,
    rankings,
)


def literally(vectors: np.ndarray, metric: str) -> np.ndarray:
    """Distances of all pairs in float64, by the formulas."""
    wide = vectors.astype(np.float64)
    if metric == "cosine":
        unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        return 1 - unit @ unit.T
    apart = (np.abs(wide - query).sum(-1) if metric == "l1" else np.square(wide - query).sum(-1) for query in wide)
    return np.stack(list(apart)) if metric == "l1" else np.sqrt(np.stack(list(apart)))


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize(("images", "threads"), [(127, 3), (128, 1), (129, 3), (257, 1)])
def test_rankings_follow_the_formula(metric: str, images: int, threads: int) -> None:
    # Images around the borders of tiles of 128, whose queries end within a batch of 16.
    vectors = np.random.default_rng(images).gamma(0.5, 100, (images, 512)).astype(np.float32)
    exact = literally(vectors, metric)
    found = list(rankings(vectors, metric, threads=threads))
    assert [row for row, _ in found] == list(range(images))
    for row, order in found:
        assert order[0] == row
        assert sorted(order.tolist()) == list(range(images))
        # Rounded to float32, 2⁻²⁴ of themselves; this formula of the cosine is off by a few 2⁻⁵³.
        near = 2.0**-23 * exact[row].max()
        assert (np.diff(exact[row, order]) > -near).all()


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_equal_vectors_are_equally_far_from_all(metric: str) -> None:
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(50, 33)).astype(np.float32)[generator.integers(0, 50, 203)]
    groups = [np.flatnonzero((vectors == vector).all(axis=1)) for vector in np.unique(vectors, axis=0)]
    for _, order in rankings(vectors, metric):
        ranks = np.argsort(order)
        for group in groups:  # Next to each other, in order of row.
            np.testing.assert_array_equal(np.diff(ranks[group]), 1)


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_an_angle_does_not_depend_on_lengths(scale: float) -> None:
    vectors = np.array([[4, 3], [1, 0], [3, 4], [-1, 0]], dtype=np.float32) * np.float32(scale)
    # Cosines with (4, 3): 1, 4/5, 24/25, −4/5.
    assert dict(rankings(vectors, "cosine"))[0].tolist() == [0, 2, 1, 3]


@given(st.integers(1, 40), st.integers(1, 6), st.sampled_from(["l1", "l2", "cosine"]), st.integers(0, 99))
@settings(max_examples=40)
def test_ties_go_by_row(images: int, size: int, metric: str, seed: int) -> None:
    # Small whole numbers: float32 is exact for L1 and L2, and many vectors are equal.
    vectors = np.random.default_rng(seed).integers(0, 2, (images, size)).astype(np.float64)
    for row, order in rankings(vectors, metric, threads=1):
        assert sorted(order.tolist()) == list(range(images))
        equal = np.flatnonzero((vectors == vectors[row]).all(axis=1))
        np.testing.assert_array_equal(order[: len(equal)], equal)  # At distance 0 exactly, in order of row.
        if metric != "cosine":
            distances = np.abs(vectors - vectors[row]).sum(axis=1)  # Of 0s and 1s, L1 and L2 order alike.
            np.testing.assert_array_equal(order, np.argsort(distances, kind="stable"))


def test_cosine_of_a_zero_vector_lies_in_the_middle() -> None:
    vectors = np.array([[0, 0], [1, 0], [-1, 0], [0, 0]], dtype=np.float32)
    orders = dict(rankings(vectors, "cosine"))
    assert orders[1].tolist() == [1, 0, 3, 2]  # 0, ½, ½, 2.
    assert orders[0].tolist() == [0, 3, 1, 2]  # 0, 0, ½, ½.


@pytest.mark.parametrize("vectors", [np.zeros((0, 3)), np.zeros(3), np.array([[np.nan]])])
def test_rankings_refuse_vectors(vectors: np.ndarray) -> None:
    with pytest.raises(InputError, match="wanted finite numbers"):
        rankings(vectors, "l1")
    with pytest.raises(InputError, match="wanted l1, l2 or cosine"):
        rankings(np.ones((2, 2)), "l3")


def test_confusion_by_hand() -> None:
    confusion = SceneConfusion(["a", "a", "a", "b", "b", "c", None])
    confusion.add(0, np.array([0, 1, 3, 2, 4, 5, 6]))  # First two others: 1 (a), 3 (b).
    confusion.add(1, np.array([3, 4, 1, 0, 2, 5, 6]))  # 3, 4: b, b.
    confusion.add(2, np.array([0, 1, 3, 4, 5, 6]))  # Without the query: a, a.
    confusion.add(3, np.array([3, 6, 0, 1, 2, 4, 5]))  # One other b; first is of no known scene.
    confusion.add(5, np.array([5, 0, 1, 2, 3, 4, 6]))  # The only c: it has nothing to find.
    confusion.add(6, np.array([6, 0, 1, 2, 3, 4, 5]))  # No scene: no row.
    assert confusion.names == ("a", "b", "c")
    expected = [[(0.5 + 0 + 1) / 3, (0.5 + 1 + 0) / 3, 0], [0, 0, 0], [np.nan] * 3]
    np.testing.assert_allclose(confusion.shares(), expected)
    assert confusion.most_confused(5) == [("a", "b", 0.5)]
    assert confusion.to_json() == {"scenes": ["a", "b", "c"], "shares": [[0.5, 0.5, 0], [0, 0, 0], [None] * 3]}
    with pytest.raises(InputError, match="a ranking of 2 images"):
        confusion.add(0, np.array([0, 1]))


def test_extremes_come_from_different_groups() -> None:
    figures = [0.9, 0.8, np.nan, 0.7, 0.1]
    groups = ["a", "a", "b", "b", None]
    assert extreme_queries(figures, groups, 3, lowest=False) == [0, 3, 4]
    assert extreme_queries(figures, groups, 3, lowest=True) == [4, 3, 1]
    assert extreme_queries(figures, groups, 9, lowest=False) == [0, 3, 4, 1]  # Then each group's second; never NaN.
