"""The report folder: what is in it, and what may be replaced."""

from __future__ import annotations

import io
import json
import math

import numpy as np
import pytest
from PIL import Image

from rsir_tf.artifacts import write_json
from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.evaluation import (
    PUBLISHED_UC_MERCED,
    Evaluation,
    RankingMetrics,
    SceneFigures,
    SchemeFigures,
    anmrr,
    mean_average_precision,
    precision_at,
)
from rsir_tf.presentation import retrieval_report as report_module
from rsir_tf.presentation import (
    write_report,
)
from rsir_tf.presentation.plots import precision_recall_plot, scene_plot
from rsir_tf.presentation.retrieval_tables import figures_table


def evaluate(images=60, scenes=("river", "forest|park"), **settings):
    generator = np.random.default_rng(0)
    rows = generator.random((12, images)) < 0.2
    metrics = RankingMetrics()
    for query, row in enumerate(rows):
        metrics.add(row, scene=scenes[query % len(scenes)] if scenes else None)
    schemes = {"recnn": metrics.figures(intervals=True), "a|b": metrics.figures()}
    return rows, Evaluation(12, images, "scene", "2ng", True, schemes, titles={"recnn": "ReCNN"}, **settings)


def test_report_holds_the_figures(tmp_path):
    rows, evaluation = evaluate(details={"model_id": "abc"})
    to = write_report(tmp_path / "deep" / "report", evaluation, published=PUBLISHED_UC_MERCED)
    assert sorted(path.name for path in to.iterdir()) == [
        "precision_recall.png",
        "report.csv",
        "report.json",
        "report.md",
        "scenes.png",
    ]
    content = json.loads((to / "report.json").read_text(encoding="utf-8"))
    assert content["kind"] == "rsir_tf.report"
    assert content["queries"] == 12
    assert content["archive"] == 60
    assert content["relevance"] == "scene"
    assert content["anmrr_variant"] == "2ng"
    assert content["query_counts"] is True
    recnn = content["schemes"]["recnn"]
    assert recnn["anmrr"] == anmrr(rows)
    assert recnn["map"] == mean_average_precision(rows)
    assert [recnn[f"p_at_{k}"] for k in (5, 10, 20, 50)] == [precision_at(rows, k) for k in (5, 10, 20, 50)]
    assert len(recnn["pr_curve"]) == 11
    assert sorted(recnn["by_scene"]) == ["forest|park", "river"]
    assert recnn["intervals"]["anmrr"][0] < recnn["anmrr"] < recnn["intervals"]["anmrr"][1]
    assert list(content["published"]) == ["recnn"]
    text = (to / "report.md").read_text(encoding="utf-8")
    assert f"| ReCNN | {anmrr(rows):.3f} | {mean_average_precision(rows):.3f} |" in text
    assert "| ReCNN (published) | 0.509 | 0.441 | 0.686 | 0.556 | 0.414 | 0.228 |" in text
    assert "ReCNN+" not in text.split("Published rows")[0]  # Not evaluated: not shown.
    assert r"a\|b" in text
    assert r"forest\|park" in text
    assert "model id: abc" in text
    for name in ("precision_recall.png", "scenes.png"):
        assert min(Image.open(to / name).size) > 100


def test_a_figure_that_does_not_exist_is_null_and_a_dash(tmp_path):
    _, evaluation = evaluate(images=15, scenes=())
    to = write_report(tmp_path / "report", evaluation)
    recnn = json.loads((to / "report.json").read_text(encoding="utf-8"))["schemes"]["recnn"]
    assert recnn["p_at_10"] is not None
    assert recnn["p_at_20"] is None
    assert recnn["p_at_50"] is None
    row = figures_table(evaluation).rows[0]
    assert row[0] == "ReCNN"
    assert row[-2:] == ["–", "–"]
    assert "by_scene" not in recnn
    assert not (to / "scenes.png").exists()


def test_no_figure_at_all_can_be_reported(tmp_path):
    metrics = RankingMetrics()
    metrics.add(np.zeros(5, dtype=bool), scene="river")
    evaluation = Evaluation(1, 5, "tags", "2ng", False, {"recnn": metrics.figures()}, left_out=1)
    to = write_report(tmp_path / "report", evaluation)
    content = json.loads((to / "report.json").read_text(encoding="utf-8"))
    assert content["schemes"]["recnn"]["anmrr"] is None
    assert content["schemes"]["recnn"]["pr_curve"] == [None] * 11
    assert content["queries_left_out"] == 1
    text = (to / "report.md").read_text(encoding="utf-8")
    assert "The query itself is not in its ranking." in text
    assert "in no figure: 1." in text


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path):
    to = tmp_path / "report"
    write_report(to, evaluate()[1])
    (to / "notes.txt").write_text("mine", encoding="utf-8")
    write_report(to, evaluate(images=15, scenes=())[1])
    assert json.loads((to / "report.json").read_text(encoding="utf-8"))["archive"] == 15
    assert (to / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not (to / "scenes.png").exists()  # The new evaluation has no scenes; the old plot would mislead.
    assert sorted(path.name for path in to.iterdir()) == [
        "notes.txt",
        "precision_recall.png",
        "report.csv",
        "report.json",
        "report.md",
    ]


def test_a_failing_plot_leaves_the_earlier_report_whole(tmp_path, monkeypatch):
    to = tmp_path / "report"
    write_report(to, evaluate()[1])
    before = {path.name: path.read_bytes() for path in to.iterdir()}

    def fail(_):
        raise RuntimeError("no memory for the plot")

    monkeypatch.setattr(report_module, "scene_plot", fail)
    with pytest.raises(RuntimeError, match="no memory"):
        write_report(to, evaluate(images=30)[1])
    assert {path.name: path.read_bytes() for path in to.iterdir()} == before
    with pytest.raises(RuntimeError, match="no memory"):
        write_report(tmp_path / "new", evaluate()[1])
    assert not (tmp_path / "new").exists()


def test_other_places_are_refused(tmp_path):
    evaluation = evaluate()[1]
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    with pytest.raises(ArtifactError, match="is a file"):
        write_report(file, evaluation)
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.tif").write_bytes(b"x")
    with pytest.raises(ArtifactError, match="no report"):
        write_report(folder, evaluation)
    assert [path.name for path in folder.iterdir()] == ["a.tif"]
    (folder / "report.json").write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(ArtifactError, match="kind"):
        write_report(folder, evaluation)
    newer = tmp_path / "newer"
    write_json(newer / "report.json", {"kind": "rsir_tf.report", "format_version": 99})
    with pytest.raises(ArtifactError, match="99"):
        write_report(newer, evaluation)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (write_report(empty, evaluation) / "report.md").exists()


def test_plots_draw_each_scheme_in_its_own_colour():
    curves = {"recnn": np.linspace(1, 0.2, 11), "recnn+": np.linspace(1, 0.6, 11)}
    pixels = np.asarray(Image.open(io.BytesIO(precision_recall_plot(curves))).convert("RGB")).reshape(-1, 3)
    scenes = {name: {"river": 0.2, "forest $5": 0.7} for name in curves}
    dots = np.asarray(Image.open(io.BytesIO(scene_plot(scenes))).convert("RGB")).reshape(-1, 3)
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (pixels == colour).all(axis=1).sum() > 500
    assert (dots == (213, 94, 0)).all(axis=1).sum() > 30  # Drawn over the first scheme's marks, at the same places.


def test_plots_are_the_same_bytes_each_time_and_take_missing_curves():
    curves = {"recnn": [math.nan] * 11, **{f"scheme {n}": [n / 12] * 11 for n in range(11)}}
    assert precision_recall_plot(curves) == precision_recall_plot(curves)


def test_more_scene_classes_than_a_page_holds_are_not_drawn(tmp_path):
    to = tmp_path / "report"
    write_report(to, evaluate()[1])
    assert (to / "scenes.png").exists()
    figures = SchemeFigures(
        0.5, 0.5, {5: 0.5}, (0.5,) * 11, by_scene={f"s{n:03}": SceneFigures(1, 0.5, 0.5) for n in range(101)}
    )
    many = Evaluation(101, 101, "scene", "2ng", True, {"recnn": figures}, remarks=("first",))
    write_report(to, many, remarks=["second"])
    assert not (to / "scenes.png").exists()
    line = "The plot of ANMRR by scene class is left out: 101 classes are more than 100."
    assert json.loads((to / "report.json").read_text("utf-8"))["remarks"] == ["first", "second", line]
    text = (to / "report.md").read_text("utf-8")
    assert "scenes.png" not in text
    assert text.count(line) == 2  # Among the remarks, and where the plot would be.
    assert "| s100 | 1 |" in text
    with pytest.raises(InputError, match="101 scene classes to plot; wanted at most 100"):
        scene_plot({"recnn": {f"s{n}": 0.5 for n in range(101)}})
