import numpy as np
import pytest
from hypothesis import given, strategies
from hypothesis import settings as checked_with
from index_samples import entry, random_entry, settings

from rsir_tf.distances import global_distance
from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter, merging
from rsir_tf.ranking import Match, derived_files, open_index, region_set_distance
from rsir_tf.ranking.bounds import component_bounds, components, sampling, search_bounds


def make(path, entries, **options):
    with IndexWriter.open(path, options.pop("settings", settings()), **options, derived=derived_files()) as writer:
        for each in entries:
            writer.add(each)
    return open_index(path)


def brute_force(query, entries, direction="query"):
    """Every distance directly, then sorted by distance and id."""
    return sorted((region_set_distance(query, each.recnn, direction), each.id) for each in entries)


def found(hits):
    return [(hit.distance, hit.id) for hit in hits]


@pytest.fixture(scope="module", params=["small segments", "merged segments", "sample says yes", "sample says no"])
def many(request, tmp_path_factory):
    """90 images of small whole numbers, some without regions, some equal to others, in segments of 7, some removed.

    Merged, 84 of them are in three segments with what makes search quick, and 6 are not. A sample may tell whether it
    does.
    """
    with pytest.MonkeyPatch.context() as patched:
        if request.param != "small segments":
            patched.setattr(merging, "MERGED_IMAGES", 28)
            patched.setattr(search_bounds, "_FIRST", 1)
            patched.setattr(components, "COORDINATES", 3)
        if request.param.startswith("sample"):
            patched.setattr(search_bounds, "WORTH_SAMPLING", 1)
            patched.setattr(sampling, "_SEGMENTS", 2)
            patched.setattr(sampling, "_MEASURED", 1)
            patched.setattr(sampling, "_WORTH_SHARE", 1 if request.param.endswith("yes") else -1)
        yield fill_many(tmp_path_factory)


def fill_many(tmp_path_factory):
    entries = [random_entry(f"image {seed * 37 % 90:02d}", seed, high=3) for seed in range(80)]
    entries += [entry(f"twin {at}", entries[at].recnn, recnn_plus=entries[at].recnn_plus) for at in range(10)]
    path = tmp_path_factory.mktemp("index") / "many"
    index = make(path, entries, images_per_segment=7)
    gone = {entries[at].id for at in (0, 3, 40, 41, 85)}
    with IndexWriter.open(path, index.settings, derived=derived_files()) as writer:
        assert writer.remove(gone) == 5
    return open_index(path), [each for each in entries if each.id not in gone]


@pytest.mark.parametrize("direction", ["query", "both"])
@pytest.mark.parametrize("top", [1, 2, 9, 84, 85, 1000])
def test_search_equals_brute_force_with_many_ties(many, top, direction):
    index, entries = many
    queries = [each.recnn for each in entries if len(each.recnn)]
    assert len(entries) == len(index) == 85
    for query in queries[::7]:
        wanted = brute_force(query, entries, direction)[:top]
        assert found(index.search(query, top=top, direction=direction, scheme="recnn")) == wanted
        wanted = brute_force(query, [each for each in entries if 1 in each.classes], direction)[:top]
        assert found(index.search(query, top=top, direction=direction, share_classes=[1], scheme="recnn")) == wanted


@pytest.mark.parametrize("scheme", ["recnn", "recnn+"])
def test_many_queries_at_once_get_what_each_gets_alone(many, scheme, monkeypatch):
    index, entries = many
    asking = [each for each in entries if len(each.recnn)]
    queries = [each.recnn if scheme == "recnn" else each.recnn_plus for each in asking]
    classes = [None if at % 3 else each.classes.tolist() for at, each in enumerate(asking)]
    monkeypatch.setattr(search_bounds, "QUERY_REGIONS_AT_ONCE", 20)  # several groups; most queries have 1 to 4 regions
    together = index.search_many(queries, scheme=scheme, top=7, share_classes=classes)
    assert len(together) == len(queries) > 40
    assert together == [
        index.search(query, scheme=scheme, top=7, share_classes=own)
        for query, own in zip(queries, classes, strict=True)
    ]
    assert index.search_many([], scheme=scheme) == []


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_global_search_equals_brute_force(many, metric):
    index, entries = many
    vectors = np.stack([each.recnn_plus for each in entries])
    for each in entries[::6]:
        distances = global_distance(each.recnn_plus, vectors, metric)
        wanted = sorted(zip(distances.tolist(), [other.id for other in entries], strict=True))
        for top in (1, 5, 200):
            assert found(index.search(each.recnn_plus, scheme="recnn+", metric=metric, top=top)) == wanted[:top]


def test_recnn_plus_is_compared_by_l1_unless_told_otherwise(many):
    index, entries = many
    query = entries[5].recnn_plus
    hits = index.search(query, scheme="recnn+", top=85)
    assert hits == index.search(query, scheme="recnn+", top=85, metric="l1")
    assert hits != index.search(query, scheme="recnn+", top=85, metric="l2")


small_sets = strategies.lists(
    strategies.lists(strategies.tuples(*[strategies.integers(0, 2)] * 2), max_size=3), min_size=1, max_size=12
)


@checked_with(max_examples=25)
@given(small_sets, strategies.integers(1, 13), strategies.integers(1, 5))
def test_search_equals_brute_force_on_any_small_sets(tmp_path_factory, sets, top, images_per_segment):
    arrays = [np.array(regions, dtype=np.float32).reshape(-1, 2) for regions in sets]
    entries = [entry(f"{at}", regions) for at, regions in enumerate(arrays)]
    path = tmp_path_factory.mktemp("any") / "index"
    index = make(path, entries, settings=settings(channels=2), images_per_segment=images_per_segment)
    query = next((regions for regions in arrays if len(regions)), np.zeros((1, 2), np.float32))
    wanted = brute_force(query, entries)
    assert found(index.search(query, top=top, scheme="recnn")) == wanted[:top]
    order = np.argsort(index.distances(query, scheme="recnn"), kind="stable")
    assert [index.images.ids[row] for row in order] == [image for _, image in wanted]


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1.0, 1e4, 1e17, 1e19])
def test_search_stays_exact_whatever_the_vectors_length(tmp_path, scale):
    # Nearly equal vectors: in float32 their products differ by less than the products' rounding. 1e-25² is below what
    # float32 holds and 1e19² · 64 above.
    rng = np.random.default_rng(8)
    base = rng.random((3, 64)) + 1
    entries = [entry(f"{at:02d}", (base + rng.normal(0, 1e-5, (3, 64))) * scale) for at in range(40)]
    index = make(tmp_path / "index", entries, settings=settings(channels=64))
    for each in entries[:5]:
        assert found(index.search(each.recnn, top=6, scheme="recnn")) == brute_force(each.recnn, entries)[:6]
        order = np.argsort(index.distances(each.recnn, scheme="recnn"), kind="stable")
        assert [index.images.ids[row] for row in order] == [image for _, image in brute_force(each.recnn, entries)]


@pytest.mark.parametrize("direction", ["query", "both"])
def test_distances_and_all_distances_agree_with_equation_3(many, direction):
    index, entries = many
    by_id = {each.id: each for each in entries}
    rows = [row for row in range(len(index)) if row % 3 == 0]
    answers = dict(index.all_distances("recnn", rows, direction=direction))
    assert list(answers) == rows
    for row, distances in answers.items():
        query = by_id[index.images.ids[row]].recnn
        if not len(query):
            assert (distances == np.inf).all()
            continue
        wanted = [region_set_distance(query, by_id[image].recnn, direction) for image in index.images.ids]
        np.testing.assert_allclose(distances, wanted, rtol=1e-9, atol=0)  # as documented; what is 0 must be 0
        assert np.array_equal(np.argsort(distances, kind="stable"), np.argsort(wanted, kind="stable"))
        np.testing.assert_array_equal(index.distances(query, direction=direction, scheme="recnn"), distances)


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_all_global_distances_agree_with_search(many, metric):
    index, _ = many
    vectors = index.recnn_plus
    for rows in ([7, 3], None):
        for row, distances in index.all_distances("recnn+", rows, metric=metric):
            wanted = global_distance(vectors[row], vectors, metric)
            np.testing.assert_allclose(distances, wanted, rtol=1e-12, atol=1e-15)
            np.testing.assert_array_equal(distances == 0, (vectors == vectors[row]).all(axis=1) | (wanted == 0))


@pytest.mark.parametrize("scheme", ["recnn", "recnn+"])
def test_distances_are_measured_to_no_others_than_those_asked_for(many, scheme):
    index, _ = many
    among = [3, 4, 40, 84]
    everything = dict(index.all_distances(scheme, [3, 5]))
    for row, distances in index.all_distances(scheme, [3, 5], among=among):
        np.testing.assert_allclose(distances[among], everything[row][among], rtol=1e-9, atol=0)
        assert np.isnan(np.delete(distances, among)).all()


def test_all_distances_with_more_regions_than_one_product_takes(tmp_path):
    # 300 images of 4 regions: 1,200 query regions, over two products of at least 512.
    entries = [random_entry(f"{seed:03d}", seed, regions=4, channels=8, high=50) for seed in range(300)]
    index = make(tmp_path / "index", entries, settings=settings(channels=8))
    rows = []
    for row, distances in index.all_distances(scheme="recnn"):
        rows.append(row)
        if row % 50 == 0:
            wanted = [region_set_distance(entries[row].recnn, each.recnn) for each in entries]
            np.testing.assert_allclose(distances, wanted, rtol=1e-9, atol=0)
    assert rows == list(range(300))


def test_matches_say_which_region_answered_and_where_it_is(tmp_path):
    boxes = np.array([[0, 0, 9, 9], [1, 1, 8, 8], [10, 20, 30, 40], [5, 5, 6, 6]], dtype=np.int32)
    first = entry("first", [[99, 99]])  # so that the other's regions do not begin at the table's first row
    one = entry("one", [[9, 0], [0, 0], [3, 0], [3, 0]], classes=[3, 1, 2, 0], boxes=boxes)
    index = make(tmp_path / "index", [first, one], settings=settings(channels=2))
    hit, _ = index.search(np.float32([[3, 4], [8, 0]]), scheme="recnn")
    # (3,4) is 4 from (3,0), the first of two equals; (8,0) is 1 from (9,0).
    assert hit.matches == (Match(0, 2, 4.0, 2, (10, 20, 30, 40)), Match(1, 0, 1.0, 3, (0, 0, 9, 9)))
    assert (hit.id, hit.row, hit.distance) == ("one", 1, 2.5)
    hit, _ = index.search(np.float32([3, 4]), scheme="recnn+")
    assert hit.matches == ()


def test_images_without_regions_come_last_in_order_of_id(tmp_path):
    none = np.zeros((0, 4))
    index = make(tmp_path / "index", [entry("c", none), entry("a", none), entry("b", [[1, 1, 1, 1]])])
    hits = index.search(np.zeros((1, 4), np.float32), scheme="recnn")
    assert found(hits) == [(2.0, "b"), (np.inf, "a"), (np.inf, "c")]
    assert hits[1].matches == ()
    assert found(index.search(np.zeros((1, 4), np.float32), top=2, scheme="recnn")) == [(2.0, "b"), (np.inf, "a")]


def test_a_class_filter_leaves_out_what_shares_no_class(tmp_path):
    rng = np.random.default_rng(2)
    entries = [
        entry(f"{at:02d}", rng.integers(0, 5, (3, 4)), classes=rng.integers(0, 4, 3), recnn_plus=rng.integers(0, 9, 4))
        for at in range(40)
    ] + [entry("no region", np.zeros((0, 4)))]
    index = make(tmp_path / "index", entries, images_per_segment=16)
    query = entries[0].recnn
    for classes in ({0}, {1, 3}, [2, 2]):
        sharing = [each for each in entries if set(each.classes.tolist()) & set(classes)]
        assert 5 < len(sharing) < 40
        assert found(index.search(query, top=100, share_classes=classes, scheme="recnn")) == brute_force(query, sharing)
        ids = {hit.id for hit in index.search(query[0], scheme="recnn+", top=100, share_classes=classes)}
        assert ids == {each.id for each in sharing}
    assert index.search(query, share_classes=(), scheme="recnn") == []


def test_filtered_images_are_never_scored(tmp_path, monkeypatch):

    # Every second image has class 1 alone; too few share class 0 for the block to be scored whole.
    entries = [entry(f"{at}", [[at, 0, 0, 0]], classes=[at % 2]) for at in range(10)]
    index = make(tmp_path / "index", entries)
    scored = []
    intervals = search_bounds.recnn_intervals
    monkeypatch.setattr(
        search_bounds,
        "recnn_intervals",
        lambda query, block, precision: scored.extend(block.vectors[:, 0]) or intervals(query, block, precision),
    )
    assert [hit.id for hit in index.search(np.zeros((1, 4), np.float32), share_classes={0}, scheme="recnn")] == [
        "0",
        "2",
        "4",
        "6",
        "8",
    ]
    assert scored == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("spread", [1, 64])
def test_components_are_looked_at_only_where_a_sample_says_that_they_save_time(tmp_path, spread, monkeypatch):
    # Vectors that vary in 1 direction of 64 are told apart by 3 coordinates; where they vary in all, nearly nothing is.
    monkeypatch.setattr(components, "COORDINATES", 3)
    monkeypatch.setattr(merging, "MERGED_IMAGES", 200)
    monkeypatch.setattr(search_bounds, "_FIRST", 1)
    monkeypatch.setattr(search_bounds, "WORTH_SAMPLING", 1)
    monkeypatch.setattr(sampling, "_WORTH_SHARE", 0.5)  # The fixture of other tests may stand at another share.
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(400, 64)) * (np.arange(64) < spread)).astype(np.float32)
    entries = [entry(f"{at:03d}", each[None]) for at, each in enumerate(vectors)]
    index = make(tmp_path / "index", entries, settings=settings(channels=64))
    looked = []
    least = component_bounds.Components.least_distances

    def look(self, queries, *, sample=False):
        looked.append(sample)
        return least(self, queries, sample=sample)

    monkeypatch.setattr(component_bounds.Components, "least_distances", look)
    query = vectors[:1] + np.float32(0.01)
    assert found(index.search(query, scheme="recnn", top=3)) == brute_force(query, entries)[:3]
    assert looked == ([True, False] if spread == 1 else [True])


def test_half_precision_is_exact_about_what_it_stores(tmp_path):
    rng = np.random.default_rng(4)
    entries = [entry(f"{at:02d}", rng.gamma(0.5, 300, (3, 32)), recnn_plus=rng.random(32)) for at in range(30)]
    half = make(tmp_path / "half", entries, settings=settings(channels=32, dtype="float16"))
    rounded = [entry(each.id, each.recnn.astype(np.float16)) for each in entries]
    for each in entries[:5]:
        hits = half.search(each.recnn, top=30, scheme="recnn")
        assert (hits[0].id, hits[0].distance) == (each.id, 0.0)
        assert found(hits) == brute_force(each.recnn.astype(np.float16), rounded)
        assert half.search(each.recnn_plus, scheme="recnn+")[0].distance == 0


def test_an_empty_index_answers_nothing(tmp_path):
    index = make(tmp_path / "index", [])
    query = np.zeros((1, 4), np.float32)
    assert len(index) == 0
    assert (
        index.search(query, scheme="recnn")
        == index.search(query[0], scheme="recnn+")
        == list(index.all_distances(scheme="recnn"))
        == []
    )
    assert index.distances(query, scheme="recnn").shape == (0,)
    assert index.recnn_plus.shape == (0, 4)


@pytest.mark.parametrize(
    ("features", "options", "words"),
    [
        (np.ones((1, 4)), {"top": 0}, "top is 0; wanted a whole number of at least 1"),
        (np.ones((1, 4)), {"top": -1}, "top is -1"),
        (np.ones((1, 4)), {"top": 2.5}, "top is 2.5"),
        (np.ones((1, 4)), {"scheme": "ReCNN"}, "scheme is 'ReCNN'; wanted recnn or recnn"),
        (np.ones((1, 4)), {"metric": "l1"}, "metric is 'l1' for recnn; wanted l2"),
        (np.ones((1, 4)), {"direction": "back"}, "direction is 'back'; wanted query or both"),
        (np.ones(4), {"scheme": "recnn+", "direction": "both"}, r"direction is 'both' for recnn\+; wanted query"),
        (np.ones(4), {"scheme": "recnn+", "metric": "L1"}, "metric is 'L1'"),
        (np.ones(4), {}, r"query's recnn is float64 \[4\]; wanted float32 \[any, 4\]"),
        (np.ones((1, 4)), {"scheme": "recnn+"}, r"query's recnn\+ is float64 \[1, 4\]; wanted float32 \[4\]"),
        (np.ones((2, 5)), {}, r"\[2, 5\]; wanted float32 \[any, 4\]"),
        (np.ones((2, 4), int), {}, "is int64"),
        (np.ones((0, 4)), {}, "the query has no region"),
        (np.full((1, 4), np.nan), {}, "holds NaN or infinity"),
        (np.full((1, 4), -np.inf), {}, "holds NaN or infinity"),
        (np.full((1, 4), 1e300), {}, r"reaches 1e\+300; wanted values that float32 can hold"),
        (np.ones((1, 4)), {"share_classes": {1, 4}}, r"share_classes holds \[1, 4\]; wanted class indices from 0 to 3"),
        (np.ones((1, 4)), {"share_classes": {-1}}, r"holds \[-1\]"),
    ],
)
def test_what_cannot_be_searched_is_refused(many, features, options, words):
    with pytest.raises(InputError, match=words):
        many[0].search(features, **{"scheme": "recnn", **options})


def test_rows_and_ids_that_are_not_there_are_refused(many):
    index, _ = many
    with pytest.raises(InputError, match="has no row 85; wanted 0 to 84"):
        index.entry(85)
    with pytest.raises(InputError, match="has no row -1"):
        list(index.all_distances(rows=[0, -1], scheme="recnn"))
    with pytest.raises(InputError, match="holds no image 'nowhere'"):
        index.row_of("nowhere")
