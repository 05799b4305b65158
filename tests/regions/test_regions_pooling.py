"""Pooling against the literal formula: upsample every pixel, then take the maximum of each region."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rsir_tf.errors import InputError
from rsir_tf.regions import CONVENTIONS, connected_regions, pool_image, pool_regions
from rsir_tf.regions.sampling import deciding_samples, sample_axis

both = pytest.mark.parametrize("convention", CONVENTIONS)


def literal_positions(pixels, cells, stride, convention):
    """Position of each pixel in cells, written as the two definitions are."""
    padded = stride * cells
    pixel = np.arange(padded, dtype=np.float64)
    if convention == "half_pixel":
        position = (pixel + 0.5) * cells / padded - 0.5
    else:
        position = pixel * (cells - 1) / max(padded - 1, 1)
    return np.clip(position, 0, cells - 1)[:pixels]


def literal_upsampling(features, size, stride, convention):
    """float64 [H, W, C]: every cell weighs 1 - distance, where that is above 0, along both axes."""
    down, across = (
        np.maximum(0, 1 - np.abs(literal_positions(pixels, cells, stride, convention)[:, None] - np.arange(cells)))
        for pixels, cells in zip(size, features.shape[:2], strict=True)
    )
    return np.einsum("yi,xj,ijc->yxc", down, across, features.astype(np.float64), optimize=True)


def literal_pooling(features, labels, stride, convention):
    upsampled = literal_upsampling(features, labels.shape, stride, convention)
    return np.array([upsampled[labels == label].max(axis=0) for label in range(1, labels.max() + 1)])


def random_features(seed, height, width, channels, stride):
    size = (-(-height // stride), -(-width // stride), channels)
    return np.random.default_rng(seed).normal(0, 1, size).astype(np.float32)


def without_gaps(labels):
    """Renumber: 0 stays 0, the rest becomes 1..m."""
    values, dense = np.unique(np.append(0, labels), return_inverse=True)
    return dense[1:].reshape(labels.shape).astype(np.int32) if len(values) > 1 else np.zeros(labels.shape, np.int32)


def label_maps(height, width, seed):
    """Label maps of many shapes for one size; labels need not hang together."""
    random = np.random.default_rng(seed)
    y, x = np.indices((height, width))
    return {
        "one region": np.ones((height, width), np.int32),
        "every pixel a region": np.arange(1, height * width + 1, dtype=np.int32).reshape(height, width),
        "one pixel": ((y == height // 2) & (x == width // 3)).astype(np.int32),
        "rows": (y + 1).astype(np.int32),
        "comb": without_gaps(np.where(y == height - 1, 1, x % 2)),
        "checkerboard": (1 + (y + x) % 2).astype(np.int32),
        "rings": without_gaps(np.maximum(abs(2 * y - height + 1), abs(2 * x - width + 1)) % 6),
        "diagonal": without_gaps((3 * y > 2 * x).astype(int) + (y + x > width)),
        "noise": without_gaps(random.integers(0, 4, (height, width))),
        "sparse noise": without_gaps(np.where(random.random((height, width)) < 0.05, random.integers(1, 9), 0)),
        "components": connected_regions((random.random((height, width)) < 0.6).astype(np.uint8)).labels,
    }


@settings(max_examples=150)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 17),
    st.sampled_from(CONVENTIONS),
    st.sampled_from(sorted(label_maps(2, 2, 0))),
    st.integers(0, 2**16),
)
def test_equals_the_literal_formula(height, width, stride, convention, pattern, seed):
    features = random_features(seed, height, width, 3, stride)
    labels = label_maps(height, width, seed)[pattern]
    assume(labels.max() > 0)
    pooled = pool_regions(features, labels, convention, stride=stride)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, literal_pooling(features, labels, stride, convention), rtol=0, atol=2e-6)


@both
@pytest.mark.parametrize("size", [(256, 256), (242, 257), (250, 256), (16, 100)])
@pytest.mark.parametrize("pattern", sorted(set(label_maps(2, 2, 0)) - {"every pixel a region"}))
def test_equals_the_literal_formula_at_the_sizes_of_images(size, convention, pattern):
    labels = label_maps(*size, seed=5)[pattern]
    if labels.max() > 300:  # the literal way takes a mask for each
        labels = np.where(labels <= 300, labels, 0)
    features = random_features(6, *size, channels=4, stride=16)
    pooled = pool_regions(features, labels, convention)
    np.testing.assert_allclose(pooled, literal_pooling(features, labels, 16, convention), rtol=0, atol=2e-6)


@both
def test_ten_thousand_regions(convention):
    # 2×2 pixels each, numbered at random, so that neighbours in the table are not neighbours in the picture.
    random = np.random.default_rng(7)
    labels = (random.permutation(10_000) + 1).reshape(100, 100).repeat(2, axis=0).repeat(2, axis=1)
    features = random_features(8, 200, 200, 16, stride=16)
    expected = np.full((10_001, 16), -np.inf)
    np.maximum.at(expected, labels.ravel(), literal_upsampling(features, (200, 200), 16, convention).reshape(-1, 16))
    np.testing.assert_allclose(pool_regions(features, labels, convention), expected[1:], rtol=0, atol=2e-6)


def test_one_pixel_by_hand():
    # The map holds its own row and column numbers, so what is pooled is the position itself.
    ramp = np.moveaxis(np.indices((16, 16)), 0, -1).astype(np.float32)
    labels = np.zeros((256, 256), np.int32)
    labels[100, 200] = 1
    # Half-pixel: (100 + 0.5) / 16 - 0.5 and (200 + 0.5) / 16 - 0.5. Aligned corners: 100 · 15 / 255 and 200 · 15 / 255.
    np.testing.assert_allclose(pool_regions(ramp, labels, "half_pixel"), [[5.78125, 12.03125]], rtol=0, atol=1e-6)
    aligned = pool_regions(ramp, labels, "aligned_corners")
    np.testing.assert_allclose(aligned, [[5.882353, 11.764706]], rtol=0, atol=1e-6)


def test_image_whose_sides_are_no_multiples_by_hand():
    # 40 rows are 2.5 cells: the map has 3 and reaches 8 pixels past the image.
    ramp = np.broadcast_to(np.arange(3, dtype=np.float32)[:, None, None], (3, 1, 1))
    # Half-pixel, last row: 39.5 / 16 - 0.5 = 1.96875. Aligned corners over 48 rows: 39 · 2 / 47 = 1.659574.
    np.testing.assert_allclose(pool_image(ramp, (40, 16), "half_pixel"), [1.96875], rtol=0, atol=1e-6)
    np.testing.assert_allclose(pool_image(ramp, (40, 16), "aligned_corners"), [1.659574], rtol=0, atol=1e-6)


def test_pixels_do_not_reach_the_centre_of_a_single_bright_cell():
    features = np.zeros((3, 3, 1), np.float32)
    features[1, 1] = 1
    # The nearest pixels lie half a pixel from the centre along both axes: (1 - 1/32)². A corner's cell is clamped to.
    np.testing.assert_allclose(pool_image(features, (48, 48)), [(31 / 32) ** 2], rtol=0, atol=1e-6)
    np.testing.assert_allclose(pool_image(features[1:, 1:], (32, 32)), [1], rtol=0, atol=1e-6)


@settings(max_examples=60)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 17), st.sampled_from(CONVENTIONS), st.integers(0, 2**16))
def test_an_image_is_the_maximum_of_regions_that_cover_it(height, width, stride, convention, seed):
    features = random_features(seed, height, width, 3, stride)
    segmentation = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.uint8)
    regions = pool_regions(features, connected_regions(segmentation).labels, convention, stride=stride)
    image = pool_image(features, (height, width), convention, stride=stride)
    np.testing.assert_allclose(image, regions.max(axis=0), rtol=0, atol=1e-6)
    upsampled = literal_upsampling(features, (height, width), stride, convention)
    np.testing.assert_allclose(image, upsampled.max(axis=(0, 1)), rtol=0, atol=2e-6)


@both
def test_joining_two_regions_takes_their_maximum(convention):
    labels = connected_regions(
        np.random.default_rng(9).integers(0, 2, (50, 70)).astype(np.uint8), connectivity=4
    ).labels
    features = random_features(10, 50, 70, 8, stride=16)
    apart = pool_regions(features, labels, convention)
    joined = pool_regions(features, np.where(labels == 2, 1, np.maximum(labels - 1, 1)), convention)
    np.testing.assert_allclose(joined[0], apart[:2].max(axis=0), rtol=0, atol=1e-6)
    np.testing.assert_allclose(joined[1:], apart[2:], rtol=0, atol=1e-6)


@both
def test_cutting_the_image_does_not_move_the_map(convention):
    # The same pixels of a padded image: same cells, same positions, same maxima.
    labels = np.zeros((64, 64), np.int32)
    labels[:55, :50] = connected_regions(np.random.default_rng(11).integers(0, 3, (55, 50)).astype(np.uint8)).labels
    features = random_features(12, 64, 64, 8, stride=16)
    padded, cut = pool_regions(features, labels, convention), pool_regions(features, labels[:55, :50], convention)
    np.testing.assert_allclose(padded, cut, rtol=0, atol=1e-6)


def test_no_regions_give_an_empty_matrix():
    pooled = pool_regions(np.ones((2, 2, 5), np.float32), np.zeros((32, 32), np.int32))
    assert pooled.shape == (0, 5)
    assert pooled.dtype == np.float32


def test_half_precision_features_are_pooled_in_single_precision():
    features = random_features(13, 64, 64, 8, stride=16).astype(np.float16)
    labels = label_maps(64, 64, 14)["rings"]
    pooled = pool_regions(features, labels)
    assert pooled.dtype == np.float32
    np.testing.assert_array_equal(pooled, pool_regions(features.astype(np.float32), labels))


def test_type_and_layout_of_labels_do_not_matter_and_nothing_is_changed():
    features = random_features(15, 40, 40, 4, stride=16)
    labels = label_maps(40, 40, 16)["components"]
    expected = pool_regions(features, labels)
    features.flags.writeable = False
    for kind in (np.uint16, np.int64, np.uint64):
        frozen = np.asfortranarray(labels.astype(kind))
        frozen.flags.writeable = False
        np.testing.assert_array_equal(pool_regions(features, frozen), expected)


def test_two_calls_give_the_same_bits():
    features = random_features(17, 256, 256, 64, stride=16)
    labels = label_maps(256, 256, 18)["diagonal"]
    np.testing.assert_array_equal(pool_regions(features, labels), pool_regions(features.copy(), labels.copy()))


@both
def test_few_pixels_decide(convention):
    axis = sample_axis(256, 16, 16, convention)
    one_region = deciding_samples(np.ones((256, 256), np.int32), axis, axis)
    # 15 intervals between 16 cells, each with a first and a last pixel, along both axes.
    assert len(one_region.region) == 30 * 30
    board = label_maps(256, 256, 0)["checkerboard"]
    # In 15² intervals either colour has at most two outermost pixels in each of 16 to 24 rows, instead of 128 or more.
    assert len(deciding_samples(board, axis, axis).region) < 256 * 256 / 3


def test_memory_stays_below_a_tenth_of_the_upsampled_map():
    labels = connected_regions(label_maps(256, 256, 0)["diagonal"].astype(np.uint8)).labels
    features = random_features(19, 256, 256, 512, stride=16)
    tracemalloc.start()
    pool_regions(features, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 256 * 256 * 512 * 4 / 10


@both
def test_the_literal_formula_equals_scipy(convention):
    from scipy import ndimage

    features = random_features(20, 75, 90, 2, stride=16)
    down, across = (
        literal_positions(pixels, cells, 16, convention)
        for pixels, cells in zip((75, 90), features.shape[:2], strict=True)
    )
    grid = np.meshgrid(down, across, indexing="ij")
    expected = [ndimage.map_coordinates(features[..., c].astype(float), grid, order=1, mode="nearest") for c in (0, 1)]
    upsampled = literal_upsampling(features, (75, 90), 16, convention)
    np.testing.assert_allclose(upsampled, np.moveaxis(expected, 0, -1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [2, 5, 16])
def test_the_literal_formula_equals_opencv(stride):
    import cv2

    features = random_features(21, 5 * stride, 7 * stride, 3, stride)
    expected = cv2.resize(features, (7 * stride, 5 * stride), interpolation=cv2.INTER_LINEAR)
    upsampled = literal_upsampling(features, expected.shape[:2], stride, "half_pixel")
    np.testing.assert_allclose(upsampled, expected, rtol=0, atol=2e-6)


@both
def test_the_literal_formula_equals_tensorflow(convention):
    import tensorflow as tf

    features = random_features(22, 80, 112, 3, stride=16)
    resize = {
        "half_pixel": tf.image.resize,
        "aligned_corners": lambda images, size: tf.compat.v1.image.resize(images, size, align_corners=True),
    }[convention]
    for height, width in itertools.product((80, 70), (112, 97)):
        # What lies past an image whose sides are no multiples of 16 is cut off.
        expected = resize(features[None], (80, 112)).numpy()[0, :height, :width]
        upsampled = literal_upsampling(features, (height, width), 16, convention)
        np.testing.assert_allclose(upsampled, expected, rtol=0, atol=5e-6)


FEATURES = np.ones((2, 2, 3), np.float32)
LABELS = np.ones((32, 32), np.int32)


def with_value(array, value):
    changed = array.copy()
    changed.flat[5] = value
    return changed


@pytest.mark.parametrize(
    ("features", "labels", "options", "message"),
    [
        (with_value(FEATURES, np.nan), LABELS, {}, "NaN or infinity"),
        (with_value(FEATURES, -np.inf), LABELS, {}, "NaN or infinity"),
        (FEATURES.astype(np.int32), LABELS, {}, "conv5_3: is int32"),
        (FEATURES[0], LABELS, {}, r"conv5_3: is float32 \[2, 3\]"),
        (FEATURES[:0], LABELS, {}, "conv5_3: is empty"),
        (FEATURES, LABELS[:, :16], {}, r"2 cells for 16 pixels; wanted 1 cells \(stride 16\)"),
        (FEATURES, LABELS, {"stride": 8}, r"wanted 4 cells \(stride 8\)"),
        (FEATURES, LABELS, {"stride": 0}, "stride: is 0"),
        (FEATURES, LABELS, {"convention": "corners"}, "wanted half_pixel or aligned_corners"),
        (FEATURES, LABELS.astype(float), {}, "labels: is float64"),
        (FEATURES, LABELS[0], {}, r"labels: is int32 \[32\]"),
        (FEATURES, LABELS[:0], {}, "labels: has no pixels"),
        (FEATURES, with_value(LABELS, -1), {}, "labels: holds -1"),
        (FEATURES, with_value(LABELS, 3), {}, "not every one of 1..3"),
        (FEATURES, with_value(LABELS, 2_000_000_000), {}, "not every one of 1..2000000000"),
    ],
)
def test_bad_input_is_named(features, labels, options, message):
    with pytest.raises(InputError, match=message):
        pool_regions(features, labels, **options)


@pytest.mark.parametrize("size", [(32, 33), (32,), (0, 32), (16, 16)])
def test_bad_image_size_is_named(size):
    with pytest.raises(InputError, match=r"size: is|cells for"):
        pool_image(FEATURES, size)
