"""Similarity maps of scenes: by windows under any scheme, and by the cells of conv5_3 for one region."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
from index_samples import CLASS_NAMES
from scipy.ndimage import maximum_filter

import rsir_tf
from rsir_tf.contract import STRIDE, ModelDescription, Prediction
from rsir_tf.distances import global_distance
from rsir_tf.errors import InputError
from rsir_tf.index import ImageEntry, IndexSettings, IndexWriter
from rsir_tf.presentation import save_png
from rsir_tf.presentation.picture_files import is_own_picture
from rsir_tf.ranking import Index
from rsir_tf.rasters import RasterSource, Reading, Recipe, Tiling, content_hash, read_pixels, windows_of
from rsir_tf.workflows import describe_prediction, query_image, similarity_map, write_similarity_map
from rsir_tf.workflows.similarity_maps import spread
from rsir_tf.workflows.sliding_region import MARGIN, TILE, cell_distances, pooled_side

CHANNELS = 8


class Canned:
    """Stands in for a network: the class is the strongest colour, and a cell's features are means of what is around.

    A cell sees 6 cells to each side, beyond the image's border zeros, as a network with padding does.
    """

    def __init__(self, reach: int = 6) -> None:
        self.reach, self.asked = reach, 0
        self.mix = np.random.default_rng(0).random((3, CHANNELS), dtype=np.float32)

    def describe(self) -> ModelDescription:
        return ModelDescription("model-1", CLASS_NAMES, channels=CHANNELS)

    def predict(self, images: Iterable[np.ndarray]) -> list[Prediction]:
        return list(self.predict_stream(images))

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for image in images:
            self.asked += 1
            height, width = (-(-side // STRIDE) for side in image.shape[:2])
            padded = np.zeros((height * STRIDE, width * STRIDE, 3))
            padded[: image.shape[0], : image.shape[1]] = image
            cells = padded.reshape(height, STRIDE, width, STRIDE, 3).sum(axis=(1, 3))
            around = np.pad(cells, ((self.reach,) * 2, (self.reach,) * 2, (0, 0)))
            side = 2 * self.reach + 1
            views = np.lib.stride_tricks.sliding_window_view(around, (side, side), axis=(0, 1))
            # Whole numbers below 2^53: the sum does not depend on the order.
            means = (views.sum(axis=(-1, -2)) / STRIDE**2).astype(np.float32)
            yield Prediction(image.argmax(axis=-1).astype(np.uint8), means @ self.mix)

    def close(self) -> None:
        """Nothing is open."""


def write_scene(path: Path, pixels: np.ndarray, **more: object) -> Path:
    height, width = pixels.shape[:2]
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint8", **more}
    profile = {"crs": "EPSG:32632", "transform": rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000), **profile}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.moveaxis(pixels, 2, 0))
    return path


def blocks(height: int, width: int, seed: int = 0, side: int = 32) -> np.ndarray:
    """Squares of colour, no two alike."""
    rng = np.random.default_rng(seed)
    small = rng.integers(1, 256, (-(-height // side), -(-width // side), 3), dtype=np.uint8)
    return small.repeat(side, 0).repeat(side, 1)[:height, :width]


def make_index(path: Path, sources: Iterable[RasterSource], model: Canned, **more: object) -> Index:
    """Describe windows as indexing does."""
    kept = IndexSettings("model-1", CLASS_NAMES, channels=CHANNELS, **more)
    with IndexWriter.open(path, kept) as writer:
        for source in sources:
            pixels, stamp = read_pixels(source), source.fingerprint
            described = describe_prediction(model.predict([pixels.values])[0], kept, pixels.valid)
            regions = described.regions
            writer.add(
                ImageEntry(
                    id=str(source), path=source.address, height=pixels.values.shape[0], width=pixels.values.shape[1],
                    scene=None, tags=None, content_hash=content_hash(pixels), file_size=stamp.size,
                    modified_ns=stamp.modified_ns, classes=regions.classes, areas=regions.areas, boxes=regions.boxes,
                    centroids=regions.centroids, recnn=described.recnn, recnn_plus=described.recnn_plus,
                )
            )  # fmt: skip
    return rsir_tf.open_index(path)


READING = Reading(tiling=Tiling(64))


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif", blocks(192, 256))


@pytest.fixture
def query(tmp_path: Path) -> Path:
    save_png(tmp_path / "query.png", blocks(64, 64, seed=7))
    return tmp_path / "query.png"


@pytest.fixture
def index(scene: Path, tmp_path: Path) -> Index:
    return make_index(tmp_path / "index", windows_of(str(scene), READING), Canned())


def test_cells_are_those_of_one_large_window(tmp_path: Path) -> None:
    pixels = blocks(TILE + 300, 2 * TILE + 77)
    scene = RasterSource(str(write_scene(tmp_path / "scene.tif", pixels)))
    region = np.random.default_rng(1).random(CHANNELS, dtype=np.float32) * 500
    model = Canned(reach=MARGIN // STRIDE)
    found = cell_distances(region, 3, scene, model)
    assert model.asked == 6  # 2 rows of 3 windows
    (whole,) = Canned(reach=MARGIN // STRIDE).predict([pixels])
    pooled = maximum_filter(whole.conv5_3, size=(3, 3, 1), mode="constant")
    wanted = global_distance(region, pooled.reshape(-1, CHANNELS), "l2").reshape(pooled.shape[:2])
    assert found.shape == (-(-pixels.shape[0] // 16), -(-pixels.shape[1] // 16))
    np.testing.assert_array_equal(found, wanted.astype(np.float32))


@pytest.mark.parametrize(("pooling", "power"), [("mean", 1), ("gem", 3)])
def test_squares_are_pooled_as_the_region_was(tmp_path: Path, pooling: str, power: int) -> None:
    pixels = blocks(100, 90)
    pixels[:33, :50] = 0
    scene = RasterSource(str(write_scene(tmp_path / "scene.tif", pixels, nodata=0)))
    region = np.random.default_rng(1).random(CHANNELS, dtype=np.float32) * 500
    found = cell_distances(region, 3, scene, Canned(), pooling=pooling)
    (seen,) = Canned().predict([read_pixels(scene).values])
    known = np.ones((7, 6), bool)
    known[:2, :3] = False
    cells = seen.conv5_3.astype(np.float64)
    for row, column in ((0, 4), (3, 0), (6, 5), (2, 3)):  # Beside void cells, at borders, and in a corner.
        square = np.s_[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        pooled = (cells[square][known[square]] ** power).mean(axis=0) ** (1 / power)
        np.testing.assert_allclose(found[row, column], np.linalg.norm(pooled - region), rtol=1e-5)


@pytest.mark.parametrize(("area", "side"), [(1, 1), (1023, 1), (1024, 3), (10_809, 7), (10**6, 15)])
def test_squares_are_as_large_as_the_region(area: int, side: int) -> None:
    # 1024 pixels are 2 × 2 cells of 16 pixels, 10,809 are 6.5 × 6.5: the odd side that is nearest.
    assert pooled_side(area) == side


def test_cells_without_a_valid_pixel_are_not_known(tmp_path: Path) -> None:
    pixels = blocks(100, 90)
    pixels[:33, :50] = 0  # Rows 0 and 1 of cells are void up to column 2, whose last two columns are valid in column 3.
    scene = RasterSource(str(write_scene(tmp_path / "scene.tif", pixels, nodata=0)))
    found = cell_distances(np.zeros(CHANNELS, np.float32), 3, scene, Canned())
    wanted = np.zeros((7, 6), bool)
    wanted[:2, :3] = True
    np.testing.assert_array_equal(np.isnan(found), wanted)


def test_places_have_the_mean_of_the_windows_that_hold_their_middle() -> None:
    # Windows of 4 pixels, one every 2, of 5×7 pixels; the last of a row is shifted to begin at 3, of a column at 1.
    windows = [(x, y, 4, 4) for y in (0, 1) for x in (0, 2, 3)]
    distances = np.array([1.0, 2.0, np.nan, 10.0, 20.0, 40.0])
    corner, values = spread(windows, distances, (5, 7), 2)
    assert corner == (0, 0)
    # Middles of columns are at 1, 3, 5 and 6.5 (7 is beyond the scene), in the windows that begin at 0; 0, 2 and 3; 2
    # and 3; 3. Middles of rows are at 1, 3 and 4.5: in 0 and 1; 0 and 1; 1 (4 and 5 are the ends).
    both = [(1 + 10) / 2, (1 + 2 + 10 + 20 + 40) / 5, (2 + 20 + 40) / 3, 40]
    np.testing.assert_allclose(values, [both, both, [10, 70 / 3, 30, 40]], rtol=1e-6)


def test_windows_of_a_common_grid_may_begin_before_the_scene() -> None:
    corner, values = spread([(-1, -2, 4, 4), (3, -2, 4, 4)], np.array([1.0, 2.0]), (2, 6), 4, (-1, -2))
    assert corner == (-1, -2)
    np.testing.assert_array_equal(values, [[1, 2]])


@pytest.mark.parametrize("scheme", ["recnn", "recnn+"])
def test_windows_that_the_index_has_are_not_asked_for(index: Index, scene: Path, query: Path, scheme: str) -> None:
    model = Canned()
    result = query_image(query, index, model, scheme=scheme, top=None)
    assert model.asked == 1
    found = similarity_map(result, scene, index, model, reading=READING)
    assert (model.asked, found.held, found.described) == (1, 12, 0)
    assert found.unit == ("L2" if scheme == "recnn" else "L1")
    apart = {hit.id: hit.distance for hit in result.hits}
    wanted = [[apart[f"{scene}, window {x} {y} 64 64"] for x in range(0, 256, 64)] for y in range(0, 192, 64)]
    np.testing.assert_allclose(found.distances, wanted, rtol=1e-6)
    assert found.place is not None
    assert found.place.transform == (32, 0, 500_000, 0, -32, 5_000_000)
    # A scene that the index does not have gives the same, through the model.
    other = write_scene(scene.with_name("other.tif"), blocks(192, 256) // 2 * 2 + 1)
    fresh = similarity_map(result, other, index, model, reading=READING)
    assert (fresh.held, fresh.described) == (0, 12)
    np.testing.assert_allclose(fresh.distances, found.distances, rtol=0.05)


def test_a_copy_has_the_same_descriptors_and_a_changed_scene_others(index: Index, scene: Path, query: Path) -> None:
    model = Canned()
    result = query_image(query, index, model, scheme="recnn+")
    before = similarity_map(result, scene, index, model, reading=READING)
    copy = scene.with_name("copy.tif")
    copy.write_bytes(scene.read_bytes())
    copied = similarity_map(result, copy, index, model, reading=READING)
    assert (copied.held, copied.described, model.asked) == (12, 0, 1)
    np.testing.assert_array_equal(copied.distances, before.distances)
    pixels = blocks(192, 256)
    pixels[:64, :64] = 255 - pixels[:64, :64]
    write_scene(scene, pixels)
    changed = similarity_map(result, scene, index, model, reading=READING)
    assert (changed.held, changed.described) == (11, 1)
    assert (changed.distances != before.distances).sum() == 1


def test_half_precision_is_that_of_the_index(scene: Path, query: Path, tmp_path: Path) -> None:
    index = make_index(tmp_path / "half", windows_of(str(scene), READING), Canned(), dtype="float16")
    empty = make_index(tmp_path / "empty", list(windows_of(str(scene), READING))[:1], Canned(), dtype="float16")
    for scheme in ("recnn", "recnn+"):
        held, asked = (
            similarity_map(query_image(query, each, Canned(), scheme=scheme), scene, each, Canned(), reading=READING)
            for each in (index, empty)
        )
        assert (held.described, asked.described) == (0, 11)
        np.testing.assert_allclose(held.distances, asked.distances, rtol=1e-12)


def test_void_windows_are_not_known(index: Index, query: Path, tmp_path: Path) -> None:
    pixels = blocks(192, 256)
    pixels[:64, 128:] = 0
    scene = write_scene(tmp_path / "void.tif", pixels, nodata=0)
    found = similarity_map(query_image(query, index, Canned()), scene, index, Canned(), reading=READING)
    wanted = np.zeros((3, 4), bool)
    wanted[0, 2:] = True
    np.testing.assert_array_equal(np.isnan(found.distances), wanted)
    write_scene(scene, np.zeros((192, 256, 3), np.uint8), nodata=0)
    with pytest.raises(InputError, match="no window has 50% valid pixels"):
        similarity_map(query_image(query, index, Canned()), scene, index, Canned(), reading=READING)


def test_cells_need_one_region_of_images_in_their_own_size(
    index: Index, scene: Path, query: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = query_image(query, index, Canned(), scheme="recnn")
    assert len(several.asked) > 1
    with pytest.raises(InputError, match="wanted one region to compare with cells; pick one with --at"):
        similarity_map(several, scene, index, Canned(), by="cells")
    one = query_image(query, index, Canned(), scheme="recnn", at=(3, 3))
    found = similarity_map(one, scene, index, Canned(), by="cells")
    assert found.distances.shape == (12, 16)
    assert found.place is not None
    assert found.place.transform == (8, 0, 500_000, 0, -8, 5_000_000)
    assert found.unit == "L2"
    assert found.facts["QUERY_REGIONS"].startswith(f"{one.asked[0]} (")
    titles: list[str] = []
    monkeypatch.setattr(
        "rsir_tf.presentation.maps.similarity.similarity_picture",
        lambda *_, title, **__: titles.append(title) or np.zeros((8, 8, 3), np.uint8),
    )
    write_similarity_map(found, tmp_path / "near.tif")
    asked = f"region {found.facts['QUERY_REGIONS']} of {query.name}"
    assert titles == [f"{scene.name}: how near each place is to {asked}"]
    resized = make_index(tmp_path / "resized", [], Canned(), resize=(32, 32))
    with pytest.raises(InputError, match="resized to 32×32 pixels; wanted images of their own size"):
        similarity_map(one, scene, resized, Canned(), by="cells")


def test_windows_must_have_a_size(index: Index, scene: Path, query: Path) -> None:
    result = query_image(query, index, Canned())
    with pytest.raises(InputError, match=r"how large they are with --tile \(the index's images are 64×64 pixels\)"):
        similarity_map(result, scene, index, Canned(), reading=Reading(Recipe()))


def test_a_scene_without_a_place_gives_a_map_without_one(index: Index, query: Path, tmp_path: Path) -> None:
    save_png(tmp_path / "scene.png", blocks(128, 128))
    found = similarity_map(
        query_image(query, index, Canned()), tmp_path / "scene.png", index, Canned(), reading=READING
    )
    assert found.place is None
    assert found.distances.shape == (2, 2)


def test_the_files_say_what_they_show(index: Index, scene: Path, query: Path, tmp_path: Path) -> None:
    result = query_image(query, index, Canned(), scheme="recnn+", metric="cosine")
    reading = Reading(tiling=Tiling(64, overlap=32))
    found = similarity_map(result, scene, index, Canned(), reading=reading)
    assert (found.held, found.described) == (12, 23)  # 7 × 5 windows, of which every other one is in the index.
    picture = write_similarity_map(found, tmp_path / "near.tif")
    with rasterio.open(tmp_path / "near.tif") as raster:
        np.testing.assert_array_equal(raster.read(1), found.distances)
        assert (raster.shape, raster.res, raster.units) == ((6, 8), (16.0, 16.0), ("cosine",))
        tags = raster.tags()
    assert tags["QUERY"] == str(query)
    assert (tags["SCHEME"], tags["MODEL_ID"], tags["SCENE"]) == ("recnn+", "model-1", str(scene))
    assert tags["COMPARED"] == "windows of 64 pixels that overlap by 32, the mean where they overlap"
    assert picture == tmp_path / "near.png"
    assert is_own_picture(picture)


def test_a_resampled_scene_is_measured_on_its_own_grid(index: Index, query: Path, tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "large.tif", blocks(400, 600))
    result = query_image(query, index, Canned(), scheme="recnn", at=(3, 3))
    reading = Reading(Recipe(resolution=1.0), Tiling(64, min_valid=0.0))
    for by, step in (("windows", 64.0), ("cells", 16.0)):
        found = similarity_map(result, scene, index, Canned(), by=by, reading=reading)
        assert found.place is not None
        # 300 m by 200 m: half as many pixels as the file has.
        assert found.distances.shape == (-(-200 // int(step)), -(-300 // int(step)))
        assert found.place.transform == (step, 0, 500_000, 0, -step, 5_000_000)
    write_similarity_map(found, tmp_path / "near.tif")
    common = Reading(Recipe(resolution=1.0), Tiling(64, min_valid=0.0, grid=True))
    found = similarity_map(result, scene, index, Canned(), reading=common)
    assert found.place is not None
    # Windows begin at multiples of 64 m: 500,000 = 7812 · 64 + 32, and −5,000,000 = −78,125 · 64.
    assert found.place.transform == (64, 0, 499_968, 0, -64, 5_000_000)
    assert found.corner == (-32, 0)
    assert found.distances.shape == (4, 6)
