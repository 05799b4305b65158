"""Connected regions against scikit-image, SciPy, TensorFlow Addons and maps whose regions are written out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsir_tf.errors import InputError
from rsir_tf.regions import Regions, connected_regions

BY_HAND = np.array(
    [
        [0, 0, 1, 1],
        [2, 0, 1, 0],
        [2, 2, 0, 0],
        [0, 2, 2, 2],
    ],
    np.uint8,
)


def labels_to_maps(classes=4, side=24):
    shape = st.tuples(st.integers(1, side), st.integers(1, side))
    return shape.flatmap(lambda size: arrays(np.uint8, size, elements=st.integers(0, classes - 1)))


def assert_describes_its_labels(regions: Regions, segmentation: np.ndarray) -> None:
    """Classes, areas and boxes, recomputed from the labels one region at a time."""
    for index in range(len(regions)):
        rows, columns = np.nonzero(regions.labels == index + 1)
        assert set(segmentation[rows, columns]) == {regions.classes[index]}
        assert regions.areas[index] == len(rows)
        assert regions.boxes[index].tolist() == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        middle = np.float32([rows.mean() + 0.5, columns.mean() + 0.5])
        np.testing.assert_allclose(regions.centroids[index], middle, rtol=1e-6)
        assert (regions.boxes[index, :2] < regions.centroids[index]).all()
        assert (regions.centroids[index] < regions.boxes[index, 2:]).all()


def test_regions_by_hand_with_eight_neighbours():
    regions = connected_regions(BY_HAND, connectivity=8)
    # The zeros at (1, 1) and (2, 2) touch at a corner, so class 0 on top goes on to the right; (3, 0) stays alone.
    assert regions.labels.tolist() == [[1, 1, 2, 2], [3, 1, 2, 1], [3, 3, 1, 1], [4, 3, 3, 3]]
    assert regions.classes.tolist() == [0, 1, 2, 0]
    assert regions.areas.tolist() == [6, 3, 6, 1]
    assert regions.boxes.tolist() == [[0, 0, 3, 4], [0, 2, 2, 4], [1, 0, 4, 4], [3, 0, 4, 1]]
    # The region of class 1 has its middles at (0.5, 2.5), (0.5, 3.5) and (1.5, 2.5): y is 2.5 / 3 and x is 8.5 / 3.
    np.testing.assert_allclose(regions.centroids[1], [2.5 / 3, 8.5 / 3], rtol=1e-7)
    assert regions.centroids[3].tolist() == [3.5, 0.5]
    assert len(regions) == 4


def test_regions_by_hand_with_four_neighbours():
    regions = connected_regions(BY_HAND, connectivity=4)
    assert regions.labels.tolist() == [[1, 1, 2, 2], [3, 1, 2, 4], [3, 3, 4, 4], [5, 3, 3, 3]]
    assert regions.classes.tolist() == [0, 1, 2, 0, 0]
    assert regions.areas.tolist() == [3, 3, 6, 3, 1]


def test_types_are_those_promised():
    regions = connected_regions(BY_HAND)
    kinds = [
        array.dtype for array in (regions.labels, regions.classes, regions.areas, regions.boxes, regions.centroids)
    ]
    assert kinds == [np.int32, np.int32, np.int64, np.int32, np.float32]


def test_specks_below_the_minimum_area_leave_no_trace():
    regions = connected_regions(BY_HAND, min_area=4)
    assert regions.labels.tolist() == [[1, 1, 0, 0], [2, 1, 0, 1], [2, 2, 1, 1], [0, 2, 2, 2]]
    assert regions.classes.tolist() == [0, 2]
    assert len(connected_regions(BY_HAND, min_area=3)) == 3  # a region of exactly the minimum stays


@pytest.mark.parametrize("options", [{"min_area": 17}, {"void": 7}])
def test_no_region_is_left(options):
    regions = connected_regions(np.full((4, 4), 7, np.uint8), **options)
    assert not regions.labels.any()
    assert regions.labels.shape == (4, 4)
    assert [len(regions), regions.areas.shape, regions.boxes.shape] == [0, (0,), (0, 4)]


def test_void_pixels_belong_to_no_region_and_part_what_they_lie_between():
    segmentation = np.array([[5, 255, 5]], np.uint8)
    assert connected_regions(segmentation).labels.tolist() == [[1, 0, 2]]
    assert connected_regions(segmentation, void=None).classes.tolist() == [5, 255, 5]
    assert connected_regions(segmentation, void=5).classes.tolist() == [255]


@settings(max_examples=60)
@given(labels_to_maps(), st.sampled_from([4, 8]))
def test_equals_scikit_image(segmentation, connectivity):
    from skimage.measure import label

    before = segmentation.copy()
    regions = connected_regions(segmentation, connectivity)
    # Both number by the first pixel in row-major order; background -1 makes class 0 count.
    np.testing.assert_array_equal(regions.labels, label(segmentation, background=-1, connectivity=connectivity // 4))
    assert_describes_its_labels(regions, segmentation)
    np.testing.assert_array_equal(segmentation, before)


@settings(max_examples=40)
@given(labels_to_maps(), st.sampled_from([4, 8]), st.integers(0, 6), st.integers(0, 3))
def test_dropping_regions_only_drops(segmentation, connectivity, min_area, void):
    everything = connected_regions(segmentation, connectivity, void=None)
    regions = connected_regions(segmentation, connectivity, min_area, void)
    kept = (everything.areas >= min_area) & (everything.classes != void)
    np.testing.assert_array_equal(regions.labels > 0, np.append(False, kept)[everything.labels])
    np.testing.assert_array_equal(regions.areas, everything.areas[kept])
    np.testing.assert_array_equal(regions.boxes, everything.boxes[kept])
    assert_describes_its_labels(regions, segmentation)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_equals_scipy_class_by_class_on_noise(connectivity):
    from scipy import ndimage

    segmentation = np.random.default_rng(0).integers(0, 5, (120, 90)).astype(np.uint8)
    regions = connected_regions(segmentation, connectivity)
    structure = ndimage.generate_binary_structure(2, connectivity // 4)
    for index in range(5):
        expected, count = ndimage.label(segmentation == index, structure)
        assert (regions.classes == index).sum() == count
        pairs = np.unique(np.stack([expected.ravel(), (regions.labels * (segmentation == index)).ravel()]), axis=1)
        assert pairs.shape[1] == count + 1  # one to one, and outside to outside


def test_equals_tensorflow_addons_which_joins_along_edges():
    addons = pytest.importorskip("tensorflow_addons", reason="TensorFlow Addons is installed beside Keras 2 alone")
    segmentation = np.random.default_rng(1).integers(0, 3, (64, 48)).astype(np.uint8)
    regions = connected_regions(segmentation, connectivity=4)
    # Its op takes any number of values but 0 as components; 0 must be shifted away.
    expected = addons.image.connected_components(segmentation.astype(np.int32) + 1).numpy()
    pairs = np.unique(np.stack([expected.ravel(), regions.labels.ravel()]), axis=1)
    assert pairs.shape[1] == len(regions) == expected.max()


def test_spiral_and_comb_hang_together():
    # A spiral one pixel wide with one pixel between its arms: two regions, itself and the ground, which winds along.
    spiral = np.zeros((41, 41), np.uint8)
    y, x, step_y, step_x = 0, 0, 0, 1
    spiral[0, 0] = 1
    for length in [40, 40, 40, *np.repeat(np.arange(38, 0, -2), 2)]:
        for _ in range(length):
            y, x = y + step_y, x + step_x
            spiral[y, x] = 1
        step_y, step_x = step_x, -step_y
    assert connected_regions(spiral, connectivity=4).areas.tolist() == [spiral.sum(), (spiral == 0).sum()]
    comb = np.zeros((30, 31), np.uint8)
    comb[:, ::2] = 1
    comb[-1] = 1
    # 16 teeth of 30 and the 15 pixels of the back between them; 15 gaps of 29 pixels each.
    assert connected_regions(comb).areas.tolist() == [16 * 30 + 15, *[29] * 15]


def test_checkerboard_is_two_regions_or_all_pixels():
    board = (np.indices((64, 64)).sum(axis=0) % 2).astype(np.uint8)
    assert connected_regions(board, connectivity=8).areas.tolist() == [2048, 2048]
    pixels = connected_regions(board, connectivity=4)
    np.testing.assert_array_equal(pixels.labels, np.arange(1, 4097).reshape(64, 64))


def test_memory_layout_does_not_matter():
    segmentation = np.random.default_rng(2).integers(0, 3, (30, 40)).astype(np.uint8)
    expected = connected_regions(segmentation).labels
    frozen = np.asfortranarray(segmentation)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(connected_regions(frozen).labels, expected)
    np.testing.assert_array_equal(connected_regions(segmentation.repeat(2, axis=1)[:, ::2]).labels, expected)


def test_real_masks_equal_scikit_image(real_data):
    from PIL import Image
    from skimage.measure import label

    path = real_data("data/dubai/tiles/Tile 1/masks/image_part_001.png")
    mask = np.asarray(Image.open(path).convert("RGB"))
    colours, indices = np.unique(mask.reshape(-1, 3), axis=0, return_inverse=True)
    segmentation = indices.reshape(mask.shape[:2]).astype(np.uint8)
    regions = connected_regions(segmentation)
    np.testing.assert_array_equal(regions.labels, label(segmentation, background=-1, connectivity=2))
    assert len(colours) > 1


@pytest.mark.parametrize(
    ("segmentation", "options", "message"),
    [
        (np.zeros((4, 4), np.int32), {}, "is int32"),
        (np.zeros((4, 4, 1), np.uint8), {}, r"\[4, 4, 1\]"),
        (np.zeros((0, 4), np.uint8), {}, "no pixels"),
        ([[1, 2]], {}, "is list"),
        (BY_HAND, {"connectivity": 6}, "wanted 4 or 8"),
        (BY_HAND, {"min_area": -1}, "min_area: is -1"),
        (BY_HAND, {"void": 256}, "void: is 256"),
    ],
)
def test_bad_input_is_named(segmentation, options, message):
    with pytest.raises(InputError, match=message):
        connected_regions(segmentation, **options)
