"""evaluate's report: its page, the figures of each query, rankings that trec_eval judges alike; separate query sets."""

from __future__ import annotations

import csv
import json
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rsir_tf.archives import Split, write_split
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter

SCENES = {
    "a": ["a b/1.png", "a/2%.png", "a/3.png", "a/4.png"],
    "c": ["c/1.png", "c/2.png", "c/3.png"],
    "d": ["d/1.png"],
}
NAMES = [name for names in SCENES.values() for name in names]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Random vectors in three scenes; one scene has one image. No picture is on disk."""
    generator = np.random.default_rng(0)
    to = tmp_path / "an index"
    with IndexWriter.open(to, IndexSettings("made", ("sea", "trees"), channels=3)) as writer:
        for scene, names in SCENES.items():
            for name in names:
                vector = generator.random(3, dtype=np.float32)
                writer.add(
                    ImageEntry(
                        name, path=f"/archive/{name}", height=8, width=8, scene=scene, tags=None, content_hash=name,
                        file_size=1, modified_ns=1, classes=np.array([1], np.int32), areas=np.array([64], np.int64),
                        boxes=np.array([[0, 0, 8, 8]], np.int32), recnn=vector[None], recnn_plus=vector,
                    )
                )  # fmt: skip
    return to


def split_into(to: Path, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    write_split(Split(train=train, test=test, by="scene", seed=0, fraction=0.4, groups=(), archive_hash="0" * 64), to)


def judged(report: Path, scheme: str, measures: set[str]) -> dict[str, dict[str, float]]:
    """What trec_eval's own code says of a report's files."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    with (report / "relevance.qrels").open() as qrels, (report / f"rankings_{scheme}.run").open() as run:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels), measures)
        return evaluator.evaluate(pytrec_eval.parse_run(run))


@pytest.mark.parametrize("counts", ["--query-counts", "--no-query-counts"])
def test_trec_eval_gives_the_same_figures(index: Path, tmp_path: Path, command: Callable, counts: str) -> None:
    report = tmp_path / "report"
    ended = command("evaluate", index, "--k", 2, counts, "--report", report, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)["schemes"]
    rows = list(csv.DictReader((report / "per_query.csv").read_text("utf-8").splitlines()))
    assert [row["query"] for row in rows] == sorted(NAMES) * 2
    for scheme, file in (("recnn", "recnn"), ("recnn+", "recnn_plus")):
        theirs = judged(report, file, {"map", "P.2", "recall.2"})
        own = {row["query"]: row for row in rows if row["scheme"] == scheme}
        assert {urllib.parse.unquote(name) for name in theirs} == {name for name, row in own.items() if row["ap"]}
        for name, figures in theirs.items():
            row = own[urllib.parse.unquote(name)]
            assert float(row["ap"]) == pytest.approx(figures["map"])
            assert float(row["p_at_2"]) == pytest.approx(figures["P_2"])
            assert float(row["recall_at_2"]) == pytest.approx(figures["recall_2"])
        assert np.mean([figures["map"] for figures in theirs.values()]) == pytest.approx(found[scheme]["map"])
    # The name of a scheme with a second stage has spaces.
    assert command("evaluate", index, "--scheme", "recnn", "--expand", 1, counts, "--report", report).code == 0
    assert len(judged(report, "recnn_expanded_by_1", {"map"})) == len(theirs)
    # The one image of its scene finds itself or nothing.
    lone = [row for row in rows if row["query"] == "d/1.png"]
    wanted = ("1", "1.0") if counts == "--query-counts" else ("0", "")
    assert [(row["relevant"], row["ap"]) for row in lone] == [wanted] * 2


def test_the_page_names_index_and_archive_and_what_it_cannot_show(
    index: Path, tmp_path: Path, command: Callable
) -> None:
    report = tmp_path / "report"
    assert command("evaluate", index, "--report", report, "--depth", 3).code == 0
    page = (report / "index.html").read_text("utf-8")
    assert "<h1>Retrieval figures of an index</h1>" in page
    assert f"index: {index}" in page
    assert "archive: /archive" in page
    assert "Not shown: /archive/" in page
    assert "The first 3 of 8 images of each ranking are in them" in page
    assert (report / "best_recnn.png").is_file()
    run = (report / "rankings_recnn_plus.run").read_text("utf-8").splitlines()
    assert len(run) == 8 * 3
    assert run[0].split() == ["a%20b/1.png", "Q0", "a%20b/1.png", "1", "3", "recnn+"]
    # A later report of one scheme has no ranking of the other.
    assert command("evaluate", index, "--scheme", "recnn", "--report", report).code == 0
    assert [path.name for path in report.glob("*.run")] == ["rankings_recnn.run"]


def test_queries_and_gallery_may_be_parts_of_a_split(index: Path, tmp_path: Path, command: Callable) -> None:
    split, report = tmp_path / "split.json", tmp_path / "report"
    test = ("a b/1.png", "c/1.png", "d/1.png")
    train = tuple(sorted(set(NAMES) - set(test)))
    split_into(split, train, test)
    line = ("evaluate", index, "--queries", split, "--k", 2)
    ended = command(*line, "--report", report, "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["queries"], found["archive"], found["query_counts"]) == (3, 5, False)
    assert (found["details"]["query_part"], found["details"]["gallery_part"]) == ("test", "train")
    # d has no image in the training part.
    assert found["queries_left_out"] == 1
    rows = list(csv.DictReader((report / "per_query.csv").read_text("utf-8").splitlines()))
    assert [row["query"] for row in rows[:3]] == list(test)
    assert [row["relevant"] for row in rows[:3]] == ["3", "2", "0"]
    for scheme, file in (("recnn", "recnn"), ("recnn+", "recnn_plus")):
        theirs = judged(report, file, {"map"})
        assert np.mean([each["map"] for each in theirs.values()]) == pytest.approx(found["schemes"][scheme]["map"])
    ranked = {line.split()[2] for line in (report / "rankings_recnn.run").read_text("utf-8").splitlines()}
    assert ranked == {name.replace("%", "%25") for name in train}
    # All as the gallery is the usual evaluation of these queries; itself counts.
    whole = json.loads(command(*line, "--gallery", "all", "--json").out)
    assert (whole["queries"], whole["archive"], whole["query_counts"]) == (3, 8, True)
    other_way = ("--part", "train", "--gallery", "test", "--anmrr-variant", "mpeg7")
    swapped = json.loads(command(*line, *other_way, "--json").out)
    assert (swapped["queries"], swapped["archive"]) == (5, 3)
    ended = command(*line, "--part", "validation")
    assert (ended.code, ended.out) == (1, "")
    assert "the split has no validation part; wanted one of train, test" in ended.err
    split_into(tmp_path / "other.json", (*train, "x.png"), test)
    ended = command("evaluate", index, "--queries", tmp_path / "other.json")
    assert "lacks 1 of the split's 6 train images (x.png); index that part of the archive too" in ended.err


def test_all_against_a_part_agrees_with_the_usual_ranking(index: Path, tmp_path: Path, command: Callable) -> None:
    split = tmp_path / "split.json"
    rest = tuple(sorted(NAMES))
    split_into(split, rest[:1], rest)
    usual = json.loads(command("evaluate", index, "--json").out)
    alike = json.loads(command("evaluate", index, "--queries", split, "--gallery", "test", "--json").out)
    for scheme, figures in usual["schemes"].items():
        same = {key: value for key, value in figures.items() if key != "costs"}
        assert {key: value for key, value in alike["schemes"][scheme].items() if key != "costs"} == same
