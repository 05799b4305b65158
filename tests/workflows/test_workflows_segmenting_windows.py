"""The windows in which a scene is segmented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.workflows.segmenting import MARGIN, WINDOW, plan_windows


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(0, 12).map(lambda steps: 16 * steps),
    st.integers(0, 600),
)
def test_windows_cover_a_scene_and_see_the_margin(shape: tuple[int, int], margin: int, more: int) -> None:
    window = 2 * margin + 32 + more
    covered = np.zeros(shape, np.uint8)
    for part in plan_windows(shape, window, margin):
        left, top, right, bottom = part.kept
        covered[top:bottom, left:right] += 1
        assert part.x % 32 == part.y % 32 == 0
        assert max(part.width, part.height) <= window
        for begin, first, last, end, length in (
            (part.x, left, right, part.x + part.width, shape[1]),
            (part.y, top, bottom, part.y + part.height, shape[0]),
        ):
            assert first - begin == (margin if begin else 0)
            assert end == length if last == length else end - last == margin
            assert last - first >= min(length, more // 2 - 32)  # no strips
    assert (covered == 1).all()


@settings(max_examples=50)
@given(st.integers(1, 50_000), st.integers(1, 50_000))
def test_the_default_margin_costs_at_most_three_tenths(height: int, width: int) -> None:
    seen = sum(part.width * part.height for part in plan_windows((height, width)))
    assert seen <= 1.3 * height * width


def test_the_default_windows() -> None:
    # 2624 − 2 · 160 = 2304 kept of each: (10,000 − 320) / 2304 = 4.2, so five a side. The last two begin
    # ⌈(9680 − 3 · 2304) / 2 / 32⌉ · 32 = 1408 apart, and the others are as large as they may be.
    parts = plan_windows((10_000, 10_000))
    assert len(parts) == 25
    assert [part.x for part in parts[:5]] == [0, 2304, 4608, 6912, 8320]
    assert [part.width for part in parts[:5]] == [2624, 2624, 2624, 1408 + 320, 10_000 - 8320]
    assert WINDOW % 32 == MARGIN % 32 == 0


@pytest.mark.parametrize(("window", "margin"), [(351, 160), (512, 8), (512, -16)])
def test_impossible_windows_are_refused(window: int, margin: int) -> None:
    with pytest.raises(InputError, match="wanted"):
        plan_windows((100, 100), window, margin)
