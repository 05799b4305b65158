"""Borders of regions against counting pixel by pixel."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsir_tf.errors import InputError
from rsir_tf.regions import VOID, connected_regions, region_adjacency

segmentations = array_shapes(min_dims=2, max_dims=2, max_side=9).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, VOID]))
)


def counted(labels, void):
    """Borders and ends of the picture, pixel by pixel."""
    height, width = labels.shape
    borders, edge = Counter(), Counter()
    for y in range(height):
        for x in range(width):
            own = labels[y, x] - 1
            if own < 0:
                continue
            for other_y, other_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                within = 0 <= other_y < height and 0 <= other_x < width
                if not within or void[other_y, other_x]:
                    edge[own] += 1
                elif labels[other_y, other_x] not in (0, own + 1):
                    borders[own, labels[other_y, other_x] - 1] += 1
    return borders, edge


@given(segmentations, st.sampled_from([4, 8]), st.integers(0, 4))
def test_every_pixel_edge_is_counted_once(segmentation, connectivity, min_area):
    regions = connected_regions(segmentation, connectivity, min_area)
    found = region_adjacency(regions.labels, segmentation == VOID)
    borders, edge = counted(regions.labels, segmentation == VOID)
    assert [tuple(row) for row in found.borders.tolist()] == sorted((*pair, n) for pair, n in borders.items())
    assert found.edge.tolist() == [edge[region] for region in range(len(regions))]
    assert (found.borders.dtype, found.edge.dtype) == (np.int32, np.int32)


def test_a_pond_a_corner_and_an_end():
    # Region 0 is the meadow, 1 the pond, 2 the hut; pond and hut share a corner alone.
    labels = connected_regions(np.uint8([[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]])).labels
    found = region_adjacency(labels)
    # The meadow meets the pond at all 4 edges, and the hut at 3 of its 4; the picture has 14 edges around.
    assert found.borders.tolist() == [[0, 1, 4], [0, 2, 3], [1, 0, 4], [2, 0, 3]]
    assert found.edge.tolist() == [13, 0, 1]


def test_pixels_that_were_dropped_are_neither_border_nor_end_and_void_is_an_end():
    segmentation = np.uint8([[0, 1, 0], [0, VOID, 0]])
    regions = connected_regions(segmentation, min_area=2)
    assert regions.labels.tolist() == [[1, 0, 2], [1, 0, 2]]
    # Left: 1 above, 1 below, 2 at the left, and 1 beside the void; its other edge meets the dropped pixel.
    assert region_adjacency(regions.labels, segmentation == VOID).edge.tolist() == [5, 5]
    assert region_adjacency(regions.labels).edge.tolist() == [4, 4]
    assert region_adjacency(regions.labels).borders.shape == (0, 3)


def test_no_region_at_all():
    found = region_adjacency(np.zeros((3, 4), np.int32))
    assert (found.borders.shape, found.edge.shape) == ((0, 3), (0,))


def test_what_is_refused():
    with pytest.raises(InputError, match=r"labels: is float64 \[2, 2\]"):
        region_adjacency(np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"void pixels: is \[3, 2\]; wanted \[2, 2\]"):
        region_adjacency(np.zeros((2, 2), int), np.zeros((3, 2), bool))
