"""Regional maxima against the same written out window by window."""

from __future__ import annotations

import numpy as np
import pytest
from test_regions_pooling import label_maps, literal_upsampling, random_features

from rsir_tf.regions import CONVENTIONS, pool, pool_regional_maxima
from rsir_tf.regions.regional_maxima import windows


def unit(vector):
    return vector / np.linalg.norm(vector)


def literally(features, labels, stride, convention):
    upsampled = literal_upsampling(features, labels.shape, stride, convention)
    found = []
    for label in range(1, labels.max() + 1):
        total = np.zeros(features.shape[2])
        for top, left, side in windows(*labels.shape):
            part = np.s_[top : top + side, left : left + side]
            inside = labels[part] == label
            if inside.any():
                total += unit(upsampled[part][inside].max(axis=0))
        found.append(unit(total))
    return np.array(found)


def test_windows_of_a_square_and_of_a_strip():
    # Sides 256, 171 (2/3) and 128 (1/2) of 256; the last windows end at the border.
    assert windows(256, 256)[:5] == [(0, 0, 256), (0, 0, 171), (0, 85, 171), (85, 0, 171), (85, 85, 171)]
    assert windows(256, 256)[5:8] == [(0, 0, 128), (0, 64, 128), (0, 128, 128)]
    assert len(windows(256, 256)) == 14
    # 100 × 300: windows of 100 share at least 40, so that 200 pixels take ⌈200/60⌉ = 4 steps of 50.
    assert [left for top, left, side in windows(100, 300) if side == 100] == [0, 50, 100, 150, 200]
    for height, width in ((1, 1), (1, 9), (16, 100), (37, 64)):
        covered = np.zeros((height, width), bool)
        for top, left, side in windows(height, width):
            assert 0 <= top <= height - side
            assert 0 <= left <= width - side
            covered[top : top + side, left : left + side] = True
        assert covered.all()


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("pattern", ["one region", "rows", "checkerboard", "rings", "diagonal", "sparse noise"])
def test_equals_the_same_window_by_window(pattern, convention):
    for height, width in ((64, 64), (50, 33)):
        labels = label_maps(height, width, 3)[pattern]
        features = np.abs(random_features(5, height, width, 6, 16))
        found = pool_regional_maxima(features, labels, convention)
        np.testing.assert_allclose(found, literally(features, labels, 16, convention), atol=1e-6)


def test_whole_images_void_pixels_and_zeros():
    features = np.abs(random_features(6, 64, 64, 6, 16))
    labels = np.ones((64, 64), np.int32)
    regions, image = pool(features, labels, pooling="rmac")
    np.testing.assert_allclose(regions[0], image)
    valid = np.ones((64, 64), bool)
    valid[:, 40:] = False
    regions, image = pool(features, labels * valid, valid, pooling="rmac")
    np.testing.assert_allclose(regions[0], image)
    changed = features.copy()
    changed[:, 3:] = 100  # Cells that show nothing but void.
    np.testing.assert_array_equal(pool(changed, labels * valid, valid, pooling="rmac")[1], image)
    assert pool(0 * features, labels, pooling="rmac")[0].tolist() == [[0] * 6]
    assert pool(features, 0 * labels, ~labels.astype(bool), pooling="rmac")[1].tolist() == [0] * 6
