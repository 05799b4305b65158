"""Integrated region matching: values by hand, laws of transport, and that every quicker way equals brute force."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis import settings as checked_with
from index_samples import entry, random_entry, settings
from scipy.optimize import linprog
from scipy.spatial.distance import cdist

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter, merging
from rsir_tf.ranking import (
    ImageFeatures,
    Match,
    archive_rankings,
    brute_force,
    derived_files,
    make_scheme,
    open_index,
    region_matching,
    search,
)
from rsir_tf.ranking.bounds import components, sampling
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.region_matching import least_distances, match
from rsir_tf.ranking.schemes import irm


def features(each):
    return ImageFeatures(each.classes, each.areas, each.boxes, each.centroids, each.recnn, each.recnn_plus)


def taking_pairs(apart, query, other):
    """As the authors tell it: take pairs from the nearest on, give each what both still have."""
    total, query, other = 0.0, query.tolist(), other.tolist()
    for i, j in sorted(np.ndindex(*apart.shape), key=lambda pair: (apart[pair], pair)):
        moved = min(query[i], other[j])
        if moved > 0:
            total += moved * apart[i, j]
            query[i] -= moved
            other[j] -= moved
    return total


def literally(query, other, unit=True):
    if not len(query.recnn) or not len(other.recnn):
        return np.inf
    vectors = []
    for each in (query.recnn.astype(float), other.recnn.astype(float)):
        lengths = np.linalg.norm(each, axis=1, keepdims=True)
        vectors.append(each / np.where(lengths > 0, lengths, 1) if unit else each)
    return taking_pairs(cdist(*vectors), query.areas / query.areas.sum(), other.areas / other.areas.sum())


def test_a_matching_that_is_worked_out_by_hand():
    # Masses 3/4 and 1/4 against 1/2 and 1/2. The nearest pair (0, 1) is 1 apart and moves 1/2; then (1, 0) at 2 moves
    # 1/4; what is left of region 0, 1/4, goes to region 0 at 4: 1/2 + 1/2 + 1 = 2.
    apart = np.array([[[4.0, 1.0], [2.0, 3.0]]])
    total, steps = match(apart, np.array([0.75, 0.25]), np.array([[0.5, 0.5]]))
    assert total.tolist() == [2.0]
    assert [(pairs.tolist(), moved.tolist()) for pairs, moved in steps] == [
        ([1], [0.5]),
        ([2], [0.25]),
        ([0], [0.25]),
    ]


def test_regions_that_explain_a_hit_are_those_that_most_area_goes_to():
    # Unit vectors e0, e1 with areas 3 and 1; the hit shows e1, e0 and −e0 with areas 1, 2 and 1. Region 0 gives 2/4 to
    # region 1 at distance 0 and 1/4 to region 2 at distance 2; region 1 meets region 0.
    query = entry("q", [[1, 0], [0, 5]], areas=np.array([3, 1]))
    hit = entry("h", [[0, 2], [1, 0], [-1, 0]], areas=np.array([1, 2, 1]), classes=[3, 2, 1])
    scheme = make_scheme("irm")
    box = (1, 2, 30, 40)
    assert scheme.matches(features(query), features(hit)) == (Match(0, 1, 0.0, 2, box), Match(1, 0, 0.0, 3, box))
    assert literally(query, hit) == 0.5


masses = strategies.lists(strategies.integers(1, 6), min_size=1, max_size=5)


@checked_with(max_examples=60)
@given(masses, masses, strategies.integers(0, 2**32 - 1))
def test_it_lies_above_the_bound_and_is_no_cheaper_than_the_earth_movers_distance(one, two, seed):
    p, q = np.array(one) / sum(one), np.array(two) / sum(two)
    apart = np.random.default_rng(seed).random((len(p), len(q)))
    (total,), steps = match(apart[None], p, q[None])
    moved = np.zeros(apart.size)
    for pairs, some in steps:
        moved[pairs] += some
    plan = moved.reshape(apart.shape)
    # All mass is moved, and the total is what the plan costs.
    np.testing.assert_allclose(plan.sum(axis=1), p, atol=1e-12)
    np.testing.assert_allclose(plan.sum(axis=0), q, atol=1e-12)
    assert total == pytest.approx((plan * apart).sum())
    # The earth mover's distance, by linear programming, is the least cost of any plan.
    equal = [np.kron(np.eye(len(p)), np.ones(len(q))), np.kron(np.ones(len(p)), np.eye(len(q)))]
    emd = linprog(apart.ravel(), A_eq=np.vstack(equal), b_eq=np.concatenate([p, q])).fun
    (low,) = least_distances(apart, p, q, np.array([0]))
    assert low <= emd + 1e-9 <= total + 2e-9
    # Without ties, the distance is the same from the other side.
    (back,), _ = match(apart.T[None], q, p[None])
    assert back == pytest.approx(total)


def test_the_bound_counts_how_much_further_mass_must_move():
    # The regions of the query lie 0 and 4 from the nearest one, so that mass moves 2 on average. Both are nearest to
    # the first region of the image; half of the mass goes to the second one, which is 2 or 1 further: 2 + 1/2. From the
    # image's regions to the nearest ones it is only (0 + 2) / 2. The earth mover's distance is min(0 + 5, 2 + 4) / 2.
    half = np.array([0.5, 0.5])
    assert least_distances(np.array([[0.0, 2.0], [4.0, 5.0]]), half, half, np.array([0])) == 2.5


@pytest.fixture(scope="module", params=["float32", "float16", "components", "sample says yes", "sample says no"])
def many(request, tmp_path_factory):
    """60 images with 0 to 4 regions of small whole numbers, many of them equal; in segments of 7, five removed.

    With components, the segments are merged into two and what is left.
    """
    with pytest.MonkeyPatch.context() as patched:
        if not request.param.startswith("float"):
            patched.setattr(merging, "MERGED_IMAGES", 21)
            patched.setattr(components, "COORDINATES", 3)
        if request.param.startswith("sample"):
            patched.setattr(irm, "WORTH_SAMPLING", 1)
            patched.setattr(sampling, "_MEASURED", 1)
            patched.setattr(sampling, "_WORTH_SHARE", 1 if request.param.endswith("yes") else -1)
        yield fill_many(request.param if request.param.startswith("float") else "float32", tmp_path_factory)


def fill_many(dtype, tmp_path_factory):
    path = tmp_path_factory.mktemp("irm") / "index"
    entries = [random_entry(f"image {seed * 37 % 60:02d}", seed, high=3) for seed in range(55)]
    entries += [entry(f"twin {at}", entries[at].recnn) for at in range(5)]
    made = derived_files()
    with IndexWriter.open(path, settings(dtype=dtype), images_per_segment=7, derived=made) as writer:
        for each in entries:
            writer.add(each)
        writer.remove([each.id for each in entries[3:45:9]])
    gone = set(range(3, 45, 9))
    return open_index(path), [each for at, each in enumerate(entries) if at not in gone]


@pytest.mark.parametrize("vectors", ["unit", "raw"])
@pytest.mark.parametrize("top", [1, 7, 1000])
def test_search_equals_brute_force(many, vectors, top, monkeypatch):
    monkeypatch.setattr(irm, "_FIRST", 2)  # several batches
    monkeypatch.setattr(irm, "_TRIED", 1)
    index, entries = many
    scheme = make_scheme("irm", vectors=vectors)
    for query in [each for each in entries if len(each.recnn)][::6]:
        hits = search(index, features(query), scheme, top=top).hits
        wanted = sorted((literally(query, each, vectors == "unit"), each.id) for each in entries)
        np.testing.assert_allclose([hit.distance for hit in hits], [far for far, _ in wanted[:top]], atol=1e-12)
        measure = partial(brute_force.all_distances, scheme)
        (slow,) = brute_force.nearest_measured(measure, index.vectors, [features(query)], top, [index.vectors.live])
        assert [(index.vectors.positions[hit.row], hit.distance) for hit in hits] == slow


def test_a_whole_archive_is_ranked_as_single_queries_rank_it(many):
    index, _ = many
    scheme = make_scheme("irm")
    rows = np.arange(len(index))
    for place, order in archive_rankings(index, scheme, rows, range(0, len(index), 1)):
        query = image_at(index.vectors, int(index.vectors.positions[place]))
        hits = search(index, query, scheme, top=None).hits
        assert order.tolist() == [hit.row for hit in hits]


def test_an_image_without_regions_is_infinitely_far_and_may_ask(many):
    index, entries = many
    empty = next(each for each in entries if not len(each.recnn))
    hits = search(index, features(empty), make_scheme("irm"), top=3).hits
    assert [hit.distance for hit in hits] == [np.inf] * 3
    assert [hit.id for hit in hits] == sorted(each.id for each in entries)[:3]


@checked_with(max_examples=60)
@given(masses, strategies.lists(masses, min_size=1, max_size=4), strategies.integers(0, 2**32 - 1))
def test_several_images_at_once_and_ties(one, others, seed):
    # Distances of 0, 1 and 2, so that most pairs are tied; images with fewer regions are filled up.
    n = max(map(len, others))
    apart = np.full((len(others), len(one), n), np.inf)
    shares = np.zeros((len(others), n))
    rng = np.random.default_rng(seed)
    wanted = []
    for at, other in enumerate(others):
        apart[at, :, : len(other)] = rng.integers(0, 3, (len(one), len(other)))
        shares[at, : len(other)] = np.array(other) / sum(other)
        wanted.append(taking_pairs(apart[at], np.array(one) / sum(one), shares[at]))
    found, steps = match(apart, np.array(one) / sum(one), shares)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    # Where regions are many, images are matched one after another, with the same result to the last bit.
    again, others_steps = region_matching._match_large(apart, np.array(one) / sum(one), shares)
    np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(moved_in_all(others_steps, apart), moved_in_all(steps, apart))


def moved_in_all(steps, apart):
    moved = np.zeros((len(apart), apart[0].size))
    for pairs, masses in steps:
        moved[np.arange(len(apart)), pairs] += masses
    return moved


def test_many_regions_on_both_sides(monkeypatch):
    rng = np.random.default_rng(1)
    # Distances from 0 to 99, so that some are tied, and close to each other in rows, as those of real regions are.
    apart = (rng.integers(0, 50, (150, 1)) + rng.integers(0, 50, (150, 200))).astype(float)
    query, other = rng.integers(1, 9, 150) / 600, rng.integers(1, 9, 200) / 800
    (found,), _ = match(apart[None], query, other[None])
    assert found == taking_pairs(apart, query, other)
    pairs = region_matching.partners(apart, query, other)
    monkeypatch.setattr(region_matching, "_MANY", 1000)
    assert match(apart[None], query, other[None])[0] == [found]
    np.testing.assert_array_equal(region_matching.partners(apart, query, other), pairs)


def test_ten_thousand_regions_are_matched(tmp_path):
    # All regions are equal but the last, which holds half the area and lies at a right angle: sqrt(2) times 1/2.
    areas = np.ones(10_001, np.int64)
    areas[-1] = 10_000
    many = entry("many", np.vstack([np.tile([[2, 0]], (10_000, 1)), [[0, 1]]]), areas=areas)
    few = entry("few", [[1, 0]])
    with IndexWriter.open(tmp_path / "index", settings(channels=2)) as writer:
        writer.add(many)
        writer.add(few)
    index = open_index(tmp_path / "index")
    for query, other in ((few, many), (many, few)):
        hits = search(index, features(query), make_scheme("irm"), among=[index.images.ids.index(other.id)]).hits
        assert [hit.distance for hit in hits] == [pytest.approx(np.sqrt(0.5))]


def test_refusals():
    with pytest.raises(InputError, match="vectors is 'long'; wanted unit or raw"):
        make_scheme("irm", vectors="long")
    with pytest.raises(InputError, match="direction is 'both' for irm"):
        make_scheme("irm", direction="both")
