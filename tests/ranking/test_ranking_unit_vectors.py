"""Eq. 3 between vectors of length 1: as it is written, and in every way that asks."""

from __future__ import annotations

import numpy as np
import pytest
from index_samples import entry, random_entry, settings
from scipy.spatial.distance import cdist

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import ImageFeatures, archive_rankings, make_scheme, make_schemes, open_index, search
from rsir_tf.ranking.images import image_at


def features(each):
    return ImageFeatures(each.classes, each.areas, each.boxes, each.centroids, each.recnn, each.recnn_plus)


def literally(query, other, direction):
    if not len(query.recnn) or not len(other.recnn):
        return np.inf
    lengths = [np.linalg.norm(each.recnn.astype(float), axis=1, keepdims=True) for each in (query, other)]
    one, two = (
        each.recnn / np.where(length > 0, length, 1) for each, length in zip((query, other), lengths, strict=True)
    )
    apart = cdist(one, two)
    there, back = apart.min(axis=1).mean(), apart.min(axis=0).mean()
    return there if direction == "query" else (there + back) / 2


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("unit") / "index"
    entries = [random_entry(f"image {seed * 37 % 40:02d}", seed, high=3) for seed in range(40)]
    entries.append(entry("longer", 8 * entries[0].recnn, areas=entries[0].areas))
    with IndexWriter.open(path, settings(), images_per_segment=7) as writer:
        for each in entries:
            writer.add(each)
        writer.remove([entries[3].id])
    return open_index(path), [each for each in entries if each is not entries[3]]


@pytest.mark.parametrize("direction", ["query", "both"])
def test_it_is_equation_3_between_unit_vectors(many, direction):
    index, entries = many
    scheme = make_scheme("recnn", vectors="unit", direction=direction)
    for query in [each for each in entries if len(each.recnn)][::5]:
        hits = search(index, features(query), scheme, top=None).hits
        wanted = sorted((literally(query, each, direction), each.id) for each in entries)
        np.testing.assert_allclose([hit.distance for hit in hits], [far for far, _ in wanted], atol=1e-12)
        finite = [hit for hit in hits if np.isfinite(hit.distance)]
        for hit in finite[:3]:
            if direction == "query":  # The mean of what explains a hit is its distance.
                assert np.mean([each.distance for each in hit.matches]) == pytest.approx(hit.distance)


def test_lengths_of_vectors_do_not_count(many):
    index, entries = many
    hits = search(index, features(entries[0]), make_scheme("recnn", vectors="unit"), top=None).hits
    found = {hit.id: hit.distance for hit in hits}
    assert found[entries[0].id] == found["longer"] == 0


def test_a_whole_archive_is_ranked_as_single_queries_rank_it(many):
    index, _ = many
    scheme = make_scheme("recnn", vectors="unit")
    for place, order in archive_rankings(index, scheme, np.arange(len(index)), range(len(index))):
        query = image_at(index.vectors, int(index.vectors.positions[place]))
        if len(query):
            assert order.tolist() == [hit.row for hit in search(index, query, scheme, top=None).hits]


def test_vectors_are_named_and_schemes_without_them_refuse():
    raw, unit = make_scheme("recnn"), make_scheme("recnn", vectors="unit")
    assert (raw.title, unit.title) == ("ReCNN", "ReCNN, unit vectors")
    assert make_scheme("irm", vectors="raw").title == "IRM, raw vectors"
    assert [each.vectors for each in make_schemes(["recnn", "irm"])] == ["raw", "unit"]
    with pytest.raises(InputError, match=r"vectors is 'unit' for recnn\+; wanted no vectors; or scheme recnn or irm"):
        make_scheme("recnn+", vectors="unit")
    with pytest.raises(InputError, match="vectors is 'long'; wanted unit or raw"):
        make_scheme("recnn", vectors="long")
