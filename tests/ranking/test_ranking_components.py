import numpy as np
import pytest
from hypothesis import given, settings, strategies
from hypothesis.extra.numpy import arrays

from rsir_tf.errors import ArtifactError
from rsir_tf.ranking.bounds import component_layout
from rsir_tf.ranking.bounds import components as module
from rsir_tf.ranking.bounds.component_bounds import Components
from rsir_tf.ranking.bounds.components import write_components
from rsir_tf.ranking.bounds.operands import side_by_side
from rsir_tf.ranking.region_matching import match


def components_of(images, folder):
    counts = np.array([len(image) for image in images])
    file = folder / "components.npz"
    write_components(file, np.concatenate(images), counts)
    return Components(file, counts, images[0].shape[1], ArtifactError)


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


DIRECTIONS = np.linalg.qr(np.random.default_rng(1).normal(size=(96, 80)))[0]


def of_few_directions(rng, count):
    """Vectors that vary in 80 of 96 directions, with a variance of 1/(1 + i)² in the i-th."""
    return 50 + (rng.normal(size=(count, 80)) * 300 / (1 + np.arange(80))) @ DIRECTIONS.T


@pytest.mark.parametrize("direction", ["query", "both"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_bounds_hold_the_distance_and_are_narrow(tmp_path, direction, dtype, monkeypatch):
    monkeypatch.setattr(module, "COORDINATES", 12)
    monkeypatch.setattr(component_layout, "_ROWS", 40)
    monkeypatch.setattr(module, "_SAMPLE", 100)  # the sample is every fifth vector, and there are six chunks to write
    rng = np.random.default_rng(5)
    # 0 to 6 regions, so that images with equal numbers lie apart; and one image of more regions than a product has.
    counts = [*rng.integers(0, 7, 150).tolist(), 90]
    images = [of_few_directions(rng, count).astype(dtype) for count in counts]
    queries = [of_few_directions(rng, count).astype(dtype).astype(np.float32) for count in (1, 4, 9)]
    least = components_of(images, tmp_path).least_distances(side_by_side(queries, direction))
    wanted = judged(images, queries, direction)
    assert least.shape == wanted.shape == (151, 3)
    assert (least <= wanted).all()
    some = np.array(counts) > 0
    assert np.isinf(least[~some]).all()
    # The 69 directions left out have Σ 1/(1 + i)², i = 11..79, of Σ 1/(1 + i)², i = 0..79: .075 of 1.63, or 5% of the
    # variance; √.95 = .98 of a distance is left on average, and less of the nearest region's and beside levels.
    assert 0.9 < np.median(least[some] / wanted[some]) < 0.99


numbers = strategies.floats(-(2.0**60), 2.0**60, width=32)


@settings(max_examples=60)
@given(
    strategies.sampled_from([3, 48]),
    arrays(np.float32, (7, 4), elements=numbers),
    arrays(np.float32, (2, 4), elements=numbers),
    strategies.sampled_from(["query", "both"]),
)
def test_bounds_hold_whatever_the_numbers(tmp_path_factory, coordinates, vectors, query, direction):
    images = [vectors[:1], vectors[1:1], vectors[1:3], vectors[3:4], vectors[4:]]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "COORDINATES", coordinates)
        components = components_of(images, tmp_path_factory.mktemp("components"))
    least = components.least_distances(side_by_side([query, vectors[2:5]], direction))
    assert (least <= judged(images, [query, vectors[2:5]], direction)).all()


def matched(image, query, masses, shares, unit):
    """Integrated matching by distances in long double."""
    one, other = query.astype(np.longdouble), image.astype(np.longdouble)
    if unit:
        one, other = (each / np.sqrt(np.square(each).sum(axis=1, keepdims=True)) for each in (one, other))
        one, other = np.nan_to_num(one), np.nan_to_num(other)
    apart = np.sqrt(np.square(one[:, None] - other).sum(axis=-1))
    (distance,), _ = match(apart[None].astype(np.float64), masses, shares[None])
    return distance


@pytest.mark.parametrize("unit", [True, False])
def test_matchings_are_bounded_closely_too(tmp_path, unit, monkeypatch):
    monkeypatch.setattr(module, "COORDINATES", 12)
    monkeypatch.setattr(component_layout, "_ROWS", 40)
    rng = np.random.default_rng(6)
    counts = [*rng.integers(0, 7, 150).tolist(), 90]
    images = [of_few_directions(rng, count).astype(np.float32) for count in counts]
    query, masses = of_few_directions(rng, 4), np.array([0.1, 0.2, 0.3, 0.4])
    areas = [rng.dirichlet(np.ones(count)) if count else np.empty(0) for count in counts]
    shares = np.concatenate(areas).astype(np.float32)
    found = components_of(images, tmp_path)
    least = found.least_matchings(query, masses, shares, unit=unit)
    wanted = np.array(
        [
            matched(image, query, masses, own, unit) if len(image) else np.inf
            for image, own in zip(images, areas, strict=True)
        ]
    )
    assert (least <= wanted).all()
    some = np.array(counts) > 0
    assert np.isinf(least[~some]).all()
    assert 0.8 < np.median(least[some] / wanted[some]) < 0.99
    sampled = found.least_matchings(query, masses, shares, unit=unit, sample=True)
    looked = np.isfinite(sampled)
    assert 0 < looked.sum() < some.sum()
    np.testing.assert_array_equal(sampled[looked], least[looked])


@settings(max_examples=60)
@given(
    arrays(np.float32, (7, 4), elements=numbers), arrays(np.float32, (2, 4), elements=numbers), strategies.booleans()
)
def test_matchings_are_bounded_whatever_the_numbers(tmp_path_factory, vectors, query, unit):
    images = [vectors[:1], vectors[1:1], vectors[1:3], vectors[3:4], vectors[4:]]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "COORDINATES", 3)
        components = components_of(images, tmp_path_factory.mktemp("components"))
    areas = [np.full(len(image), 1 / max(1, len(image))) for image in images]
    for asked in (query, vectors[2:4]):
        masses = np.array([0.25, 0.75])
        with np.errstate(invalid="ignore"):
            wanted = [
                matched(image, asked, masses, own, unit) if len(image) else np.inf
                for image, own in zip(images, areas, strict=True)
            ]
        shares = np.concatenate(areas).astype(np.float32)
        assert (components.least_matchings(asked.astype(float), masses, shares, unit=unit) <= wanted).all()


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


@pytest.fixture
def written(tmp_path):
    write_components(tmp_path / "components.npz", np.random.default_rng(0).normal(size=(20, 64)), np.array([20]))
    return tmp_path / "components.npz"


@pytest.mark.parametrize("name", ["levels", "basis", "errors"])
def test_any_flipped_bit_is_told(written, name):
    whole = written.read_bytes()
    begin = whole.index(f"{name}.npy".encode())
    for offset in (len(name) + 60, len(name) + 90, len(name) + 150):  # in the array's header, and behind it
        content = bytearray(whole)
        content[begin + offset] ^= 4
        written.write_bytes(content)
        with pytest.raises(ArtifactError, match="cannot be read"):
            Components(written, np.array([20]), 64, ArtifactError)


def test_arrays_of_another_shape_are_told(written):
    with pytest.raises(ArtifactError, match=r"its array levels is int8 \[20, 48\], not int8 \[19, 48\]"):
        Components(written, np.array([10, 9]), 64, ArtifactError)
    with pytest.raises(ArtifactError, match=r"its array mean is float32 \[64\], not float32 \[65\]"):
        Components(written, np.array([20]), 65, ArtifactError)
    written.write_bytes(b"no archive")
    with pytest.raises(ArtifactError, match="cannot be read"):
        Components(written, np.array([20]), 64, ArtifactError)
