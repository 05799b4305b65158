import numpy as np

from rsir_tf.distances import to_float32


def test_every_finite_half_becomes_the_same_number():
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)]
    assert len(finite) == 63488  # 65,536 less the exponent of all ones: 2 signs · 1,024 mantissas
    single = to_float32(finite)
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.view(np.uint32), finite.astype(np.float32).view(np.uint32))


def test_shape_and_order_are_kept():
    values = np.arange(24, dtype=np.float16).reshape(2, 3, 4)
    np.testing.assert_array_equal(to_float32(values[:, ::2]), values[:, ::2].astype(np.float32))
    single = values.astype(np.float32)
    assert to_float32(single) is single
