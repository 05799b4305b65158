"""Windows cover a scene, are full, and lie on equal ground where they are to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from scene_files import noise, write_scene

from rsir_tf.errors import InputError
from rsir_tf.rasters import RasterSource, Reading, Recipe, Tiling, footprint, window_id, windows_of
from rsir_tf.rasters.windows import positions


@given(st.integers(1, 400), st.integers(1, 400), st.integers(32, 130), st.data())
def test_windows_are_full_and_cover_every_pixel(height: int, width: int, tile: int, data: st.DataObject) -> None:
    tiling = Tiling(tile, data.draw(st.integers(0, tile - 1)))
    if tiling.step < 8:  # Thousands of windows.
        return
    covered = np.zeros((height, width), bool)
    windows = list(positions((height, width), tiling))
    assert windows == sorted(windows, key=lambda window: (window[1], window[0]))
    assert len(set(windows)) == len(windows)
    for x, y, *size in windows:
        assert size == [tile, tile]
        assert x >= 0
        assert y >= 0
        # Full, but for a scene that is smaller than a window.
        assert x + tile <= max(width, tile)
        assert y + tile <= max(height, tile)
        # At a multiple of the step, or shifted to the border.
        assert x % tiling.step == 0 or x + tile == width
        assert y % tiling.step == 0 or y + tile == height
        covered[y : y + tile, x : x + tile] = True
    assert covered.all()


def test_windows_with_too_little_are_left_out(tmp_path: Path) -> None:
    values = noise(3, 64, 128)
    values[:, :40, :64] = 0  # 62.5% of the left window, none of the right one.
    path = write_scene(tmp_path / "a.tif", values, nodata=0)

    def kept(share: float) -> list[int]:
        return [source.window[0] for source in RasterSource(path).windows(64, min_valid=share) if source.window]

    assert kept(0.375) == [0, 64]
    assert kept(0.376) == [64]
    every = windows_of(path, Reading(tiling=Tiling(64, min_valid=1)), every=True)
    assert len(list(every)) == 2
    empty = write_scene(tmp_path / "b.tif", np.zeros((3, 64, 64), np.uint8), nodata=0)
    assert RasterSource(empty).windows(64, min_valid=0) == []
    with pytest.raises(InputError, match="say --tile"):
        list(windows_of(path, Reading()))


def test_scenes_of_one_place_have_windows_of_equal_ground(tmp_path: Path) -> None:
    ground = noise(3, 700, 700)
    scenes = []
    for name, (x, y) in {"a": (0, 0), "b": (37, 41)}.items():
        transform = from_origin(500003 + 5 * x, 5000001 - 5 * y, 5, 5)
        values = ground[:, y : y + 600, x : x + 600]
        scenes.append(write_scene(tmp_path / f"{name}.tif", values, transform=transform))
    reading = Reading(Recipe(resolution=5), Tiling(128, grid=True, min_valid=1))
    first, second = ({source.window: source for source in windows_of(path, reading)} for path in scenes)
    shared = set(first) & set(second)
    # 600 pixels of 5 m hold at least three whole windows of 640 m a side, whatever they begin with.
    assert len(shared) >= 9
    for window in shared:
        one, other = first[window], second[window]
        assert one.place == other.place
        assert one.place is not None
        # The upper left corner lies at a multiple of 128 × 5 m of the reference system.
        assert one.place.transform[2] % 640 == 0
        assert one.place.transform[5] % 640 == 0
        assert footprint(one.place, one.shape) == footprint(other.place, other.shape)
        np.testing.assert_array_equal(one.read(), other.read())
    assert window_id("a.tif", (1024, -512, 128, 128)) == "a.tif/1024_-512"


def test_an_uncut_grid_is_the_files_own_where_the_resolution_is(tmp_path: Path) -> None:
    path = write_scene(tmp_path / "a.tif", noise(3, 100, 100))
    (window, *_) = RasterSource(path, Recipe(resolution=10)).windows(64)
    assert window.onto is None
    np.testing.assert_array_equal(RasterSource(path, Recipe(resolution=10)).read(), RasterSource(path).read())
