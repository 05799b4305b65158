"""Two layers side by side: values by hand, and that every way to ask agrees."""

from __future__ import annotations

import numpy as np
import pytest
from index_samples import entry, random_entry, settings
from scipy.spatial.distance import cdist

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import Expanded, ImageFeatures, Reranked, archive_rankings, make_scheme, open_index, search
from rsir_tf.ranking.further_layers import side_by_side
from rsir_tf.ranking.images import image_at
from rsir_tf.ranking.region_matching import area_shares, match
from rsir_tf.ranking.scheme import FIELDS
from rsir_tf.ranking.schemes.multiscale import MultiScale
from rsir_tf.ranking.schemes.multiscale_plus import MultiScalePlus


def features(each):
    return ImageFeatures(**{name: getattr(each, name) for name in FIELDS})


def with_conv4(each, seed):
    rng = np.random.default_rng(seed)  # No two alike: rounding would choose between pairs at equal distances.
    further = {
        "recnn_conv4_3": rng.random((len(each.recnn), 4), dtype=np.float32),
        "recnn_plus_conv4_3": rng.random(4, dtype=np.float32),
    }
    return entry(each.id, each.recnn, recnn_plus=each.recnn_plus, classes=each.classes, **further)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("multiscale") / "index"
    entries = [with_conv4(random_entry(f"image {seed:02d}", seed, high=3), seed) for seed in range(30)]
    with IndexWriter.open(path, settings(layers=("conv5_3", "conv4_3")), images_per_segment=7) as writer:
        for each in entries:
            writer.add(each)
        writer.remove([entries[3].id])
    return open_index(path), [each for each in entries if each is not entries[3]]


def unit(vectors):
    lengths = np.linalg.norm(vectors.astype(float), axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def test_vectors_side_by_side_have_the_weighted_mean_of_the_squared_distances():
    # Unit vectors at a right angle in conv5_3 (squared distance 2), equal in conv4_3: 2 · 1/(1 + 1/4) with weight 1/2.
    one = side_by_side(np.float32([[3, 0]]), np.float32([[0, 5]]), 0.5)
    two = side_by_side(np.float32([[0, 1]]), np.float32([[0, 2]]), 0.5)
    assert np.square(one - two).sum() == pytest.approx(1.6)
    assert np.linalg.norm(one) == pytest.approx(1)
    raw = side_by_side(np.float32([[3, 0]]), np.float32([[0, 5]]), 2, "raw")
    np.testing.assert_allclose(raw, np.array([[3, 0, 0, 10]]) / np.sqrt(5))


@pytest.mark.parametrize("vectors", ["unit", "raw"])
def test_regions_are_matched_by_both_layers(many, vectors):
    index, entries = many
    scheme = MultiScale(vectors=vectors, weight=0.5)
    scaled = unit if vectors == "unit" else np.asarray
    for query in [each for each in entries if len(each.recnn)][::7]:
        wanted = []
        for other in entries:
            distance = np.inf
            if len(other.recnn):
                squares = [
                    cdist(scaled(getattr(query, name)), scaled(getattr(other, name))) ** 2
                    for name in ("recnn", "recnn_conv4_3")
                ]
                apart = np.sqrt((squares[0] + 0.25 * squares[1]) / 1.25)
                ((distance,), _) = match(apart[None], area_shares(query.areas), area_shares(other.areas)[None])
            wanted.append((distance, other.id))
        hits = search(index, features(query), scheme, top=None).hits
        np.testing.assert_allclose([hit.distance for hit in hits], [far for far, _ in sorted(wanted)], atol=1e-7)
        assert all(len(hit.matches) == len(query.recnn) for hit in hits if np.isfinite(hit.distance))


def test_whole_images_have_the_weighted_mean_of_cosine_distances(many):
    index, entries = many
    query = entries[5]
    hits = search(index, features(query), MultiScalePlus(weight=0.5), top=None).hits
    for hit in hits:
        other = next(each for each in entries if each.id == hit.id)
        halves = [
            np.square(unit(getattr(query, name)) - unit(getattr(other, name))).sum() / 2
            for name in ("recnn_plus", "recnn_plus_conv4_3")
        ]
        assert hit.distance == pytest.approx((halves[0] + 0.25 * halves[1]) / 1.25)
    assert (hits[0].id, hits[0].distance) == (query.id, 0)
    alone = search(index, features(query), MultiScalePlus(weight=0), top=None).hits
    cosine = search(index, features(query), make_scheme("recnn+", metric="cosine"), top=None).hits
    np.testing.assert_allclose([hit.distance for hit in alone], [hit.distance for hit in cosine])


@pytest.mark.parametrize("name", ["multiscale", "multiscale+"])
def test_a_whole_archive_is_ranked_as_single_queries_rank_it(many, name):
    index, _ = many
    schemes = [make_scheme(name)]
    schemes += [Expanded(schemes[0], hits=2), Reranked(schemes[0], make_scheme("recnn+"), top=5)]
    for scheme in schemes:
        for place, order in archive_rankings(index, scheme, np.arange(len(index)), range(8)):
            query = image_at(index.vectors, int(index.vectors.positions[place]))
            hits = search(index, query, scheme, top=None).hits
            assert order[: len(hits)].tolist() == [hit.row for hit in hits]


def test_an_index_without_these_vectors_is_refused_with_the_option_that_makes_them(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(entry("a", [[1, 2, 3, 4]]))
    index = open_index(tmp_path / "index")
    query = image_at(index.vectors, 0)
    for name in ("multiscale", "multiscale+"):
        said = "keeps no vectors of conv4_3, which scheme .* compares; wanted an index .* --layers conv4_3"
        with pytest.raises(InputError, match=said):
            search(index, query, make_scheme(name))
        with pytest.raises(InputError, match=said):
            next(iter(archive_rankings(index, make_scheme(name), np.arange(1), range(1))))
        with pytest.raises(InputError, match="no vectors of conv4_3"):
            make_scheme(name).distances(query, _block(index))


def _block(index):
    from rsir_tf.ranking.images import image_blocks

    return image_blocks(index.vectors, index.vectors.live)[0][1]


def test_impossible_options_are_refused():
    for kind in (MultiScale, MultiScalePlus):
        with pytest.raises(InputError, match="the weight of conv4_3 is -1"):
            kind(weight=-1)
    with pytest.raises(InputError, match="vectors is 'long'"):
        MultiScale(vectors="long")
