"""Rankings of an index's images, against distances written out and a stable sort."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.index.vectors import StoredVectors
from rsir_tf.ranking import Index, archive_rankings, make_scheme, open_index
from rsir_tf.ranking.bounds import true_order
from rsir_tf.workflows.evaluating import evaluate_index

IMAGES, CHANNELS = 150, 6


@pytest.fixture(params=["float32", "float16"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Index:
    """Vectors of small whole numbers, so that distances are exact and many are equal; in two segments."""
    generator = np.random.default_rng(3)
    settings = IndexSettings("made", ("a", "b", "c"), dtype=request.param, channels=CHANNELS)
    with IndexWriter.open(tmp_path / "index", settings, images_per_segment=100) as writer:
        for row in generator.permutation(IMAGES).tolist():
            regions = int(generator.integers(0, 3))
            vectors = generator.integers(0, 3, (regions + 1, CHANNELS)).astype(np.float32)
            writer.add(
                ImageEntry(
                    f"{row:03}", path="x", height=8, width=8, scene=f"scene {row % 4}", tags=None, content_hash="x",
                    file_size=1, modified_ns=1, classes=generator.integers(0, 3, regions), areas=np.ones(regions, int),
                    boxes=np.tile(np.array([0, 0, 8, 8]), (regions, 1)), recnn=vectors[1:], recnn_plus=vectors[0],
                )
            )  # fmt: skip
    return open_index(tmp_path / "index")


def literally(index: Index, query: int, metric: str) -> np.ndarray:
    vectors = index.recnn_plus.astype(np.float64)
    if metric == "l1":
        return np.abs(vectors - vectors[query]).sum(axis=1)
    if metric == "l2":
        return np.sqrt(np.square(vectors - vectors[query]).sum(axis=1))
    lengths = np.linalg.norm(vectors, axis=1)
    unit = vectors / np.where(lengths == 0, 1, lengths)[:, None]
    return np.square(unit - unit[query]).sum(axis=1) / 2


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("metric", ["l1", "l2"])
def test_whole_images_in_order_of_distance_and_then_of_id(index: Index, metric: str, overlap: bool) -> None:
    rows = np.arange(IMAGES)
    found = list(
        archive_rankings(index, make_scheme("recnn+", metric=metric), rows, range(IMAGES), sharing_first=overlap)
    )
    assert [place for place, _ in found] == list(range(IMAGES))
    for query, order in found:
        distances = literally(index, query, metric)
        if overlap:
            distances[~(index.shown_classes & index.shown_classes[query]).any(axis=1)] = np.inf
        np.testing.assert_array_equal(order, np.argsort(distances, kind="stable"))


def test_whole_images_by_cosine(index: Index) -> None:
    vectors = index.recnn_plus
    for query, order in archive_rankings(
        index, make_scheme("recnn+", metric="cosine"), np.arange(IMAGES), range(IMAGES)
    ):
        distances = literally(index, query, "cosine")[order]
        assert (np.diff(distances) > -1e-6).all()  # float32 products.
        for other in range(0, IMAGES, 30):  # Whoever has the same vector is equally far: ties by id.
            equal = np.flatnonzero((vectors == vectors[other]).all(axis=1))
            assert (np.diff(np.argsort(order)[equal]) > 0).all()


@pytest.mark.parametrize("overlap", [False, True])
def test_regions_in_order_of_distance_and_then_of_id(index: Index, overlap: bool) -> None:
    rows = np.arange(IMAGES)
    wanted = index.all_distances("recnn", direction="both")
    found = archive_rankings(index, make_scheme("recnn", direction="both"), rows, range(IMAGES), sharing_first=overlap)
    for (query, order), (_, distances) in zip(found, wanted, strict=True):
        # Who shares no class comes last, whatever the distance.
        shares = (index.shown_classes & index.shown_classes[query]).any(axis=1) | (not overlap)
        far = np.where(shares, distances, np.inf)
        np.testing.assert_array_equal(order, np.argsort(far, kind="stable"), err_msg=str(query))


@pytest.mark.parametrize("scheme", ["recnn", "recnn+"])
def test_some_of_the_images_are_ranked_as_if_there_were_no_others(index: Index, scheme: str) -> None:
    rows = np.array([1, 5, 20, 21, 22, 80, 149])
    for place, order in archive_rankings(index, make_scheme(scheme), rows, range(2, 5)):
        (_, distances), *_ = index.all_distances(scheme, [int(rows[place])])
        np.testing.assert_array_equal(order, np.argsort(distances[rows], kind="stable"))


def test_others_are_not_searched(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a query costs is of the images that are compared, whatever else the index holds."""
    searched: set[int] = set()
    blocks = true_order.region_blocks

    def region_blocks(stored: StoredVectors, wanted: np.ndarray, **options: int) -> Any:
        searched.update(stored.rows[np.flatnonzero(wanted)].tolist())
        return blocks(stored, wanted, **options)

    monkeypatch.setattr(true_order, "region_blocks", region_blocks)
    rows = np.array([3, 7, 100])
    assert len(list(archive_rankings(index, make_scheme("recnn"), rows, range(3)))) == 3
    assert searched <= set(rows.tolist())


def test_what_is_not_known_is_refused(index: Index) -> None:
    for scheme, options in (("other", {}), ("recnn+", {"metric": "l3"}), ("recnn", {"direction": "back"})):
        with pytest.raises(InputError, match="wanted"):
            make_scheme(scheme, **options)
    # Also what none of the schemes would look at.
    for scheme, options in (("recnn+", {"direction": "both"}), ("recnn", {"metric": "cosine"})):
        with pytest.raises(InputError, match=rf"is .* for {re.escape(scheme)}; wanted"):
            evaluate_index(index, schemes=(scheme,), **options)
    with pytest.raises(InputError, match=r"schemes are recnn\+, recnn\+; wanted each name once"):
        evaluate_index(index, schemes=("recnn+", make_scheme("recnn+", metric="cosine")))


@pytest.mark.parametrize("counts", [True, False])
def test_figures_are_those_of_the_rankings(index: Index, counts: bool) -> None:
    found = evaluate_index(index, schemes=("recnn+",), query_counts=counts, tags_overlap=True).schemes["recnn+"]
    scenes, wanted = np.array(index.images.scenes), []
    for query in range(IMAGES):
        distances = literally(index, query, "l1")
        distances[~(index.shown_classes & index.shown_classes[query]).any(axis=1)] = np.inf
        order = np.argsort(distances, kind="stable")
        order = order if counts else order[order != query]
        ranks = np.flatnonzero(scenes[order] == scenes[query]) + 1
        wanted.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    assert found.map == pytest.approx(np.mean(wanted), rel=1e-12)
    assert found.costs["seconds_per_query"] > 0
