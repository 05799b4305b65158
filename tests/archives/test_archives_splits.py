from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.archives import (
    Archive,
    Record,
    archive_hash,
    group_split,
    read_split,
    select,
    stratified_split,
    write_split,
)
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.rasters import FileSource


def make_archive(scenes: dict[str | None, int], groups: int = 0) -> Archive:
    records = [
        Record(
            id=f"{scene}/{number:03}.tif",
            source=FileSource(Path(f"/data/{scene}/{number:03}.tif")),
            scene=scene,
            group=f"tile {number % groups}" if groups else None,
        )
        for scene, count in scenes.items()
        for number in range(count)
    ]
    return Archive(Path("/data"), "folder", tuple(sorted(records, key=lambda record: record.id)))


SMALL = make_archive({"beach": 5, "river": 5})
TILES = make_archive({"x": 32}, groups=8)


def per_scene(ids: tuple[str, ...]) -> dict[str, int]:
    scenes = [name.split("/")[0] for name in ids]
    return {scene: scenes.count(scene) for scene in scenes}


def test_ucmerced_gives_20_of_each_of_21_scenes() -> None:
    archive = make_archive({f"scene{number:02}": 100 for number in range(21)})
    split = stratified_split(archive)
    assert len(split.test) == 420
    assert len(split.train) == 1680
    assert set(per_scene(split.test).values()) == {20}
    assert (split.by, split.seed, split.fraction, split.groups) == ("scene", 0, 0.2, ())


def test_the_draw_is_the_documented_one() -> None:
    # round(0.4 · 5) = 2 of each scene: those whose SHA-256 of "seed\nid" comes first.
    wanted = []
    for scene in ("beach", "river"):
        ids = [f"{scene}/{number:03}.tif" for number in range(5)]
        wanted += sorted(ids, key=lambda name: hashlib.sha256(b"7\n" + name.encode()).hexdigest())[:2]
    assert stratified_split(SMALL, 0.4, seed=7).test == tuple(sorted(wanted))


FROZEN_SCENES = ("beach/000.tif", "beach/001.tif", "river/000.tif", "river/003.tif")
FROZEN_GROUPS = ("tile 5", "tile 6")


def test_old_splits_can_be_drawn_again() -> None:
    # Frozen: a change here gives every user other train and test parts under the same seed.
    assert stratified_split(SMALL, 0.4, seed=0).test == FROZEN_SCENES
    assert group_split(TILES, test=0.25, seed=0).groups == FROZEN_GROUPS


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from([None, "a", "b", "c", "d"]), st.integers(1, 30), min_size=1),
    st.floats(0.1, 0.9),
    st.integers(0, 10**6),
)
def test_parts_divide_the_archive_and_each_scene_gives_its_share(
    scenes: dict[str | None, int], test: float, seed: int
) -> None:
    archive = make_archive(scenes)
    wanted = {str(scene): round(test * count) for scene, count in scenes.items()}
    if sum(wanted.values()) in {0, len(archive)}:
        with pytest.raises(InputError, match="wanted at least one each"):
            stratified_split(archive, test, seed)
        return
    split = stratified_split(archive, test, seed)
    assert sorted(split.train + split.test) == [record.id for record in archive]
    assert per_scene(split.test) == {scene: count for scene, count in wanted.items() if count}
    shuffled = list(archive.records)
    random.Random(seed).shuffle(shuffled)
    again = stratified_split(dataclasses.replace(archive, records=tuple(shuffled)), test, seed)
    assert (again.train, again.test) == (split.train, split.test)
    assert archive_hash(archive) == split.archive_hash


def test_seeds_differ() -> None:
    archive = make_archive({"beach": 40})
    tests = {stratified_split(archive, 0.5, seed).test for seed in range(5)}
    assert len(tests) == 5


def test_adding_images_moves_few() -> None:
    before = set(stratified_split(make_archive({"beach": 100}), 0.2).test)
    after = set(stratified_split(make_archive({"beach": 105}), 0.2).test)
    # 20 of 100, then 21 of 105: the five new ones take at most five places of the first 21 in the same order.
    assert len(before - after) <= 5


def test_images_without_scenes_are_split_as_one() -> None:
    split = stratified_split(make_archive({None: 10}), 0.3)
    assert (split.by, len(split.test)) == ("image", 3)


@pytest.mark.parametrize("test", [0, 1, -0.2, 20, float("nan")])
def test_fractions_that_are_none(test: float) -> None:
    with pytest.raises(InputError, match="the test fraction is"):
        stratified_split(SMALL, test)
    with pytest.raises(InputError, match="the test fraction is"):
        group_split(TILES, test=test)


def test_named_groups_stay_whole() -> None:
    split = group_split(TILES, ["tile 3", "tile 5"])
    groups = {record.id: record.group for record in TILES}
    assert {groups[name] for name in split.test} == {"tile 3", "tile 5"}
    assert len(split.test) == 8
    assert len(split.train) == 24
    assert {groups[name] for name in split.train}.isdisjoint(split.groups)
    assert (split.by, split.groups, split.seed, split.fraction) == ("group", ("tile 3", "tile 5"), None, None)


def test_drawn_groups() -> None:
    # round(0.25 · 8) = 2 groups of 4 images
    split = group_split(TILES, test=0.25, seed=3)
    assert len(split.groups) == 2
    assert len(split.test) == 8
    assert (split.seed, split.fraction) == (3, 0.25)
    assert len(group_split(TILES, test=0.01).groups) == 1  # at least one
    assert len({group_split(TILES, test=0.25, seed=seed).groups for seed in range(6)}) > 1


def test_groups_to_validate_on_are_neither_trained_nor_tested_on() -> None:
    groups = {record.id: record.group for record in TILES}
    plain = group_split(TILES, test=0.25, seed=3)
    split = group_split(TILES, test=0.25, seed=3, validation=0.25)
    parts = [{groups[name] for name in part} for part in (split.train, split.validation, split.test)]
    assert [len(part) for part in parts] == [4, 2, 2]  # of 8; round(0.25 · 8) = 2
    assert set.union(*parts) == set(groups.values())
    assert sorted((*split.train, *split.validation, *split.test)) == sorted(groups)
    assert (split.test, split.groups, split.validation_fraction) == (plain.test, plain.groups, 0.25)
    named = group_split(TILES, ["tile 3"], validation=0.01, seed=5)
    assert len({groups[name] for name in named.validation}) == 1  # at least one
    assert (named.groups, named.seed, named.fraction) == (("tile 3",), 5, None)
    assert len({group_split(TILES, ["tile 3"], validation=0.2, seed=seed).validation for seed in range(6)}) > 1
    for fractions in ({"test": 0.6, "validation": 0.4}, {"test": 0.5, "validation": 0.0}):
        with pytest.raises(InputError, match="validation fraction is"):
            group_split(TILES, **fractions)
    with pytest.raises(InputError, match="leaves 0 images to train and 4 to validate on"):
        group_split(TILES, [f"tile {number}" for number in range(7)], validation=0.2)


def test_groups_that_are_wrong() -> None:
    with pytest.raises(InputError, match=r"has no group 'tile 9'; wanted one of tile 0, tile 1"):
        group_split(TILES, ["tile 3", "tile 9"])
    with pytest.raises(
        InputError, match=r"no group 'tile 420'; wanted one of tile 42, tile \d+, tile \d+ or 96 others"
    ):
        group_split(make_archive({"x": 99}, groups=99), ["tile 420"])
    with pytest.raises(InputError, match="10 images have no group"):
        group_split(SMALL)
    with pytest.raises(InputError, match="leaves 0 images to train and 32 to test"):
        group_split(TILES, [f"tile {number}" for number in range(8)])
    with pytest.raises(InputError, match="leaves 32 images to train and 0 to test"):
        group_split(TILES, [])


def test_select() -> None:
    split = stratified_split(SMALL, 0.4)
    train, test = select(SMALL, split, "train"), select(SMALL, split, "test")
    assert tuple(record.id for record in test) == split.test
    assert tuple(record.id for record in train) == split.train
    assert test.root == SMALL.root
    fewer = dataclasses.replace(SMALL, records=tuple(r for r in SMALL if r.id not in split.test[:2]))
    with pytest.raises(InputError, match=rf"lacks 2 of the split's 4 test images \({split.test[0]}, {split.test[1]}\)"):
        select(fewer, split, "test")
    assert len(select(fewer, split, "train")) == 6


def test_written_and_read(tmp_path: Path) -> None:
    for number, split in enumerate(
        [stratified_split(SMALL, 0.4, 3), group_split(TILES, ["tile 1"]), group_split(TILES)]
    ):
        path = tmp_path / f"{number}.json"
        write_split(split, path)
        assert read_split(path) == split
        content = json.loads(path.read_text())
        assert content["kind"] == "rsir_tf.split"
        assert content["format_version"] == 1
        assert content["test"] == list(split.test)


def test_writing_over_another_split(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    write_split(stratified_split(SMALL, 0.4), path)
    before = path.read_bytes()
    write_split(stratified_split(SMALL, 0.4), path)  # the same again is no harm
    with pytest.raises(ArtifactError, match="holds another split"):
        write_split(stratified_split(SMALL, 0.2), path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["test"].append(content["train"].pop()),
        lambda content: content.update(seed=1),
        lambda content: content.pop("groups"),
        lambda content: content.pop("content_hash"),
        lambda content: content.update(fraction=float("nan")),
        lambda content: content.update(train="beach"),
    ],
)
def test_hand_edited(tmp_path: Path, edit: object) -> None:
    path = tmp_path / "split.json"
    write_split(stratified_split(SMALL, 0.4), path)
    content = json.loads(path.read_text())
    edit(content)  # type: ignore[operator]
    path.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=r"was changed since it was written|is damaged"):
        read_split(path)


def test_order_and_space_in_the_file_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    split = stratified_split(SMALL, 0.4)
    write_split(split, path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items()))))
    assert read_split(path) == split


def test_files_that_are_no_split(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no split here"):
        read_split(tmp_path / "none.json")
    (tmp_path / "a.json").write_text('{"kind": "rsir_tf.index", "format_version": 1}')
    with pytest.raises(ArtifactError, match=r"is of kind 'rsir_tf\.index'; wanted 'rsir_tf\.split'"):
        read_split(tmp_path / "a.json")
    (tmp_path / "b.json").write_text('{"kind": "rsir_tf.split", "format_version": 3}')
    with pytest.raises(ArtifactError, match="format version 3; wanted at most 2"):
        read_split(tmp_path / "b.json")
