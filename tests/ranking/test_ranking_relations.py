"""Relations between classes against values counted by hand, and against laws that they keep."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from index_samples import entry, random_entry, settings

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import (
    Expanded,
    HeldBlock,
    ImageFeatures,
    Mixed,
    Reranked,
    archive_rankings,
    make_scheme,
    open_index,
)
from rsir_tf.ranking import search as search_index
from rsir_tf.ranking.enclosure import enclosing
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.relation_histograms import relation_histograms
from rsir_tf.ranking.schemes import relations
from rsir_tf.ranking.schemes.relations_graph import RelationsGraph
from rsir_tf.regions import connected_regions, region_adjacency

RELATIONS = make_scheme("relations")

segmentations = array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=9).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2]))
)


def features(segmentation, **options):
    regions = connected_regions(np.uint8(segmentation), **options)
    m = len(regions)
    return ImageFeatures(
        regions.classes, regions.areas, regions.boxes, regions.centroids, np.zeros((m, 4), np.float32),
        np.zeros(4, np.float32), *region_adjacency(regions.labels),
    )  # fmt: skip


def distance(one, other):
    return float(RELATIONS.distances(one, HeldBlock([other]))[0])


def histogram(image):
    """(part, kind, one class, other class) → share."""
    found = relation_histograms(HeldBlock([image]))
    names = [(code >> 18, code >> 16 & 3, code >> 8 & 255, code & 255) for code in found.bins.tolist()]
    return dict(zip(names, found.values.tolist(), strict=True))


def around_by_hand(regions, adjacency):
    """The region around each region: without it, no way leads to the end of the picture; the innermost such region."""
    m = len(regions)
    neighbours = {region: set() for region in range(m)}
    for one, other, _ in adjacency.borders.tolist():
        neighbours[one].add(other)

    def reaches_end(start, without):
        seen, waiting = {start}, [start]
        while waiting:
            region = waiting.pop()
            if adjacency.edge[region]:
                return True
            waiting += (new := neighbours[region] - seen - {without})
            seen |= new
        return False

    lies_in = [{b for b in range(m) if b != a and not reaches_end(a, b)} for a in range(m)]
    # The innermost lies in all the others.
    return [next((b for b in own if own - {b} <= lies_in[b]), -1) for own in lies_in]


@hypothesis_settings(max_examples=60)
@given(segmentations, st.sampled_from([4, 8]))
def test_what_lies_within_what(segmentation, connectivity):
    regions = connected_regions(segmentation, connectivity)
    adjacency = region_adjacency(regions.labels)
    assert enclosing(*adjacency).tolist() == around_by_hand(regions, adjacency)


def test_an_island_in_a_lake_and_two_houses_that_touch():
    picture = np.zeros((7, 12), np.uint8)
    picture[1:6, 1:6] = 1  # a lake
    picture[3, 3] = 2  # an island in it
    picture[2:4, 8] = 3  # a house
    picture[2:4, 9] = 4  # its garage
    regions = connected_regions(picture)
    assert regions.classes.tolist() == [0, 1, 3, 4, 2]
    assert enclosing(*region_adjacency(regions.labels)).tolist() == [-1, 0, 0, 0, 1]


def test_a_histogram_counted_by_hand():
    # A pond of 2×2 in the middle of a meadow of 4×4: areas 4 and 12, one border of 8 edges, and boxes that overlap.
    picture = np.zeros((4, 4), np.uint8)
    picture[1:3, 1:3] = 1
    found = histogram(features(picture))
    inside = 2 / (2 + 12**0.5)  # by square roots of areas
    wanted = {
        (0, 0, 0, 1): 1 / 8, (0, 0, 1, 0): 1 / 8,
        (1, 0, 1, 0): inside / 4, (1, 0, 255, 255): (1 - inside) / 4,
        (2, 0, 0, 1): 1 / 8, (2, 0, 1, 0): 1 / 8,
        (3, 2, 0, 0): 12 / 16 / 4, (3, 2, 1, 0): 4 / 16 / 4,  # ¼ of the picture is large
    }  # fmt: skip
    assert found == pytest.approx(wanted)


def test_a_picture_of_one_class_and_one_of_one_pixel():
    # No borders and no pairs: a bin of its own says so. All of the picture is large.
    wanted = {(0, 3, 0, 0): 0.25, (1, 0, 255, 255): 0.25, (2, 3, 0, 0): 0.25, (3, 2, 1, 0): 0.25}
    assert histogram(features([[1]])) == histogram(features(np.ones((5, 3)))) == wanted
    # One pixel of another class in a corner of 5×5.
    picture = np.ones((5, 5), np.uint8)
    picture[0, 0] = 2
    assert all(np.isfinite(value) and value > 0 for value in histogram(features(picture)).values())
    assert sum(histogram(features(picture)).values()) == pytest.approx(1)


@hypothesis_settings(max_examples=30)
@given(segmentations)
def test_turning_and_flipping_change_nothing(segmentation):
    image = features(segmentation)
    for turned in (np.rot90(segmentation), segmentation[:, ::-1], segmentation[::-1].T):
        assert distance(image, features(np.ascontiguousarray(turned))) < 1e-6  # sums in another order


@hypothesis_settings(max_examples=30)
@given(segmentations, segmentations)
def test_it_is_a_distance_between_0_and_1(one, other):
    one, other = features(one), features(other)
    assert distance(one, one) == 0
    assert 0 <= distance(one, other) <= 1
    assert distance(one, other) == pytest.approx(distance(other, one))
    histograms = [histogram(each) for each in (one, other)]
    apart = sum(
        abs(histograms[0].get(name, 0) - histograms[1].get(name, 0)) for name in {*histograms[0], *histograms[1]}
    )
    assert distance(one, other) == pytest.approx(apart / 2)


def test_shifting_what_is_shown_changes_nothing():
    pictures = []
    for top, left in ((2, 3), (10, 8)):
        picture = np.zeros((32, 32), np.uint8)
        picture[top : top + 9, left : left + 12] = 1
        picture[top + 2 : top + 5, left + 2 : left + 5] = 2
        picture[top : top + 9, left + 12 : left + 14] = 3
        pictures.append(features(picture))
    assert distance(*pictures) == 0


def test_near_between_and_far():
    # Two ponds of 2×2 in a meadow; the picture of 4×16 has a side of √64 = 8 pixels, so that a gap of 4 is half of it.
    for gap, shares in ((1, (0.5, 0.5, 0)), (2, (0, 1, 0)), (3, (0, 0.5, 0.5)), (6, (0, 0, 1))):
        picture = np.zeros((4, 16), np.uint8)
        picture[1:3, 2:4] = 1
        picture[1:3, 4 + gap : 6 + gap] = 1
        found = histogram(features(picture))
        # Pairs of the meadow with a pond weigh 4 · 56 · 4, both pairs of ponds 2 · 4 · 4, as shares of their sum.
        of_ponds = 32 / (32 + 896) / 4
        assert [found.get((2, kind, 1, 1), 0) for kind in range(3)] == pytest.approx([of_ponds * s for s in shares])


def test_many_images_are_measured_as_each_alone():
    rng = np.random.default_rng(3)
    images = [features(rng.integers(0, 3, (at % 7 + 1, 5), np.uint8)) for at in range(20)]
    images.insert(4, features(np.full((3, 3), 255)))
    together = RELATIONS.distances(images[0], HeldBlock(images))
    assert together.tolist() == pytest.approx([distance(images[0], image) for image in images])
    assert np.isinf(together[4])
    assert np.isinf(RELATIONS.distances(images[4], HeldBlock(images))).all()


def test_ten_thousand_regions():
    board = np.indices((100, 100)).sum(axis=0) % 2
    image = features(board, connectivity=4)
    assert len(image) == 10_000
    same, other = RELATIONS.distances(image, HeldBlock([image, features(board[:9])]))
    assert same == 0
    assert 0 < other < 1
    assert len(RELATIONS.matches(image, image)) == 32


def test_matches_are_regions_of_one_class_in_similar_surroundings():
    picture = np.zeros((8, 9), np.uint8)
    picture[2:4, 1:3] = 1  # a pond in the meadow
    picture[2:4, 6:] = 1  # a pond at the end of the picture
    image, other = features(picture), features(picture[:, ::-1])
    assert image.classes.tolist() == other.classes.tolist() == [0, 1, 1]
    found = [(match.query_region, match.region, match.distance) for match in RELATIONS.matches(image, other)]
    assert found == [(0, 0, 0), (1, 2, 0), (2, 1, 0)]
    assert RELATIONS.matches(image, features(np.full((2, 2), 3))) == ()
    assert RELATIONS.matches(image, features(np.full((2, 2), 255))) == ()


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("relations") / "index"
    with IndexWriter.open(path, settings(), images_per_segment=7) as writer:
        for at in range(20):
            each = random_entry(f"{at:02}", at, regions=at % 5)
            writer.add(dataclasses.replace(each, recnn=each.recnn + 1, recnn_plus=each.recnn_plus + 1))
    return open_index(path)


def test_an_archive_is_ranked_as_its_images_one_by_one(index):
    rows = np.arange(len(index))
    ranked = dict(archive_rankings(index, RELATIONS, rows, range(20)))
    for row in range(20):
        query = image_at(index.vectors, index.position_of(row))
        answer = search_index(index, query, RELATIONS, top=None)
        assert [hit.row for hit in answer.hits] == ranked[row].tolist()
        assert answer.exact


def test_relations_that_were_counted_before_give_the_same_distances(index, monkeypatch):
    monkeypatch.setattr(relations, "_WORTH_KEEPING", 6)  # the segments have 7, 7 and 6 images
    for wanted in (None, [0, 1, 2, 3], None, [9, 10]):
        for row in (3, 8):
            query = image_at(index.vectors, index.position_of(row))
            rows = range(20) if wanted is None else wanted
            alone = {at: distance(query, image_at(index.vectors, index.position_of(at))) for at in rows}
            hits = search_index(index, query, RELATIONS, top=None, among=wanted).hits
            assert {hit.row: hit.distance for hit in hits} == alone
    assert len(relations._KEPT[index.vectors]) == 3


def scaled(distances):
    return distances / distances[np.isfinite(distances)].mean()


@pytest.mark.parametrize("share", [0, 0.3, 1])
def test_a_mixture_is_the_sum_of_scaled_distances(index, share):
    cosine = make_scheme("recnn+", metric="cosine")
    mixed = Mixed(cosine, RELATIONS, share)
    assert (mixed.name, mixed.title) == (f"recnn+ with {share:g} relations", f"ReCNN+ with {share:g} Relations")
    for row in (4, 7):
        query = image_at(index.vectors, index.position_of(row))
        one, other = index.distances(query, cosine), index.distances(query, RELATIONS)
        other[np.isinf(other)] = other[np.isfinite(other)].max()
        wanted = (1 - share) * scaled(one) + share * scaled(other)
        np.testing.assert_allclose(index.distances(query, mixed), wanted)
        hits = search_index(index, query, mixed, top=5).hits
        assert [hit.row for hit in hits] == np.argsort(wanted, kind="stable")[:5].tolist()
        some = search_index(index, query, mixed, among=[1, 2, 3], top=9).hits
        wanted = (1 - share) * scaled(one[1:4]) + share * scaled(other[1:4])
        assert [hit.distance for hit in some] == pytest.approx(sorted(wanted))
    # An image without regions asks by the first scheme alone.
    query = image_at(index.vectors, index.position_of(5))
    assert len(query) == 0
    np.testing.assert_allclose(index.distances(query, mixed), (1 - share) * scaled(index.distances(query, cosine)))


def test_stages_stand_around_each_other(index):
    cosine = make_scheme("recnn+", metric="cosine")
    query = image_at(index.vectors, index.position_of(8))
    stages = Reranked(Mixed(Expanded(cosine, 2), RELATIONS, 0.2), RELATIONS, 4)
    assert stages.name == "recnn+, expanded by 2 with 0.2 relations, first 4 by relations"
    hits = search_index(index, query, stages, top=9).hits
    first = search_index(index, query, stages.first, top=4).hits
    assert {hit.id for hit in hits} == {hit.id for hit in first}
    assert [hit.distance for hit in hits] == sorted(index.distances(query, RELATIONS)[hit.row] for hit in hits)


def test_what_is_refused(index, tmp_path):
    with pytest.raises(InputError, match="regions of several images have no relations; expand the scheme that finds"):
        Expanded(RELATIONS)
    with pytest.raises(InputError, match=r"the share of relations is 1\.5; wanted a number from 0 to 1"):
        Mixed(make_scheme("irm"), RELATIONS, 1.5)
    query = image_at(index.vectors, 3)
    with IndexWriter.open(tmp_path / "older", settings()) as writer:
        for at in range(3):
            writer.add(dataclasses.replace(random_entry(f"{at}", at, regions=at), borders=None, edge=None))
        writer.add(random_entry("new", 1, regions=2))
    older = open_index(tmp_path / "older")
    for scheme in (RELATIONS, Mixed(make_scheme("irm"), RELATIONS), Reranked(make_scheme("irm"), RELATIONS)):
        with pytest.raises(InputError, match=r"which regions touch in 2 of 4 images.*another folder for --to"):
            search_index(older, query, scheme)
        with pytest.raises(InputError, match="does not know which regions touch"):
            archive_rankings(older, scheme, np.arange(4), range(4))
    one_class = dataclasses.replace(settings(), class_names=("sea",))
    with IndexWriter.open(tmp_path / "one", one_class) as writer:
        writer.add(entry("a", np.ones((1, 4))))
    with pytest.raises(InputError, match="has one class alone, 'sea'; wanted at least two classes"):
        search_index(open_index(tmp_path / "one"), query, RELATIONS)


GRAPH = make_scheme("relations-graph")


def with_vectors(image, seed):
    vectors = np.random.default_rng(seed).random((len(image), 4)).astype(np.float32)
    return image.having(recnn=vectors)


def test_a_graph_without_its_surroundings_is_integrated_region_matching():
    images = [with_vectors(features(np.random.default_rng(at).integers(0, 3, (4, 5))), at) for at in range(6)]
    images.append(features(np.full((2, 2), 255)))
    irm, plain = make_scheme("irm"), RelationsGraph(share=0)
    for query in images:
        block = HeldBlock(images)
        np.testing.assert_allclose(plain.distances(query, block), irm.distances(query, block))
        for image in images:
            assert plain.matches(query, image) == irm.matches(query, image)


def test_a_graph_of_two_regions_by_hand():
    # A meadow with a pond within, and a meadow of the same size beside a lake: the vectors of both images are the same.
    within = np.zeros((4, 4), np.uint8)
    within[1:3, 1:3] = 1
    beside = np.zeros((4, 4), np.uint8)
    beside[3] = 1
    vectors = np.float32([[1, 0, 0, 0], [0, 1, 0, 0]])
    one, other = (features(each).having(recnn=vectors) for each in (within, beside))
    # Outlines: meadow 8 edges along the pond and 16 at the end, pond 8 along the meadow; meadow 4 along the lake and
    # 10 at the end, lake 4 along the meadow and 6 at the end.
    of_meadow, of_water = 1 / 3 - 4 / 14, 6 / 10
    wanted = 0.2 * (12 * of_meadow + 4 * of_water) / 16
    assert GRAPH.distances(one, HeldBlock([other, one])).tolist() == pytest.approx([wanted, 0])
    matches = [(match.query_region, match.region, match.distance) for match in GRAPH.matches(one, other)]
    assert matches == [(0, 0, pytest.approx(0.2 * of_meadow)), (1, 1, pytest.approx(0.2 * of_water))]


def test_a_graph_of_ten_thousand_regions():
    image = features(np.indices((100, 100)).sum(axis=0) % 2, connectivity=4)
    image = image.having(recnn=np.ones((10_000, 4), np.float32))
    assert GRAPH.distances(image, HeldBlock([image])).tolist() == [0]
    assert len(GRAPH.matches(image, image)) == 512


def test_the_first_hits_are_ordered_by_their_graphs(index):
    query = image_at(index.vectors, index.position_of(9))
    first = search_index(index, query, make_scheme("irm"), top=5).hits
    answer = search_index(index, query, Reranked(make_scheme("irm"), GRAPH, 5), top=5)
    distances = index.distances(query, GRAPH)
    assert [hit.row for hit in answer.hits] == sorted((hit.row for hit in first), key=lambda row: (distances[row], row))
    with pytest.raises(InputError, match="the share of surroundings is 2; wanted a number from 0 to 1"):
        RelationsGraph(share=2)
