"""Parts of an archive that are indexed each for itself, and the index that they are joined to."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import Stand

from rsir_tf.archives import Archive, Record, open_archive
from rsir_tf.artifacts import read_json
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexWriter
from rsir_tf.index.skipped import read_notes
from rsir_tf.presentation import save_png
from rsir_tf.ranking import open_index
from rsir_tf.rasters import FileSource
from rsir_tf.workflows import Shard, index_archive, join_parts

IMAGES = 11


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Eleven images; the last has the pixels of the first, so that it lies in another part."""
    rng = np.random.default_rng(0)
    for number in range(IMAGES - 1):
        save_png(tmp_path / f"archive/{number:02}.png", rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    shutil.copy(tmp_path / "archive/00.png", tmp_path / f"archive/{IMAGES - 1:02}.png")
    return open_archive(tmp_path / "archive")


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., list[Path]]:
    """Index an archive in parts."""

    def parts(archive: Archive, of: int, model: Stand | None = None, **options: object) -> list[Path]:
        folders = [tmp_path / f"of-{of}/{part}" for part in range(1, of + 1)]
        for part, folder in enumerate(folders, 1):
            index_archive(archive, model or Stand(), folder, shard=Shard(part, of), **options)
        return folders

    return parts


def contents(index: Path) -> dict[str, bytes]:
    return {str(file.relative_to(index)): file.read_bytes() for file in sorted((index / "segments").rglob("*.*"))}


@given(st.integers(0, 200), st.integers(1, 40))
def test_parts_are_all_of_an_archive_in_order_and_of_about_one_size(images: int, of: int) -> None:
    records = tuple(Record(f"{number:03}.png", FileSource(Path("x.png"))) for number in range(images))
    archive = Archive(Path(), "folder", records)
    parts = [Shard(part, of).cut(archive).records for part in range(1, of + 1)]
    assert sum(parts, ()) == records
    assert {len(part) for part in parts} <= {images // of, images // of + 1}


@pytest.mark.parametrize("of", [1, 3, 16])
def test_the_joined_index_is_that_of_one_machine_to_the_byte(tmp_path: Path, archive: Archive, make, of: int) -> None:
    index_archive(archive, Stand(), tmp_path / "alone")
    summary = join_parts(list(reversed(make(archive, of))), tmp_path / "joined")
    assert (summary.added, summary.reused, summary.images) == (IMAGES - 1, 1, IMAGES)
    assert contents(tmp_path / "joined") == contents(tmp_path / "alone")
    assert len(contents(tmp_path / "alone")) == 4  # One segment: two tables and two files of vectors.


def test_equal_pixels_of_two_parts_get_equal_descriptors(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2, Stand(drift=1e-4))
    first, second = (open_index(part).recnn_plus for part in parts)
    assert not np.array_equal(first[0], second[-1])
    join_parts(parts, tmp_path / "index")
    index = open_index(tmp_path / "index")
    assert np.array_equal(index.recnn_plus[0], index.recnn_plus[IMAGES - 1])
    assert index.duplicates() == [(0, IMAGES - 1)]


def test_joining_again_adds_what_is_new_and_prunes_what_is_gone(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    join_parts(parts, tmp_path / "index")
    assert join_parts(parts, tmp_path / "index").unchanged == IMAGES
    fewer = dataclasses.replace(archive, records=archive.records[1:])
    parts = make(fewer, 2, prune=True)
    kept = join_parts(parts, tmp_path / "index")
    assert (kept.unchanged, kept.absent, kept.removed, kept.images) == (IMAGES - 1, 1, 0, IMAGES)
    pruned = join_parts(parts, tmp_path / "index", prune=True)
    assert (pruned.unchanged, pruned.removed, pruned.images) == (IMAGES - 1, 1, IMAGES - 1)
    open_index(tmp_path / "index").verify()


def test_a_picture_that_has_changed_is_described_anew(tmp_path: Path, archive: Archive, make) -> None:
    join_parts(make(archive, 2), tmp_path / "index")
    save_png(tmp_path / "archive/03.png", np.full((16, 16, 3), 9, np.uint8))
    summary = join_parts(make(archive, 2), tmp_path / "index")
    assert (summary.added, summary.refreshed, summary.unchanged) == (0, 1, IMAGES - 1)
    index = open_index(tmp_path / "index")
    assert index.recnn_plus[3, :3].tolist() == [9, 9, 9]


def test_images_that_cannot_be_read_are_listed_in_the_index(tmp_path: Path, archive: Archive, make) -> None:
    (tmp_path / "archive/04.png").write_bytes(b"no picture")
    summary = join_parts(make(archive, 3), tmp_path / "index")
    assert (summary.images, summary.skipped) == (IMAGES - 1, 1)
    assert list(open_index(tmp_path / "index").skipped) == ["04.png"]


def test_notes_of_images_that_are_there_again_or_gone_are_dropped(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    join_parts(parts, tmp_path / "index")
    with IndexWriter.open(tmp_path / "index", None) as writer:
        writer.skip("03.png", "the disk was away")
        writer.skip("gone.png", "no picture")
        writer.leave_out("gone.tif/0_0", 1, 2)
    kept = join_parts(parts, tmp_path / "index")
    assert (kept.absent, list(open_index(tmp_path / "index").skipped)) == (0, ["gone.png"])
    join_parts(parts, tmp_path / "index", prune=True)
    index = open_index(tmp_path / "index")
    assert (index.skipped, index.left_out, len(index)) == ({}, (), IMAGES)


def test_a_part_that_is_not_finished_is_refused(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    (tmp_path / "archive/07.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"07\.png"):
        index_archive(archive, Stand(), parts[1], shard=Shard(2, 2), strict=True)
    with pytest.raises(ArtifactError, match=r"of-2/2: is not finished, or no part; wanted .*goes on where it stopped"):
        join_parts(parts, tmp_path / "index")
    assert not (tmp_path / "index").exists()
    with pytest.raises(ArtifactError, match="is no index"):
        join_parts([*parts[:1], tmp_path / "nothing"], tmp_path / "index")


def test_a_part_that_was_indexed_without_its_number_is_no_part(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    index_archive(archive, Stand(), parts[0])
    with pytest.raises(ArtifactError, match="of-2/1: is not finished, or no part"):
        join_parts(parts, tmp_path / "index")


def test_a_part_is_not_mixed_into_another(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    before = contents(parts[0])
    for other in (Shard(2, 2), Shard(1, 3)):
        with pytest.raises(InputError, match=rf"of-2/1: is part 1/2, not {other}; give each part a folder of its own"):
            index_archive(archive, Stand(), parts[0], shard=other)
    assert contents(parts[0]) == before
    join_parts(parts, tmp_path / "index")


def test_missing_doubled_and_foreign_parts_are_told_by_number(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 4)
    with pytest.raises(InputError, match=r"of 4 parts, 2 are missing: 2, 4; wanted all parts; .*--shard 2/4"):
        join_parts([parts[0], parts[2]], tmp_path / "index")
    with pytest.raises(InputError, match=r"part 3 is given 2 times: .*of-4/3, .*of-4/3"):
        join_parts([*parts, parts[2]], tmp_path / "index")
    shutil.copytree(parts[1], tmp_path / "copy")
    with pytest.raises(InputError, match=r"part 2 is given 2 times: .*of-4/2, .*copy"):
        join_parts([*parts, tmp_path / "copy"], tmp_path / "index")
    with pytest.raises(InputError, match=r"is a part of 2 parts of 11 images .* of 4 parts of 11 images"):
        join_parts([parts[0], *make(archive, 2)], tmp_path / "index")
    fewer = dataclasses.replace(archive, records=archive.records[1:])
    index_archive(fewer, Stand(), parts[3], shard=Shard(4, 4))
    with pytest.raises(InputError, match="wanted parts that were cut from the same images"):
        join_parts(parts, tmp_path / "index")
    with pytest.raises(InputError, match="is one of the parts"):
        join_parts(make(archive, 2), tmp_path / "of-2/1")


def test_parts_of_another_model_setting_or_place_are_refused(tmp_path: Path, archive: Archive, make) -> None:
    one, two = make(archive, 2)
    shutil.rmtree(two)
    index_archive(archive, Stand("another"), two, shard=Shard(2, 2))
    with pytest.raises(MismatchError, match=r"of-2/2 has model_id 'another'; wanted 'stand-in'"):
        join_parts([one, two], tmp_path / "index")
    shutil.rmtree(two)
    index_archive(archive, Stand(), two, shard=Shard(2, 2), min_area=5)
    with pytest.raises(MismatchError, match="min_area 5"):
        join_parts([one, two], tmp_path / "index")
    shutil.rmtree(two)
    shutil.copytree(tmp_path / "archive", tmp_path / "elsewhere")
    index_archive(open_archive(tmp_path / "elsewhere"), Stand(), two, shard=Shard(2, 2))
    with pytest.raises(InputError, match=r"holds the images of .*elsewhere; wanted those of .*archive"):
        join_parts([one, two], tmp_path / "index")


def test_an_index_of_another_archive_is_not_taken(tmp_path: Path, archive: Archive, make) -> None:
    shutil.copytree(tmp_path / "archive", tmp_path / "elsewhere")
    index_archive(open_archive(tmp_path / "elsewhere"), Stand(), tmp_path / "index")
    before = contents(tmp_path / "index")
    with pytest.raises(InputError, match=r"wanted those of .*elsewhere"):
        join_parts(make(archive, 2), tmp_path / "index")
    assert contents(tmp_path / "index") == before


def test_notes_of_windows_left_out_go_along(tmp_path: Path, archive: Archive, make) -> None:
    parts = make(archive, 2)
    with IndexWriter.open(parts[0], None) as writer:
        writer.leave_out("scene.tif/0_0", 12, 34)
    join_parts(parts, tmp_path / "index")
    assert read_notes(tmp_path / "index/left_out.json") == {"scene.tif/0_0": "12 34"}


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1.0/2"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        Shard.parse(text)


def test_a_damaged_note_is_told(tmp_path: Path, archive: Archive, make) -> None:
    (part,) = make(archive, 1)
    assert read_json(part / "shard.json")["images"] == IMAGES
    (part / "shard.json").write_text('{"part": 3}')
    with pytest.raises(ArtifactError, match=r"shard\.json: is not what a finished part says"):
        join_parts([part], tmp_path / "index")
