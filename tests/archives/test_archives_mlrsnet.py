"""MLRSNet's labels: the real CSVs and their repair, bad tables, images that are partly there, the three-way split."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import (
    Archive,
    Record,
    archive_hash,
    check_archive,
    open_archive,
    read_mlrsnet_labels,
    read_split,
    select,
    stratified_split,
    write_split,
)
from rsir_tf.archives.mlrsnet import MlrsnetLabels, category_labels, find_mlrsnet
from rsir_tf.artifacts import content_hash, manifest, read_json, write_json
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation import save_png
from rsir_tf.rasters import FileSource


@pytest.fixture(scope="module")
def as_published(real_data: Callable[[str], Path]) -> MlrsnetLabels:
    return read_mlrsnet_labels(real_data("data/mlrsnet/labels"), repair=False)


@pytest.fixture(scope="module")
def repaired(real_data: Callable[[str], Path]) -> MlrsnetLabels:
    return read_mlrsnet_labels(real_data("data/mlrsnet/labels"))


def counts(labels: MlrsnetLabels) -> Counter[str]:
    return Counter(name for row in labels.rows.values() for name in row)


def lengths(labels: MlrsnetLabels) -> np.ndarray:
    return np.array([len(row) for row in labels.rows.values()])


def test_the_published_files(as_published: MlrsnetLabels) -> None:
    assert len(as_published.rows) == 109_161
    assert len(as_published.names) == 60
    assert len(set(as_published.categories.values())) == 46
    found = lengths(as_published)
    assert (int((found >= 14).sum()), int(found.max())) == (3471, 40)
    assert found.mean() == pytest.approx(5.77, abs=0.005)
    stadium = [row for image, row in as_published.rows.items() if as_published.categories[image] == "stadium"]
    tank = [row for image, row in as_published.rows.items() if as_published.categories[image] == "storage_tank"]
    assert not any("stadium" in row for row in stadium)
    assert not any("tanks" in row for row in tank)
    assert as_published.repairs == as_published.remarks == ()


def test_the_repair(repaired: MlrsnetLabels, as_published: MlrsnetLabels) -> None:
    assert len(repaired.rows) == 109_161
    found, number = lengths(repaired), counts(repaired)
    assert (int(found.min()), int(found.max())) == (0, 13)
    assert found.mean() == pytest.approx(5.02, abs=0.005)
    assert int((found == 0).sum()) == 10
    assert [number[name] for name in ("trees", "pavement", "buildings", "grass")] == [70_728, 56_383, 51_305, 49_390]
    touched = {
        "golf_course",
        "harbor&port",
        "intersection",
        "parkway",
        "railway",
        "railway_station",
        "sparse_residential_area",
        "vegetable_greenhouse",
        "stadium",
        "storage_tank",
    }
    changed = {repaired.categories[image] for image, row in repaired.rows.items() if row != as_published.rows[image]}
    assert changed == touched
    assert {line.split(":")[0] for line in repaired.repairs} == touched
    assert "stadium: label 'stadium' added to 2,462 rows" in repaired.repairs
    listed = category_labels()
    kept = touched - {"stadium", "storage_tank"}
    assert all(
        set(row) <= set(listed[repaired.categories[image]])
        for image, row in repaired.rows.items()
        if repaired.categories[image] in kept
    )


def test_spellings_are_kept(repaired: MlrsnetLabels) -> None:
    assert {"swimmimg_pool", "harbor&port"} <= set(repaired.categories.values())
    assert "habor" in repaired.names
    assert set(category_labels()) == set(repaired.categories.values())
    assert {name for own in category_labels().values() for name in own} == set(repaired.names)


def test_images_that_are_there_get_labels(
    real_data: Callable[[str], Path], repaired: MlrsnetLabels, tmp_path: Path
) -> None:
    os.symlink(real_data("data/mlrsnet/labels"), tmp_path / "Labels")
    for category in ("stadium", "beach"):
        some = [image for image, own in repaired.categories.items() if own == category][:2]
        for image in some:
            save_png(tmp_path / "Images" / category / image, np.full((16, 16, 3), 9, np.uint8))
    save_png(tmp_path / "Images" / "beach" / "own.png", np.zeros((16, 16, 3), np.uint8))
    archive = open_archive(tmp_path)
    assert archive.format == "mlrsnet"
    assert [record.scene for record in archive] == ["beach"] * 3 + ["stadium"] * 2
    assert [record.tags is None for record in archive] == [False, False, True, False, False]
    assert all("stadium" in (record.tags or ()) for record in archive if record.scene == "stadium")
    assert len(archive.orphan_tags) == 109_161 - 4
    assert archive.repairs == repaired.repairs
    assert any(line.startswith("repaired: parkway") for line in check_archive(archive).remarks)
    plain = open_archive(tmp_path / "Images", repair=False)
    assert plain.repairs == ()
    assert not any("stadium" in (record.tags or ()) for record in plain)


HEADER = "image,road,stadium,trees"


def table(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.csv").write_bytes(text.encode(encoding))
    return folder


def test_form_does_not_matter(tmp_path: Path) -> None:
    folder = table(tmp_path, "stadium", "\ufeff\r\nimage, road ,stadium,trees\r\nstadium_1.jpg,1,0,1\r\n\r\n")
    table(folder, "beach", "trees,image,stadium,road\n1,beach_1.jpg,0, 0\n")  # Another order, no line end at the end.
    found = read_mlrsnet_labels(folder)
    assert found.rows == {"beach_1.jpg": ("trees",), "stadium_1.jpg": ("road", "stadium", "trees")}
    assert found.categories == {"beach_1.jpg": "beach", "stadium_1.jpg": "stadium"}
    assert found.repairs == ("stadium: label 'stadium' added to 1 rows",)
    assert read_mlrsnet_labels(folder, repair=False).rows["stadium_1.jpg"] == ("road", "trees")


def test_unlisted_labels_are_dropped_where_the_list_is_to_be_kept(tmp_path: Path) -> None:
    # Parkways have roads and trees, as the published list says, and no stadiums; beaches are not touched.
    folder = table(tmp_path, "parkway", f"{HEADER}\nparkway_1.jpg,1,1,1\nparkway_2.jpg,1,0,0\n")
    table(folder, "beach", f"{HEADER}\nbeach_1.jpg,0,1,1\n")
    found = read_mlrsnet_labels(folder)
    assert found.rows == {
        "beach_1.jpg": ("stadium", "trees"), "parkway_1.jpg": ("road", "trees"), "parkway_2.jpg": ("road",),
    }  # fmt: skip
    assert found.repairs == ("parkway: 1 labels that its list lacks removed from 1 rows",)
    plain = read_mlrsnet_labels(folder, repair=False)
    assert plain.rows["parkway_1.jpg"] == ("road", "stadium", "trees")
    assert plain.repairs == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,road,trees\nx.jpg,1,0\n", "beach.csv: lacks a column 'stadium'; wanted the columns of airplane.csv"),
        ("image,road,stadium,lakes,trees\nx.jpg,1,0,0,0\n", "beach.csv: has a column 'lakes'"),
        # A lake is a label of MLRSNet.
        ("image,road,stadium,lake,trees\nx.jpg,1,0,0,0\n", "airplane.csv: lacks a column 'lake'; wanted .* beach.csv"),
        ("image,road,,trees\nx.jpg,1,0,0\n", "has no name for column 3"),
        ("image,road,road,trees\nx.jpg,1,0,0\n", "names the column 'road' twice"),
        ("x.jpg,1,0,0\n", "begins with 'x.jpg,1,0,0'; wanted a header with a column 'image'"),
        ("", "wanted a header with a column 'image'"),
        (f"{HEADER}\nx.jpg,1,0\n", "line 2 has 3 values; wanted 4"),
        (f"{HEADER}\nx.jpg,1,2,0\n", "line 2 .x.jpg. has '2' for stadium; wanted 0 or 1"),
        (f"{HEADER}\nx.jpg,1,0,0\n\nx.jpg,1,0,0\n", "line 4 names the image 'x.jpg' again"),
        (f"{HEADER}\n,1,0,0\n", "line 2 names the image ''"),
        (f"{HEADER}\na.jpg,1,0,0\n", "beach.csv: names a.jpg, which airplane.csv has"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, text: str, words: str) -> None:
    folder = table(tmp_path, "airplane", f"{HEADER}\na.jpg,1,0,0\n")
    table(folder, "beach", text)
    with pytest.raises(InputError, match=words):
        read_mlrsnet_labels(folder)


def test_what_most_files_have_is_the_yardstick(tmp_path: Path) -> None:
    folder = table(tmp_path, "airplane", "image,road,trees\na.jpg,1,0\n")
    for name in ("beach", "chaparral", "cloud"):
        table(folder, name, f"{HEADER}\n{name}.jpg,1,0,0\n")
    words = r"airplane.csv: lacks a column 'stadium'; wanted the columns of beach.csv and 2 other files, in any order"
    with pytest.raises(InputError, match=words):
        read_mlrsnet_labels(folder)
    table(folder, "airplane", "image,road,stadium,sea,trees\na.jpg,1,0,0,0\n")  # Known, but of one file alone.
    with pytest.raises(InputError, match=r"airplane.csv: has a column 'sea'; wanted the columns of beach.csv"):
        read_mlrsnet_labels(folder)


def test_a_label_that_no_file_has_is_told(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    for file in sorted(real_data("data/mlrsnet/labels").glob("*.csv"))[:3]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows = [row for row, _ in zip(csv.reader(lines), range(3), strict=False)]
        gone = rows[0].index("tanks")
        text = "".join(",".join(row[:gone] + row[gone + 1 :]) + "\n" for row in rows)
        table(tmp_path / "Labels", file.stem, text)
    image = text.splitlines()[1].split(",")[0]
    save_png(tmp_path / "Images" / file.stem / image, np.full((16, 16, 3), 9, np.uint8))
    line = "no CSV has a column for 1 of MLRSNet's 60 labels: tanks"
    assert read_mlrsnet_labels(tmp_path / "Labels").remarks == (line,)
    assert line in check_archive(open_archive(tmp_path)).remarks


def test_bad_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no CSV here"):
        read_mlrsnet_labels(tmp_path)
    table(tmp_path / "a", "beach", "image,größe\n", encoding="latin-1")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_mlrsnet_labels(tmp_path / "a")
    table(tmp_path / "b" / "labels", "beach", f"{HEADER}\nbeach_1.jpg,0,0,1\n")
    for name in ("one/x.png", "two/x.png"):
        save_png(tmp_path / "b" / "images" / name, np.zeros((16, 16, 3), np.uint8))
    assert find_mlrsnet(tmp_path / "b") == tmp_path / "b" / "labels"
    with pytest.raises(InputError, match="no row names an image"):
        open_archive(tmp_path / "b")
    table(tmp_path / "b" / "labels", "beach", f"{HEADER}\nx.png,0,0,1\n")
    with pytest.raises(InputError, match=r"one/x\.png and two/x\.png have one name"):
        open_archive(tmp_path / "b")


def test_a_folder_of_other_tables_is_no_mlrsnet(tmp_path: Path) -> None:
    save_png(tmp_path / "images" / "x.png", np.zeros((16, 16, 3), np.uint8))
    table(tmp_path / "labels", "my_notes", "image,what\n")
    assert open_archive(tmp_path).format == "folder"


@pytest.fixture
def archive() -> Archive:
    names = [(scene, f"{scene}/{number:03}.jpg") for scene in ("beach", "lake") for number in range(50)]
    return Archive(
        Path("a"), "folder", tuple(Record(name, FileSource(Path(name)), scene=scene) for scene, name in names)
    )


def test_three_parts_40_10_50(archive: Archive, tmp_path: Path) -> None:
    split = stratified_split(archive, 0.5, validation=0.1)
    for scene in ("beach", "lake"):
        sizes = [sum(name.startswith(scene) for name in part) for part in (split.train, split.validation, split.test)]
        assert sizes == [20, 5, 25]
    assert sorted((*split.train, *split.validation, *split.test)) == [record.id for record in archive]
    assert split.test == stratified_split(archive, 0.5).test  # The test part does not depend on the third.
    assert [record.id for record in select(archive, split, "validation")] == list(split.validation)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split
    assert read_json(tmp_path / "split.json")["format_version"] == 2


def test_two_parts_are_written_as_ever(archive: Archive, tmp_path: Path) -> None:
    split = stratified_split(archive)
    write_split(split, tmp_path / "split.json")
    content = read_json(tmp_path / "split.json")
    assert content["format_version"] == 1
    assert not {"validation", "validation_fraction"} & set(content)
    with pytest.raises(InputError, match="the split has no validation part"):
        select(archive, split, "validation")


def test_a_file_of_version_1_opens(archive: Archive, tmp_path: Path) -> None:
    # Composed by hand, as the first version wrote it.
    values = {
        "train": ["beach/000.jpg"], "test": ["lake/000.jpg"], "by": "scene", "seed": 3, "fraction": 0.5, "groups": [],
        "archive_hash": archive_hash(archive),
    }  # fmt: skip
    write_json(tmp_path / "old.json", manifest("split", 1, **values, content_hash=content_hash(values)))
    old = read_split(tmp_path / "old.json")
    assert (old.train, old.test, old.validation, old.seed) == (("beach/000.jpg",), ("lake/000.jpg",), (), 3)


def test_a_changed_validation_part_is_noticed(archive: Archive, tmp_path: Path) -> None:
    write_split(stratified_split(archive, 0.5, validation=0.1), tmp_path / "split.json")
    content = read_json(tmp_path / "split.json")
    content["validation"].pop()
    write_json(tmp_path / "split.json", content)
    with pytest.raises(ArtifactError, match="was changed"):
        read_split(tmp_path / "split.json")


@pytest.mark.parametrize(("test", "validation"), [(0.5, 0.0), (0.5, 0.5), (0.9, 0.2), (0.5, 0.001)])
def test_fractions_that_leave_nothing(archive: Archive, test: float, validation: float) -> None:
    with pytest.raises(InputError, match="wanted"):
        stratified_split(archive, test, validation=validation)
