import dataclasses

import pytest
from index_samples import random_entry, settings

from rsir_tf.errors import ArtifactError, MismatchError
from rsir_tf.index import Dropped, IndexWriter, merging, repair_index, verify_index
from rsir_tf.ranking import derived_files, open_index


@pytest.fixture
def whole(tmp_path):
    """Three segments: 0 to 2, 3 to 5 without 4, and 6."""
    path = tmp_path / "index"
    with IndexWriter.open(path, settings(), images_per_segment=3, derived=derived_files()) as writer:
        for at in range(7):
            writer.add(random_entry(f"{at}", at, regions=3))
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.remove(["4"])
    return path


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-3])


def remove(file):
    file.unlink()


@pytest.mark.parametrize("harm", [flip, cut, remove])
@pytest.mark.parametrize("name", ["recnn.npy", "recnn_plus.npy", "regions.parquet", "images.parquet"])
def test_a_damaged_segment_is_dropped_and_its_images_named(whole, harm, name):
    harm(whole / "segments/000002" / name)
    assert [(problem.segment, problem.file) for problem in verify_index(whole)] == [("000002", name)]
    ids = None if name == "images.parquet" else ("3", "5")
    assert repair_index(whole) == [Dropped("000002", 2, ids)]
    assert verify_index(whole) == []
    assert not (whole / "segments/000002").exists()
    assert open_index(whole).images.ids == ("0", "1", "2", "6")
    with IndexWriter.open(whole, settings(), derived=derived_files()) as writer:
        assert not writer.knows("3", 1000, 1)  # it is asked for again
        writer.add(random_entry("3", 3))
    assert open_index(whole).images.ids == ("0", "1", "2", "3", "6")
    assert (whole / "segments/000004").exists()  # the dropped segment's number is not used again


def test_a_missing_folder_is_repaired_like_the_rest(whole):
    for file in (whole / "segments/000001").iterdir():
        file.unlink()
    (whole / "segments/000001").rmdir()
    flip(whole / "segments/000003/recnn.npy")
    assert repair_index(whole) == [Dropped("000001", 3, None), Dropped("000003", 1, ("6",))]
    assert open_index(whole).images.ids == ("3", "5")


def test_a_whole_index_is_left_as_it_is(whole):
    before = {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()}
    assert repair_index(whole) == []
    assert {file: file.read_bytes() for file in whole.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", ["levels.npz", "components.npz"])
def test_a_damaged_derived_file_costs_no_image(tmp_path, monkeypatch, name):
    monkeypatch.setattr(merging, "MERGED_IMAGES", 6)
    path = tmp_path / "index"
    with IndexWriter.open(path, settings(), images_per_segment=3, derived=derived_files()) as writer:
        for at in range(6):
            writer.add(random_entry(f"{at}", at, regions=3))
    file = path / "segments/000003" / name
    flip(file)
    assert [problem.file for problem in verify_index(path)] == [name]
    assert repair_index(path) == []
    index = open_index(path)
    assert len(index) == 6
    assert not index.vectors.segments[0].record.merged
    assert len(index.search(index.entry(0).recnn_plus, scheme="recnn+")) == 6
    assert len(index.search(index.entry(0).recnn, scheme="recnn")) == 6
    assert verify_index(path) == []


def test_nothing_is_dropped_that_would_not_be_made_again(whole):
    flip(whole / "segments/000002/recnn.npy")
    before = (whole / "manifest.json").read_bytes()
    with pytest.raises(MismatchError, match="what is to be added has connectivity 4; wanted 8, with which"):
        repair_index(whole, dataclasses.replace(settings(), connectivity=4))
    assert (whole / "manifest.json").read_bytes() == before
    assert len(verify_index(whole)) == 1
    assert repair_index(whole, settings()) == [Dropped("000002", 2, ("3", "5"))]


def test_what_cannot_be_repaired_is_refused(whole, tmp_path):
    with pytest.raises(ArtifactError, match="no index here"):
        repair_index(tmp_path / "nothing")
    with (
        IndexWriter.open(whole, settings(), derived=derived_files()),
        pytest.raises(ArtifactError, match="another writer"),
    ):
        repair_index(whole)
    (whole / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        repair_index(whole)
