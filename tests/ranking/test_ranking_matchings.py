"""Matchings by products: their intervals hold the distances that are computed directly, and are narrow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis import settings as checked_with
from scipy.spatial.distance import cdist

from rsir_tf.distances import unit_vectors
from rsir_tf.ranking.bounds import matchings
from rsir_tf.ranking.bounds.matched_images import alike, matched_images, side_by_side
from rsir_tf.ranking.bounds.matchings import matching_intervals
from rsir_tf.ranking.bounds.operands import RegionBlock, squared_norms
from rsir_tf.ranking.region_matching import area_shares, match


def intervals(images, areas, queries, unit, finely):
    """For each query the least and the greatest distance of each image, by products."""
    counts = np.array([len(image) for image in images])
    vectors = np.concatenate(images)
    block = RegionBlock(np.arange(len(images)), np.cumsum(counts) - counts, vectors, squared_norms(vectors))
    asked = [(unit_vectors(q.astype(float)) if unit else q.astype(float), area_shares(a)) for q, a in queries]
    columns, asked = side_by_side(asked)
    groups = matched_images(block, np.concatenate(areas), columns, unit=unit, finely=finely)
    found = np.full((2, len(asked), len(images)), np.nan)
    for at, query in enumerate(asked):
        ends = matching_intervals(query, [group for _, group in groups])
        for (which, _), (low, high) in zip(groups, ends, strict=True):
            found[:, at, which] = low, high
    return found


def directly(image, areas, query, query_areas, unit):
    one, other = query.astype(float), image.astype(float)
    if unit:
        one, other = unit_vectors(one), unit_vectors(other)
    (distance,), _ = match(cdist(one, other)[None], area_shares(query_areas), area_shares(areas)[None])
    return distance


def archive(seed, images, channels, whole):
    """Images of 1 to 13 regions; with whole numbers, many pairs of regions are at equal distances."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(images):
        m = int(rng.integers(1, 14))
        vectors = rng.integers(0, 3, (m, channels)) if whole else rng.gamma(0.5, 20, (m, channels))
        made.append((vectors.astype(np.float32), rng.integers(1, 50, m)))
    return made


@checked_with(max_examples=40)
@given(
    strategies.integers(0, 2**32 - 1), strategies.sampled_from([1, 2, 9]), strategies.booleans(), strategies.booleans()
)
def test_intervals_hold_the_distance_or_say_that_they_do_not_know(seed, channels, whole, unit):
    made = archive(seed, 12, channels, whole)
    images, areas = [vectors for vectors, _ in made], [own for _, own in made]
    low, high = intervals(images, areas, made[:3], unit, finely=bool(seed % 2))
    for at, (query, query_areas) in enumerate(made[:3]):
        exact = np.array([directly(*each, query, query_areas, unit) for each in made])
        known = ~np.isnan(low[at])
        assert (low[at][known] <= exact[known]).all()
        assert (exact[known] <= high[at][known]).all()


@pytest.mark.parametrize("unit", [True, False])
def test_intervals_of_vectors_without_ties_are_known_and_narrow(unit, monkeypatch):
    monkeypatch.setattr(matchings, "_NUMBERS", 300)  # several moves of masses
    made, queries = archive(5, 80, 512, whole=False), archive(6, 4, 512, whole=False)
    images, areas = [vectors for vectors, _ in made], [own for _, own in made]
    low, high = intervals(images, areas, queries, unit, finely=False)
    assert not np.isnan(low).any()
    assert ((high - low) / low).max() < 1e-10


def test_equal_vectors_are_one_region():
    # Both the image and the query show one vector twice, and these are 5 apart: all mass moves 5.
    twice, other = np.array([[3.0, 0.0], [3.0, 0.0]], np.float32), np.array([[0.0, 4.0], [0.0, 4.0]], np.float32)
    low, high = intervals([twice], [np.array([1, 2])], [(other, np.array([5, 1]))], False, finely=False)
    np.testing.assert_allclose([low, high], 5, rtol=1e-12)


def test_equal_distances_and_too_many_pairs_stay_open():
    square = np.array([[3.0, 0.0], [0.0, 3.0]], np.float32)
    # From (0, 0) both regions are 3 apart, and these are the last pairs: in any order, all mass moves 3.
    nothing = np.zeros((1, 2), np.float32), np.array([1])
    low, high = intervals([square], [np.array([1, 2])], [nothing], False, finely=False)
    np.testing.assert_allclose([low, high], 3, rtol=1e-12)
    # With a region farther away, it depends on the order which region is left for it.
    both = np.array([[0.0, 0.0], [9.0, 0.0]], np.float32), np.array([1, 1])
    low, _ = intervals([square], [np.array([1, 2])], [both], False, finely=False)
    assert np.isnan(low).all()
    many = np.eye(65, dtype=np.float32) * np.arange(1, 66, dtype=np.float32)
    low, _ = intervals([many], [np.arange(1, 66)], [(many, np.arange(1, 66))], False, finely=False)
    assert np.isnan(low).all()


def test_groups_have_about_equally_many_regions():
    counts = np.array([3, 0, 16, 17, 4, 15, 1, 2])
    starts = np.cumsum(counts) - counts
    # Half as many or more, up to a power of two; and 15/16 is more than 2^(-1/6) = 0.89, while 16/17 crosses a limit.
    assert [which.tolist() for which, _ in alike(starts, counts)] == [[6], [7], [0, 4], [2, 5], [3]]
    assert [which.tolist() for which, _ in alike(starts, counts, finely=True)] == [[6], [7], [0], [4], [2, 5], [3]]
    (_, regions) = list(alike(starts, counts))[2]
    assert regions.tolist() == [[0, 1, 2, 2], [36, 37, 38, 39]]
