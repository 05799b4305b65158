"""Images of an index as schemes see them, against the entries that were added."""

from __future__ import annotations

import numpy as np
import pytest
from index_samples import random_entry, settings

from rsir_tf.index import IndexWriter
from rsir_tf.ranking import HeldBlock, ImageFeatures, open_index
from rsir_tf.ranking.images import ImageBlock, image_at, image_blocks
from rsir_tf.ranking.scheme import FIELDS


def features(each):
    return ImageFeatures(**{name: getattr(each, name) for name in FIELDS})


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """16 images of 0 to 4 regions in segments of 9; one was removed."""
    path = tmp_path_factory.mktemp("images") / "index"
    with IndexWriter.open(path, settings(), images_per_segment=9) as writer:
        for at in range(16):
            writer.add(random_entry(f"{at:02}", at, regions=at % 5))
        writer.remove(["03"])
    return open_index(path)


@pytest.mark.parametrize("step", [1, 2, 3])  # neighbours are read as a slice, others are gathered
def test_a_block_has_the_borders_of_its_images(index, step):
    wanted = np.arange(len(index.vectors)) % step == 0
    seen = 0
    for positions, block in image_blocks(index.vectors, wanted):
        joined = HeldBlock([features(image) for image in block])
        for name in (*FIELDS, "starts", "border_starts"):
            np.testing.assert_array_equal(getattr(block, name), getattr(joined, name))
        for position, image in zip(positions.tolist(), block, strict=True):
            segment, row = index.vectors.locate(position)
            for name in FIELDS:
                np.testing.assert_array_equal(getattr(image, name), getattr(segment.entry(row), name))
            seen += len(image.borders)
    assert seen > 10


def test_a_block_of_no_images(index):
    block = ImageBlock(index.vectors.segments[0], np.empty(0, np.int64))
    assert (block.borders.shape, block.edge.shape) == ((0, 3), (0,))


def test_some_regions_of_an_image_keep_the_borders_between_them(index):
    image = features(random_entry("x", 1, regions=4))
    # Regions one and other touch where (one + other + 1) is no multiple of 3, along 1 + (one * other + 1) % 7 edges.
    assert image.borders.tolist() == [
        [0, 1, 2], [0, 3, 2], [1, 0, 2], [1, 2, 4], [1, 3, 5], [2, 1, 4], [3, 0, 2], [3, 1, 5],
    ]  # fmt: skip
    some = image.only([3, 1, 2])
    assert some.borders.tolist() == [[0, 1, 5], [1, 0, 5], [1, 2, 4], [2, 1, 4]]
    assert some.edge.tolist() == image.edge[[3, 1, 2]].tolist()
    assert image.only([]).borders.shape == (0, 3)
    assert image_at(index.vectors, 4).only([1, 0]).borders[:, :2].max(initial=0) < 2


def test_an_image_of_which_no_borders_are_known():
    image = ImageFeatures(*(getattr(features(random_entry("x", 1, regions=2)), name) for name in FIELDS[:6]))
    assert (image.edge.tolist(), image.borders.shape) == ([-1, -1], (0, 3))
