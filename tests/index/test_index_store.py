import json
import os
import shutil

import numpy as np
import pytest
from index_samples import CLASS_NAMES, entry, random_entry, settings

import rsir_tf
import rsir_tf.ranking
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexSettings, IndexWriter, verify_index
from rsir_tf.ranking import open_index
from rsir_tf.rasters import Reading


def fill(path, entries, **options):
    with IndexWriter.open(path, options.pop("settings", settings()), **options) as writer:
        for each in entries:
            writer.add(each)


def assert_same(one, other):
    for name in ("id", "path", "height", "width", "scene", "tags", "content_hash", "file_size", "modified_ns"):
        assert getattr(one, name) == getattr(other, name)
    for name in ("classes", "areas", "boxes", "recnn", "recnn_plus", "centroids", "borders", "edge"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(one, name).dtype == getattr(other, name).dtype


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


@pytest.fixture
def whole(tmp_path):
    fill(tmp_path / "index", [random_entry(f"{at}", at, regions=3) for at in range(6)], images_per_segment=3)
    return tmp_path / "index"


FILES = ("images.parquet", "recnn.npy", "recnn_plus.npy", "regions.parquet")


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_cut_file_is_named(whole, name):
    file = whole / "segments" / "000002" / name
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    with pytest.raises(
        ArtifactError, match=rf"000002/{name}: has {len(content) - 1} bytes, the manifest says {len(content)}"
    ):
        open_index(whole)
    file.unlink()
    with pytest.raises(ArtifactError, match=rf"000002/{name}: is missing; restore it"):
        open_index(whole)
    assert [problem.segment for problem in verify_index(whole)] == ["000002"]


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_found_by_verify(whole, name):
    index = open_index(whole)
    index.verify()
    file = whole / "segments" / "000001" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    (problem,) = verify_index(whole)
    assert problem.segment == "000001"
    with pytest.raises(
        ArtifactError, match=rf"000001/{name}: is damaged: its SHA-256 begins with \w{{8}}, that in the manifest with"
    ):
        index.verify()


def test_a_damaged_table_is_named(whole):
    file = whole / "segments" / "000001" / "images.parquet"
    file.write_bytes(b"x" * file.stat().st_size)
    with pytest.raises(ArtifactError, match=r"images.parquet: is not a readable table"):
        open_index(whole)


def test_an_array_of_another_shape_is_named(whole):
    file = whole / "segments" / "000001" / "recnn.npy"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"(9, 4)", b"(4, 9)"))
    with pytest.raises(ArtifactError, match=r"recnn.npy: holds float32 \[4, 9\], the manifest says float32 \[9, 4\]"):
        open_index(whole)
    file.write_bytes(content.replace(b"<f4", b"|O8"))
    with pytest.raises(ArtifactError, match=r"recnn.npy: holds object"):
        open_index(whole)


def edit(path, change):
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format_version=5), "has format version 5; wanted at most 4; use a newer rsir_tf"),
        (lambda m: m.update(kind="rsir_tf.run"), "is of kind 'rsir_tf.run'; wanted 'rsir_tf.index'"),
        (lambda m: m.pop("segments"), "its list of segments is damaged"),
        (lambda m: m.update(segments=3), "its list of segments is damaged"),
        (lambda m: m.update(images=7), "its counts disagree"),
        (lambda m: m["segments"].pop(), "its counts disagree"),
        (lambda m: m.update(next_segment=2), "its counts disagree"),
        (lambda m: m["segments"][0].update(name="../../etc"), "a segment is named '../../etc'"),
        (lambda m: m["segments"][0].update(images=-3), "-3 is no count"),
        (lambda m: m["segments"][0].update(removed=[3]), r"rows \[3\] are removed from segment 000001, which has 3"),
        (lambda m: m["segments"][0]["files"].pop("recnn.npy"), "its list of segments is damaged"),
        (lambda m: m["settings"].pop("convention"), "its settings are"),
        (lambda m: m["settings"].update(connectivity=6), "connectivity is 6; wanted 4 or 8"),
        (lambda m: m["settings"].update(class_names="abcd"), "its settings are"),
        (
            lambda m: m.update(archives=[{"name": "", "root": "/a", "reading": {"tiling": {"tile": 3}}}]),
            "says that an archive is read by a tile of 3 pixels",
        ),
        (
            lambda m: m["settings"].update(channels=5),
            r"recnn.npy: holds float32 \[9, 4\], the manifest says float32 \[9, 5\]",
        ),
    ],
)
def test_a_manifest_that_was_changed_by_hand_is_refused(whole, change, words):
    edit(whole, change)
    with pytest.raises(ArtifactError, match=words):
        open_index(whole)


def test_a_manifest_that_is_not_json_or_not_there_is_refused(whole, tmp_path):
    (whole / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        open_index(whole)
    with pytest.raises(ArtifactError, match=r"no index here"):
        open_index(tmp_path / "nothing")


def test_an_image_that_is_there_twice_is_refused(whole):
    # The same segment once more, under the next name: a manifest that nobody wrote.
    shutil.copytree(whole / "segments" / "000001", whole / "segments" / "000003")

    def list_twice(manifest):
        manifest["segments"].append({**manifest["segments"][0], "name": "000003"})
        manifest.update(images=9, regions=27, next_segment=4)

    edit(whole, list_twice)
    with pytest.raises(ArtifactError, match="holds image '0' twice"):
        open_index(whole)


def test_a_damaged_list_of_skipped_images_is_refused(whole):
    (whole / "skipped.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"skipped.json: is not a list of skipped images; remove it"):
        open_index(whole)


# Settings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_id": "model-2"}, "the query has model_id 'model-2'; wanted 'model-1', with which the index was made"),
        ({"connectivity": 4}, "has connectivity 4; wanted 8"),
        ({"min_area": 20}, "has min_area 20; wanted 0"),
        ({"convention": "aligned_corners"}, "has convention 'aligned_corners'; wanted 'half_pixel'"),
        ({"dtype": "float16"}, "has dtype 'float16'; wanted 'float32'"),
        ({"channels": 5}, "has channels 5; wanted 4"),
        ({"pooling": "gem"}, "has pooling 'gem'; wanted 'max'"),
        ({"class_names": CLASS_NAMES[:3]}, "has 3 classes; wanted 4 classes"),
        ({"class_names": (*CLASS_NAMES[:3], "boat")}, "has class 3 named 'boat'; wanted 'ship'"),
    ],
)
def test_other_settings_are_refused_with_both_values(change, words):
    mine = settings()
    other = IndexSettings(**{**mine.to_json(), **change})
    with pytest.raises(MismatchError, match=words):
        mine.require_equal(other, whose="the query")
    mine.require_equal(other, ignore=change)
    mine.require_equal(IndexSettings(**mine.to_json()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_id": ""}, "model_id is ''"),
        ({"class_names": ()}, "class_names is"),
        ({"connectivity": True}, "connectivity is True"),
        ({"min_area": -1}, "min_area is -1"),
        ({"convention": "half-pixel"}, "convention is 'half-pixel'; wanted 'half_pixel' or 'aligned_corners'"),
        ({"dtype": "float64"}, "dtype is 'float64'"),
        ({"channels": 0}, "channels is 0"),
        ({"pooling": "median"}, "pooling is 'median'; wanted 'max' or 'gem' or 'mean' or 'rmac'"),
    ],
)
def test_impossible_settings_are_refused(change, words):
    with pytest.raises(InputError, match=words):
        IndexSettings(**{**settings().to_json(), **change})


# Old formats


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
