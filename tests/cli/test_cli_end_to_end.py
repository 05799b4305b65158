"""From a rendered archive to retrieval figures, over gRPC and in process: both ways give the same index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.ranking import open_index
from rsir_tf.serving.server.embedded import EmbeddedServer


@pytest.fixture(scope="module")
def indexes(tiny_export, tmp_path_factory: pytest.TempPathFactory, command) -> tuple[Path, Path, str]:
    """The archive's index made over gRPC, the one made in process, and what a query over gRPC printed."""
    folder = tmp_path_factory.mktemp("end_to_end")
    remote, local = folder / "remote", folder / "local"
    with EmbeddedServer(tiny_export.model, port=0) as server:
        ended = command("index", tiny_export.archive, "--to", remote, "--server", server.address)
        assert ended.code == 0, ended.err
        image = tiny_export.archive / "Images/forest/forest01.tif"
        query = command("query", image, "--index", remote, "--server", server.address, "--scheme", "recnn", "--json")
    ended = command("index", tiny_export.archive, "--to", local, "--saved-model", tiny_export.model)
    assert ended.code == 0, ended.err
    return remote, local, query.out


def test_both_ways_to_the_model_give_the_same_index(indexes: tuple[Path, Path, str]) -> None:
    remote, local = (open_index(path) for path in indexes[:2])
    assert len(remote) == len(local) == 6
    assert remote.settings == local.settings
    assert remote.images.ids == local.images.ids
    assert remote.images.tags == local.images.tags
    for row in range(6):
        here, there = remote.entry(row), local.entry(row)
        np.testing.assert_array_equal(here.classes, there.classes)
        np.testing.assert_array_equal(here.areas, there.areas)
        np.testing.assert_array_equal(here.boxes, there.boxes)
        # The same kernels on the same batches; threads may add up in another order.
        np.testing.assert_allclose(here.recnn, there.recnn, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(here.recnn_plus, there.recnn_plus, rtol=1e-5, atol=1e-5)


def test_a_query_finds_itself_first(indexes: tuple[Path, Path, str]) -> None:
    hits = json.loads(indexes[2])["hits"]
    assert len(hits) == 6
    assert (hits[0]["id"], hits[0]["rank"], hits[0]["distance"]) == ("forest/forest01.tif", 1, 0)
    assert [hit["distance"] for hit in hits] == sorted(hit["distance"] for hit in hits)
    assert hits[1]["distance"] > 0
    # Eq. 3 in its own words: the mean over the query's regions of the distance to the nearest region.
    for hit in hits:
        matches = hit["matches"]
        assert [match["query_region"] for match in matches] == list(range(len(matches)))
        assert np.mean([match["distance"] for match in matches]) == pytest.approx(hit["distance"])


def test_figures_are_those_of_the_rankings(indexes: tuple[Path, Path, str], tmp_path: Path, command) -> None:
    index = open_index(indexes[0])
    ended = command("evaluate", indexes[0], "--json", "--report", tmp_path / "report")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert (found["queries"], found["archive"]) == (6, 6)
    # P@5 by hand: each image asks, its scene has 3 images, itself among them.
    scenes = np.array(index.images.scenes)
    shares = []
    for row in range(6):
        hits = index.search(index.entry(row).recnn_plus, scheme="recnn+", top=5)
        shares.append(np.mean([scenes[hit.row] == scenes[row] for hit in hits]))
    assert found["schemes"]["recnn+"]["p_at_5"] == pytest.approx(np.mean(shares))
    assert "recnn+" in (tmp_path / "report" / "report.md").read_text()
    again = command("evaluate", indexes[0], "--json", "--report", tmp_path / "report")
    assert json.loads(again.out)["schemes"]["recnn+"]["map"] == found["schemes"]["recnn+"]["map"]
