"""evaluate on an index of four images whose figures are worked out by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter

CLASSES = ("bare soil", "sea", "trees")
# Name: place on a line, which is its distance from the others; tags; the class of its one region.
IMAGES = {
    "a": (0.0, ("bare-soil", "trees"), 2),
    "b": (1.0, ("trees",), 2),
    "c": (2.25, ("sea",), 2),
    "d": (4.0, ("bare-soil", "sea", "trees"), 1),
}


def write_index(
    to: Path,
    classes: tuple[str, ...] = CLASSES,
    *,
    tags: dict[str, Any] | None = None,
    scenes: dict[str, Any] | None = None,
) -> Path:
    with IndexWriter.open(to, IndexSettings("made", classes, channels=1)) as writer:
        for name, (place, own, shown) in IMAGES.items():
            vector = np.array([place], np.float32)
            writer.add(
                ImageEntry(
                    name, path=name, height=8, width=8, scene=(scenes or {}).get(name),
                    tags=own if tags is None else tags[name], content_hash=name,
                    file_size=1, modified_ns=1, classes=np.array([shown], np.int32), areas=np.array([64], np.int64),
                    boxes=np.array([[0, 0, 8, 8]], np.int32), recnn=vector[None], recnn_plus=vector,
                )
            )  # fmt: skip
    return to


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    return write_index(tmp_path / "index")


def test_jaccard_relevance_and_other_cutoffs(tagged: Path, tmp_path: Path, command: Callable) -> None:
    report = tmp_path / "report"
    ended = command(
        "evaluate", tagged, "--relevance", "jaccard", "--k", 3, "--k", 1, "--k", 3, "--json", "--report", report
    )
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["relevance"], found["details"]["jaccard_at"]) == ("jaccard", 0.5)
    for figures in found["schemes"].values():
        # Jaccard indices: ab 1/2, ad 2/3, bd 1/3, cd 1/3. Orders and what is relevant: a: a b - d; b: b a - -; c: c - -
        # -; d: d - - a. AP: (1 + 1 + 3/4)/3, 1, 1, (1 + 2/4)/2.
        assert figures["map"] == pytest.approx(11 / 12)
        assert (figures["p_at_1"], figures["p_at_3"]) == (1, pytest.approx(1 / 2))
        assert figures["recall_at_1"] == pytest.approx((1 / 3 + 1 / 2 + 1 + 1 / 2) / 4)
        assert figures["recall_at_3"] == pytest.approx((2 / 3 + 1 + 1 + 1 / 2) / 4)
        assert "p_at_5" not in figures
        # Shared tags in ranked order: a: 2 1 0 2; b: 1 1 0 1; c: 1 0 1 0; d: 3 1 1 2.
        assert figures["graded"]["acg_at_1"] == pytest.approx(7 / 4)
        assert figures["graded"]["acg_at_3"] == pytest.approx((3 + 2 + 2 + 5) / 3 / 4)
        assert figures["graded"]["ndcg_at_1"] == 1
        assert figures["graded"]["wap"] == pytest.approx((19 / 12 + 11 / 12 + 5 / 6 + 101 / 48) / 4)
    rows = list(csv.DictReader((report / "report.csv").read_text().splitlines()))
    assert float(rows[0]["recall_at_1"]) == found["schemes"]["recnn"]["recall_at_1"]
    assert float(rows[1]["wap"]) == found["schemes"]["recnn+"]["graded"]["wap"]
    text = (report / "report.md").read_text()
    assert "An image is relevant where the Jaccard index of its tags and the query's is high enough" in text
    assert "jaccard at: 0.5" in text
    assert "| micro | 0.375 | 0.750 | 0.429 | 0.545 |" in text
    # Nothing else is as near as 1/2; from a third on, d is like b and c too.
    wider = json.loads(command("evaluate", tagged, "--relevance", "jaccard", "--jaccard-at", 0.3, "--json").out)
    # a: a b - d; b: b a - d; c: c - d -; d: all.
    assert wider["schemes"]["recnn+"]["map"] == pytest.approx((11 / 12 + 11 / 12 + (1 + 2 / 3) / 2 + 1) / 4)


def test_tags_that_the_segmentations_show(tagged: Path, tmp_path: Path, command: Callable) -> None:
    found = json.loads(command("evaluate", tagged, "--relevance", "tags", "--json").out)["shown_tags"]
    # TP, FP, FN: bare soil 0, 0, 2 (named bare-soil among the tags); sea 1, 0, 1; trees 2, 1, 1.
    assert found["micro"] == {
        "accuracy": pytest.approx(3 / 8),
        "precision": pytest.approx(3 / 4),
        "recall": pytest.approx(3 / 7),
        "f1": pytest.approx(6 / 11),
    }
    assert found["macro"]["recall"] == pytest.approx((0 + 1 / 2 + 2 / 3) / 3)
    assert found["example"]["precision"] == pytest.approx((1 + 1 + 0 + 1) / 4)
    assert found["hamming_loss"] == pytest.approx(5 / 12)
    other = write_index(tmp_path / "other", ("soil", "sea", "trees"))
    assert "shown_tags" not in json.loads(command("evaluate", other, "--relevance", "tags", "--json").out)


def test_the_table_of_an_index_with_tags(tagged: Path, command: Callable) -> None:
    ended = command("evaluate", tagged, "--relevance", "tags", "--scheme", "recnn+", "--k", 1, "--k", 1000)
    lines = [line.split() for line in ended.out.splitlines()]
    assert " ".join(lines[0]) == "4 queries, 4 images ranked, relevant: a shared tag"
    assert lines[1] == ["ANMRR", "mAP", "P@1", "P@1000"]
    assert (lines[2][0], lines[2][3:]) == ("recnn+", ["1.0000", "–"])
    assert lines[4] == ["WAP", "ACG@1", "ACG@1000", "NDCG@1", "NDCG@1000"]
    assert lines[5][:4] == ["recnn+", "1.3594", "1.7500", "–"]  # 261/192 and 7/4
    assert " ".join(lines[6]).endswith("the images' own: Hamming loss 0.4167")
    assert lines[9] == ["micro", "0.3750", "0.7500", "0.4286", "0.5455"]
    assert len(lines) == 11
    ended = command("evaluate", tagged, "--relevance", "jaccard", "--jaccard-at", 0.25)
    assert ended.out.splitlines()[0].endswith("relevant: tags alike (Jaccard index) from 0.25 on")


def test_what_is_left_out_is_told_everywhere(tmp_path: Path, command: Callable) -> None:
    tags = {"a": ("bare-soil", "trees"), "b": None, "c": ("sea",), "d": ()}
    scenes = {"a": "x", "b": "x", "c": None, "d": "y"}
    index = write_index(tmp_path / "index", tags=tags, scenes=scenes)
    lines = [
        # Without the query a finds nothing with its tags, nor do the others.
        "4 of 4 queries are in no figure: no ranked image is relevant to them (2 of them have no tags).",
        "ACG, NDCG and WAP are over 0 of 4 queries: the others share no tag with a ranked image (2 have none).",
        "P@5, ACG@5 are left out: only 3 images are ranked.",
        "How well the segmentations show the images' tags is over 3 of 4 images: the tags of the others are not known.",
        "Figures by scene class are left out: an image is relevant by its tags.",
    ]
    report = tmp_path / "report"
    options = ("--relevance", "tags", "--no-query-counts", "--k", 1, "--k", 5, "--report", report)
    ended = command("evaluate", index, *options, "--json")
    found = json.loads(ended.out)
    assert found["remarks"] == lines
    assert (found["queries_left_out"], found["graded_queries"]) == (4, 0)
    assert json.loads((report / "report.json").read_text("utf-8"))["remarks"] == lines
    text = (report / "report.md").read_text("utf-8")
    assert all(f"- {line}\n" in text for line in lines)
    plain = command("evaluate", index, *options)
    assert plain.err.splitlines()[:-1] == lines  # The last says where the report is.
    # By scene, itself included: a, b and d find something; a finds a's tags, and c its own.
    by_scene = json.loads(command("evaluate", index, "--k", 1, "--json").out)
    assert by_scene["remarks"][:2] == [
        "1 of 4 queries are in no figure: no ranked image is relevant to them (1 of them have no scene class).",
        "ACG, NDCG and WAP are over 2 of 4 queries: the others share no tag with a ranked image (2 have none).",
    ]
    assert (by_scene["queries_left_out"], by_scene["graded_queries"]) == (1, 2)


def test_tags_that_the_model_does_not_know_are_told(tagged: Path, tmp_path: Path, command: Callable) -> None:
    other = write_index(tmp_path / "other", ("soil", "sea", "forest"))
    what = "How well the segmentations show the images' tags is left out:"
    line = f"{what} 2 of 3 tags are no class of the model (bare-soil, trees)."
    assert line in json.loads(command("evaluate", other, "--relevance", "tags", "--json").out)["remarks"]
    scenes = dict.fromkeys(IMAGES, "x")
    plain = write_index(tmp_path / "plain", tags=dict.fromkeys(IMAGES), scenes=scenes)
    found = json.loads(command("evaluate", plain, "--k", 1, "--json").out)
    graded = "ACG, NDCG and WAP are left out: the images have no tags."
    assert found["remarks"] == [graded, f"{what} the images have no tags."]
    assert "graded_queries" not in found
    whole = json.loads(command("evaluate", tagged, "--relevance", "tags", "--k", 1, "--json").out)
    assert "remarks" not in whole  # Nothing is left out.
    assert whole["graded_queries"] == 4


def test_bad_values(tagged: Path, tmp_path: Path, command: Callable) -> None:
    for at in (0, 1.5, "nan"):
        ended = command("evaluate", tagged, "--relevance", "jaccard", "--jaccard-at", at)
        assert (ended.code, ended.out) == (2, "")
        assert "wanted a number above 0, at most 1" in " ".join(ended.err.split())
    ended = command("evaluate", tagged, "--k", 0)
    assert (ended.code, ended.out) == (2, "")
    ended = command("evaluate", write_index(tmp_path / "plain", tags=dict.fromkeys(IMAGES)), "--relevance", "jaccard")
    assert (ended.code, ended.out) == (1, "")
    assert "its images have no tags; use --relevance scene" in ended.err
    assert "its images have no scene class; use --relevance tags" in command("evaluate", tagged).err


def test_queries_without_a_region_are_left_out_and_told(tmp_path: Path, command: Callable) -> None:
    to = tmp_path / "index"
    places = {"a": (0.0, 1, "x"), "b": (1.0, 1, "x"), "c": (2.25, 0, "x"), "d": (4.0, 1, "y")}
    with IndexWriter.open(to, IndexSettings("made", CLASSES, channels=1, min_area=9)) as writer:
        for name, (place, regions, scene) in places.items():
            vector = np.array([place], np.float32)
            writer.add(
                ImageEntry(
                    name, path=name, height=8, width=8, scene=scene, tags=None, content_hash=name, file_size=1,
                    modified_ns=1, classes=np.zeros(regions, np.int32), areas=np.full(regions, 64),
                    boxes=np.tile([[0, 0, 8, 8]], (regions, 1)), recnn=np.tile(vector, (regions, 1)), recnn_plus=vector,
                )
            )  # fmt: skip
    ended = command("evaluate", to, "--json")
    found = json.loads(ended.out)
    # ReCNN: a: a b d c, b: b a d c, d: d. c has no region: it comes last, and does not ask.
    assert found["schemes"]["recnn"]["map"] == pytest.approx((11 / 12 + 11 / 12 + 1) / 3)
    # ReCNN+: a: a b c d, b: b a c d, c: c b d a, d: d.
    assert found["schemes"]["recnn+"]["map"] == pytest.approx((1 + 1 + 11 / 12 + 1) / 4)
    assert (found["queries"], found["queries_left_out"]) == (4, 0)
    assert "1 of 4 queries are in no figure of ReCNN: they have no region of at least 9 pixels." in ended.err
    assert "1 scene classes have one image, which can find none but itself." in ended.err.splitlines()
    assert "ReCNN+" not in ended.err
    ended = command("evaluate", to, "--scheme", "irm", "--json")
    # IRM compares directions, and those of b and d are equal: a: a b d c, b: b d a c, d: b d a c.
    first = (1 + 2 / 3 + 3 / 4) / 3
    assert json.loads(ended.out)["schemes"]["irm"]["map"] == pytest.approx((11 / 12 + first + 1 / 2) / 3)
    assert "1 of 4 queries are in no figure of IRM: they have no region of at least 9 pixels." in ended.err


def test_an_index_without_any_region_has_no_figures_by_regions(tmp_path: Path, command: Callable) -> None:
    to = tmp_path / "index"
    with IndexWriter.open(to, IndexSettings("made", CLASSES, channels=1, min_area=100_000)) as writer:
        for name in "abc":
            none = np.zeros(0, np.int32)
            writer.add(
                ImageEntry(
                    name, path=name, height=8, width=8, scene="x", tags=("sea",), content_hash=name, file_size=1,
                    modified_ns=1, classes=none, areas=none, boxes=none.reshape(0, 4),
                    recnn=np.zeros((0, 1), np.float32), recnn_plus=np.ones(1, np.float32),
                )
            )  # fmt: skip
    ended = command("evaluate", to, "--scheme", "recnn", "--intervals", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["schemes"]["recnn"]
    assert (found["map"], found["anmrr"], found["p_at_5"]) == (None, None, None)
    assert "3 of 3 queries are in no figure of ReCNN" in ended.err
    table = command("evaluate", to, "--scheme", "recnn", "--anmrr-variant", "2max")
    assert (table.code, "–" in table.out) == (0, True)
