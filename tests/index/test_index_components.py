import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays

from rsir_tf.errors import ArtifactError
from rsir_tf.index.components import Components, write_components
from rsir_tf.index.queries import side_by_side


def components_of(images, folder):
    counts = np.array([len(image) for image in images])
    file = folder / "components.npz"
    write_components(file, np.concatenate(images), counts)
    return Components(file, counts, ArtifactError)


def judged(images, queries, direction):
    """Eq. 3 [images, queries] in long double, literally."""

    def mean_of_nearest(one, other):
        apart = np.sqrt(np.square(one[:, None].astype(np.longdouble) - other).sum(axis=-1))
        return apart.min(axis=1).mean() if len(other) else np.inf

    there = np.array([[mean_of_nearest(query, image) for query in queries] for image in images])
    if direction == "query":
        return there
    back = [[mean_of_nearest(image, query) if len(image) else np.inf for query in queries] for image in images]
    return (there + np.array(back)) / 2


DIRECTIONS = np.linalg.qr(np.random.default_rng(1).normal(size=(128, 40)))[0]


def of_few_directions(rng, count):
    """Vectors that vary in 40 of 128 directions, with a variance of 1/(1 + i) in the i-th."""
    return (rng.normal(size=(count, 40)) * 300 / np.sqrt(1 + np.arange(40))) @ DIRECTIONS.T


@pytest.mark.parametrize("direction", ["query", "both"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bounds_hold_the_distance_and_are_narrow(tmp_path, direction, dtype):
    rng = np.random.default_rng(5)
    # 0 to 6 regions, so that images with equal numbers lie apart; and one image of more regions than a block has rows.
    counts = [*rng.integers(0, 7, 150).tolist(), 900]
    images = [of_few_directions(rng, count).astype(dtype) for count in counts]
    queries = [of_few_directions(rng, count).astype(dtype).astype(np.float32) for count in (1, 4, 9)]
    least = components_of(images, tmp_path).least_distances(side_by_side(queries, direction))
    wanted = judged(images, queries, direction)
    assert least.shape == wanted.shape == (151, 3)
    assert (least <= wanted).all()
    some = np.array(counts) > 0
    assert np.isinf(least[~some]).all()
    # The 9 directions left out have Σ 1/(1 + i), i = 31..39, of Σ 1/(1 + i), i = 0..39: .25 of 4.28, or 6% of the
    # variance and so of squared distances; √.94 = .97 of a distance is left, less what rounding to levels takes.
    assert np.median(least[some] / wanted[some]) > 0.93


numbers = strategies.floats(-(2.0**60), 2.0**60, width=32)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (7, 4), elements=numbers),
    arrays(np.float32, (2, 4), elements=numbers),
    strategies.sampled_from(["query", "both"]),
)
def test_bounds_hold_whatever_the_numbers(tmp_path_factory, vectors, query, direction):
    images = [vectors[:1], vectors[1:1], vectors[1:3], vectors[3:4], vectors[4:]]
    components = components_of(images, tmp_path_factory.mktemp("components"))
    least = components.least_distances(side_by_side([query, vectors[2:5]], direction))
    assert (least <= judged(images, [query, vectors[2:5]], direction)).all()


@pytest.mark.parametrize("scale", [1e-38, 1e-20, 1e18, 3e37])
def test_numbers_beyond_what_products_hold_leave_everything_open(tmp_path, scale):
    rng = np.random.default_rng(0)
    images = [(rng.normal(size=(count, 8)) * scale).astype(np.float32) for count in (2, 3, 3, 1)]
    query = (rng.normal(size=(2, 8)) * scale).astype(np.float32)
    least = components_of(images, tmp_path).least_distances(side_by_side([query, images[1]], "both"))
    assert (least <= judged(images, [query, images[1]], "both")).all()
    assert least[1, 1] == 0


def test_equal_vectors_are_at_no_distance(tmp_path):
    images = [np.full((2, 4), 7, np.float32)] * 3
    least = components_of(images, tmp_path).least_distances(side_by_side([np.float32([[7, 7, 7, 9]])], "query"))
    assert (least <= 2).all()


def test_a_damaged_file_is_told(tmp_path):
    file = tmp_path / "components.npz"
    counts = np.array([20])
    write_components(file, np.random.default_rng(0).normal(size=(20, 64)), counts)
    with pytest.raises(ArtifactError, match="is of 20 regions of 1 images"):
        Components(file, np.array([10, 9]), ArtifactError)
    content = bytearray(file.read_bytes())
    content[300] ^= 1  # within the levels, which the archive's checksum covers
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="cannot be read"):
        Components(file, counts, ArtifactError)
    file.write_bytes(b"no archive")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Components(file, counts, ArtifactError)
