"""Distances in tiles, against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest

from rsir_tf.distances import pairwise_distances


def literally(queries: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """float64 [Q, N]."""
    apart = queries.astype(np.float64)[:, None] - vectors.astype(np.float64)
    if metric == "l1":
        return np.abs(apart).sum(-1)
    if metric == "l2":
        return np.sqrt(np.square(apart).sum(-1))
    wide, others = queries.astype(np.float64), vectors.astype(np.float64)
    return 1 - wide @ others.T / (np.linalg.norm(wide, axis=1)[:, None] * np.linalg.norm(others, axis=1))


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize("number", [1, 127, 128, 129, 257])
def test_every_tile_is_as_the_formula_says(metric: str, number: int) -> None:
    vectors = np.random.default_rng(number).gamma(0.5, 100, (number, 512)).astype(np.float32)
    found = pairwise_distances(vectors[:5], vectors, metric)
    assert found.shape == (min(5, number), number)
    assert found.dtype == np.float64
    # The formula for the cosine subtracts from 1, which leaves an absolute error of a few 2⁻⁵³.
    np.testing.assert_allclose(found, literally(vectors[:5], vectors, metric), rtol=1e-12, atol=1e-14)
    assert (found.diagonal() == 0).all()
    rounded = pairwise_distances(vectors[:5], vectors, metric, np.float32)
    np.testing.assert_array_equal(rounded, found.astype(np.float32))


@pytest.mark.parametrize(("metric", "wanted"), [("l1", [0, 7]), ("l2", [0, 5]), ("cosine", [0, 0.5])])
def test_a_zero_vector(metric: str, wanted: list[float]) -> None:
    vectors = np.array([[0, 0], [3, 4]], dtype=np.float32)
    np.testing.assert_allclose(pairwise_distances(vectors[:1], vectors, metric), [wanted], rtol=1e-15)


def test_arguments_are_left_as_they_are() -> None:
    vectors = np.array([[3.0, 4.0]])
    pairwise_distances(vectors, vectors, "cosine")
    assert vectors.tolist() == [[3, 4]]
