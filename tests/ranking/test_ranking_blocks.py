import numpy as np
import pytest
from index_samples import random_entry, settings

from rsir_tf.index import IndexWriter
from rsir_tf.ranking import derived_files, open_index
from rsir_tf.ranking.bounds import blocks


@pytest.fixture(scope="module", params=["float32", "float16"])
def index(request, tmp_path_factory):
    """40 images of 0 to 4 regions in segments of 9, four of them removed."""
    path = tmp_path_factory.mktemp("index") / "index"
    with IndexWriter.open(path, settings(dtype=request.param), images_per_segment=9, derived=derived_files()) as writer:
        for at in range(40):
            writer.add(random_entry(f"{at:02d}", at, regions=at % 5))
        writer.remove(["03", "11", "12", "39"])
    return open_index(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("limit", [3, 10, 4096])  # 3 is less than some images have
def test_blocks_hold_each_wanted_image_once_with_its_vectors(index, share, limit, monkeypatch):
    every = index.vectors
    wanted = np.random.default_rng(int(10 * share)).random(len(every.rows)) < share
    room = np.full((limit, index.settings.channels), np.nan, np.float32)
    seen = []
    for read in blocks.region_blocks(every, wanted, regions_at_once=limit):
        block = read(room)
        ends = [*block.starts[1:], len(block.vectors)]
        assert len(block.vectors) <= limit or len(block.positions) == 1
        for position, begin, end in zip(block.positions.tolist(), block.starts, ends, strict=True):
            np.testing.assert_array_equal(block.vectors[begin:end], every.recnn(position))
            squared = np.square(every.recnn(position).astype(float)).sum(axis=1)
            np.testing.assert_allclose(block.squared_norms[begin:end], squared, rtol=1e-5)
            seen.append(position)
    with_regions = {position for position in range(len(every.rows)) if len(every.recnn(position))}
    assert len(seen) == len(set(seen))
    assert with_regions & set(np.flatnonzero(wanted).tolist()) <= set(seen) <= with_regions
