"""What an index gives back, where it may lie, and readers beside a writer."""

import numpy as np
import pytest
from index_samples import assert_same, entry, fill, random_entry, settings

import rsir_tf
import rsir_tf.ranking
from rsir_tf.index import IndexWriter
from rsir_tf.ranking import open_index


def test_everything_comes_back_in_order_of_id(tmp_path):
    ids = [
        f"{name}/{name}{number:02d}.tif"
        for name in ("harbor&port", "Grünfläche", "a b", "空港")
        for number in (2, 0, 1)
    ]
    entries = [random_entry(image, seed) for seed, image in enumerate(ids)]
    fill(tmp_path / "index", entries, images_per_segment=5)
    index = rsir_tf.open_index(tmp_path / "index")
    ordered = sorted(entries, key=lambda each: each.id)
    assert list(index.images.ids) == [each.id for each in ordered]
    assert list(index.images.paths) == [each.path for each in ordered]
    assert list(index.images.scenes) == [each.scene for each in ordered]
    assert list(index.images.tags) == [each.tags for each in ordered]
    assert index.images.heights.tolist() == [64] * 12
    assert index.images.widths.tolist() == [48] * 12
    assert index.images.region_counts.tolist() == [len(each.recnn) for each in ordered]
    np.testing.assert_array_equal(index.recnn_plus, [each.recnn_plus for each in ordered])
    for row, each in enumerate(ordered):
        assert_same(index.entry(row), each)
        np.testing.assert_array_equal(index.regions_of(row).boxes, each.boxes)
        assert index.row_of(each.id) == row
    index.verify()


def test_equal_pixels_are_found_and_told(tmp_path):
    ones = np.ones((2, 4))
    fill(
        tmp_path / "index",
        [entry("b", ones, content="x"), entry("a", ones, content="x"), entry("c", ones, content="y")],
    )
    index = open_index(tmp_path / "index")
    assert index.find_content("x").id == "a"
    assert index.find_content("z") is None
    assert index.duplicates() == [(0, 1)]


@pytest.mark.parametrize("name", ["with space & ampersand", "Straße 空港", "below/../beside", "new/folders/made"])
def test_an_index_lies_wherever_it_is_told_to(tmp_path, name):
    if ".." in name:
        (tmp_path / "below").mkdir()
    fill(tmp_path / name, [random_entry("a", 1)])
    assert open_index(str(tmp_path / name)).images.ids == ("a",)


def test_an_index_can_be_read_where_nothing_may_be_written(tmp_path):
    fill(tmp_path / "index", [random_entry("a", 1)])
    before = {file: file.stat().st_mtime_ns for file in [tmp_path / "index", *(tmp_path / "index").rglob("*")]}
    for file in before:
        file.chmod(0o555 if file.is_dir() else 0o444)
    index = open_index(tmp_path / "index")
    index.verify()
    index.search(np.zeros((1, 4), np.float32), scheme="recnn")
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_a_reader_keeps_what_it_opened_while_a_writer_goes_on(tmp_path):
    entries = [random_entry(f"{at}", at + 1, regions=2) for at in range(8)]
    fill(tmp_path / "index", entries, images_per_segment=4)
    index = open_index(tmp_path / "index")
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.remove([each.id for each in entries[:4]])  # all of the first segment, whose folder goes
        writer.add(random_entry("new", 99))
    assert not (tmp_path / "index" / "segments" / "000001").exists()
    for row, each in enumerate(entries):
        assert_same(index.entry(row), each)
    assert index.search(entries[1].recnn, top=1, scheme="recnn")[0].distance == 0
    assert open_index(tmp_path / "index").images.ids == ("4", "5", "6", "7", "new")


def test_opening_follows_a_writer_that_drops_a_segment_meanwhile(tmp_path, monkeypatch):
    from rsir_tf.index import store

    fill(tmp_path / "index", [random_entry("a", 1), random_entry("b", 2)], images_per_segment=1)
    reading = store.read_layout

    def read_then_lose(path):
        layout = reading(path)
        monkeypatch.setattr(store, "read_layout", reading)
        with IndexWriter.open(path, settings()) as writer:
            writer.remove(["a"])
        return layout

    monkeypatch.setattr(store, "read_layout", read_then_lose)
    assert open_index(tmp_path / "index").images.ids == ("b",)


# Damage
