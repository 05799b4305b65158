"""Relevance by scene and tags, graded ranking figures, multi-label figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_figures import acg_at, jaccard, ndcg_at, relevance_by_tags, shared_tags, wap_at

from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    GradedMetrics,
    TagSets,
    mean_average_precision,
    multilabel_figures,
    relevance_by_scene,
    tag_matrix,
)

TAGS = [("cars", "pavement"), ("trees",), None, (), ("cars", "trees", "grass")]
LAWS = settings(max_examples=50)


def test_relevance_by_scene_or_tags():
    scenes = ["river", None, "forest", "river"]
    assert relevance_by_scene(scenes, "river").tolist() == [True, False, False, True]
    assert relevance_by_scene(np.array(["river", "forest"]), "forest").tolist() == [False, True]
    assert relevance_by_tags(TAGS, {"cars"}).tolist() == [True, False, False, False, True]
    assert relevance_by_tags(TAGS, ()).tolist() == [False] * 5
    with pytest.raises(InputError, match="no scene"):
        relevance_by_scene(scenes, None)
    with pytest.raises(InputError, match="collection"):
        relevance_by_tags(TAGS, "cars")


def test_tag_matrix_shared_tags_and_jaccard():
    matrix, names = tag_matrix(TAGS)
    assert names == ("cars", "grass", "pavement", "trees")
    assert matrix.astype(int).tolist() == [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]]
    assert shared_tags(matrix, matrix[4]).tolist() == [1, 1, 0, 0, 3]
    # {cars, pavement} and {cars, grass, trees}: 1 of 4. {trees}: 1 of 3. Nothing: 0 of 3. Itself: 1.
    assert jaccard(matrix, matrix[4]).tolist() == [1 / 4, 1 / 3, 0, 0, 1]
    assert jaccard(matrix, matrix[3]).tolist() == [0] * 5
    assert ((shared_tags(matrix, matrix[0]) > 0) == relevance_by_tags(TAGS, TAGS[0])).all()
    with pytest.raises(InputError, match="'ship'"):
        tag_matrix([("ship",)], names)
    with pytest.raises(InputError):
        jaccard(matrix, matrix[:, :3][0])


def test_graded_figures_by_hand():
    gains = np.array([[3, 0, 1, 2]])
    # (3 + 0 + 1) / 3.
    assert acg_at(gains, 3) == pytest.approx(4 / 3)
    # DCG@3 = 7/log2(2) + 0 + 1/log2(4) = 7.5; the best order 3, 2, 1: 7 + 3/log2(3) + 1/2.
    assert ndcg_at(gains, 3) == pytest.approx(7.5 / (7.5 + 3 / math.log2(3)))
    # ACG at the ranks with a gain: 3, 4/3, 6/4; their mean is 35/18.
    assert wap_at(gains) == pytest.approx(35 / 18)
    # Up to rank 3: (3 + 4/3) / 2.
    assert wap_at(gains, 3) == pytest.approx(13 / 6)


@LAWS
@given(st.integers(0, 2**32 - 1))
def test_with_gains_of_one_wap_is_map_and_the_best_order_has_ndcg_one(seed):
    generator = np.random.default_rng(seed)
    relevance = generator.random((3, 15)) < 0.3
    np.testing.assert_allclose(wap_at(relevance.astype(int)), mean_average_precision(relevance))
    gains = -np.sort(-generator.integers(0, 4, (3, 15)), axis=1)
    expected = 1 if gains.any() else math.nan
    np.testing.assert_allclose([ndcg_at(gains, k) for k in (1, 5, 15, 40)], expected)


@pytest.mark.filterwarnings("error")
def test_graded_figures_at_the_edges():
    with_empty = np.array([[3, 0, 1, 2], [0, 0, 0, 0]])
    assert acg_at(with_empty, 3) == pytest.approx(4 / 3)
    assert wap_at(with_empty) == pytest.approx(35 / 18)
    assert math.isnan(ndcg_at(with_empty[1:], 3))
    assert math.isnan(acg_at(with_empty, 5))
    # The first 2 hold no gain, the third does: the query counts 0.
    assert wap_at([[0, 0, 1]], 2) == 0
    assert ndcg_at([[0, 0, 1]], 2) == 0
    for bad in ([[1.0, -1.0]], [[math.nan]], [1, 2], [[]]):
        with pytest.raises(InputError):
            ndcg_at(bad, 1)


def test_multilabel_figures_by_hand():
    truth = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]], dtype=bool)
    found = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=bool)
    figures = multilabel_figures(truth, found)
    # Images (TP, FP, FN): (1, 1, 1), (1, 0, 0), (0, 0, 1). Labels: (1, 0, 1), (1, 0, 1), (0, 1, 0). All: (2, 1, 2).
    assert figures.example.accuracy == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert figures.example.precision == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert figures.example.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert figures.example.f1 == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert figures.micro.accuracy == pytest.approx(2 / 5)
    assert figures.micro.precision == pytest.approx(2 / 3)
    assert figures.micro.recall == pytest.approx(2 / 4)
    assert figures.micro.f1 == pytest.approx(4 / 7)
    assert figures.macro.accuracy == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert figures.macro.precision == pytest.approx((1 + 1 + 0) / 3)
    assert figures.macro.recall == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert figures.macro.f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    # Three wrong of nine.
    assert figures.hamming_loss == pytest.approx(3 / 9)
    assert figures.to_json()["micro"]["f1"] == figures.micro.f1
    # 0/0 as 1: image 3's precision (nothing found) and label 3's recall (never true).
    generous = multilabel_figures(truth, found, zero_division=1.0)
    assert generous.example.precision == pytest.approx((1 / 2 + 1 + 1) / 3)
    assert generous.macro.recall == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


@LAWS
@given(st.integers(0, 2**32 - 1))
def test_multilabel_laws(seed):
    generator = np.random.default_rng(seed)
    truth, found = generator.random((2, 12, 5)) < 0.4
    figures, turned = multilabel_figures(truth, found), multilabel_figures(found, truth)
    # Truth and prediction changed over: precision is recall, the rest stays.
    for average in ("example", "micro", "macro"):
        one, other = getattr(figures, average), getattr(turned, average)
        assert one.precision == pytest.approx(other.recall)
        assert one.f1 == pytest.approx(other.f1)
        assert one.accuracy == pytest.approx(other.accuracy)
    # Images and labels changed over: averaging over one is averaging over the other.
    assert multilabel_figures(truth.T, found.T).macro == figures.example
    micro = figures.micro
    assert micro.f1 == pytest.approx(2 * micro.accuracy / (1 + micro.accuracy))


def test_multilabel_refuses_other_arrays():
    flags = np.zeros((2, 3), dtype=bool)
    for truth, found in ((flags.astype(int), flags), (flags, flags[:1]), (flags[:0], flags[:0])):
        with pytest.raises(InputError):
            multilabel_figures(truth, found)


@LAWS
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 3, 300]))
def test_tag_sets_count_as_the_functions_do(seed, names):
    # 300 tags: a count may pass 255, the most that a byte holds; image 1 has them all.
    generator = np.random.default_rng(seed)
    tags = [tuple(f"tag {tag}" for tag in np.flatnonzero(row)) for row in generator.random((9, names)) < 0.4]
    tags[0], tags[1] = None, tuple(f"tag {tag}" for tag in range(names))
    sets = TagSets(tags)
    matrix, known = tag_matrix(tags)
    assert sets.names == known
    for image in range(9):
        np.testing.assert_array_equal(sets.shared(image), shared_tags(matrix, matrix[image]))
        np.testing.assert_array_equal(sets.jaccard(image), jaccard(matrix, matrix[image]))
    assert sets.shared(1)[1] == names


@LAWS
@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.int64]))
def test_streamed_graded_figures_are_the_same_to_the_last_bit(seed, dtype):
    generator = np.random.default_rng(seed)
    gains = generator.integers(0, 9, (12, 700)).astype(dtype) * (generator.random((12, 700)) < 0.2)
    gains[3] = 0
    cutoffs = (1, 10, 300, 701)
    metrics = GradedMetrics(cutoffs)
    for row in gains.astype(dtype):
        metrics.add(row)
    found = metrics.figures()
    assert found["wap"] == wap_at(gains)
    for k in cutoffs:
        np.testing.assert_array_equal(found[f"acg_at_{k}"], acg_at(gains, k))
        assert found[f"ndcg_at_{k}"] == ndcg_at(gains, k)


def test_graded_streaming_at_the_edges():
    metrics = GradedMetrics((2,))
    metrics.add(np.zeros(3, dtype=np.uint8))
    assert metrics.figures() == {}
    for bad in (np.array([1, -1]), np.array([0.5]), np.array([], dtype=np.uint8), np.ones((1, 2), dtype=int)):
        with pytest.raises(InputError, match="gains are"):
            metrics.add(bad)
    with pytest.raises(InputError, match="cut-off"):
        GradedMetrics((0,))
