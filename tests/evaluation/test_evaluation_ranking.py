"""ANMRR, MAP, P@k, recall@k and the 11-point curve: worked out by hand, by the literal formula, and by their laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_figures import recall_at

from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    ANMRR_VARIANTS,
    RankingMetrics,
    anmrr,
    average_precision,
    interpolated_precision,
    mean_average_precision,
    nearest_first,
    nmrr,
    precision_at,
    rankings,
)

# One query of 10 images, relevant at ranks 1, 3 and 7: NG = 3.
RANKS_1_3_7 = np.array([[1, 0, 1, 0, 0, 0, 1, 0, 0, 0]], dtype=bool)

LAWS = settings(max_examples=60)


@st.composite
def relevance_rows(draw, min_relevant=0):
    images = draw(st.integers(max(min_relevant, 1), 40))
    queries = draw(st.integers(1, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = np.zeros((queries, images), dtype=bool)
    for row in rows:
        row[generator.permutation(images)[: generator.integers(min_relevant, images + 1)]] = True
    return rows


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # K = 6: rank 7 is beyond and counts 7.5. AVR = (1 + 3 + 7.5) / 3 = 23/6, (23/6 − 2) / (7.5 − 2) = 1/3.
        ("2ng", 1 / 3),
        # K = 12, penalty 15: AVR = 11/3, (11/3 − 2) / (15 − 2) = 5/39.
        ("4ng", 5 / 39),
        # The only query, so max NG = 3 and K = 2·3: as "2ng".
        ("2max", 1 / 3),
        ("mpeg7", 1 / 3),
        # K = 6, penalty 7: AVR = 11/3, (11/3 − 2) / (7 − 2) = 1/3.
        ("2ng-k+1", 1 / 3),
    ],
)
def test_nmrr_by_hand(variant, expected):
    assert nmrr(RANKS_1_3_7, variant=variant) == pytest.approx([expected], abs=1e-12)


def test_variants_with_the_largest_ng_look_at_all_queries():
    second = np.array([[1] * 5 + [0] * 5], dtype=bool)
    both = np.concatenate([RANKS_1_3_7, second])
    # max NG = 5. Query 1 under "2max": K = 10, penalty 12.5, AVR = 11/3: (5/3) / 10.5 = 10/63. Query 2 is perfect.
    assert nmrr(both, variant="2max") == pytest.approx([10 / 63, 0], abs=1e-12)
    assert anmrr(both, variant="2max") == pytest.approx(5 / 63, abs=1e-12)
    # "mpeg7": K = min(4·3, 2·5) = 10 for query 1, the same.
    assert nmrr(both, variant="mpeg7") == pytest.approx([10 / 63, 0], abs=1e-12)
    # With max NG = 9, 4·NG = 12 is the smaller: K = 12, penalty 15, 5/39.
    wide = np.concatenate([RANKS_1_3_7, np.array([[1] * 9 + [0]], dtype=bool)])
    assert nmrr(wide, variant="mpeg7")[0] == pytest.approx(5 / 39, abs=1e-12)


def test_precision_figures_by_hand():
    # AP = (1/1 + 2/3 + 3/7) / 3 = (21 + 14 + 9) / 63 = 44/63.
    assert average_precision(RANKS_1_3_7) == pytest.approx([44 / 63], abs=1e-12)
    # The first 5 hold ranks 1 and 3.
    assert precision_at(RANKS_1_3_7, 5) == pytest.approx(2 / 5)
    assert recall_at(RANKS_1_3_7, 5) == pytest.approx(2 / 3)
    # Recall 1/3 (1 found) reaches levels 0–0.3 at precision 1; 2/3 reaches 0.4–0.6 at 2/3; 1 reaches the rest at 3/7.
    expected = [1] * 4 + [2 / 3] * 3 + [3 / 7] * 4
    assert interpolated_precision(RANKS_1_3_7) == pytest.approx(expected, abs=1e-12)


def test_curve_takes_the_best_precision_further_down():
    # Relevant at ranks 2, 3 and 4: precision 1/2, 2/3, 3/4; at every recall 3/4 is still to come.
    rows = np.array([[0, 1, 1, 1, 0]], dtype=bool)
    assert interpolated_precision(rows) == pytest.approx([3 / 4] * 11)


@pytest.mark.parametrize("ng", [1, 3, 7, 10, 20, 30, 70])
def test_curve_reaches_each_level_at_exactly_its_recall(ng):
    # The j-th relevant image stands at rank j·j: precision 1/j falls, so the curve at level i/10 is 1/j for the
    # smallest j with j/ng ≥ i/10, asked here in whole numbers: 10·j ≥ i·ng.
    row = np.zeros((1, ng * ng), dtype=bool)
    row[0, np.arange(1, ng + 1) ** 2 - 1] = True
    expected = [1 / next(j for j in range(1, ng + 1) if 10 * j >= i * ng) for i in range(11)]
    assert interpolated_precision(row) == pytest.approx(expected, abs=1e-12)


def test_random_ranking_of_twenty_in_420_with_the_query_first():
    # P@k = (1 + (k − 1)·19/419) / k: .236, .141, .093, .064.
    generator = np.random.default_rng(5)
    rows = np.zeros((4000, 420), dtype=bool)
    rows[:, 0] = True
    for row in rows:
        row[1 + generator.choice(419, 19, replace=False)] = True
    for k, published in ((5, 0.236), (10, 0.141), (20, 0.093), (50, 0.064)):
        assert (1 + (k - 1) * 19 / 419) / k == pytest.approx(published, abs=5e-4)
        # Standard error of the mean over 4,000 queries is below .0016.
        assert precision_at(rows, k) == pytest.approx(published, abs=0.006)
    # K = 40: a random image is within it with p = 39/419 and mean rank 21, else 50; the query has rank 1.
    # AVR = (1 + 19·(p·21 + (1 − p)·50)) / 20 = 44.986; (44.986 − 10.5) / 39.5 = .8731.
    p = 39 / 419
    expected = ((1 + 19 * (p * 21 + (1 - p) * 50)) / 20 - 10.5) / 39.5
    assert expected == pytest.approx(0.8731, abs=1e-4)
    assert anmrr(rows) == pytest.approx(expected, abs=0.003)


def literal_nmrr(row, variant, largest):
    ng = int(row.sum())
    if ng == 0:
        return math.nan
    window = {"2ng": 2 * ng, "4ng": 4 * ng, "2max": 2 * largest, "mpeg7": min(4 * ng, 2 * largest), "2ng-k+1": 2 * ng}
    k = window[variant]
    penalty = k + 1 if variant == "2ng-k+1" else 1.25 * k
    total = 0.0
    for rank, relevant in enumerate(row, start=1):
        if relevant:
            total += rank if rank <= k else penalty
    return (total / ng - 0.5 * (1 + ng)) / (penalty - 0.5 * (1 + ng))


def literal_average_precision(row):
    precisions = [row[:rank].sum() / rank for rank in range(1, len(row) + 1) if row[rank - 1]]
    return sum(precisions) / len(precisions) if precisions else math.nan


def literal_curve(row):
    ng = int(row.sum())
    if ng == 0:
        return [math.nan] * 11
    points = [(int(row[:rank].sum()), rank) for rank in range(1, len(row) + 1)]
    return [max(found / rank for found, rank in points if found * 10 >= level * ng) for level in range(11)]


def literal_mean(values):
    kept = [value for value in values if not math.isnan(value)]
    return sum(kept) / len(kept) if kept else math.nan


@LAWS
@given(relevance_rows(), st.sampled_from(sorted(ANMRR_VARIANTS)), st.integers(1, 50))
def test_all_figures_equal_the_literal_formulas(rows, variant, k):
    largest = int(rows.sum(axis=1).max())
    expected = [literal_nmrr(row, variant, largest) for row in rows]
    np.testing.assert_allclose(nmrr(rows, variant=variant), expected, atol=1e-12)
    np.testing.assert_allclose(anmrr(rows, variant=variant), literal_mean(expected), atol=1e-12)
    expected = [literal_average_precision(row) for row in rows]
    np.testing.assert_allclose(average_precision(rows), expected, atol=1e-12)
    np.testing.assert_allclose(mean_average_precision(rows), literal_mean(expected), atol=1e-12)
    curves = np.array([literal_curve(row) for row in rows])
    expected = [literal_mean(curves[:, level]) for level in range(11)]
    np.testing.assert_allclose(interpolated_precision(rows), expected, atol=1e-12)
    some = [row for row in rows if row.any()]
    expected = literal_mean([row[:k].sum() / k for row in some]) if k <= rows.shape[1] else math.nan
    np.testing.assert_allclose(precision_at(rows, k), expected, atol=1e-12)
    expected = literal_mean([row[:k].sum() / row.sum() for row in some])
    np.testing.assert_allclose(recall_at(rows, k), expected, atol=1e-12)


@LAWS
@given(relevance_rows(min_relevant=1), st.sampled_from(sorted(ANMRR_VARIANTS)))
def test_perfect_is_perfect_and_figures_stay_in_range(rows, variant):
    perfect = -np.sort(-rows.astype(int), axis=1) > 0
    assert anmrr(perfect, variant=variant) == pytest.approx(0, abs=1e-12)
    assert mean_average_precision(perfect) == 1
    assert interpolated_precision(perfect) == pytest.approx([1] * 11)
    values = nmrr(rows, variant=variant)
    assert (values >= -1e-12).all()
    assert (values <= 1 + 1e-12).all()
    curve = interpolated_precision(rows)
    assert (np.diff(curve) <= 1e-12).all()
    # The precision at full recall: NG over the last relevant rank, averaged.
    last = rows.shape[1] - np.argmax(rows[:, ::-1], axis=1)
    assert curve[-1] == pytest.approx((rows.sum(axis=1) / last).mean())


@LAWS
@given(relevance_rows(min_relevant=1), st.data())
def test_moving_a_relevant_image_up_never_worsens(rows, data):
    better = rows.copy()
    place = data.draw(st.integers(0, rows.shape[1] - 1))
    if place > 0 and rows[0, place] and not rows[0, place - 1]:
        better[0, [place - 1, place]] = True, False
    assert anmrr(better) <= anmrr(rows) + 1e-12
    assert mean_average_precision(better) >= mean_average_precision(rows) - 1e-12


def test_nothing_within_k_gives_one():
    # NG = 2, K = 4: ranks 5 and 6 both count 5: (5 − 1.5) / (5 − 1.5).
    assert anmrr(np.array([[0, 0, 0, 0, 1, 1]], dtype=bool)) == pytest.approx(1)


@LAWS
@given(relevance_rows(), st.sampled_from(sorted(ANMRR_VARIANTS)))
def test_streaming_gives_the_same_figures(rows, variant):
    metrics = RankingMetrics(variant=variant, cutoffs=(1, 5, 20), max_relevant=int(rows.sum(axis=1).max()))
    for row in rows:
        metrics.add(row)
    figures = metrics.figures()
    np.testing.assert_array_equal(figures.anmrr, anmrr(rows, variant=variant))
    np.testing.assert_array_equal(figures.map, mean_average_precision(rows))
    np.testing.assert_array_equal(figures.pr_curve, interpolated_precision(rows))
    for k in (1, 5, 20):
        np.testing.assert_array_equal(figures.precision[k], precision_at(rows, k))
        np.testing.assert_array_equal(figures.recall[k], recall_at(rows, k))
    assert metrics.queries == len(rows)
    assert metrics.left_out == int((~rows.any(axis=1)).sum())


def test_figures_by_scene_are_those_of_its_queries_alone():
    generator = np.random.default_rng(0)
    rows = generator.random((30, 25)) < 0.2
    rows[:, 20] = True
    rows[4] = False
    scenes = [("river", "forest", None)[query % 3] for query in range(30)]
    metrics = RankingMetrics()
    for row, scene in zip(rows, scenes, strict=True):
        metrics.add(row, scene=scene)
    by_scene = metrics.figures().by_scene
    assert sorted(by_scene) == ["forest", "river"]
    for scene, figures in by_scene.items():
        own = rows[[each == scene for each in scenes]]
        assert figures.anmrr == pytest.approx(anmrr(own))
        assert figures.map == pytest.approx(mean_average_precision(own))
    assert by_scene["river"].queries == 10
    assert by_scene["forest"].queries == 9  # Query 4 has nothing relevant.


def test_queries_without_relevant_images_are_left_out():
    rows = np.concatenate([RANKS_1_3_7, np.zeros((1, 10), dtype=bool)])
    assert math.isnan(nmrr(rows)[1])
    assert math.isnan(average_precision(rows)[1])
    assert anmrr(rows) == anmrr(RANKS_1_3_7)
    assert precision_at(rows, 5) == precision_at(RANKS_1_3_7, 5)
    assert recall_at(rows, 5) == recall_at(RANKS_1_3_7, 5)


@pytest.mark.parametrize("rows", [np.zeros((3, 4), dtype=bool), np.zeros((0, 4), dtype=bool)])
@pytest.mark.filterwarnings("error")
def test_no_query_with_a_figure_gives_nan_without_warning(rows):
    assert math.isnan(anmrr(rows))
    assert math.isnan(mean_average_precision(rows))
    assert math.isnan(precision_at(rows, 2))
    assert math.isnan(recall_at(rows, 2))
    assert np.isnan(interpolated_precision(rows)).all()
    assert interpolated_precision(rows).shape == (11,)
    metrics = RankingMetrics()
    for row in rows:
        metrics.add(row, scene="river")
    figures = metrics.figures(intervals=True)
    assert math.isnan(figures.anmrr)
    assert len(figures.pr_curve) == 11
    assert figures.by_scene == {}
    assert figures.intervals == {}


def test_a_ranking_shorter_than_k_has_no_precision_at_k_but_full_recall():
    assert math.isnan(precision_at(RANKS_1_3_7, 11))
    assert recall_at(RANKS_1_3_7, 11) == 1


def test_all_relevant_is_perfect():
    rows = np.ones((2, 6), dtype=bool)
    assert anmrr(rows) == 0
    assert mean_average_precision(rows) == 1


@pytest.mark.parametrize(
    "relevance", [np.zeros(5, dtype=bool), np.zeros((2, 5)), np.zeros((2, 0), dtype=bool), [[1, 0, 1]]]
)
def test_other_arrays_are_refused(relevance):
    with pytest.raises(InputError):
        anmrr(relevance)
    with pytest.raises(InputError):
        mean_average_precision(relevance)


@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_other_cutoffs_are_refused(k):
    with pytest.raises(InputError, match="cut-off"):
        precision_at(RANKS_1_3_7, k)


def test_streaming_refuses_what_it_cannot_know():
    with pytest.raises(InputError, match="max_relevant"):
        RankingMetrics(variant="mpeg7")
    metrics = RankingMetrics(variant="mpeg7", max_relevant=2)
    with pytest.raises(InputError, match="3 relevant"):
        metrics.add(RANKS_1_3_7[0])
    assert metrics.queries == 0
    with pytest.raises(InputError, match="not known"):
        anmrr(RANKS_1_3_7, variant="3ng")
    with pytest.raises(InputError, match="p_at_7"):
        metrics.per_query("p_at_7")


@LAWS
@given(st.lists(st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.5, math.inf]), max_size=60), st.integers(0, 2**32 - 1))
def test_nearest_first_is_a_stable_sort(ties, seed):
    generator = np.random.default_rng(seed)
    distances = generator.permutation(np.concatenate([ties, generator.random(40)]))
    for each in (distances, distances.astype(np.float32), distances[:1], np.array([])):
        found = nearest_first(each)
        np.testing.assert_array_equal(found, np.argsort(each, kind="stable"))
        assert found.dtype == np.int64


@pytest.mark.parametrize("metric", ["l1", "cosine"])
def test_no_query_asked_ranks_nothing(metric):
    vectors = np.eye(4)
    assert list(rankings(vectors, metric, queries=range(0))) == []
    assert list(rankings(vectors, metric, queries=range(2, 2))) == []
    ((row, order),) = rankings(vectors, metric, queries=range(2, 3))
    assert (row, order.tolist()) == (2, [2, 0, 1, 3])
