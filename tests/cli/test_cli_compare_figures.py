"""`rsir-tf compare` on four images whose rankings are known: figures, tests, remarks, and what the report shows."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsir_tf.archives import open_archive
from rsir_tf.baselines import ColourHistogram, Statistics
from rsir_tf.errors import InputError
from rsir_tf.evaluation import (
    paired_test,
)
from rsir_tf.presentation import save_png
from rsir_tf.presentation.retrieval_tables import paired_test_sentence
from rsir_tf.workflows import compare_descriptors, write_comparison

LEVELS = {"a/a0": 10, "a/a1": 12, "b/b0": 13, "b/b1": 20}
# By the difference of grey levels:  a0: a0 a1 b0 b1   a1: a1 b0 a0 b1   b0: b0 a1 a0 b1   b1: b1 b0 a1 a0
STATISTICS_AP = [1, 5 / 6, 3 / 4, 1]  # Relevant at ranks 1 2; 1 3: (1 + 2/3) / 2; 1 4: (1 + 2/4) / 2; 1 2.
# All four lie in one bin of the colour histogram: every ranking is a0 a1 b0 b1. b0 and b1: (1/3 + 2/4) / 2.
COLOUR_AP = [1, 1, 5 / 12, 5 / 12]
PLAIN = ("--all", "--descriptor", "statistics", "--processes", 1, "--json")


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    for name, level in LEVELS.items():
        save_png(tmp_path / "flat" / f"{name}.png", np.full((16, 16, 3), level, np.uint8))
    return tmp_path / "flat"


@pytest.mark.parametrize(
    ("options", "anmrr", "mean_ap"),
    [
        # NMRR with NG = 2, K = 4, penalty 5: (mean rank - 3/2) / (5 - 3/2) is 0, 1/7, 2/7, 0.
        ((), 3 / 28, 43 / 48),
        # K = 8, penalty 10: 0, 1/17, 2/17, 0.
        (("--anmrr-variant", "4ng"), 3 / 68, 43 / 48),
        # Without the query one is relevant, at ranks 1, 2, 3, 1: K = 2, penalty 2.5; 0, 2/3, 1, 0.
        (("--no-query-counts",), 5 / 12, 17 / 24),
        # The largest NG is 1 then: K = 2 as well. It would be 2, and K = 4, if the query were counted.
        (("--no-query-counts", "--anmrr-variant", "2max"), 5 / 12, 17 / 24),
        # Tags a0: x, a1: y, b0: x y, b1: x. Relevant at ranks 1 3 4; 1 2; all; 1 2 4.
        # AP (1 + 2/3 + 3/4) / 3, 1, 1, (1 + 1 + 3/4) / 3; NMRR with NG = 3, penalty 7.5: 4/33, 0, 0, 2/33.
        (("--relevance", "tags"), 1 / 22, 67 / 72),
    ],
)
def test_figures_by_hand(
    command: Callable, flat: Path, tmp_path: Path, options: tuple[str, ...], anmrr: float, mean_ap: float
) -> None:
    tags = tmp_path / "tags.txt"
    tags.write_text("IMAGE\\LABEL\tx\ty\na0\t1\t0\na1\t0\t1\nb0\t1\t1\nb1\t1\t0\n", encoding="utf-8")
    ended = command("compare", flat, "--to", tmp_path / "out", "--tags", tags, *PLAIN, *options)
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    figures = found["schemes"]["statistics"]
    assert (figures["anmrr"], figures["map"]) == (pytest.approx(anmrr), pytest.approx(mean_ap))
    by_tags = "--relevance" in options
    assert ("by_scene" in figures) is not by_tags
    assert any("Figures by scene class are left out" in line for line in found["remarks"]) is by_tags


@pytest.mark.parametrize("against", [None, "color"])
def test_tests_and_remarks_are_in_every_report(flat: Path, tmp_path: Path, against: str | None) -> None:
    found = compare_descriptors(
        open_archive(flat),
        tmp_path / "cache",
        descriptors=[Statistics(), ColourHistogram()],
        intervals=True,
        against=against,
    )
    np.testing.assert_allclose(found.average_precision["statistics"], STATISTICS_AP)
    np.testing.assert_allclose(found.average_precision["color"], COLOUR_AP)
    other = "statistics" if against else "color"  # Statistics are the best.
    p = paired_test(STATISTICS_AP, COLOUR_AP)  # Two-sided: the same both ways.
    assert found.tests.p_values == {other: p}
    assert found.tests.corrected == {other: p}
    assert found.tests.chosen_as_best is (against is None)
    low, high = found.evaluation.schemes["statistics"].intervals["map"]
    assert 3 / 4 <= low < 43 / 48 < high <= 1
    page = write_comparison(tmp_path / "report", found, title="t", published=False).read_text("utf-8")
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    content = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert content["tests"] == found.to_json()["tests"]
    assert content["remarks"] == found.remarks
    assert "ReCNN and ReCNN+ are left out: neither an index nor a model was named." in found.remarks
    name = "Statistics" if against is None else "Color"
    sentence = paired_test_sentence(found.evaluation, found.tests)
    assert sentence.startswith(f"Paired randomisation tests of AP, two-sided, against {name}")
    assert ("chosen on the same queries" in sentence) is (against is None)
    for shown in (html.unescape(page), text):
        assert sentence in shown
        assert f"{p:.4f}" in shown
        assert f"{low:.3f} to {high:.3f}" in shown
        assert all(line in shown for line in found.remarks)


def test_a_folder_with_other_things_is_not_taken_over(command: Callable, flat: Path) -> None:
    ended = command("compare", flat, "--to", flat, *PLAIN)
    assert (ended.code, ended.out) == (1, "")
    assert "flat: is a folder with other things in it" in ended.err


def test_against_what_is_not_compared(flat: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'recnn'; wanted one of statistics, which are compared"):
        compare_descriptors(open_archive(flat), tmp_path, descriptors=[Statistics()], intervals=True, against="recnn")


def test_a_bag_left_out_is_not_tested_against(command: Callable, flat: Path, tmp_path: Path) -> None:
    ended = command("compare", flat, "--to", tmp_path / "out", *PLAIN, "--descriptor", "bovw", "--intervals",
                    "--against", "bovw")  # fmt: skip
    assert ended.code == 0, ended.err
    assert "Paired tests are left out: BoVW is." in ended.err
    assert "tests" not in json.loads(ended.out)


def test_nothing_is_relevant(command: Callable, tmp_path: Path) -> None:
    for number in range(3):
        save_png(tmp_path / "single" / str(number) / f"{number}.png", np.full((16, 16, 3), number, np.uint8))
    ended = command("compare", tmp_path / "single", "--to", tmp_path / "out", *PLAIN, "--descriptor", "color",
                    "--intervals", "--no-query-counts")  # fmt: skip
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert "tests" not in found
    assert found["queries_left_out"] == 3
    assert "No query has a relevant image: there are no figures." in found["remarks"]
    assert "Paired tests are left out: no query has a figure." in found["remarks"]
    page = (tmp_path / "out" / "report" / "index.html").read_text("utf-8")
    assert "each ranking 2 images. No query has a relevant image" in page
    assert "Best by" not in page


def test_more_scene_classes_than_a_page_holds(tmp_path: Path) -> None:
    for number in range(101):
        save_png(tmp_path / f"many/{number:03}/{number:03}.png", np.full((16, 16, 3), number, np.uint8))
    found = compare_descriptors(open_archive(tmp_path / "many"), tmp_path / "cache", descriptors=[Statistics()])
    page = write_comparison(tmp_path / "report", found, title="t", published=False).read_text("utf-8")
    assert not list((tmp_path / "report").glob("*scene*.png"))
    for line in (
        "The plot of ANMRR by scene class is left out: 101 classes are more than 100.",
        "The confusion of 101 scene classes is left out: more than 100.",
    ):
        assert line in page
        assert line in (tmp_path / "report" / "report.md").read_text("utf-8")


def test_one_image_is_refused(command: Callable, flat: Path, tmp_path: Path) -> None:
    for name in list(LEVELS)[2:]:
        (flat / f"{name}.png").unlink()
    (flat / "a/a1.png").write_bytes(b"no picture")
    ended = command("compare", flat, "--to", tmp_path / "out", *PLAIN)
    assert ended.code == 1
    assert "1 image to compare can be read" in ended.err
    assert "a1.png" in ended.err
    (flat / "a/a1.png").unlink()
    ended = command("compare", flat, "--to", tmp_path / "out", *PLAIN)
    assert "1 image to compare; wanted two or more" in ended.err


def test_pictures_of_an_earlier_comparison_go(command: Callable, flat: Path, tmp_path: Path) -> None:
    line = ("compare", flat, "--to", tmp_path / "out", "--all", "--processes", 1, "--descriptor", "color")
    assert command(*line, "--descriptor", "statistics").code == 0
    report = tmp_path / "out" / "report"
    (report / "worst_holiday.png").write_bytes(b"mine")
    stale = {"confusion_statistics.png", "best_statistics.png", "worst_statistics.png"}
    before = {path.name for path in report.iterdir()}
    assert stale < before
    assert command(*line).code == 0
    assert {path.name for path in report.iterdir()} == before - stale


def test_parameters_are_set_and_recorded(command: Callable, flat: Path, tmp_path: Path) -> None:
    ended = command("compare", flat, "--to", tmp_path / "out", *PLAIN, "--set", "statistics.channels=rgb")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert found["details"]["statistics_parameters"] == {"channels": "rgb", "distance": "l2"}
    assert found["schemes"]["statistics"]["costs"]["bytes_per_image"] == 24


@pytest.mark.parametrize("as_published", [False, True])
def test_label_repairs_are_recorded(command: Callable, tmp_path: Path, as_published: bool) -> None:
    root = tmp_path / "mlrsnet"
    for number in range(2):
        save_png(root / "Images" / "stadium" / f"s{number}.png", np.full((16, 16, 3), number, np.uint8))
    (root / "Labels").mkdir()
    (root / "Labels" / "stadium.csv").write_text("image,stadium,trees\ns0.png,0,1\ns1.png,0,1\n", encoding="utf-8")
    options: list[Any] = ["--labels-as-published"] if as_published else []
    ended = command("compare", root, "--to", tmp_path / "out", *PLAIN, *options)
    assert ended.code == 0, ended.err
    repairs = [] if as_published else ["stadium: label 'stadium' added to 2 rows"]
    assert json.loads(ended.out)["details"]["label_repairs"] == repairs
    line = f"- label repairs: {'none' if as_published else repairs[0]}\n"
    assert line in (tmp_path / "out" / "report" / "report.md").read_text("utf-8")
