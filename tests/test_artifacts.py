from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rsir_tf
from rsir_tf.artifacts import (
    content_hash,
    disk_errors,
    file_hash,
    manifest,
    read_json,
    read_manifest,
    write_json,
    written_aside,
)
from rsir_tf.errors import ArtifactError

needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands in for a full disk")


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_and_its_parents_are_made(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "a.txt"
    with written_aside(target) as aside:
        assert not aside.exists()
        aside.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert listing(target.parent) == ["a.txt"]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with written_aside(tmp_path / "run") as aside:
        (aside / "sub").mkdir(parents=True)
        (aside / "sub" / "a.txt").write_text("x")
        assert not (tmp_path / "run").exists()
    assert (tmp_path / "run" / "sub" / "a.txt").read_text() == "x"


def write_half(target: Path, *, replace: bool) -> None:
    with written_aside(target, replace=replace) as aside:
        aside.write_text("half")
        raise ZeroDivisionError


def test_a_failing_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_half(tmp_path / "a.txt", replace=False)
    assert listing(tmp_path) == []


def test_a_failing_replacement_keeps_the_old(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError):
        write_half(target, replace=True)
    assert target.read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_what_exists_is_kept_unless_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ArtifactError, match="exists already"), written_aside(target):
        pytest.fail("the block must not run")
    with written_aside(target, replace=True) as aside:
        aside.write_text("new")
    assert target.read_text() == "new"


def test_a_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    def write_while_another_does() -> None:
        with written_aside(target) as aside:
            aside.write_text("mine")
            target.write_text("theirs")

    with pytest.raises(ArtifactError, match="appeared while"):
        write_while_another_does()
    assert target.read_text() == "theirs"
    assert listing(tmp_path) == ["a.txt"]


def test_a_folder_with_content_is_never_replaced(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "kept.txt").write_text("kept")
    with pytest.raises(ArtifactError, match="cannot be written"), written_aside(target, replace=True) as aside:
        aside.mkdir()
    assert (target / "kept.txt").read_text() == "kept"


@pytest.mark.parametrize(("code", "words"), [(errno.EROFS, "read-only"), (errno.EACCES, "permission denied")])
def test_a_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    with (
        pytest.raises(ArtifactError, match=rf"a\.txt: cannot be written: .*{words}"),
        written_aside(tmp_path / "a.txt"),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize(
    "text",
    [
        "21504 requested and 10208 written",  # numpy.save
        "Can't write data (file write failed: errno = 28, error message = 'No space left on device')",  # h5py
    ],
)
def test_a_full_disk_that_libraries_tell_in_their_own_words(tmp_path: Path, text: str) -> None:
    said = r"a\.npy: cannot be written: no space left on device; free space"
    with pytest.raises(ArtifactError, match=said), disk_errors(tmp_path / "a.npy"):
        raise OSError(text)


@needs_dev_full
def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ArtifactError, match="no space left"), written_aside(target, replace=True):
        Path("/dev/full").write_bytes(b"x")
    assert target.read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(ArtifactError, match="cannot be written"), written_aside(tmp_path / "a" / "b.json"):
        pytest.fail("the block must not run")


def test_disk_errors_lets_other_errors_through(tmp_path: Path) -> None:
    with pytest.raises(KeyError), disk_errors(tmp_path):
        raise KeyError


def test_json_round_trip_and_its_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"name": "Straße", "values": [1, 2.5, None, True]}
    write_json(path, content)
    write_json(path, content)
    assert read_json(path) == content
    assert "Straße" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"x": float("nan")})
    assert read_json(path) == content
    path.write_text('{"a": ')
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        read_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="is not valid JSON"):
        read_json(path)
    with pytest.raises(ArtifactError, match="no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_json(tmp_path)


def test_manifest_names_its_kind_version_and_maker(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", manifest("index", 2, images=7))
    content = read_manifest(tmp_path, "index", 2)
    assert content["kind"] == "rsir_tf.index"
    assert content["format_version"] == 2
    assert content["images"] == 7
    assert content["made_by"] == f"rsir_tf {rsir_tf.__version__}"
    assert content["created"].endswith("+00:00")
    assert read_manifest(tmp_path / "manifest.json", "index", 3) == content


def test_manifest_of_a_newer_version_names_both(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", manifest("index", 3))
    with pytest.raises(ArtifactError, match="format version 3; wanted at most 2; use a newer rsir_tf"):
        read_manifest(tmp_path, "index", 2)


def test_manifest_of_another_kind_names_both(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", manifest("run", 1))
    with pytest.raises(ArtifactError, match=r"is of kind 'rsir_tf\.run'; wanted 'rsir_tf\.index'"):
        read_manifest(tmp_path, "index", 1)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        "text",
        {"format_version": 1},
        {"kind": "rsir_tf.index"},
        {"kind": "rsir_tf.index", "format_version": "1"},
        {"kind": "rsir_tf.index", "format_version": 0},
    ],
)
def test_manifests_that_are_none(tmp_path: Path, content: object) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="wanted"):
        read_manifest(tmp_path, "index", 1)


def test_manifest_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no index here"):
        read_manifest(tmp_path, "index", 1)
    with pytest.raises(ArtifactError, match="no split here"):
        read_manifest(tmp_path / "none.json", "split", 1)


def test_content_hash_is_sha256_of_canonical_json() -> None:
    # Written out by hand: keys sorted, no spaces, text as UTF-8.
    canonical = '{"a":[1,null,true],"ä":{"x":"y","z":0.5}}'
    content = {"ä": {"z": 0.5, "x": "y"}, "a": [1, None, True]}
    assert content_hash(content) == hashlib.sha256(canonical.encode()).hexdigest()
    with pytest.raises(ValueError, match="JSON"):
        content_hash(float("inf"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text(max_size=3), json_values, max_size=5))
def test_content_hash_survives_json_and_order(content: dict) -> None:
    written = json.loads(json.dumps(content))
    assert content_hash(written) == content_hash(content)
    assert content_hash(dict(reversed(list(content.items())))) == content_hash(content)


def test_file_hash(tmp_path: Path) -> None:
    # FIPS 180-2's example, and one that is longer than a block of 1 MiB.
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    long = b"0123456789" * 150_000
    (tmp_path / "long").write_bytes(long)
    assert file_hash(tmp_path / "long") == hashlib.sha256(long).hexdigest()
