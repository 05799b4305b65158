"""Indexes of older formats, what they lack, and names that have moved."""

import json
import os
import shutil

import numpy as np
import pytest
from index_samples import assert_same, entry, random_entry, settings

from rsir_tf.errors import InputError
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import open_index
from rsir_tf.rasters import Reading


def test_an_index_of_format_1_opens_for_ever():
    index = open_index(os.path.join(os.path.dirname(__file__), "frozen_format_1"))
    index.verify()
    assert index.settings == settings(min_area=2)
    assert index.images.ids == ("beach/1.tif", "harbor/1.tif", "harbor/2.tif")
    assert index.images.tags == (None, ("sea", "ship"), ())
    assert index.images.scenes == ("beach", "harbor", "harbor")
    assert index.skipped == {"harbor/3.tif": "is empty (0 bytes)"}
    # harbor/1's regions are (0,0,0,0) and (3,4,0,0); the query is 5 and 0 from them.
    hits = index.search(np.float32([[3, 4, 0, 0]]), scheme="recnn")
    assert [(hit.id, hit.distance) for hit in hits] == [
        ("harbor/1.tif", 0),
        ("beach/1.tif", 5),
        ("harbor/2.tif", np.inf),
    ]
    assert index.search(np.float32([1, 1, 1, 1]), scheme="recnn+", top=1)[0].id == "harbor/2.tif"
    assert index.entry(1).boxes.tolist() == [[0, 0, 8, 8], [8, 0, 16, 16]]
    assert index.entry(1).areas.tolist() == [64, 100]
    assert index.entry(1).classes.tolist() == [1, 3]


def test_a_merged_index_of_format_1_opens_for_ever():
    index = open_index(os.path.join(os.path.dirname(__file__), "frozen_format_1_merged"))
    index.verify()
    assert [segment.record.merged for segment in index.vectors.segments] == [True, False]
    assert index.images.ids == ("0", "1", "2", "3", "4")  # "5" was removed
    # recnn_plus of image i is (i, 2i, 0, 8): from (1, 2, 0, 8) it is 3·|i − 1| by L1.
    hits = index.search(np.float32([1, 2, 0, 8]), scheme="recnn+")
    assert [(hit.id, hit.distance) for hit in hits] == [("1", 0), ("0", 3), ("2", 3), ("3", 6), ("4", 9)]
    # Its regions are (j, i, 0, 0) with j up to i.
    hits = index.search(np.float32([[0, 3, 0, 0], [2, 3, 0, 0]]), top=3, scheme="recnn")
    assert [(hit.id, hit.distance) for hit in hits] == [("3", 0), ("2", 1), ("4", 1)]


def test_an_index_of_format_2_opens_for_ever():
    # Image i has the regions (j, i, 0, 0) with j up to i; "5" was removed.
    index = open_index(os.path.join(os.path.dirname(__file__), "frozen_format_2"))
    index.verify()
    assert [segment.record.merged for segment in index.vectors.segments] == [True, False]
    assert [sorted(segment.record.sizes)[0] for segment in index.vectors.segments] == [
        "components.npz",
        "images.parquet",
    ]
    assert index.images.ids == ("0", "1", "2", "3", "4")
    hits = index.search(np.float32([1, 2, 0, 8]), scheme="recnn+")
    assert [(hit.id, hit.distance) for hit in hits] == [("1", 0), ("0", 3), ("2", 3), ("3", 6), ("4", 9)]
    hits = index.search(np.float32([[0, 3, 0, 0], [2, 3, 0, 0]]), top=3, scheme="recnn")
    assert [(hit.id, hit.distance) for hit in hits] == [("3", 0), ("2", 1), ("4", 1)]
    assert index.entry(2).centroids.tolist() == [[4.5, 7.25], [5.5, 7.25], [6.5, 7.25]]
    assert (index.roots, index.images.archives) == ({"": "/archive"}, ("",) * 5)
    assert (index.entry(2).path, index.images.paths[2]) == ("Images/2.tif", "/archive/Images/2.tif")
    assert index.address_of(2) == index.images.paths[2]
    assert (index.images.places, index.images.footprints) == ((None,) * 5, (None,) * 5)
    assert (index.facts_of(0).placed, index.readings) == (False, {"": Reading()})
    moved = open_index(index.path, roots={"": "/moved"})
    assert moved.images.paths[4] == moved.address_of(4) == "/moved/Images/4.tif"


def test_an_index_of_format_3_opens_for_ever_and_does_not_know_which_regions_touch(tmp_path):
    # Image i has the regions (j, i, 0, 0) with j up to i, and ReCNN+ (i, 2i, 0, 8).
    shutil.copytree(os.path.join(os.path.dirname(__file__), "frozen_format_3"), tmp_path / "index")
    old = open_index(tmp_path / "index")
    old.verify()
    assert [place and place.transform[2] for place in old.images.places] == [None, 501000, 502000]
    hits = old.search(np.float32([1, 2, 0, 8]), scheme="recnn+")
    assert [(hit.id, hit.distance) for hit in hits] == [("1", 0), ("0", 3), ("2", 3)]
    assert [old.entry(row).edge.tolist() for row in range(3)] == [[-1], [-1, -1], [-1, -1, -1]]
    assert [old.entry(row).borders.shape for row in range(3)] == [(0, 3)] * 3
    new = random_entry("new", 4, regions=3)
    assert len(new.borders)
    with IndexWriter.open(tmp_path / "index", None) as writer:
        writer.add(new)
        writer.merge()
    index = open_index(tmp_path / "index")
    index.verify()
    assert len(index.vectors.segments) == 1
    for row, each in enumerate([*map(old.entry, range(3)), new]):
        assert_same(index.entry(row), each)


BORDERS = np.int32([[0, 1, 3], [1, 0, 3]])


@pytest.mark.parametrize(
    ("borders", "edge", "words"),
    [
        (BORDERS[:1], [0, 0], "its borders are impossible"),
        (BORDERS[::-1], [0, 0], "its borders are impossible"),
        (BORDERS * 0, [0, 0], "its borders are impossible"),
        (BORDERS + 1, [0, 0], "its borders are impossible"),
        (np.int32([[0, 1, 3], [1, 0, 4]]), [0, 0], "its borders are impossible"),
        (BORDERS, [0, -1], "edge holds -1; wanted at least 0, or -1 for all regions"),
        (BORDERS, [-2, -2], "edge holds -2"),
        (BORDERS, [0], r"edge is int32 \[1\]; wanted int32 \[2\]"),
        (BORDERS * 1.0, [0, 0], r"borders is float64 \[2, 3\]; wanted int32 \[2, 3\]"),
    ],
)
def test_borders_that_cannot_be_are_refused(tmp_path, borders, edge, words):
    with IndexWriter.open(tmp_path / "index", settings()) as writer, pytest.raises(InputError, match=words):
        writer.add(entry("a", np.ones((2, 4)), borders=borders, edge=np.int32(edge)))


def test_an_older_index_is_continued_and_has_no_centroids_where_it_had_none(tmp_path):
    shutil.copytree(os.path.join(os.path.dirname(__file__), "frozen_format_1"), tmp_path / "index")
    old = open_index(tmp_path / "index")
    before = [old.entry(row) for row in range(3)]
    assert all(np.isnan(each.centroids).all() and each.centroids.shape == (len(each.areas), 2) for each in before)
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["format_version"] == 1
    new = random_entry("new", 4, regions=3)
    for merging in (False, True):
        with IndexWriter.open(tmp_path / "index", old.settings) as writer:
            writer.add(new)
            if merging:
                writer.merge()
        index = open_index(tmp_path / "index")
        index.verify()
        for row, each in enumerate([*before, new]):
            assert_same(index.entry(row), each)
        found = index.search(np.float32([[3, 4, 0, 0]]), scheme="recnn")
        assert [(hit.id, hit.distance) for hit in found if hit.id != "new"] == [
            ("harbor/1.tif", 0),
            ("beach/1.tif", 5),
            ("harbor/2.tif", np.inf),
        ]
    assert len(index.vectors.segments) == 1
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["format_version"] == 4


@pytest.mark.parametrize(
    ("centroids", "words"),
    [
        (np.float32([[0.5, 7], [9, 9]]), "a region's centroid lies outside its box"),
        (np.float32([[5, np.nan], [9, 9]]), "a region's centroid lies outside its box"),
        (np.float32([[5, 7]]), r"centroids is float32 \[1, 2\]; wanted float32 \[2, 2\]"),
        (np.array([[5, 7], [9, 9]]), r"centroids is int64"),
    ],
)
def test_centroids_that_cannot_be_are_refused(tmp_path, centroids, words):
    with IndexWriter.open(tmp_path / "index", settings()) as writer, pytest.raises(InputError, match=words):
        writer.add(entry("a", np.ones((2, 4)), centroids=centroids))


def test_names_that_have_moved_are_found_with_a_warning():
    import rsir_tf.index

    for name, home in (("open_index", rsir_tf.ranking), ("region_set_distance", rsir_tf.ranking)):
        with pytest.warns(DeprecationWarning, match=f"rsir_tf.index.{name} has moved; import it from rsir_tf.ranking"):
            assert getattr(rsir_tf.index, name) is getattr(home, name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = rsir_tf.index.nothing
