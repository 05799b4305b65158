import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays

from rsir_tf.errors import ArtifactError
from rsir_tf.ranking.bounds.levels import Levels, write_levels


def levels_of(vectors, folder):
    file = folder / "levels.npz"
    write_levels(file, vectors)
    return Levels(file, vectors.shape, ArtifactError)


def real_looking(count, seed=0):
    """Maxima of features after ReLU: most of moderate size, some large."""
    return np.random.default_rng(seed).gamma(1.2, 40, (count, 512)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bounds_hold_the_distance_and_are_narrow(tmp_path, dtype):
    vectors = real_looking(300).astype(dtype)
    query = real_looking(1, 1)[0].astype(dtype).astype(np.float64)
    low, high = levels_of(vectors, tmp_path).bounds(query)
    wanted = np.abs(vectors.astype(np.float64) - query).sum(axis=1)
    assert (low <= wanted).all()
    assert (wanted <= high).all()
    # A level is a 255th of about 400, which is what one value in 10,000 exceeds: rounding is off by a quarter of it on
    # average, in 512 channels of either vector. 2 · 512 · 400/255/4 = 400, and as much again for the two ends. Images
    # with a value beyond have a wider interval.
    assert np.median(high - low) < 850
    assert wanted.min() > 15000


numbers = strategies.floats(-(2.0**60), 2.0**60, width=32)


@settings(max_examples=60)
@given(arrays(np.float32, (6, 5), elements=numbers), arrays(np.float32, (5,), elements=numbers))
def test_bounds_hold_whatever_the_numbers(tmp_path_factory, vectors, query):
    low, high = levels_of(vectors, tmp_path_factory.mktemp("levels")).bounds(query.astype(np.float64))
    wanted = np.abs(vectors.astype(np.longdouble) - query).sum(axis=1)
    assert (low <= wanted).all()
    assert (wanted <= high).all()


def test_bounds_hold_where_an_offset_swallows_the_query(tmp_path):
    # −2⁵³ + 1 is the last whole number that float64 tells apart: 1 − (−2⁵⁴) is 2⁵⁴ again.
    low, high = levels_of(np.array([[-(2.0**54)], [0]], np.float32), tmp_path).bounds(np.array([1.0]))
    assert low[1] <= 1 <= high[1]


def test_equal_vectors_have_no_level_to_tell_them_apart(tmp_path):
    low, high = levels_of(np.full((3, 4), 7, np.float32), tmp_path).bounds(np.array([7.0, 7, 7, 9]))
    assert (low <= 2).all()
    assert (high >= 2).all()


def test_a_damaged_file_is_told(tmp_path):
    write_levels(tmp_path / "levels.npz", real_looking(20))
    content = bytearray((tmp_path / "levels.npz").read_bytes())
    content[len(content) // 2] ^= 1  # within the levels, which the archive's checksum covers
    (tmp_path / "levels.npz").write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read"):
        Levels(tmp_path / "levels.npz", (20, 512), ArtifactError)
    (tmp_path / "levels.npz").write_bytes(b"no archive")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Levels(tmp_path / "levels.npz", (20, 512), ArtifactError)
