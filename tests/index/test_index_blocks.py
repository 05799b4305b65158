import tracemalloc
from functools import partial

import numpy as np
from hypothesis import given, strategies

from rsir_tf.index.derived import in_blocks
from rsir_tf.ranking.bounds.components import write_components
from rsir_tf.ranking.bounds.levels import write_levels

Counts = strategies.integers(1, 20)


@given(strategies.integers(0, 40), Counts, Counts)
def test_blocks_are_the_rows_in_their_order(tmp_path_factory, count, rows, step):
    vectors = np.arange(count * 3, dtype=np.float16).reshape(count, 3)
    file = tmp_path_factory.mktemp("blocks") / "vectors.npy"
    np.save(file, vectors)
    for given_as in (vectors, np.load(file, mmap_mode="r")):
        blocks = list(in_blocks(given_as, rows, step))
        assert all(len(block) <= rows and not isinstance(block, np.memmap) for block in blocks)
        assert np.array_equal(np.concatenate([np.empty((0, 3), np.float16), *blocks]), vectors[::step])


def test_derived_files_are_written_with_little_memory(tmp_path):
    file = tmp_path / "vectors.npy"
    np.save(file, np.random.default_rng(0).random((16_000, 256), dtype=np.float32))
    vectors = np.load(file, mmap_mode="r")
    peaks = []
    for write in (partial(write_components, counts=np.full(2000, 8)), write_levels):
        tracemalloc.start()
        try:
            write(tmp_path / "derived.npz", vectors)
            peaks.append(tracemalloc.get_traced_memory()[1] >> 20)
        finally:
            tracemalloc.stop()
    # The components' sample is all vectors (fewer than twice 8,192): they would take 31 MiB as float64. The levels'
    # sample of 5,334 vectors takes 10 MiB, and what is computed from blocks of 512 vectors 1 MiB each.
    assert peaks[0] < 25
    assert peaks[1] < 18
