"""Every figure against an independent implementation: scikit-learn's, and trec_eval's own C code."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_figures import jaccard, ndcg_at, recall_at
from sklearn.metrics import (
    average_precision_score,
    hamming_loss,
    jaccard_score,
    ndcg_score,
    precision_recall_fscore_support,
)

from rsir_tf.evaluation import (
    GradedMetrics,
    RankingMetrics,
    TagSets,
    average_precision,
    bootstrap_interval,
    interpolated_precision,
    mean_average_precision,
    multilabel_figures,
    precision_at,
    tag_matrix,
)

AGREE = 1e-9
SEEDS = st.integers(0, 2**32 - 1)
LAWS = settings(max_examples=15)


def ranked_relevance(seed: int, queries: int = 6, images: int = 60) -> np.ndarray:
    """Rows with an even number of relevant images.

    At recall i/10, trec_eval asks for int(i/10·NG + 0.9) images. That is the ceiling, as the definition has it, unless
    i·NG ends in 1, where it hangs on the last bit of the float; of an even NG no multiple does.
    """
    generator = np.random.default_rng(seed)
    rows = np.zeros((queries, images), dtype=bool)
    for row in rows:
        row[generator.permutation(images)[: 2 * generator.integers(1, images // 2 + 1)]] = True
    return rows


@LAWS
@given(SEEDS)
def test_average_precision_is_scikit_learns(seed):
    rows = ranked_relevance(seed)
    scores = np.arange(rows.shape[1], 0, -1)  # No two are equal: scikit-learn takes equal scores as one step.
    expected = [average_precision_score(row, scores) for row in rows]
    np.testing.assert_allclose(average_precision(rows), expected, atol=AGREE, rtol=0)


@LAWS
@given(SEEDS, st.sampled_from([1, 5, 20, 60]))
def test_ndcg_is_scikit_learns(seed, k):
    generator = np.random.default_rng(seed)
    gains = generator.integers(0, 6, (5, 60))
    gains[:, 7] = 2  # Each query has a gain: scikit-learn counts one without as 0, here it is left out.
    scores = np.tile(np.arange(60, 0, -1), (5, 1))
    expected = ndcg_score(2.0**gains - 1, scores, k=k, ignore_ties=True)
    streamed = GradedMetrics((k,))
    for row in gains:
        streamed.add(row)
    assert ndcg_at(gains, k) == pytest.approx(expected, abs=AGREE)
    assert streamed.figures()[f"ndcg_at_{k}"] == pytest.approx(expected, abs=AGREE)


@LAWS
@given(SEEDS)
def test_ranking_figures_are_trec_evals(seed):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rows = ranked_relevance(seed)
    generator = np.random.default_rng(seed)
    gains = np.where(rows, generator.integers(1, 4, rows.shape), 0)
    # As trec_eval takes relevance itself as the gain, it is given 2^gain − 1.
    judged = {
        f"query {query}": {f"image {rank}": int(2**gain - 1) for rank, gain in enumerate(row)}
        for query, row in enumerate(gains)
    }
    run = {query: {image: -float(image.split()[1]) for image in images} for query, images in judged.items()}
    names = {"map", "P.5,10,20", "recall.5,10,20", "iprec_at_recall", "ndcg_cut.5,10,20"}
    found = pytrec_eval.RelevanceEvaluator(judged, names).evaluate(run)

    def mean(name: str) -> float:
        return float(np.mean([figures[name] for figures in found.values()]))

    metrics = RankingMetrics(cutoffs=(5, 10, 20))
    for row in rows:
        metrics.add(row)
    figures = metrics.figures()
    assert mean_average_precision(rows) == pytest.approx(mean("map"), abs=AGREE)
    assert figures.map == pytest.approx(mean("map"), abs=AGREE)
    for k in (5, 10, 20):
        assert precision_at(rows, k) == pytest.approx(mean(f"P_{k}"), abs=AGREE)
        assert recall_at(rows, k) == pytest.approx(mean(f"recall_{k}"), abs=AGREE)
        assert figures.precision[k] == pytest.approx(mean(f"P_{k}"), abs=AGREE)
        assert figures.recall[k] == pytest.approx(mean(f"recall_{k}"), abs=AGREE)
        assert ndcg_at(gains, k) == pytest.approx(mean(f"ndcg_cut_{k}"), abs=AGREE)
    curve = [mean(f"iprec_at_recall_{level / 10:.2f}") for level in range(11)]
    np.testing.assert_allclose(interpolated_precision(rows), curve, atol=AGREE, rtol=0)
    np.testing.assert_allclose(figures.pr_curve, curve, atol=AGREE, rtol=0)


@LAWS
@given(SEEDS, st.sampled_from([0.0, 1.0]))
def test_multilabel_figures_are_scikit_learns(seed, zero_division):
    generator = np.random.default_rng(seed)
    truth, found = generator.random((2, 20, 7)) < 0.3
    truth[:, 0] = found[:, 0] = False  # A label that is nowhere; more of 0/0 below: an image without any label,
    truth[3] = found[3] = truth[4] = found[5] = False  # one that should have none, one that was given none.
    figures = multilabel_figures(truth, found, zero_division=zero_division)
    for ours, theirs in (("example", "samples"), ("micro", "micro"), ("macro", "macro")):
        values = getattr(figures, ours)
        expected = precision_recall_fscore_support(truth, found, average=theirs, zero_division=zero_division)
        np.testing.assert_allclose((values.precision, values.recall, values.f1), expected[:3], atol=AGREE, rtol=0)
        index = jaccard_score(truth, found, average=theirs, zero_division=zero_division)
        assert values.accuracy == pytest.approx(index, abs=AGREE)
    assert figures.hamming_loss == pytest.approx(hamming_loss(truth, found), abs=AGREE)


@pytest.mark.parametrize("queries", [2, 3, 40])
def test_bootstrap_intervals_are_scipys(queries):
    import scipy.stats

    values = np.random.default_rng(queries).random(queries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # SciPy 1.15 calls random_state rng.
        found = scipy.stats.bootstrap(
            (values,), np.mean, n_resamples=2000, method="percentile", random_state=np.random.default_rng(0)
        )
    np.testing.assert_allclose(bootstrap_interval(values), found.confidence_interval, rtol=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_jaccard_of_tag_sets_is_scikit_learns(seed):
    generator = np.random.default_rng(seed)
    tags = [tuple(f"tag {tag}" for tag in np.flatnonzero(row)) for row in generator.random((12, 6)) < 0.3]
    tags[5] = ()
    matrix, _ = tag_matrix(tags, [f"tag {tag}" for tag in range(6)])
    sets = TagSets(tags)
    for image in (0, 5, 11):
        query = np.tile(matrix[image], (12, 1))
        expected = [jaccard_score(own, other, zero_division=0) for own, other in zip(matrix, query, strict=True)]
        np.testing.assert_allclose(jaccard(matrix, matrix[image]), expected, atol=AGREE, rtol=0)
        np.testing.assert_allclose(sets.jaccard(image), expected, atol=AGREE, rtol=0)
