"""Sheets of extreme queries, heat maps, and the tables of figures."""

from __future__ import annotations

import csv
import dataclasses
import io

import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.evaluation import PUBLISHED_UC_MERCED, Evaluation, PairedTests, SchemeFigures
from rsir_tf.presentation import ShownImage, extremes_sheet, heat_map
from rsir_tf.presentation.plots import rounds_plot
from rsir_tf.presentation.retrieval_report import markdown_report
from rsir_tf.presentation.retrieval_tables import figures_csv, paired_test_sentence


def test_extremes_sheet_frames_what_is_relevant() -> None:
    image = np.full((32, 32, 3), 120, np.uint8)
    shown = ShownImage("q", image), [ShownImage("hit", image, True), ShownImage("miss", image, False)]
    sheet = extremes_sheet([("AP 0.5", *shown)], title="worst", side=64)
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert {(30, 90, 200), (34, 139, 68), (200, 44, 52)} <= colours


def test_a_plot_of_rounds_draws_each_curve_in_its_colour() -> None:
    from PIL import Image

    png = rounds_plot({"A, none": [0.2, 0.4], "B": [0.2, np.nan, 0.9]}, "mAP")
    colours = set(map(tuple, np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3).tolist()))
    assert {(0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)} <= colours


def test_heat_map_is_darker_where_values_are_higher() -> None:
    from PIL import Image

    png = heat_map([[0.0, 1.0], [np.nan, 0.5]], ["r$1", "r2"], ["c1", "c2"], row_title="query", column_title="hits")
    picture = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    blue = (picture == (8, 48, 107)).all(axis=2)  # The darkest of matplotlib's Blues: the cell of 1.
    assert blue.sum() > 500
    assert np.nonzero(blue)[1].mean() > picture.shape[1] / 2
    with pytest.raises(InputError, match=r"wanted \[1, 2\]"):
        heat_map([[0.5]], ["a"], ["b", "c"])
    with pytest.raises(InputError, match="1 to 100"):
        heat_map(np.zeros((101, 1)), ["x"] * 101, ["y"])


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_heat_map_writes_what_is_0_or_missing_where_asked(value: float) -> None:
    from PIL import Image

    def black(**more: bool) -> int:
        png = heat_map([[value]], ["row"], ["column"], **more)
        return int((np.asarray(Image.open(io.BytesIO(png)).convert("L")) < 160).sum())

    assert black(blanks=False) > black() + 5  # Pixels of ".00", or of a dash.


@pytest.fixture
def evaluation() -> Evaluation:
    figures = SchemeFigures(
        0.5, 1 / 3, {5: 0.25, 10: float("nan")}, (0.1,) * 11, graded={"wap": 1.5}, costs={"bytes_per_image": 48.0}
    )
    return Evaluation(4, 8, "scene", "2ng", True, {"glcm": figures, "other": figures}, titles={"glcm": "GLCM"})


def test_csv_holds_all_digits(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(figures_csv(evaluation, PUBLISHED_UC_MERCED))))
    assert [(row["descriptor"], row["source"]) for row in rows] == [
        ("glcm", "measured"),
        ("glcm", "published"),
        ("other", "measured"),
    ]
    assert float(rows[0]["map"]) == 1 / 3
    assert rows[0]["p_at_10"] == ""
    assert rows[0]["bytes_per_image"] == "48.0"
    assert (rows[1]["anmrr"], rows[1]["p_at_10"], rows[1]["bytes_per_image"]) == ("0.746", "0.279", "")


def test_the_report_says_how_costs_are_measured(evaluation: Evaluation) -> None:
    assert "Bytes per image: the size of its stored vectors.\n" in markdown_report(evaluation, title="t")
    timed = dataclasses.replace(evaluation.schemes["glcm"], costs={"seconds_per_query": 0.25})
    for queries, words in (
        (4, "searching 4 images and ranking all of them, measured separately for the first 4"),
        (99, "the first 64"),
    ):
        text = markdown_report(dataclasses.replace(evaluation, queries=queries, schemes={"glcm": timed}), title="t")
        assert f"{words} queries, with all vectors in memory" in text
        assert "Bytes" not in text


def test_graded_figures_are_shown(evaluation: Evaluation) -> None:
    assert evaluation.to_json()["schemes"]["glcm"]["graded"] == {"wap": 1.5}
    text = markdown_report(evaluation, title="t")
    assert "## Graded by shared tags" in text
    assert "| GLCM | 1.500 |" in text


def test_a_title_that_two_descriptors_share_is_told_apart_by_their_names(evaluation: Evaluation) -> None:
    alike = dataclasses.replace(evaluation, titles={"glcm": "Grey", "other": "Grey"})
    assert (alike.title_of("glcm"), alike.title_of("other")) == ("Grey (glcm)", "Grey (other)")
    assert (evaluation.title_of("glcm"), evaluation.title_of("other")) == ("GLCM", "other")


def test_the_sentence_on_tests_says_how_to_read_them(evaluation: Evaluation) -> None:
    tests = PairedTests("glcm", False, {"lbp": 0.2, "gist": 0.01}, {"lbp": 0.2, "gist": 0.02})
    sentence = paired_test_sentence(evaluation, tests)
    assert sentence.startswith("Paired randomisation tests of AP, two-sided, against GLCM; ")
    assert "is over the 2 tests of this table" in sentence
    assert "too small for a claim" in paired_test_sentence(evaluation, dataclasses.replace(tests, chosen_as_best=True))
