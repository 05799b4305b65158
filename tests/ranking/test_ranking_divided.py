"""An index that is searched in parts gives what it gives as a whole, to the last bit."""

from __future__ import annotations

import dataclasses
import pickle
import shutil

import numpy as np
import pytest
from index_samples import random_entry, settings

from rsir_tf.errors import ArtifactError, MismatchError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import (
    Candidates,
    Expanded,
    ExpandedBoth,
    Mixed,
    Reranked,
    archive_sample,
    make_scheme,
    open_index,
    search,
    search_many,
    with_examples,
)
from rsir_tf.ranking.divided import DividedVectors, divide
from rsir_tf.ranking.images import image_at
from rsir_tf.workflows import show_classes

CHANNELS = 32
IMAGES = 60
PARTS = 3
NOTHING = np.empty(0, np.int64)


def feature_entry(at: int, rng: np.random.Generator):
    """An image of 0 to 12 regions; vectors are no whole numbers, so that sums depend on their order."""
    made = random_entry(f"{at * 37 % IMAGES:02}", at, regions=at % 13, channels=CHANNELS)
    recnn = rng.gamma(0.5, 1, (len(made.classes), CHANNELS)).astype(np.float32)
    whole = rng.gamma(0.5, 1, CHANNELS).astype(np.float32)
    return dataclasses.replace(
        made, recnn=recnn, recnn_plus=whole, recnn_conv4_3=recnn[:, ::-1], recnn_plus_conv4_3=whole[::-1]
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("divided") / "index"
    rng = np.random.default_rng(0)
    with IndexWriter.open(path, settings(CHANNELS, layers=("conv5_3", "conv4_3")), images_per_segment=8) as writer:
        entries = [feature_entry(at, rng) for at in range(IMAGES)]
        for at in (40, 41, 57):  # The same descriptors in several parts: equal distances go by id.
            entries[at] = dataclasses.replace(entries[39], id=entries[at].id)
        for at in range(21, IMAGES, 9):  # Nearly the same, so that distances are equal in all but the last digits.
            recnn = entries[20].recnn.copy()
            recnn[0, recnn[0].argmin()] += at * np.float32(1e-6)
            entries[at] = dataclasses.replace(entries[20], id=entries[at].id, recnn=recnn)
        for entry in entries:
            writer.add(entry)
        writer.commit()
        writer.remove(["05", "50", "51"])
    return path


def divided(path, parts=PARTS):
    """The index with parts in this process, which get what they are asked as bytes, as over a network."""
    index = open_index(path)
    numbers, openers = divide(path, index.settings, index.vectors, parts)
    opened = [pickle.loads(pickle.dumps(part))() for part in openers]

    def ask(function, questions):
        sent = {number: pickle.loads(pickle.dumps((function, question))) for number, question in questions.items()}
        return {number: function(opened[number], question) for number, (function, question) in sent.items()}

    index.vectors = DividedVectors(index.vectors, numbers, ask)
    return index


@pytest.fixture(scope="module")
def both(path):
    return open_index(path), divided(path)


COSINE = make_scheme("recnn+", metric="cosine")
PLAIN = {
    "recnn": make_scheme("recnn"),
    "recnn both": make_scheme("recnn", direction="both"),
    "recnn unit": make_scheme("recnn", vectors="unit"),
    "recnn+ l1": make_scheme("recnn+"),
    "recnn+ l2": make_scheme("recnn+", metric="l2"),
    "recnn+ cosine": COSINE,
    "irm": make_scheme("irm"),
    "irm raw": make_scheme("irm", vectors="raw"),
    "relations": make_scheme("relations"),
    "relations-graph": make_scheme("relations-graph"),
    "multiscale": make_scheme("multiscale"),
    "multiscale+": make_scheme("multiscale+"),
}
STAGED = {
    "expanded": Expanded(COSINE, 3),
    "expanded regions": Expanded(PLAIN["recnn"], 3),
    "expanded irm": Expanded(PLAIN["irm"], 3),
    "both expanded": ExpandedBoth(COSINE, 3, top=20),
    "reranked": Reranked(COSINE, PLAIN["irm"], top=20),
    "reranked by recnn": Reranked(PLAIN["recnn+ l1"], PLAIN["recnn unit"], top=20),
    "mixed": Mixed(COSINE, PLAIN["relations"], share=0.05),
    "mixed recnn": Mixed(PLAIN["recnn"], PLAIN["irm"], share=0.3),
    "all": Reranked(Mixed(Expanded(COSINE, 3), PLAIN["relations"], share=0.05), PLAIN["irm"], top=20),
}


@pytest.mark.parametrize("scheme", [*PLAIN.values(), *STAGED.values()], ids=[*PLAIN, *STAGED])
def test_hits_and_distances_are_those_of_the_whole(both, scheme):
    one, other = both
    queries = [image_at(one.vectors, one.position_of(row)) for row in (25, 33)]
    some = Candidates(np.arange(0, len(one), 3), complete=True)
    for among, top in ((None, None), (None, 7), (some, 7), (Candidates(np.array([4])), 7), (Candidates(NOTHING), 7)):
        limits = [among] * len(queries)
        whole = search_many(one, queries, scheme, top=top, among=limits)
        assert search_many(other, queries, scheme, top=top, among=limits) == whole
        assert [len(answer.hits) > 0 for answer in whole] == [among is None or len(among.rows) > 0] * len(queries)


@pytest.mark.parametrize("name", ["recnn", "recnn+ cosine", "irm"])
@pytest.mark.parametrize("method", ["rocchio", "classifier"])
def test_so_are_those_of_several_examples(both, name, method):
    one, other = both
    query, like, unlike = (image_at(one.vectors, one.position_of(row)) for row in (30, 31, 50))
    scheme = with_examples(PLAIN[name], [like], [unlike], method=method, sample=archive_sample(one))
    assert search(other, query, scheme, top=None) == search(one, query, scheme, top=None)


@pytest.mark.parametrize("scheme", [*PLAIN.values()], ids=[*PLAIN])
def test_so_are_all_distances(both, scheme):
    one, other = both
    rows = [2, 40]
    for (_, wanted), (_, found) in zip(one.all_distances(scheme, rows), other.all_distances(scheme, rows), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_so_is_what_images_show(both):
    one, other = both
    assert show_classes(other, {"sea": 0.1}, top=None).hits == show_classes(one, {"sea": 0.1}, top=None).hits


def test_parts_hold_about_equally_many_bytes_and_every_segment_once(path):
    index = open_index(path)
    numbers, parts = divide(path, index.settings, index.vectors, PARTS)
    assert sorted(number for own in numbers for number in own) == list(range(8))
    sizes = [sum(sum(record.sizes.values()) for record in part.records) for part in parts]
    largest = max(sum(segment.record.sizes.values()) for segment in index.vectors.segments)
    assert max(sizes) - min(sizes) <= largest
    assert len(divide(path, index.settings, index.vectors, 100)[1]) == 8


def test_an_index_that_is_not_there_or_another_is_refused(path, tmp_path):
    index = open_index(path)
    _, (part, *_) = divide(path, index.settings, index.vectors, PARTS)
    with pytest.raises(ArtifactError, match="storage that all machines see"):
        dataclasses.replace(part, path=tmp_path / "elsewhere")()
    shutil.copytree(path, tmp_path / "index")
    moved = dataclasses.replace(part, path=tmp_path / "index")
    assert len(moved()) == len(part())
    with IndexWriter.open(tmp_path / "index", index.settings) as writer:
        writer.merge()
    with pytest.raises(MismatchError, match="not what it was when the index was opened"):
        moved()
