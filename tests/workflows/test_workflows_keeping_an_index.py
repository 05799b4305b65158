"""An index kept in step with its archive: facts brought up to date, archives moved, and archives beside one another."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import Archive, open_archive
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.errors import ArtifactError, InputError, MismatchError
from rsir_tf.index import IndexWriter
from rsir_tf.presentation import save_png
from rsir_tf.ranking import Index, open_index
from rsir_tf.workflows import IndexSummary, change_index, compare_descriptors, index_archive
from rsir_tf.workflows.indexed_images import ids_in_index


class Stand:
    """Stands in for a model: the class of a pixel is its strongest colour. It counts what it was asked."""

    asked = 0

    def describe(self) -> ModelDescription:
        return ModelDescription("stand-in", ("red", "green", "blue"))

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for image in images:
            self.asked += 1
            features = np.zeros((1, 1, 512), np.float32)
            features[0, 0, :3] = image.mean(axis=(0, 1))
            yield Prediction(image.argmax(axis=-1).astype(np.uint8), features)


@pytest.fixture
def model() -> Stand:
    return Stand()


def render(folder: Path, seed: int = 0) -> Path:
    """Three scenes of two images, all different."""
    rng = np.random.default_rng(seed)
    for number in range(6):
        colour = rng.integers(0, 256, 3, dtype=np.uint8)
        save_png(folder / f"{'abc'[number % 3]}/{number}.png", np.full((16, 16, 3), colour, np.uint8))
    return folder


@pytest.fixture
def keep(tmp_path: Path, model: Stand) -> Callable[..., IndexSummary]:
    """Index a folder or an archive into the same index."""

    def index(what: Path | Archive, **options: object) -> IndexSummary:
        archive = what if isinstance(what, Archive) else open_archive(what)
        return index_archive(archive, model, tmp_path / "index", **options)

    return index


def opened(tmp_path: Path) -> Index:
    index = open_index(tmp_path / "index")
    index.verify()
    return index


def edited(archive: Archive, **facts: object) -> Archive:
    """The same archive, where its second image has other facts."""
    first, second, *rest = archive.records
    return dataclasses.replace(archive, records=(first, dataclasses.replace(second, **facts), *rest))


def test_corrected_tags_and_scenes_are_taken_in_without_asking_the_model(tmp_path: Path, keep, model: Stand) -> None:
    archive = open_archive(render(tmp_path / "archive"))
    keep(archive)
    before = opened(tmp_path).entry(1)
    found = keep(edited(archive, tags=("sea", "ship"), scene="harbour"))
    assert (found.unchanged, found.refreshed, found.added, found.reused) == (5, 1, 0, 0)
    assert model.asked == 6
    index = opened(tmp_path)
    assert index.images.tags[1] == ("sea", "ship")
    assert index.images.scenes == ("a", "harbour", "b", "b", "c", "c")
    after = index.entry(1)
    for name in ("classes", "areas", "boxes", "recnn", "recnn_plus", "centroids"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    found = keep(edited(archive, tags=("sea", "ship"), scene="harbour"))
    assert (found.unchanged, found.refreshed) == (6, 0)
    keep(edited(archive, tags=(), scene=None))
    assert (opened(tmp_path).images.tags[1], opened(tmp_path).images.scenes[1]) == ((), None)


def test_a_touched_file_with_the_same_pixels_is_not_sent_again(tmp_path: Path, keep, model: Stand) -> None:
    archive = render(tmp_path / "archive")
    keep(archive)
    os.utime(archive / "a/0.png", ns=(1, 1))
    found = keep(archive)
    assert (found.refreshed, found.unchanged, model.asked) == (1, 5, 6)
    assert opened(tmp_path).images.modified_ns[0] == 1
    assert keep(archive).unchanged == 6


def test_pixels_swapped_under_the_same_size_and_time_are_found_by_rehash(tmp_path: Path, keep, model: Stand) -> None:
    archive = render(tmp_path / "archive")
    keep(archive)
    one, other = archive / "a/0.png", archive / "a/3.png"
    times = [(file.stat().st_size, file.stat().st_mtime_ns) for file in (one, other)]
    assert times[0][0] == times[1][0]
    swapped = one.read_bytes(), other.read_bytes()
    for file, content, (_, time) in zip((other, one), swapped, reversed(times), strict=True):
        file.write_bytes(content)
        os.utime(file, ns=(time, time))
    before = opened(tmp_path).recnn_plus
    assert keep(archive).unchanged == 6
    found = keep(archive, rehash=True)
    # Both contents were in the index when they were looked for: the first under the other's id.
    assert (found.unchanged, found.added + found.reused) == (4, 2)
    np.testing.assert_array_equal(opened(tmp_path).recnn_plus, before[[1, 0, 2, 3, 4, 5]])
    assert keep(archive, rehash=True).unchanged == 6


def test_a_moved_archive_is_recognised_and_its_new_place_noted(tmp_path: Path, keep, model: Stand) -> None:
    keep(render(tmp_path / "old"))
    assert opened(tmp_path).roots == {"": str(tmp_path / "old")}
    assert opened(tmp_path).images.paths[0] == str(tmp_path / "old/a/0.png")
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = keep(tmp_path / "new")
    assert (found.moved_from, found.unchanged, found.refreshed) == (str(tmp_path / "old"), 6, 0)
    assert model.asked == 6
    assert opened(tmp_path).images.paths == tuple(
        str(tmp_path / f"new/{place}") for place in ("a/0.png", "a/3.png", "b/1.png", "b/4.png", "c/2.png", "c/5.png")
    )
    assert keep(tmp_path / "new").moved_from is None


def test_a_copy_is_taken_for_the_archive_where_the_caller_says_so(tmp_path: Path, keep, model: Stand) -> None:
    keep(render(tmp_path / "old"))
    shutil.copytree(tmp_path / "old", tmp_path / "copy", copy_function=shutil.copyfile)  # other times of change
    with pytest.raises(InputError, match=f"holds the images of {tmp_path / 'old'}, not of {tmp_path / 'copy'}"):
        keep(tmp_path / "copy")
    assert opened(tmp_path).roots == {"": str(tmp_path / "old")}
    found = keep(tmp_path / "copy", root=tmp_path / "copy")
    assert (found.moved_from, found.refreshed, model.asked) == (str(tmp_path / "old"), 6, 6)
    assert opened(tmp_path).images.paths[5] == str(tmp_path / "copy/c/5.png")
    with pytest.raises(InputError, match="the archive to index"):
        keep(tmp_path / "copy", root=tmp_path / "old")


def test_another_archive_with_equal_ids_replaces_nothing(tmp_path: Path, keep, model: Stand) -> None:
    keep(render(tmp_path / "one"))
    render(tmp_path / "other", seed=1)
    with pytest.raises(InputError, match="give it a name by --as NAME"):
        keep(tmp_path / "other")
    shutil.move(tmp_path / "one", tmp_path / "away")  # Not there now, but its pixels were others.
    with pytest.raises(InputError, match="give it a name by --as NAME"):
        keep(tmp_path / "other")
    assert (len(opened(tmp_path)), model.asked) == (6, 6)
    keep(tmp_path / "other", name="other")
    index = opened(tmp_path)
    assert index.images.ids[6:] == tuple(f"other/{image}" for image in index.images.ids[:6])
    assert index.images.paths[6] == str(tmp_path / "other/a/0.png")
    # Later it is known by its place.
    (tmp_path / "other/a/0.png").unlink()
    found = keep(tmp_path / "other")
    assert (found.unchanged, found.absent, found.gone, found.images) == (5, 1, 1, 12)
    found = keep(tmp_path / "other", prune=True)
    assert (found.removed, found.images) == (1, 11)  # the other archive's stay
    with pytest.raises(InputError, match=f"holds the images of {tmp_path / 'other'} already, as 'other'; leave --as"):
        keep(tmp_path / "other", name="third")
    with pytest.raises(InputError, match="wanted a name of letters"):
        keep(tmp_path / "other", name="a/b")


def test_a_name_must_not_make_an_id_ambiguous(tmp_path: Path, keep) -> None:
    keep(render(tmp_path / "one"))
    with pytest.raises(InputError, match=r"a/0\.png would be an image of two archives"):
        keep(render(tmp_path / "other", seed=1), name="a")
    shutil.rmtree(tmp_path / "index")
    keep(tmp_path / "other", name="a")
    with pytest.raises(InputError, match="give it a name by --as NAME"):
        keep(tmp_path / "one")


def test_a_part_of_the_archive_and_what_it_is_a_part_of_are_not_indexed_twice(tmp_path: Path, keep) -> None:
    keep(render(tmp_path / "all/one"))
    with pytest.raises(InputError, match="which is a part of it"):
        keep(tmp_path / "all/one/a")
    with pytest.raises(InputError, match="which it is a part of"):
        keep(tmp_path / "all")
    assert len(opened(tmp_path)) == 6


def test_parts_of_a_split_are_one_archive(tmp_path: Path, keep) -> None:
    archive = open_archive(render(tmp_path / "archive"))
    half = dataclasses.replace(archive, records=archive.records[:3])
    other = dataclasses.replace(archive, records=archive.records[3:])
    keep(half)
    found = keep(other)
    assert (found.images, found.absent, found.gone) == (6, 3, 0)
    found = keep(other, prune=True)
    assert (found.images, found.removed) == (3, 3)


def test_an_index_of_format_1_keeps_its_absolute_paths_until_the_archive_moves(
    tmp_path: Path, keep, model: Stand
) -> None:
    keep(render(tmp_path / "old"))
    as_format_1(tmp_path / "index")
    assert opened(tmp_path).images.paths[0] == str(tmp_path / "old/a/0.png")
    with pytest.raises(InputError, match="give it a name by --as NAME"):
        keep(render(tmp_path / "other", seed=1))
    with pytest.raises(InputError, match="keeps absolute paths"):
        open_index(tmp_path / "index", roots={"": tmp_path})
    save_png(tmp_path / "old/a/9.png", np.full((16, 16, 3), (1, 2, 3), np.uint8))
    found = keep(tmp_path / "old", merge=True)
    assert (found.unchanged, found.refreshed, found.added) == (6, 0, 1)
    assert opened(tmp_path).images.archives == (None, None, "", None, None, None, None)
    assert opened(tmp_path).images.paths[2] == str(tmp_path / "old/a/9.png")
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = keep(tmp_path / "new")
    assert (found.unchanged, found.refreshed, model.asked) == (1, 6, 7)
    assert opened(tmp_path).images.paths[0] == str(tmp_path / "new/a/0.png")
    assert opened(tmp_path).images.archives == ("",) * 7


def as_format_1(path: Path) -> None:
    """Write an index's images as they were when indexes did not know the folder of their archive."""
    index = open_index(path)
    entries = [
        dataclasses.replace(index.entry(row), archive=None, path=index.images.paths[row]) for row in range(len(index))
    ]
    shutil.rmtree(path)
    with IndexWriter.open(path, index.settings) as writer:
        for entry in entries:
            writer.add(entry)


def test_an_older_index_of_pictures_without_places_is_not_written_anew(tmp_path: Path, keep, model: Stand) -> None:
    archive = render(tmp_path / "archive")
    keep(archive)
    with IndexWriter.open(tmp_path / "index", None) as writer:
        for image in writer.ids:
            writer.refresh(image, dataclasses.replace(writer.facts_of(image), placed=False))
    before = (tmp_path / "index/manifest.json").read_bytes()
    assert keep(archive).unchanged == 6
    assert (tmp_path / "index/manifest.json").read_bytes() == before
    # 16 pixels of 0.5° from 10° E, 50° N: the world file names the middle of the first pixel.
    (archive / "a/0.pgw").write_text("0.5\n0\n0\n-0.5\n10.25\n49.75\n")
    (archive / "a/0.png.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
    found = keep(archive)
    assert (found.refreshed, found.unchanged, model.asked) == (1, 5, 6)
    assert opened(tmp_path).images.places[0].transform == (0.5, 0, 10, 0, -0.5, 50)


def test_an_index_of_format_1_whose_archive_moved_before_it_was_ever_updated(tmp_path: Path, keep, model) -> None:
    keep(render(tmp_path / "old"))
    as_format_1(tmp_path / "index")
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = keep(tmp_path / "new")
    assert (found.refreshed, found.images, model.asked) == (6, 6, 6)


def test_images_are_removed_and_archives_named_anew_without_a_model(tmp_path: Path, keep) -> None:
    keep(render(tmp_path / "old"))
    to = tmp_path / "index"
    with pytest.raises(InputError, match=r"holds no image 'x' \(and 1 more of those to remove\)"):
        change_index(to, remove=["a/0.png", "x", "y"])
    assert len(opened(tmp_path)) == 6
    shutil.move(tmp_path / "old", tmp_path / "new")
    changed = change_index(to, remove=["a/0.png", "c/5.png"], roots={"": tmp_path / "new"})
    assert changed == {"index": str(to), "images": 4, "removed": 2, "archives": {"": str(tmp_path / "new")}}
    index = opened(tmp_path)
    assert index.images.ids == ("a/3.png", "b/1.png", "b/4.png", "c/2.png")
    assert Path(index.images.paths[0]).is_file()
    with pytest.raises(InputError, match="has no archive named 'other'"):
        change_index(to, roots={"other": tmp_path})
    with pytest.raises(InputError, match="no such folder"):
        change_index(to, roots={"": tmp_path / "nowhere"})
    with pytest.raises(ArtifactError, match="no index here"):
        change_index(tmp_path / "nothing", remove=["a"])
    assert not (tmp_path / "nothing").exists()


def test_an_image_that_can_be_read_again_is_off_the_list(tmp_path: Path, keep) -> None:
    archive = render(tmp_path / "archive")
    keep(archive)
    file = archive / "a/0.png"
    content, times = file.read_bytes(), (file.stat().st_mtime_ns,) * 2
    file.write_text("no picture")
    assert list(keep(archive).skipped) == ["a/0.png"]
    file.write_bytes(content)
    os.utime(file, ns=times)
    found = keep(archive)
    assert (found.unchanged, found.skipped) == (6, {})


def test_an_image_that_the_index_holds_is_compared_when_it_can_be_read_again(tmp_path: Path, keep) -> None:
    archive = render(tmp_path / "archive")
    keep(archive)
    file = archive / "a/0.png"
    content = file.read_bytes()
    file.write_text("no picture")
    keep(archive)
    index, images = opened(tmp_path), open_archive(archive)
    found = compare_descriptors(images, tmp_path / "cache", descriptors=[], index=index)
    assert (found.evaluation.queries, list(found.skipped)) == (5, ["a/0.png"])
    file.write_bytes(content)  # The index has not been told.
    found = compare_descriptors(images, tmp_path / "cache", descriptors=[], index=index)
    assert (found.evaluation.queries, found.skipped) == (6, {})


def test_a_name_with_a_colon_is_a_path_all_the_same(tmp_path: Path, keep) -> None:
    save_png(tmp_path / "archive/window:1.png", np.zeros((16, 16, 3), np.uint8))
    keep(tmp_path / "archive")
    assert opened(tmp_path).images.paths == (str(tmp_path / "archive/window:1.png"),)


def test_an_archive_under_a_name_is_compared_under_it(tmp_path: Path, keep) -> None:
    keep(render(tmp_path / "one"))
    archive = open_archive(render(tmp_path / "other", seed=1))
    keep(archive, name="other")
    index = opened(tmp_path)
    assert ids_in_index(index, archive)["a/0.png"] == "other/a/0.png"
    found = compare_descriptors(archive, tmp_path / "cache", descriptors=[], index=index)
    assert found.evaluation.queries == 6
    save_png(tmp_path / "other/a/0.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(MismatchError, match=r"other/a/0\.png .* has changed"):
        compare_descriptors(archive, tmp_path / "cache", descriptors=[], index=index)
