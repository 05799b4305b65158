import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsir_tf.ranking.bounds.intervals import recnn_intervals, settled, told_apart
from rsir_tf.ranking.bounds.operands import RegionBlock, side_by_side, squared_norms


def block_of(images):
    counts = [len(image) for image in images]
    vectors = np.concatenate(images)
    starts = np.cumsum(counts) - counts
    return RegionBlock(np.arange(len(images)), starts, vectors, squared_norms(vectors))


def apart(one, other):
    """From each row to its nearest; long double as the judge: its rounding is 2,000 times below float64's."""
    return np.sqrt(np.square(one[:, None].astype(np.longdouble) - other).sum(axis=-1)).min(axis=1)


@pytest.mark.parametrize("direction", ["query", "both"])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3, 512])
@pytest.mark.parametrize("spread", [0, 1e-6, 1e-3, 1.0, 100.0])
def test_intervals_hold_the_true_distance(direction, precision, channels, spread):
    rng = np.random.default_rng(channels)
    base = rng.gamma(0.5, 200, (6, channels))
    images = [(base[:n] + spread * rng.normal(size=(n, channels))).astype(np.float32) for n in (1, 2, 3, 6, 4)]
    query = base.astype(np.float32)
    queries = [query[:2], query, query[5:]]
    low, high = recnn_intervals(side_by_side(queries, direction), block_of(images), precision)
    judge = np.array([[apart(each, image).mean() for each in queries] for image in images])
    if direction == "both":
        judge = (judge + [[apart(image, each).mean() for each in queries] for image in images]) / 2
    assert low.shape == high.shape == (5, 3)
    assert (low <= judge).all()
    assert (judge <= high).all()


def test_float64_intervals_are_narrow_and_float32_intervals_useful():
    rng = np.random.default_rng(1)
    images = [rng.gamma(0.5, 200, (3, 512)).astype(np.float32) for _ in range(50)]
    query = rng.gamma(0.5, 200, (4, 512)).astype(np.float32)
    for precision, width in ((np.float32, 3e-4), (np.float64, 2e-12)):  # about 3·C·u, and fourfold in float64
        low, high = recnn_intervals(side_by_side([query], "query"), block_of(images), precision)
        assert ((high - low) / low).max() < width


def test_overflowing_products_leave_everything_open():
    images = [np.full((1, 8), 3e38, np.float32), np.full((1, 8), 1.0, np.float32)]
    low, high = recnn_intervals(
        side_by_side([np.full((1, 8), -3e38, np.float32)], "both"), block_of(images), np.float32
    )
    assert (low == 0).all()
    assert (high == np.inf).all()


def test_settled_measures_only_what_meets_or_is_wide():
    #              alone, two that meet,   alone, wide, infinite
    low = np.array([10.0, 20.0, 20 + 1e-11, 30.0, 0.0, np.inf])
    high = np.array([10 + 1e-10, 20 + 2e-11, 20 + 3e-11, 30.0, 0.5, np.inf])
    truth = np.array([10.4, 20 + 2e-11, 20 + 1e-11, 30.1, 0.0, np.inf])
    measured = []
    distances = settled(low, high, lambda some: measured.extend(some) or truth[some])
    assert sorted(measured) == [1, 2, 4]
    assert distances[[1, 2, 4, 5]].tolist() == [truth[1], truth[2], 0.0, np.inf]
    np.testing.assert_allclose(distances[[0, 3]], [10.0, 30.0], rtol=1e-9)  # in the middle of their cells


def test_settled_sees_through_a_wide_interval():
    # The first spans the two others, which do not meet each other: all three are open.
    low, high = np.array([1.0, 2.0, 4.0]), np.array([5.0, 2.5, 4.5])
    np.testing.assert_allclose(settled(low, high, np.array([4.2, 2.2, 4.1]).take), [4.2, 2.2, 4.1], rtol=1e-9)


@given(
    places=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3)), min_size=1, max_size=20),
    widths=st.lists(st.sampled_from([0.0, 1e-14, 1e-12, 1e-10, 1.0]), min_size=40, max_size=40),
    cut=st.integers(0, 20),
)
def test_settled_distances_depend_on_the_distances_alone(places, widths, cut):
    # Distances that are 0, far apart, or closer to each other than a cell is wide; intervals of any width around them.
    truth = np.array([place * 0.37 * (1 + step * 3e-10) for place, step in places])
    wide, narrow = (
        settled(truth * (1 - np.array(some)), truth * (1 + np.array(some)), lambda at: truth[at])
        for some in (widths[: len(truth)], widths[20 : 20 + len(truth)])
    )
    assert wide.tolist() == narrow.tolist()
    np.testing.assert_allclose(wide, truth, rtol=1e-9)
    assert (np.argsort(wide, kind="stable") == np.argsort(truth, kind="stable")).all()
    parts = [
        settled(part * (1 - 1e-12), part * (1 + 1e-12), lambda at, part=part: part[at])
        for part in (truth[:cut], truth[cut:])
    ]
    assert told_apart(np.concatenate(parts), lambda at: truth[at]).tolist() == wide.tolist()
