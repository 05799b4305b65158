"""`rsir-tf compare`: the table, the report folder, going on, and what is left out and said."""

from __future__ import annotations

import csv
import dataclasses
import html
import json
import os
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import pytest
import skimage
from compared_archive import FAST, coloured_scenes

from rsir_tf.archives import Archive, Record, archive_hash, open_archive, stratified_split
from rsir_tf.artifacts import content_hash, read_manifest
from rsir_tf.baselines import ColourHistogram, Statistics
from rsir_tf.errors import InputError
from rsir_tf.locks import WriterLock
from rsir_tf.presentation import save_png
from rsir_tf.ranking.schemes import PAPER_SCHEMES
from rsir_tf.rasters import FileSource
from rsir_tf.workflows import (
    compare_descriptors,
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return coloured_scenes(tmp_path / "archive")


def test_a_perfect_table(command: Callable, archive: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    ended = command("compare", archive, "--to", to, *FAST, "--test", 0.5, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    # Two images of each scene are ranked, and both come first: ANMRR 0, mAP 1, P@5 = 2/5.
    for name in ("statistics", "color"):
        figures = found["schemes"][name]
        found_here = [figures[key] for key in ("anmrr", "map", "p_at_5", "p_at_10")]
        assert found_here == [0, 1, pytest.approx(0.4), None]
        assert figures["costs"]["bytes_per_image"] == {"statistics": 8, "color": 2048}[name]
    details = found["details"]
    assert details["color_parameters"] == {"bins": 8, "joint": True, "distance": "l1"}
    assert details["libraries"]["opencv"] == cv2.__version__
    assert details["libraries"]["scikit-image"] == skimage.__version__
    assert details["color_libraries"] == {
        "numpy": np.__version__,
        "pillow": PIL.__version__,
        "rasterio": version("rasterio"),
    }
    assert details["statistics_libraries"] == {**details["color_libraries"], "opencv": cv2.__version__}
    opened = open_archive(archive)
    assert details["archive_hash"] == archive_hash(opened)
    assert details["split_hash"] == content_hash(stratified_split(opened, 0.5).to_json())
    assert "label_repairs" not in details  # These are MLRSNet's.
    assert "ReCNN and ReCNN+ are left out" in ended.err
    report = to / "report"
    made_with = f"- color libraries: numpy {np.__version__}, pillow {PIL.__version__}, rasterio {version('rasterio')}\n"
    assert made_with in (report / "report.md").read_text("utf-8")
    kept = read_manifest(report / "comparison.json", "comparison", 1)
    assert kept["schemes"] == found["schemes"]
    rows = list(csv.DictReader((report / "report.csv").open()))
    assert [row["descriptor"] for row in rows] == ["statistics", "color"]  # No published rows: not UC Merced.
    page = (report / "index.html").read_text("utf-8")
    assert "://" not in page  # Nothing is fetched.
    assert "Color: worst queries, one of each scene class first" in page
    pictures = re.findall(r'src="([^"]+)"', page)
    assert {"precision_recall.png", "anmrr_by_scene.png", "confusion_color.png", "worst_color.png"} <= set(pictures)
    assert all((report / picture).is_file() for picture in pictures)


@pytest.mark.usefixtures("no_report")
def test_a_second_run_describes_nothing(
    command: Callable, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = command("compare", archive, "--to", tmp_path / "out", *FAST, "--all", "--intervals")
    assert first.code == 0, first.err

    def refuse(*_: Any) -> None:
        raise AssertionError("described again")

    monkeypatch.setattr(Statistics, "describe", refuse)
    monkeypatch.setattr(ColourHistogram, "describe", refuse)
    second = command("compare", archive, "--to", tmp_path / "out", *FAST, "--all")
    assert second.out == first.out
    assert "12 queries, 12 images ranked, relevant: same scene" in second.out


@pytest.mark.usefixtures("no_report")
def test_a_second_command_into_one_folder_is_refused(command: Callable, archive: Path, tmp_path: Path) -> None:
    to = tmp_path / "out"
    to.mkdir()
    other = WriterLock(to / "writer.lock")
    ended = command("compare", archive, "--to", to, *FAST)
    other.release()
    assert (ended.code, ended.out) == (1, "")
    assert f"out: another writer (process {os.getpid()}) is at work" in ended.err
    assert [path.name for path in to.iterdir()] == ["writer.lock"]
    assert command("compare", archive, "--to", to, *FAST).code == 0
    assert command("compare", archive, "--to", to, *FAST).code == 0  # It was given back.


@pytest.mark.usefixtures("no_report")
def test_the_table_says_which_images_are_ranked(command: Callable, archive: Path, tmp_path: Path) -> None:
    words = "these are the test part of 12 images, drawn with --test 0.5 --seed 3; --all ranks all"
    line = ("compare", archive, "--to", tmp_path / "out", *FAST)
    drawn = command(*line, "--test", 0.5, "--seed", 3)
    assert drawn.out.splitlines()[0].startswith("6 queries, 6 images ranked")
    assert drawn.out.splitlines()[1].startswith(words)
    split = tmp_path / "split.json"
    assert command("split", archive, "--to", split, "--test", 0.5).code == 0
    for chosen in ("--all",), ("--split", split):
        assert "test part of" not in command(*line, *chosen).out


def test_recnn_comes_from_a_model_and_then_from_its_index(command: Callable, tiny_export: Any, tmp_path: Path) -> None:
    line = ("compare", tiny_export.archive, "--split", tiny_export.split, "--descriptor", "color", "--processes", 1)
    asked = command(*line, "--to", tmp_path / "one", "--saved-model", tiny_export.model, "--json")
    assert asked.code == 0, asked.err
    first = json.loads(asked.out)["schemes"]
    assert list(first) == ["color", *PAPER_SCHEMES]
    assert first["recnn+"]["costs"]["seconds_per_image"] > 0
    assert first["recnn+"]["costs"]["bytes_per_image"] == 2048
    again = command(*line, "--to", tmp_path / "two", "--index", tmp_path / "one" / "index", "--json")
    assert again.code == 0, again.err
    second = json.loads(again.out)["schemes"]
    assert [second[name]["map"] for name in second] == [first[name]["map"] for name in first]
    spent = "seconds_per_image"  # It was measured when the index was made, and is kept beside it.
    assert second["recnn"]["costs"][spent] == first["recnn"]["costs"][spent]
    repeated = command(*line, "--to", tmp_path / "one", "--saved-model", tiny_export.model, "--json")
    assert json.loads(repeated.out)["schemes"]["recnn+"]["costs"][spent] == first["recnn+"]["costs"][spent]
    other = command(*line, "--to", tmp_path / "two", "--index", tmp_path / "one" / "index", "--scheme", "irm", "--json")
    assert list(json.loads(other.out)["schemes"]) == ["color", "irm"]
    (tmp_path / "one" / "index-costs.json").unlink()
    unknown = command(*line, "--to", tmp_path / "two", "--index", tmp_path / "one" / "index", "--json")
    assert spent not in json.loads(unknown.out)["schemes"]["recnn"]["costs"]
    text = (tmp_path / "two" / "report" / "report.md").read_text("utf-8")
    assert "| Descriptor | bytes per image | seconds per image | seconds per query |" in text
    assert re.search(r"\| ReCNN \| [\d.e+]+ \| [\d.e-]+ \| – \|", text)
    page = (tmp_path / "two" / "report" / "index.html").read_text("utf-8")
    images = json.loads(unknown.out)["queries"]
    for shown in (text, html.unescape(page)):
        assert f"Seconds per query: time on one core for searching {images} images and ranking all of them" in shown
    lacking = command("compare", tiny_export.archive, "--all", "--descriptor", "color", "--processes", 1,
                      "--to", tmp_path / "three", "--index", tmp_path / "one" / "index")  # fmt: skip
    assert lacking.code == 1
    assert "lacks 4 of the 6 images to compare" in lacking.err


@pytest.mark.usefixtures("no_report")
def test_bad_images_are_left_out_for_all(command: Callable, archive: Path, tmp_path: Path) -> None:
    (archive / "lake" / "lake1.png").write_bytes(b"no picture")
    ended = command("compare", archive, "--to", tmp_path / "out", *FAST, "--all", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["queries"] == 11
    assert list(found["skipped"]) == ["lake/lake1.png"]
    assert "left out" in ended.err


def archive_of(folder: Path, **facts: Any) -> Archive:
    records = []
    for path in sorted(folder.rglob("*.png")):
        name = path.relative_to(folder).as_posix()
        records.append(Record(name, FileSource(path), **{key: value(name) for key, value in facts.items()}))
    return Archive(folder, "folder", tuple(records))


def test_tags_where_there_are_no_scenes(archive: Path, tmp_path: Path) -> None:
    tagged = archive_of(archive, tags=lambda name: (name.split("/")[0],))
    found = compare_descriptors(tagged, tmp_path / "cache", descriptors=[ColourHistogram()])
    assert found.evaluation.relevance == "tags"
    figures = found.evaluation.schemes["color"]
    assert (figures.map, figures.by_scene, found.confusion) == (1, {}, {})
    # Four images of one tag each: gains 1, 1, 1, 1, 0 …: ACG@10 = 4/10, NDCG and WAP perfect.
    assert figures.graded == {"acg_at_10": pytest.approx(0.4), "ndcg_at_10": 1, "wap": 1}
    assert any("by scene class and their confusion are left out" in line for line in found.remarks)
    few = compare_descriptors(tagged, tmp_path / "cache", descriptors=[ColourHistogram()], query_counts=False)
    assert few.evaluation.schemes["color"].graded.keys() == figures.graded.keys()  # 11 are ranked.
    some = dataclasses.replace(tagged, records=tagged.records[:9])
    fewer = compare_descriptors(some, tmp_path / "cache", descriptors=[ColourHistogram()])
    assert fewer.evaluation.schemes["color"].graded.keys() == {"ndcg_at_10", "wap"}
    assert "ACG@10 is left out: only 9 images are ranked." in fewer.remarks


def test_neither_scenes_nor_tags(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither scene classes nor tags"):
        compare_descriptors(archive_of(archive), tmp_path / "cache", descriptors=[Statistics()])


def test_a_name_twice(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="statistics, statistics; wanted each name once"):
        compare_descriptors(archive_of(archive), tmp_path, descriptors=[Statistics("grey"), Statistics("rgb")])


def test_edge_cases_of_relevance(archive: Path, tmp_path: Path) -> None:
    def ask(scene: Callable[[str], str | None]) -> Any:
        return compare_descriptors(archive_of(archive, scene=scene), tmp_path / "cache", descriptors=[Statistics()])

    everything = ask(lambda _: "one")  # All images relevant.
    assert everything.evaluation.schemes["statistics"].map == 1
    single = ask(lambda name: name if name.startswith("lake") else "rest")  # Scenes of one image: they find themselves.
    assert single.evaluation.schemes["statistics"].by_scene["lake/lake0.png"].anmrr == 0
    assert any("4 scene classes have one image" in line for line in single.remarks)
    assert np.isnan(single.confusion["statistics"].shares()[:4]).all()
    some = ask(lambda name: None if name.startswith("lake") else name.split("/")[0])  # Some of no scene: in no figure.
    assert some.evaluation.left_out == 4


def test_ties_everywhere(tmp_path: Path) -> None:
    for number in range(6):
        save_png(tmp_path / "same" / f"{'ab'[number % 2]}{number}.png", np.full((16, 16, 3), 50, np.uint8))
    tied = archive_of(tmp_path / "same", scene=lambda name: name[0])
    found = compare_descriptors(tied, tmp_path / "cache", descriptors=[Statistics()])
    # All distances are 0: every ranking is in order of id, a0 a2 a4 b1 b3 b5. a: AP 1; b: (1/4 + 2/5 + 3/6) / 3.
    by_scene = found.evaluation.schemes["statistics"].by_scene
    assert (by_scene["a"].map, by_scene["b"].map) == (1, pytest.approx((1 / 4 + 2 / 5 + 3 / 6) / 3))
    np.testing.assert_array_equal(found.first_hits["statistics"][0], [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--descriptor", "surf"), "--descriptor surf"),
        (("--anmrr-variant", "9ng"), "'--anmrr-variant': 9ng: wanted one of 2ng"),
        (("--all", "--split", "x.json"), "both --all and --split"),
        (("--index", "x", "--saved-model", "y"), "both --index and a model are given"),
        (("--index", "x", "--server", "localhost:1"), "both --index and a model are given"),
        (("--set", "glcm"), "wanted NAME.FIELD=VALUE"),
        (("--set", "surf.levels=3"), "wanted one of statistics, color"),
        (("--descriptor", "color", "--set", "glcm.levels=3"), "wanted one of color, which are compared"),
        (("--set", "glcm.levels=3", "--set", "glcm.levels=4"), "glcm.levels is set twice"),
        (("--set", "glcm.words=3"), "wanted one of glcm.levels, glcm.offsets"),
        (("--set", "glcm.levels=x"), "wanted a whole number; the parameters are glcm.levels"),
        (("--against", "color"), "tests are made with --intervals"),
        (("--scheme", "irm"), "--scheme: name an --index or a model too"),
        (("--index", "x", "--scheme", "mri"), "scheme is 'mri'; wanted recnn or recnn+"),
        (("--intervals", "--against", "recnn"), "--against recnn: wanted one of statistics"),
    ],
)
def test_bad_usage(command: Callable, archive: Path, tmp_path: Path, options: tuple[str, ...], words: str) -> None:
    ended = command("compare", archive, "--to", tmp_path / "out", *options)
    assert ended.code == 2
    assert words in re.sub(r"[│╭╮╰╯─\n ]+", " ", ended.err)


def test_a_foreign_folder_is_not_written_to(command: Callable, archive: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "report").mkdir(parents=True)
    (tmp_path / "out" / "report" / "thesis.tex").write_text("mine")
    ended = command("compare", archive, "--to", tmp_path / "out", *FAST)
    assert ended.code == 1
    assert "holds files, but no report" in ended.err


def test_names_of_baselines_in_help_are_all_there_are() -> None:
    from rsir_tf.baselines import BASELINES
    from rsir_tf.cli.compare import BASELINE_NAMES

    assert tuple(BASELINES) == BASELINE_NAMES
