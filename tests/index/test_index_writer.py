import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import index_samples
import numpy as np
import pytest
from index_samples import entry, random_entry, settings

from rsir_tf import artifacts
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexWriter, verify_index
from rsir_tf.index import committed as on_disk
from rsir_tf.index import pending as waiting
from rsir_tf.ranking import open_index


def names(path):
    return [folder.name for folder in sorted((path / "segments").iterdir())]


def test_images_are_added_replaced_and_removed(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings(), images_per_segment=2) as writer:
        for at in range(5):
            writer.add(random_entry(f"{at}", at, regions=1))
        assert len(writer) == 5
        assert "4" in writer
    assert names(tmp_path / "index") == ["000001", "000002", "000003"]  # 2 + 2 + 1
    with IndexWriter.open(tmp_path / "index", settings(), images_per_segment=2) as writer:
        assert writer.ids == ("0", "1", "2", "3", "4")
        writer.add(entry("1", [[7, 7, 7, 7]]))
        writer.add(entry("1", [[8, 8, 8, 8]]))  # replaces what is still pending
        assert writer.remove(["0", "3", "unknown"]) == 2
        assert writer.ids == ("1", "2", "4")
    index = open_index(tmp_path / "index")
    assert index.images.ids == ("1", "2", "4")
    assert index.entry(0).recnn.tolist() == [[8, 8, 8, 8]]
    # The first segment lost both of its images and is gone; the others stand as they were written.
    assert names(tmp_path / "index") == ["000002", "000003", "000004"]
    index.verify()


def test_a_replaced_image_has_one_state_or_the_other(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(entry("a", [[1, 1, 1, 1]]))
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(entry("a", [[2, 2, 2, 2]]))
        assert open_index(tmp_path / "index").entry(0).recnn[0, 0] == 1
        writer.commit()
        assert open_index(tmp_path / "index").entry(0).recnn[0, 0] == 2


def test_numbers_of_segments_are_never_used_twice(tmp_path):
    for at in range(3):
        with IndexWriter.open(tmp_path / "index", settings()) as writer:
            writer.add(random_entry(f"{at}", at))
            writer.commit()
            writer.remove([f"{at}"])
    assert names(tmp_path / "index") == []
    assert json.loads((tmp_path / "index" / "manifest.json").read_text())["next_segment"] == 4


def test_segments_are_cut_by_regions_too(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting, "REGIONS_PER_SEGMENT", 10)
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        for at in range(7):
            writer.add(random_entry(f"{at}", at, regions=4))  # 12 ≥ 10 after three
    assert [record["images"] for record in artifacts.read_json(tmp_path / "index/manifest.json")["segments"]] == [
        3,
        3,
        1,
    ]


def test_unchanged_files_are_known(tmp_path):
    known = dataclasses.replace(random_entry("a", 1), file_size=10, modified_ns=2**62 + 1)
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert not writer.knows("a", 10, 2**62 + 1)
        writer.add(known)
        assert writer.knows("a", 10, 2**62 + 1)  # pending
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert writer.knows("a", 10, 2**62 + 1)  # committed
        assert not writer.knows("a", 11, 2**62 + 1)
        assert not writer.knows("a", 10, 2**62)
        writer.remove(["a"])
        assert not writer.knows("a", 10, 2**62 + 1)


def test_descriptors_of_equal_pixels_are_found(tmp_path):
    one, two = entry("a", [[0.1, 2, 3, 4]], content="x"), entry("b", [[0.1, 2, 3, 4]], content="x")
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert writer.find_content("x") is None
        writer.add(one)
        assert writer.find_content("x").id == "a"  # pending
        writer.add(two)
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert writer.find_content("x").id == "a"
        np.testing.assert_array_equal(writer.find_content("x").recnn, one.recnn)
        writer.remove(["a"])
        assert writer.find_content("x").id == "b"
        writer.add(dataclasses.replace(two, content_hash="y"))
        assert writer.find_content("x") is None
        assert writer.find_content("y").id == "b"


def test_half_precision_gives_back_what_is_stored(tmp_path):
    first = entry("a", [[0.1, 2, 3, 4]], content="x")
    with IndexWriter.open(tmp_path / "index", settings(dtype="float16")) as writer:
        writer.add(first)
        pending = writer.find_content("x").recnn
        writer.commit()
        np.testing.assert_array_equal(writer.find_content("x").recnn, pending)
        assert pending[0, 0] == np.float16(0.1)
        with pytest.raises(InputError, match="b: recnn reaches 70000; wanted values that float16 can hold"):
            writer.add(entry("b", [[7e4, 0, 0, 0]]))


def test_skipped_images_are_listed_until_they_are_added_or_removed(tmp_path):
    path = tmp_path / "index"
    with IndexWriter.open(path, settings()) as writer:
        for image in ("z", "b", "a"):
            writer.skip(image, f"{image} is empty")
        writer.skip("not UTF-8 \udcff.tif", "its name is not valid Unicode")
    assert list(open_index(path).skipped) == ["a", "b", r"not UTF-8 \udcff.tif", "z"]
    with IndexWriter.open(path, settings()) as writer:
        assert writer.skipped["b"] == "b is empty"
        writer.add(random_entry("b", 1))
        writer.remove(["z"])
        writer.skip("b2", "is grey")
    index = open_index(path)
    assert index.skipped == {
        "a": "a is empty",
        "b2": "is grey",
        r"not UTF-8 \udcff.tif": "its name is not valid Unicode",
    }
    assert json.loads((path / "skipped.json").read_text()) == index.skipped


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_the_block_loses_nothing(tmp_path, error):
    def add_and_fail():
        with IndexWriter.open(tmp_path / "index", settings()) as writer:
            writer.add(random_entry("a", 1))
            raise error

    with pytest.raises(error):
        add_and_fail()
    assert open_index(tmp_path / "index").images.ids == ("a",)


def test_an_entry_that_cannot_be_stored_changes_nothing(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(random_entry("a", 1))
        with pytest.raises(InputError):
            writer.add(entry("a", [[np.nan, 0, 0, 0]]))
    assert open_index(tmp_path / "index").images.ids == ("a",)


good = random_entry("a", 1, regions=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recnn": np.float32([[1, 2, np.inf, 4]] * 2)}, "a: recnn holds NaN or infinity; wanted finite numbers"),
        ({"recnn_plus": np.float32([np.nan] * 4)}, "a: recnn_plus holds NaN"),
        ({"recnn": np.ones((3, 4), np.float32)}, r"a: recnn is float32 \[3, 4\]; wanted float32 \[2, 4\]"),
        ({"recnn": np.ones((2, 5), np.float32)}, r"recnn is float32 \[2, 5\]"),
        ({"recnn": np.ones((2, 4), int)}, "recnn is int64"),
        ({"recnn_plus": np.ones((1, 4), np.float32)}, r"recnn_plus is float32 \[1, 4\]; wanted float32 \[4\]"),
        ({"classes": np.array([0, 4])}, "region classes go from 0 to 4; wanted 0 to 3"),
        ({"classes": np.array([0, -1])}, "region classes go from -1 to 0"),
        ({"classes": np.array([0.5, 1])}, r"classes is float64 \[2\]"),
        ({"classes": np.array([[0, 1]])}, r"classes is int64 \[1, 2\]; wanted int32 \[m\]"),
        ({"areas": np.array([1])}, r"areas is int64 \[1\]; wanted int64 \[2\]"),
        ({"areas": np.array([1, 0])}, "a region has an area of 0 pixels"),
        ({"boxes": np.array([[0, 0, 64, 48], [0, 0, 65, 48]])}, "box lies outside the image's 64×48 pixels"),
        ({"boxes": np.array([[0, 0, 64, 48], [-1, 0, 4, 4]])}, "box lies outside"),
        ({"boxes": np.array([[0, 0, 64, 48], [9, 0, 4, 4]])}, "box lies outside"),
        ({"boxes": np.array([[0, 0, 64, 48]])}, r"boxes is int64 \[1, 4\]; wanted int32 \[2, 4\]"),
        ({"height": 0}, "'a': height is 0"),
        ({"file_size": -2}, "'a': file_size is -2"),
        ({"modified_ns": 2**63}, "'a': modified_ns is"),
        ({"id": ""}, "image id is ''"),
        ({"id": "\udcff.tif"}, r"'\\udcff.tif': its id is not valid Unicode; wanted a name in UTF-8; rename the file"),
        ({"path": "/\udcff"}, "'a': its path is not valid Unicode"),
        ({"tags": ("sea", "\udcff")}, "its tag is not valid Unicode"),
        ({"content_hash": None}, "content_hash is None; wanted a text"),
    ],
)
def test_what_cannot_be_stored_is_refused(tmp_path, change, words):
    with (
        IndexWriter.open(tmp_path / "index", settings()) as writer,
        pytest.raises(InputError, match=words),
    ):
        writer.add(dataclasses.replace(good, **change))
    assert len(open_index(tmp_path / "index")) == 0


def test_what_was_added_may_be_changed_by_its_owner(tmp_path):
    mine = entry("a", np.ones((1, 4)))
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(mine)
        mine.recnn[:] = 5
    assert open_index(tmp_path / "index").entry(0).recnn.tolist() == [[1, 1, 1, 1]]


def test_a_second_writer_is_refused_and_disturbs_nothing(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(random_entry("a", 1))
        with pytest.raises(ArtifactError, match=rf"another writer \(process {os.getpid()}\) is at work here"):
            IndexWriter.open(tmp_path / "index", settings())
        writer.add(random_entry("b", 2))
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        assert writer.ids == ("a", "b")
    with pytest.raises(ArtifactError, match="this writer is closed"):
        writer.commit()


def test_other_settings_are_refused_and_the_lock_given_back(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        writer.add(random_entry("a", 1))
    with pytest.raises(MismatchError, match="what is to be added has dtype 'float16'; wanted 'float32'"):
        IndexWriter.open(tmp_path / "index", settings(dtype="float16"))
    IndexWriter.open(tmp_path / "index", settings()).close()


def test_a_folder_or_file_with_something_else_is_not_taken_over(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.tif").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"is a folder with other things in it \(1.tif …\)"):
        IndexWriter.open(tmp_path / "photos", settings())
    assert [file.name for file in (tmp_path / "photos").iterdir()] == ["1.tif"]
    with pytest.raises(ArtifactError, match="is a file; wanted a folder"):
        IndexWriter.open(tmp_path / "photos" / "1.tif", settings())


def test_a_place_that_cannot_be_written_is_named():
    with pytest.raises(ArtifactError, match="/proc/index: cannot be written"):
        IndexWriter.open("/proc/index", settings())


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    IndexWriter.open(tmp_path / "index", settings()).close()

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root, who runs many test machines, may write anywhere
    with pytest.raises(ArtifactError, match=r"writer.lock: cannot be written: permission denied"):
        IndexWriter.open(tmp_path / "index", settings())


@pytest.mark.parametrize("at", ["segment", "manifest"])
def test_a_full_disk_loses_nothing_that_was_committed(tmp_path, monkeypatch, at):
    path = tmp_path / "index"
    with IndexWriter.open(path, settings()) as writer:
        writer.add(random_entry("a", 1))
    room = IndexWriter.open(path, settings())
    room.add(random_entry("b", 2))
    with monkeypatch.context() as patched:

        def full(*arguments, **options):
            raise OSError(28, "No space left on device")

        if at == "segment":
            patched.setattr(np, "save", full)
        else:
            patched.setattr(Path, "write_text", full)
        with pytest.raises(ArtifactError, match="cannot be written: no space left on device; free space"):
            room.commit()
    index = open_index(path)
    index.verify()
    assert index.images.ids == ("a",)
    room.close()  # there is room again: what was pending is not lost
    index = open_index(path)
    index.verify()
    assert index.images.ids == ("a", "b")
    assert names(path) == ["000001", "000002"]


def test_an_interrupted_commit_never_adds_twice(tmp_path, monkeypatch):
    path = tmp_path / "index"
    writing_layout = on_disk.write_layout

    def write_then_interrupt(*arguments):
        writing_layout(*arguments)
        raise KeyboardInterrupt

    writer = IndexWriter.open(path, settings())
    writer.add(random_entry("a", 1))
    with monkeypatch.context() as patched:
        patched.setattr(on_disk, "write_layout", write_then_interrupt)
        with pytest.raises(KeyboardInterrupt):
            writer.commit()
    writer.close()
    with IndexWriter.open(path, settings()) as writer:
        assert writer.ids == ("a",)
        writer.add(random_entry("b", 1))
    index = open_index(path)
    index.verify()
    assert index.images.ids == ("a", "b")


WORKER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from index_samples import random_entry, settings
from rsir_tf.index import IndexWriter, merging, pending

merging.MERGED_IMAGES = 6  # two segments of 3
pending.SECONDS_BETWEEN_STAGINGS = float(sys.argv[4])
kill_at, events = int(sys.argv[3]), 0

def count(event, arguments):
    # Every step on the disk is a moment at which the process may end.
    global events
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"):
        events += 1
        if events == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

import pyarrow.parquet
sys.addaudithook(count)
with IndexWriter.open(sys.argv[2], settings(), images_per_segment=3) as writer:
    for at in range(11):
        image = f"{at:02d}"
        if at == 4:
            writer.skip(image, "is empty")
        elif not writer.knows(image, 1000, 1):
            writer.add(random_entry(image, at))
print(events)
"""


def work(path, kill_at=0, staging=30.0):
    samples = os.path.dirname(index_samples.__file__)
    command = [sys.executable, "-c", WORKER, samples, str(path), str(kill_at), str(staging)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def contents(path):
    """Every file's bytes, without the time in the manifest."""
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    manifest = json.loads(files.pop("manifest.json"))
    del manifest["created"]
    return files, manifest


@pytest.mark.parametrize("staging", [30.0, 0.0])
def test_a_killed_writer_is_continued_to_the_same_bytes(tmp_path, staging):
    undisturbed = work(tmp_path / "undisturbed", staging=staging)
    assert undisturbed.returncode == 0, undisturbed.stderr
    events = int(undisturbed.stdout)
    killed = 0
    # A later part each time: the work before is on disk already, and its steps are gone.
    for kill_at in np.random.default_rng(5).integers(1, events, 5):
        answer = work(tmp_path / "killed", int(kill_at), staging)
        killed += answer.returncode == -signal.SIGKILL
        assert answer.returncode in (0, -signal.SIGKILL), answer.stderr
        if (tmp_path / "killed" / "manifest.json").exists():
            open_index(tmp_path / "killed")
            assert verify_index(tmp_path / "killed") == []
    assert killed >= 2
    assert work(tmp_path / "killed", staging=staging).returncode == 0
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    if staging == 0:
        work(tmp_path / "often")
        assert contents(tmp_path / "often") == contents(tmp_path / "undisturbed")  # Staging leaves no trace.
