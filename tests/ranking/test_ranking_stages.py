"""Second stages against what they say, spelt out with plain searches."""

from __future__ import annotations

import numpy as np
import pytest
from index_samples import random_entry, settings

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import (
    Expanded,
    ExpandedBoth,
    ImageFeatures,
    Reranked,
    archive_rankings,
    make_scheme,
    open_index,
    search,
)
from rsir_tf.workflows import evaluate_index


def features(each):
    return ImageFeatures(each.classes, each.areas, each.boxes, each.centroids, each.recnn, each.recnn_plus)


@pytest.fixture(scope="module")
def entries():
    """40 images with 1 to 4 regions of whole numbers, and no vector of zeros."""
    made = []
    for at in range(40):
        one = random_entry(f"{at:02}", at, regions=1 + at % 4, high=9)
        one.recnn[:, 0] += 1
        one.recnn_plus[0] += 1
        made.append(one)
    return made


@pytest.fixture(scope="module")
def index(entries, tmp_path_factory):
    path = tmp_path_factory.mktemp("stages") / "index"
    with IndexWriter.open(path, settings(), images_per_segment=8) as writer:
        for each in entries:
            writer.add(each)
    return open_index(path)


def found(answer):
    return [(hit.id, hit.distance) for hit in answer.hits]


def test_a_whole_vector_is_expanded_by_the_weighted_mean_of_unit_vectors(index, entries):
    query, cosine = entries[7], make_scheme("recnn+", metric="cosine")
    unit = {each.id: each.recnn_plus / np.linalg.norm(each.recnn_plus.astype(float)) for each in entries}
    own = unit[query.id]
    first = search(index, features(query), cosine, top=4).hits[1:]  # without the query itself
    mean = own + sum((own @ unit[hit.id]) ** 3 * unit[hit.id] for hit in first)
    wanted = search(index, features(query).having(recnn_plus=mean.astype(np.float32)), cosine, top=10)
    answer = search(index, features(query), Expanded(cosine, 3), top=10)
    assert [hit.id for hit in answer.hits] == [hit.id for hit in wanted.hits]
    np.testing.assert_allclose([d for _, d in found(answer)], [d for _, d in found(wanted)], atol=1e-6)
    assert answer.exact


def test_regions_are_expanded_by_those_that_match(index, entries):
    query, scheme = entries[6], make_scheme("recnn")
    _, first = search(index, features(query), scheme, top=2).hits  # after the query itself
    hit = next(each for each in entries if each.id == first.id)
    regions = np.concatenate([query.recnn, hit.recnn[[match.region for match in first.matches]]])
    assert found(search(index, features(query), Expanded(scheme, 1), top=5)) == found(
        search(index, regions, scheme, top=5)
    )


def test_regions_with_areas_are_expanded_by_all_regions_with_weighted_areas(index, entries):
    query, scheme = entries[5], make_scheme("irm")
    _, first = search(index, features(query), scheme, top=2).hits
    hit = next(each for each in entries if each.id == first.id)
    one, two = query.recnn_plus.astype(float), hit.recnn_plus.astype(float)
    weight = (one @ two / np.linalg.norm(one) / np.linalg.norm(two)) ** 3
    shares = [query.areas / query.areas.sum(), weight * hit.areas / hit.areas.sum()]
    both = ImageFeatures(
        *(np.concatenate([getattr(query, name), getattr(hit, name)]) for name in ("classes",)),
        (np.concatenate(shares) * 1e12).astype(np.int64),
        *(np.concatenate([getattr(query, name), getattr(hit, name)]) for name in ("boxes", "centroids", "recnn")),
        query.recnn_plus,
    )
    again = search(index, features(query), Expanded(scheme, 1), top=6)
    wanted = search(index, both, scheme, top=6)
    assert [each.id for each in again.hits] == [each.id for each in wanted.hits]
    np.testing.assert_allclose([d for _, d in found(again)], [d for _, d in found(wanted)], atol=1e-9)


def test_the_first_images_are_ordered_by_the_second_scheme(index, entries):
    query = features(entries[9])
    cosine, irm = make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    head = [hit.row for hit in search(index, query, cosine, top=12).hits]
    wanted = found(search(index, query, irm, top=12, among=head))
    scheme = Reranked(cosine, irm, 12)
    assert found(search(index, query, scheme, top=5)) == wanted[:5]
    assert found(search(index, query, scheme, top=None)) == wanted  # and no other image
    # A ranking of the whole archive goes on as the first scheme ranked.
    (_, order), *_ = archive_rankings(index, scheme, np.arange(len(index)), range(9, 10))
    ids = [index.images.ids[row] for row in order]
    assert ids[:12] == [image for image, _ in wanted]
    assert ids[12:] == [hit.id for hit in search(index, query, cosine, top=None).hits][12:]


def test_images_without_regions_are_the_last_of_the_first_images(tmp_path):
    entries = [random_entry(f"{at:02}", at, regions=0 if at % 3 == 1 else 2, high=9) for at in range(20)]
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        for each in entries:
            writer.add(each)
    index, scheme = open_index(tmp_path / "index"), Reranked(make_scheme("recnn+"), make_scheme("irm"), 9)
    head = [hit.id for hit in search(index, features(entries[0]), scheme, top=None).hits]
    last = [int(image) % 3 == 1 for image in head]
    assert last == sorted(last)
    assert 0 < sum(last) < 9
    (_, order), *_ = archive_rankings(index, scheme, np.arange(len(index)), range(1))
    assert [index.images.ids[row] for row in order[:9]] == head


def test_stages_stand_around_each_other_and_are_named(index):
    scheme = Reranked(Expanded(make_scheme("recnn+"), 2), make_scheme("irm"), 5)
    assert (scheme.name, scheme.title) == (
        "recnn+, expanded by 2, first 5 by irm",
        "ReCNN+, expanded by 2, first 5 by IRM",
    )
    evaluation = evaluate_index(index, schemes=[scheme])
    assert list(evaluation.schemes) == [scheme.name]
    assert 0 < evaluation.schemes[scheme.name].map <= 1


def test_stages_beyond_the_index(index, entries):
    query, cosine, irm = features(entries[3]), make_scheme("recnn+", metric="cosine"), make_scheme("irm")
    every = found(search(index, query, irm, top=None))
    assert found(search(index, query, Reranked(cosine, irm, 1000), top=None)) == every
    assert found(search(index, query, Expanded(cosine, 1000), top=None)) == found(
        search(index, query, Expanded(cosine, 39), top=None)
    )
    assert found(search(index, query, Expanded(irm, 1000), top=3, among=[5])) == found(
        search(index, query, Expanded(irm, 1), top=3, among=[5])
    )
    assert search(index, query, Reranked(Expanded(irm, 5), irm, 5), among=[]).hits == ()


def test_refusals():
    scheme = make_scheme("recnn+")
    with pytest.raises(InputError, match="expanded by 0 hits"):
        Expanded(scheme, 0)
    with pytest.raises(InputError, match="power of similarities is -1"):
        Expanded(scheme, 3, -1)
    with pytest.raises(InputError, match="0 images are to be ranked again"):
        Reranked(scheme, scheme, 0)


def test_both_sides_are_expanded_alike(index, entries):
    """Ordering by expanded vectors, spelt out in NumPy: every image stands for itself and its 3 nearest ones."""
    unit = np.array([each.recnn_plus / np.linalg.norm(each.recnn_plus.astype(float)) for each in entries])
    cosines = unit @ unit.T
    means = []
    for at in range(len(entries)):
        near = [other for other in np.argsort(-cosines[at], kind="stable") if other != at][:3]
        means.append(unit[at] + sum(cosines[at, other] ** 3 * unit[other] for other in near))
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    scheme = ExpandedBoth(make_scheme("recnn+", metric="cosine"), 3)
    for asked in (4, 7, 21):
        far = 1 - means @ means[asked]
        hits = search(index, features(entries[asked]), scheme, top=None).hits
        assert [hit.id for hit in hits] == [entries[at].id for at in np.argsort(far, kind="stable")]
        np.testing.assert_allclose([hit.distance for hit in hits], np.sort(far), atol=1e-6)
        ((_, order),) = archive_rankings(index, scheme, np.arange(len(index)), range(asked, asked + 1))
        assert [index.images.ids[row] for row in order] == [hit.id for hit in hits]
    few = ExpandedBoth(make_scheme("recnn+", metric="cosine"), 3, top=6)
    ((_, order),) = archive_rankings(index, few, np.arange(len(index)), range(7, 8))
    ids = [index.images.ids[row] for row in order]
    assert ids[:6] == [hit.id for hit in search(index, features(entries[7]), few, top=None).hits]
    assert sorted(ids) == sorted(each.id for each in entries)


def test_regions_on_both_sides_are_refused():
    with pytest.raises(InputError, match="scheme irm compares regions"):
        ExpandedBoth(make_scheme("irm"))
    with pytest.raises(InputError, match="0 images are to be expanded"):
        ExpandedBoth(make_scheme("recnn+"), top=0)
