"""What a writer that is killed had described, and that filled no segment yet, is the next one's."""

import json
import shutil

import numpy as np
import pytest
from index_samples import entry, random_entry, settings

from rsir_tf.index import IndexWriter
from rsir_tf.index import pending as waiting
from rsir_tf.index.staging import read_staged, write_staged
from rsir_tf.ranking import open_index


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """An index as a killed writer leaves it: "a" is committed; "b" and "c", and "a" anew, are staged."""
    monkeypatch.setattr(waiting, "SECONDS_BETWEEN_STAGINGS", 0)
    writer = IndexWriter.open(tmp_path / "alive", settings())
    writer.add(random_entry("a", 1))
    writer.commit()
    writer.add(random_entry("b", 2, regions=0))
    writer.add(entry("a", [[9, 9, 9, 9]], tags=("sea",), archive="", path="a.png"))
    writer.add(random_entry("c", 3))
    shutil.copytree(tmp_path / "alive", tmp_path / "killed")
    return tmp_path / "killed"


def test_it_goes_on_with_what_was_staged(killed):
    assert open_index(killed).images.ids == ("a",)  # readers see what is committed, and nothing else
    assert open_index(killed).images.tags == random_tags("a", 1)
    with IndexWriter.open(killed, settings()) as writer:
        assert writer.ids == ("a", "b", "c")
        assert writer.knows("c", 1000, 1)
        assert writer.facts_of("a").tags == ("sea",)
    assert not (killed / "staged.npz").exists()
    index = open_index(killed)
    index.verify()
    assert index.images.ids == ("a", "b", "c")
    assert index.entry(0).recnn.tolist() == [[9, 9, 9, 9]]
    whole = random_entry("c", 3)
    for name in ("classes", "areas", "boxes", "recnn", "recnn_plus", "centroids", "borders", "edge"):
        np.testing.assert_array_equal(getattr(index.entry(2), name), getattr(whole, name))
    assert (index.entry(2).scene, index.entry(2).tags) == (whole.scene, whole.tags)


def random_tags(image, seed):
    return (random_entry(image, seed).tags,)


def test_what_was_staged_for_a_segment_that_is_there_is_not_added_twice(killed):
    staged = (killed / "staged.npz").read_bytes()
    IndexWriter.open(killed, settings()).close()
    with IndexWriter.open(killed, settings()) as writer:
        writer.remove(["b"])
    (killed / "staged.npz").write_bytes(staged)  # as if it had been killed before it could remove the file
    with IndexWriter.open(killed, settings()) as writer:
        assert writer.ids == ("a", "c")


def test_what_is_removed_before_it_fills_a_segment_stays_away(killed):
    with IndexWriter.open(killed, settings()) as writer:
        writer.remove(["b", "c", "a"])
    assert not (killed / "staged.npz").exists()
    with IndexWriter.open(killed, settings()) as writer:
        assert writer.ids == ()


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "newer"])
def test_a_damaged_file_is_passed_over(killed, damage):
    file = killed / "staged.npz"
    content = bytearray(file.read_bytes())
    if damage == "newer":
        write_staged(file, [random_entry("z", 1)], 2)
        arrays = dict(np.load(file))
        words = json.loads(arrays["described"].tobytes()) | {"format_version": 4}
        np.savez(file, **{**arrays, "described": np.frombuffer(json.dumps(words).encode(), np.uint8)})
    elif damage == "flipped":
        at = content.index(np.float32([9, 9, 9, 9]).tobytes())
        content[at + 3] ^= 1
        file.write_bytes(content)
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"something else")
    with IndexWriter.open(killed, settings()) as writer:
        assert writer.ids == ("a",)
        writer.add(random_entry("b", 2))
    assert open_index(killed).images.ids == ("a", "b")


def test_half_precision_and_many_images_come_back_as_they_were(tmp_path):
    half = settings(dtype="float16")
    with IndexWriter.open(tmp_path / "index", half) as writer:
        for at in range(20):
            writer.add(random_entry(f"{at:02}", at, high=1000))
        pending = list(writer._pending.entries.values())
        write_staged(tmp_path / "staged.npz", pending, 5)
    assert read_staged(tmp_path / "staged.npz", 6, half) == []
    assert read_staged(tmp_path / "nothing.npz", 5, half) == []
    found = read_staged(tmp_path / "staged.npz", 5, half)
    assert [each.id for each in found] == [each.id for each in pending]
    for one, other in zip(found, pending, strict=True):
        assert one.facts == other.facts
        np.testing.assert_array_equal(one.recnn, other.recnn)


def test_nothing_is_staged_before_its_time(tmp_path):
    with IndexWriter.open(tmp_path / "index", settings()) as writer:
        for at in range(20):
            writer.add(random_entry(f"{at:02}", at))
        assert not (tmp_path / "index" / "staged.npz").exists()
