from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsir_tf.errors import InputError
from rsir_tf.rasters import Recipe, percentile_stretch, stretching

rasterio = pytest.importorskip("rasterio")


def write(path: Path, values: np.ndarray, **profile: object) -> str:
    count, height, width = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=values.dtype.name, **profile
    ) as opened:
        opened.write(values)
    return str(path)


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(5).integers(1, 5000, (4, 90, 100), dtype=np.uint16)


def test_percentiles_are_those_of_all_valid_values(tmp_path: Path, values: np.ndarray) -> None:
    empty = values.copy()
    empty[:, 20:] = 0
    paths = [write(tmp_path / "a.tif", values), write(tmp_path / "b.tif", empty, nodata=0)]
    together = np.concatenate([values.reshape(4, -1), values[:, :20].reshape(4, -1)], axis=1)
    low, high = np.percentile(together[[3, 2, 0]], [2, 98], axis=1)
    seen: list[tuple[int, int]] = []
    found = percentile_stretch(paths, 2, Recipe((4, 3, 1)), lambda done, total, words: seen.append((done, total)))
    # Six digits are kept.
    np.testing.assert_allclose(found, np.stack([low, high], axis=1), rtol=1e-5)
    assert seen == [(1, 2), (2, 2)]
    # Every printed number gives the same range again.
    assert found == tuple((float(f"{low:g}"), float(f"{high:g}")) for low, high in found)


def test_many_scenes_give_fewer_values_each(
    tmp_path: Path, values: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{number}.tif", values) for number in range(3)]
    monkeypatch.setattr(stretching, "_MOST_VALUES", 3000)
    few = percentile_stretch(paths, 5, Recipe((1, 2, 3)))
    # Of a uniform distribution to 5000, the 5th percentile of 1,000 values is off by 5000 · √(0.05 · 0.95 / 1000) = 34.
    np.testing.assert_allclose(few, [(250, 4750)] * 3, atol=5 * 34)


def test_what_cannot_be_read_is_passed_over(tmp_path: Path, values: np.ndarray) -> None:
    one = write(tmp_path / "one.tif", values[:1])
    good = write(tmp_path / "good.tif", values)
    recipe = Recipe((1, 2, 3))
    unread: list[InputError] = []
    found = percentile_stretch([one, good], 2, recipe, unread=unread.append)
    assert found == percentile_stretch([good], 2, recipe)
    assert [error.found for error in unread] == [f"{one}: has no band 2"]
    with pytest.raises(InputError, match=r"one\.tif: has no band 2"):
        percentile_stretch([one], 2, recipe)
    void = write(tmp_path / "void.tif", values * 0, nodata=0)
    with pytest.raises(InputError, match="1 file: has no valid pixel"):
        percentile_stretch([void], 2, recipe)
    with pytest.raises(InputError, match="more than 0% and less than 50%"):
        percentile_stretch([good], 0, recipe)


def test_a_constant_band_has_a_range(tmp_path: Path, values: np.ndarray) -> None:
    constant = write(tmp_path / "a.tif", np.full_like(values, 700))
    assert percentile_stretch([constant], 2, Recipe((1, 2, 3))) == ((700, 701),) * 3
