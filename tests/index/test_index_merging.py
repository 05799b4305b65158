import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from index_samples import random_entry, settings

from rsir_tf.distances import global_distance
from rsir_tf.errors import ArtifactError
from rsir_tf.index import IndexWriter, merging, verify_index
from rsir_tf.ranking import derived_files, open_index
from rsir_tf.ranking.bounds import component_bounds, levels


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(merging, "MERGED_IMAGES", 12)
    monkeypatch.setattr(merging, "MOST_SMALL", 4)


def layout(index):
    """(name, images, whether merged) of each segment."""
    return [(each.record.name, each.record.images, each.record.merged) for each in index.vectors.segments]


def fill(path, entries, per_segment, **options):
    with IndexWriter.open(path, settings(**options), images_per_segment=per_segment, derived=derived_files()) as writer:
        for each in entries:
            writer.add(each)
    return open_index(path)


def assert_same_entries(index, entries):
    assert index.images.ids == tuple(sorted(each.id for each in entries))
    for each in entries:
        found = index.entry(index.row_of(each.id))
        for field in dataclasses.fields(found):
            np.testing.assert_array_equal(getattr(found, field.name), getattr(each, field.name))


def test_full_segments_are_merged_as_they_come(tmp_path, small_limits):
    entries = [random_entry(f"{at:02d}", at) for at in range(31)]
    index = fill(tmp_path / "index", entries, 4)
    # Three segments of 4 are 12 images: 1 to 3 become 4, 5 to 7 become 8; then 4 and 3 images are left.
    assert layout(index) == [("000004", 12, True), ("000008", 12, True), ("000009", 4, False), ("000010", 3, False)]
    assert sorted(folder.name for folder in (tmp_path / "index/segments").iterdir()) == [
        "000004", "000008", "000009", "000010",
    ]  # fmt: skip
    assert_same_entries(index, entries)
    assert verify_index(tmp_path / "index") == []


def test_many_small_segments_become_one_small_one(tmp_path, small_limits):
    entries = [random_entry(f"{at}", at) for at in range(5)]
    index = fill(tmp_path / "index", entries, 1)
    # The four first are merged, though 4 images fill no segment: it counts as small again.
    assert layout(index) == [("000005", 4, False), ("000006", 1, False)]
    assert_same_entries(index, entries)


def test_segments_full_of_regions_are_merged(tmp_path, monkeypatch):
    monkeypatch.setattr(merging, "MERGED_REGIONS", 10)
    entries = [random_entry(f"{at}", at, regions=4) for at in range(5)]
    assert layout(fill(tmp_path / "index", entries, 2)) == [("000003", 4, True), ("000004", 1, False)]


def test_merging_on_request_takes_out_what_was_removed(tmp_path, small_limits):
    path = tmp_path / "index"
    entries = [random_entry(f"{at:02d}", at) for at in range(18)]
    fill(path, entries, 4)  # 000004 of 12, 000005 of 4 and 000006 of 2
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.remove(["03", "07", "16"])
        writer.merge()
        assert "04" in writer
        assert writer.find_content("hash of 17").id == "17"
        writer.remove(["04"])  # the writer knows where the images lie now
    index = open_index(path)
    # 10 + 4 live images fill one; what is left of the last, 1, lacks an image and is written anew.
    assert layout(index) == [("000007", 14, True), ("000008", 1, False)]
    assert_same_entries(index, [each for each in entries if each.id not in ("03", "04", "07", "16")])
    assert verify_index(path) == []
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.merge()
        before = layout(open_index(path))
        writer.merge()  # nothing is left to merge
    # The first lacks an image now and is written anew; 13 fill it, so that the other stays by itself.
    assert before == layout(open_index(path)) == [("000008", 1, False), ("000009", 13, True)]


def test_a_reader_goes_on_while_its_segments_are_merged(tmp_path, small_limits):
    entries = [random_entry(f"{at}", at, regions=2) for at in range(5)]
    index = fill(tmp_path / "index", entries, 2)
    with IndexWriter.open(tmp_path / "index", settings(), derived=derived_files()) as writer:
        writer.merge()
    assert len(layout(open_index(tmp_path / "index"))) == 1
    assert_same_entries(index, entries)
    assert index.search(entries[3].recnn, top=1, scheme="recnn")[0].distance == 0


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_search_by_l1_is_exact_with_levels_and_without(tmp_path, small_limits, dtype):
    rng = np.random.default_rng(7)
    plain = [random_entry(f"{at:02d}", at, channels=64) for at in range(43)]
    # Small whole numbers in half of the images: many equal distances.
    entries = [
        dataclasses.replace(each, recnn_plus=rng.integers(0, 2, 64).astype(np.float32))
        if at % 2
        else dataclasses.replace(each, recnn_plus=rng.gamma(1, 3, 64).astype(dtype).astype(np.float32))
        for at, each in enumerate(plain)
    ]
    index = fill(tmp_path / "index", entries, 4, channels=64, dtype=dtype)
    assert [merged for *_, merged in layout(index)] == [True, True, True, False, False]
    vectors = np.stack([each.recnn_plus for each in entries])
    wanted_rows = np.array([bool(set(each.classes.tolist()) & {1, 2}) for each in entries])
    for each in entries[::5]:
        distances = global_distance(each.recnn_plus, vectors)
        order = sorted(range(len(entries)), key=lambda at, distances=distances: (distances[at], entries[at].id))
        for top in (1, 6, 43, 99):
            hits = index.search(each.recnn_plus, scheme="recnn+", top=top)
            assert [(hit.distance, hit.id) for hit in hits] == [(distances[at], entries[at].id) for at in order[:top]]
        hits = index.search(each.recnn_plus, scheme="recnn+", top=6, share_classes=[1, 2])
        assert [hit.id for hit in hits] == [entries[at].id for at in order if wanted_rows[at]][:6]


def test_few_images_are_measured_where_there_are_levels(tmp_path, small_limits, monkeypatch):
    from rsir_tf.ranking.schemes import recnn_plus

    rng = np.random.default_rng(3)
    entries = [
        dataclasses.replace(random_entry(f"{at:02d}", at, channels=64), recnn_plus=rng.gamma(1, 30, 64))
        for at in range(36)
    ]
    index = fill(tmp_path / "index", entries, 4, channels=64)
    measured = []
    direct = recnn_plus.distances_from
    monkeypatch.setattr(
        recnn_plus,
        "distances_from",
        lambda query, vectors, metric: measured.append(len(vectors)) or direct(query, vectors, metric),
    )
    assert index.search(entries[9].recnn_plus.astype(np.float32), scheme="recnn+", top=1)[0].id == "09"
    assert sum(measured) == 1  # the others are tens of levels away in each channel


def test_few_images_are_compared_where_there_are_components(tmp_path, small_limits, monkeypatch):
    from rsir_tf.ranking.bounds import search_bounds

    rng = np.random.default_rng(3)
    entries = [random_entry(f"{at:02d}", at, channels=64, regions=2) for at in range(36)]
    entries = [dataclasses.replace(each, recnn=np.float32(rng.gamma(1, 30, (2, 64)))) for each in entries]
    index = fill(tmp_path / "index", entries, 4, channels=64)
    assert [merged for *_, merged in layout(index)] == [True, True, True]
    compared = []
    products = search_bounds.recnn_intervals
    monkeypatch.setattr(search_bounds, "_FIRST", 2)
    monkeypatch.setattr(
        search_bounds,
        "recnn_intervals",
        lambda queries, block, precision: (
            compared.extend(block.positions.tolist()) or products(queries, block, precision)
        ),
    )
    hits = index.search(entries[9].recnn, top=1, scheme="recnn")
    assert (hits[0].id, hits[0].distance) == ("09", 0)
    # The three nearest by components are looked at first, among them the query itself, and nothing can be nearer.
    assert len(compared) == 3


def test_a_full_disk_while_merging_loses_nothing(tmp_path, small_limits, monkeypatch):
    path = tmp_path / "index"
    entries = [random_entry(f"{at}", at) for at in range(12)]
    writer = IndexWriter.open(path, settings(), images_per_segment=4, derived=derived_files())
    for each in entries[:11]:
        writer.add(each)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(levels, "write_levels", full)
        with pytest.raises(ArtifactError, match="cannot be written: no space left on device"):
            writer.add(entries[11])
    assert_same_entries(open_index(path), entries)
    writer.close()
    IndexWriter.open(path, settings(), derived=derived_files()).close()  # there is room again
    index = open_index(path)
    assert layout(index) == [("000004", 12, True)]
    assert_same_entries(index, entries)


def test_what_a_killed_merge_left_is_cleared_away(tmp_path, small_limits):
    path = tmp_path / "index"
    entries = [random_entry(f"{at}", at) for at in range(5)]
    fill(path, entries, 2)
    # As if the new segment had its name already when the power went, before the manifest was replaced.
    shutil.copytree(path / "segments/000001", path / "segments/000004")
    (path / "segments/000004/images.parquet").write_bytes(b"half")
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.merge()
    assert layout(open_index(path)) == [("000004", 5, False)]
    assert verify_index(path) == []
    assert_same_entries(open_index(path), entries)


def test_levels_of_another_size_are_refused(tmp_path, small_limits):
    index = fill(tmp_path / "index", [random_entry(f"{at:02d}", at) for at in range(12)], 4)
    file: Path = index.vectors.segments[0].folder / "levels.npz"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"levels.npz: has \d+ bytes, the manifest says"):
        open_index(tmp_path / "index")


def test_components_come_before_a_segment_is_large(tmp_path, small_limits, monkeypatch):
    path = tmp_path / "index"
    entries = [random_entry(f"{at:02d}", at, regions=3) for at in range(12)]
    fill(path, entries[:4], 1)  # the four are merged, without components
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.merge()
        assert layout(open_index(path)) == [("000005", 4, False)]  # nothing to gain
        monkeypatch.setattr(component_bounds, "WORTH_REGIONS", 12)
        writer.merge()
        writer.merge()  # nothing is left to gain
    index = open_index(path)
    assert layout(index) == [("000006", 4, False)]
    assert index.vectors.segments[0].derived(component_bounds.COMPONENTS) is not None
    assert verify_index(path) == []
    # It is small still, and merged with what comes.
    index = fill(path, entries[4:], 4)
    assert layout(index) == [("000009", 12, True)]
    assert_same_entries(index, entries)
    (path / "segments/000009/components.npz").write_bytes(b"")
    assert any("components.npz" in str(problem) for problem in verify_index(path))


def test_a_writer_that_derives_nothing_merges_and_search_is_exact(tmp_path, small_limits):
    path = tmp_path / "index"
    entries = [random_entry(f"{at:02d}", at) for at in range(31)]
    with IndexWriter.open(path, settings(), images_per_segment=4) as writer:
        for each in entries:
            writer.add(each)
        writer.merge()  # makes the last two one, and the large ones have nothing to gain
    index = open_index(path)
    assert layout(index) == [("000004", 12, True), ("000008", 12, True), ("000011", 7, False)]
    assert not list(path.rglob("*.npz"))
    hits = index.search(entries[5].recnn_plus, scheme="recnn+", top=31)
    wanted = global_distance(entries[5].recnn_plus, np.stack([each.recnn_plus for each in entries]))
    assert [hit.distance for hit in hits] == sorted(wanted.tolist())
    # A later writer makes what it is to derive, when it is asked to merge.
    with IndexWriter.open(path, settings(), derived=derived_files()) as writer:
        writer.merge()
    assert [name for name, _, merged in layout(open_index(path)) if merged] == ["000012", "000013"]
    assert len(list(path.rglob("levels.npz"))) == len(list(path.rglob("components.npz"))) == 2
    assert_same_entries(open_index(path), entries)
