"""Simulated rounds of marking on six images on a line, with every figure worked out by hand."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "feedback_rounds.py"))

PLACES = np.array([0.0, 1, 2, 3, 5, 9])
SCENES = np.array(["a", "b", "a", "b", "a", "a"])
APART = np.abs(PLACES[:, None] - PLACES)


def test_what_is_marked_and_measured() -> None:
    before, after, end = SCRIPT["simulate"](APART, SCENES, 0, SCRIPT["METHODS"]["none"], 2, 2)
    # The query sees images 1 to 5 in order; 2, 4 and 5 are relevant, at ranks 2, 4 and 5.
    wanted = (1 / 2 + 2 / 4 + 3 / 5) / 3
    assert before == pytest.approx((wanted, wanted, wanted))
    # 1 and 2 are marked: 2 stands first and 1 last, between them 3, 4, 5. Of these, the second and third are relevant.
    assert after == pytest.approx(((1 + 2 / 3 + 3 / 4) / 3, (1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2))
    # 3 and 4 are marked too: 2, 4, then 5, then 1 and 3.
    assert end == pytest.approx((1, 1, 1))


def test_methods_rank_what_is_not_marked() -> None:
    _, after = SCRIPT["simulate"](APART, SCENES, 0, SCRIPT["METHODS"]["rocchio"], 1, 2)
    # Likes 0 and 2, unlike 1: (3 + 1)/2 / 2^.75 at 3, (5 + 3)/2 / 4^.75 at 5, (9 + 7)/2 / 8^.75 at 9:
    # 1.19, 1.41 and 1.68, so that 3 stays first.
    assert after == pytest.approx(((1 + 2 / 3 + 3 / 4) / 3, (1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2))
    _, after = SCRIPT["simulate"](APART, SCENES, 5, SCRIPT["METHODS"]["rocchio"], 1, 2)
    # From image 5, images 4 and 3 come first: 4 is liked, 3 is not. Likes at 9 and 5, unlike at 3:
    # (7 + 3)/2 / 1^.75 at 2, (8 + 4)/2 / 2^.75 at 1, (9 + 5)/2 / 3^.75 at 0: 5, 3.57 and 3.07, so 0, 1, 2.
    assert after[1:] == pytest.approx(((1 + 2 / 3) / 2, (1 + 2 / 3) / 2))


def test_a_query_without_relevant_images_left() -> None:
    figures = SCRIPT["simulate"](APART[:3, :3], SCENES[:3], 0, SCRIPT["METHODS"]["classifier"], 1, 2)
    assert figures[0] == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    assert figures[1][0] == 1
    assert np.isnan(figures[1][1:]).all()
