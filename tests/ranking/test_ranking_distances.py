import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from rsir_tf.distances import global_distance
from rsir_tf.errors import InputError
from rsir_tf.ranking import region_set_distance


def test_equation_3_by_hand():
    query = np.float32([[0, 0], [3, 4]])
    other = np.float32([[0, 1], [3, 0], [6, 8]])
    # (0,0): 1 to (0,1), 3 to (3,0), 10 to (6,8): 1. (3,4): √18 to (0,1), 4 to (3,0), 5 to (6,8): 4. Mean of 1 and 4.
    assert region_set_distance(query, other) == 2.5
    # The other way: (0,1): 1. (3,0): 3 to (0,0), 4 to (3,4): 3. (6,8): 5 to (3,4). Mean of 1, 3 and 5.
    assert region_set_distance(other, query) == 3.0
    assert region_set_distance(query, other, "both") == region_set_distance(other, query, "both") == 2.75


def test_a_set_is_at_distance_zero_from_itself_and_from_any_superset():
    regions = np.random.default_rng(0).gamma(0.3, 500, (40, 512)).astype(np.float32)
    assert region_set_distance(regions, regions) == 0.0
    assert region_set_distance(regions[:7], regions[::-1]) == 0.0
    assert region_set_distance(regions, regions[:7]) > 0


@pytest.mark.parametrize(("m", "n", "channels"), [(1, 1, 1), (3, 5, 7), (40, 90, 512), (600, 700, 3)])
def test_equation_3_against_scipy(m, n, channels):
    rng = np.random.default_rng(m)
    query, other = rng.normal(0, 9, (m, channels)), rng.normal(0, 9, (n, channels))
    query, other = query.astype(np.float32), other.astype(np.float32)
    wanted = cdist(query.astype(float), other.astype(float)).min(axis=1).mean()
    assert region_set_distance(query, other) == pytest.approx(wanted, rel=1e-13)


def test_an_image_without_regions_is_infinitely_far_and_cannot_ask():
    some, none = np.ones((2, 4), np.float32), np.ones((0, 4), np.float32)
    assert region_set_distance(some, none) == region_set_distance(some, none, "both") == np.inf
    with pytest.raises(InputError, match="no region"):
        region_set_distance(none, some)


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_global_distances_against_scipy(metric):
    rng = np.random.default_rng(3)
    query = rng.gamma(0.5, 100, 512).astype(np.float32)
    others = rng.gamma(0.5, 100, (700, 512)).astype(np.float32)
    names = {"l1": "cityblock", "l2": "euclidean", "cosine": "cosine"}
    wanted = cdist(query[None].astype(float), others.astype(float), names[metric])[0]
    np.testing.assert_allclose(global_distance(query, others, metric), wanted, rtol=1e-12)


@pytest.mark.parametrize(("metric", "wanted"), [("l1", [0, 7, 7]), ("l2", [0, 5, 5]), ("cosine", [0, 0.5, 1])])
def test_global_distances_by_hand(metric, wanted):
    # From (3,4): itself; the zero vector, 3 + 4 = 7 and √(9 + 16) = 5; (7,1), 4 + 3 = 7 and √(16 + 9) = 5; and, for the
    # angle, (-4,3) at a right angle: 1 − cos 90° = 1.
    last = (-4, 3) if metric == "cosine" else (7, 1)
    others = np.float32([(3, 4), (0, 0), last])
    assert global_distance(np.float32([3, 4]), others, metric) == pytest.approx(wanted, rel=1e-15)


finite = strategies.floats(-(2.0**100), 2.0**100, width=32)


@settings(max_examples=60)
@given(arrays(np.float32, (5, 3), elements=finite))
def test_equal_vectors_are_at_exactly_zero(vectors):
    for metric in ("l1", "l2", "cosine"):
        for index, vector in enumerate(vectors):
            assert global_distance(vector, vectors, metric)[index] == 0
    assert region_set_distance(vectors, vectors) == 0


@pytest.mark.parametrize(
    ("query", "other", "words"),
    [
        (np.ones((2, 4), np.float32), np.ones((2, 5), np.float32), "4 channels, the other 5"),
        (np.ones(4, np.float32), np.ones((2, 4), np.float32), r"query is float32 \[4\]"),
        (np.ones((2, 4), int), np.ones((2, 4), np.float32), r"query is int64 \[2, 4\]"),
        (np.full((2, 4), np.nan, np.float32), np.ones((2, 4), np.float32), "query holds NaN"),
        (np.ones((2, 4), np.float32), np.full((2, 4), np.inf, np.float32), "other holds NaN or infinity"),
    ],
)
def test_what_cannot_be_compared_is_refused(query, other, words):
    with pytest.raises(InputError, match=words):
        region_set_distance(query, other)


def test_an_unknown_metric_or_direction_is_refused():
    with pytest.raises(InputError, match="'back'; wanted query or both"):
        region_set_distance(np.ones((1, 3), np.float32), np.ones((1, 3), np.float32), "back")
    with pytest.raises(InputError, match="'hamming'; wanted l1, l2 or cosine"):
        global_distance(np.ones(3, np.float32), np.ones((2, 3), np.float32), "hamming")
