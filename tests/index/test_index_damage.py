"""Damaged files, manifests changed by hand, and settings that differ or cannot be: each is named."""

import json
import shutil

import pytest
from index_samples import CLASS_NAMES, fill, random_entry, settings

from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexSettings, verify_index
from rsir_tf.ranking import open_index


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
