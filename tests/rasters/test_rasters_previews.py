"""Scenes in few pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsir_tf.rasters import FILL, RasterSource, Recipe, preview


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """64×96 pixels in squares of 8 pixels, whose upper left quarter is nodata."""
    values = np.random.default_rng(0).integers(1, 255, (3, 8, 12), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
    values[:, :32, :48] = 0
    profile = {"driver": "GTiff", "height": 64, "width": 96, "count": 3, "dtype": "uint8", "nodata": 0}
    place = {"crs": "EPSG:32632", "transform": rasterio.Affine(1, 0, 500_000, 0, -1, 5_000_000)}
    with rasterio.open(tmp_path / "scene.tif", "w", **profile, **place) as dataset:
        dataset.write(values)
    return tmp_path / "scene.tif"


def test_each_pixel_is_the_mean_of_those_it_covers(scene: Path) -> None:
    whole = RasterSource(str(scene))
    found = preview(whole, 12)
    assert found.valid is not None
    np.testing.assert_array_equal(found.valid[:4, :6], False)
    assert found.valid.sum() == 8 * 12 - 4 * 6
    np.testing.assert_array_equal(found.values[found.valid], whole.read()[::8, ::8][found.valid])
    assert (found.values[~found.valid] == FILL).all()


def test_a_small_scene_is_given_as_it_is(scene: Path) -> None:
    whole = RasterSource(str(scene))
    np.testing.assert_array_equal(preview(whole, 96).values, whole.read())


def test_a_resampled_scene_is_resampled_once_more(scene: Path) -> None:
    found = preview(RasterSource(str(scene), Recipe(resolution=2.0)), 24)
    assert found.values.shape == (16, 24, 3)
    assert found.valid is not None
    assert not found.valid[:8, :12].any()
