"""Scenes in an index: windows with their places, validity, resuming, and scenes that change, move or cannot be read."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin

from rsir_tf.archives import Archive, open_archive
from rsir_tf.baselines import ColourHistogram
from rsir_tf.contract import ModelDescription, Prediction
from rsir_tf.errors import InputError, MismatchError
from rsir_tf.index import ImageFacts, IndexWriter, verify_index
from rsir_tf.ranking import Index, open_index
from rsir_tf.rasters import FILL, Place, RasterSource, Reading, Recipe, Tiling
from rsir_tf.workflows import IndexSummary, compare_descriptors, evaluate_index, index_archive, recorded_reading
from rsir_tf.workflows.hit_pictures import look_up
from rsir_tf.workflows.index_places import describe_places, describe_scenes, image_boxes
from rsir_tf.workflows.indexed_images import ids_in_index

WINDOWS = Reading(tiling=Tiling(32))


class Stand:
    """Stands in for a model: the class of a pixel is its strongest colour. It keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []
        self.dies_after = 1 << 30

    def describe(self) -> ModelDescription:
        return ModelDescription("stand-in", ("red", "green", "blue"))

    def predict_stream(self, images: Iterable[np.ndarray]) -> Iterator[Prediction]:
        for image in images:
            if len(self.asked) >= self.dies_after:
                raise KeyboardInterrupt
            self.asked.append(image)
            cells = image[::16, ::16].astype(np.float32) @ np.eye(3, 512, dtype=np.float32)
            yield Prediction(image.argmax(axis=-1).astype(np.uint8), cells)


@pytest.fixture
def model() -> Stand:
    return Stand()


def write_scene(
    path: Path, width: int = 96, height: int = 64, *, void: int = 0, seed: int = 0, epsg: int = 32632, east: float = 5e5
) -> Path:
    """A scene of 10 m, noise of 1 to 254, whose first `void` columns are nodata 0."""
    values = np.random.default_rng(seed).integers(1, 255, (3, height, width), dtype=np.uint8)
    values[:, :, :void] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "nodata": 0, "tiled": True, "photometric": "RGB"}
    with rasterio.open(
        path,
        "w",
        width=width,
        height=height,
        blockxsize=32,
        blockysize=32,
        crs=f"EPSG:{epsg}",
        transform=from_origin(east, 5.5e6, 10, 10),
        **profile,
    ) as opened:
        opened.write(values)
    return path


@pytest.fixture
def keep(tmp_path: Path, model: Stand) -> Callable[..., IndexSummary]:
    """Index an archive, or what lies at a path, into the same index."""

    def index(what: Path | str | Archive, reading: Reading = WINDOWS, **options: object) -> IndexSummary:
        archive = what if isinstance(what, Archive) else open_archive(what, reading=reading)
        return index_archive(archive, model, tmp_path / "index", **options)

    return index


def opened(tmp_path: Path) -> Index:
    index = open_index(tmp_path / "index")
    index.verify()
    return index


def test_windows_are_images_with_places_and_footprints(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/north/a.tif")
    told: list[tuple[int, int]] = []
    found = keep(tmp_path / "archive", progress=lambda done, total, words: told.append((done, total)))
    assert (found.added, found.left_out, found.skipped) == (6, 0, {})
    assert told == [(done, 6) for done in range(1, 7)]
    index = opened(tmp_path)
    # 96 × 64 pixels in windows of 32: x 0, 32 and 64, y 0 and 32; ids are sorted as text.
    assert index.images.ids == tuple(f"north/a.tif/{x}_{y}" for x in (0, 32, 64) for y in (0, 32))
    assert index.readings == {"": WINDOWS}
    place = index.images.places[3]
    assert place == Place("EPSG:32632", (10.0, 0.0, 500320.0, 0.0, -10.0, 5499680.0))
    with rasterio.open(tmp_path / "archive/north/a.tif") as scene:
        window = rasterio.windows.Window(32, 32, 32, 32)
        left, bottom, right, top = rasterio.windows.bounds(window, scene.transform)
        lon, lat = rasterio.warp.transform(scene.crs, "EPSG:4326", [left, left, right, right], [top, bottom] * 2)
    corners = shapely.from_wkb(index.images.footprints[3]).exterior.coords
    for corner in zip(lon, lat, strict=True):
        assert min(abs(corner[0] - x) + abs(corner[1] - y) for x, y in corners) < 1e-9
    # The model was asked row by row, as the file holds them.
    with rasterio.open(tmp_path / "archive/north/a.tif") as scene:
        values = np.moveaxis(scene.read(), 0, -1)
    for number, (y, x) in enumerate((y, x) for y in (0, 32) for x in (0, 32, 64)):
        np.testing.assert_array_equal(model.asked[number], values[y : y + 32, x : x + 32])
    # The address stands by itself: it gives the same pixels again.
    assert look_up(index, 3).problem is None
    assert index.images.paths[3] == RasterSource(str(tmp_path / "archive/north/a.tif"), window=(32, 32, 32, 32)).address


def test_unchanged_windows_are_not_read_again(tmp_path: Path, keep, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene(tmp_path / "archive/a.tif", void=40)
    found = keep(tmp_path / "archive")
    # Of the windows at x = 0 no pixel is valid, of those at 32 ¾ are, of those at 64 all.
    assert (found.added, found.left_out, found.images) == (4, 2, 4)
    assert opened(tmp_path).left_out == ("a.tif/0_0", "a.tif/0_32")

    def refuse(*_: object) -> None:
        raise AssertionError("pixels were read")

    with monkeypatch.context() as patched:
        patched.setattr(RasterSource, "read_pixels", refuse)
        found = keep(tmp_path / "archive")
    assert (found.unchanged, found.left_out, found.added, found.absent) == (4, 2, 0, 0)
    found = keep(tmp_path / "archive", rehash=True)
    assert (found.unchanged, found.left_out) == (4, 2)
    # The scene changes: what was left out is shown, and what was shown is left out.
    write_scene(tmp_path / "archive/a.tif", void=0, seed=1)
    assert (keep(tmp_path / "archive").added, opened(tmp_path).left_out) == (6, ())
    write_scene(tmp_path / "archive/a.tif", void=64, seed=1)
    found = keep(tmp_path / "archive")
    assert (found.images, found.left_out, found.refreshed) == (2, 4, 2)
    (tmp_path / "archive/a.tif").unlink()
    write_scene(tmp_path / "archive/b.tif", seed=2)
    found = keep(tmp_path / "archive", prune=True)
    assert (found.removed, found.images, opened(tmp_path).left_out) == (2, 6, ())


def test_void_pixels_are_in_no_region(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif", 32, 32, void=12)
    assert keep(tmp_path / "archive").added == 1
    entry = opened(tmp_path).entry(0)
    assert (model.asked[0][:, :12] == FILL).all()
    assert entry.areas.sum() == 32 * 20
    assert entry.boxes[:, 1].min() == 12
    # Validity is a part of the content: the same colours that are valid everywhere are another image.
    values = model.asked[0]
    with rasterio.open(
        tmp_path / "archive/b.tif", "w", driver="GTiff", width=32, height=32, count=3, dtype="uint8", photometric="RGB"
    ) as scene:
        scene.write(np.moveaxis(values, -1, 0))
    found = keep(tmp_path / "archive")
    assert (found.added, found.reused, found.unchanged) == (1, 0, 1)
    assert opened(tmp_path).entry(1).areas.sum() == 32 * 32
    shutil.copy(tmp_path / "archive/a.tif", tmp_path / "archive/c.tif")
    found = keep(tmp_path / "archive")
    assert (found.added, found.reused) == (0, 1)
    np.testing.assert_array_equal(opened(tmp_path).entry(2).recnn, entry.recnn)


def test_a_stopped_run_goes_on(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif", 192, 64)
    model.dies_after = 5
    with pytest.raises(KeyboardInterrupt):
        keep(tmp_path / "archive")
    assert len(opened(tmp_path)) == 5
    model.dies_after = 1 << 30
    found = keep(tmp_path / "archive")
    assert (found.unchanged, found.added, len(model.asked)) == (5, 7, 12)


def test_another_reading_is_refused_with_both(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif")
    keep(tmp_path / "archive")
    other = Reading(Recipe((3, 2, 1)), Tiling(32))
    with pytest.raises(MismatchError, match=r"way: windows of 32 pixels; bands 3 2 1; wanted .* of 32 pixels;"):
        keep(tmp_path / "archive", other)
    with pytest.raises(MismatchError, match="this way: as they are"):
        keep(tmp_path / "archive", Reading())
    assert len(opened(tmp_path)) == 6
    write_scene(tmp_path / "other/a.tif", seed=1)
    keep(tmp_path / "other", other, name="other")
    index = opened(tmp_path)
    assert index.readings == {"": WINDOWS, "other": other}
    assert recorded_reading(tmp_path / "index", tmp_path / "other", None) == other
    assert recorded_reading(tmp_path / "index", tmp_path / "other/a.tif", None) == other
    assert recorded_reading(tmp_path / "index", "https://example.org/a.tif", None) is None
    assert recorded_reading(tmp_path / "nothing", tmp_path / "other", None) is None
    # An archive whose images are all gone may be read anew.
    with IndexWriter.open(tmp_path / "index", None) as writer:
        writer.remove(index.images.ids)
    assert keep(tmp_path / "archive", other).added == 6


def test_the_same_scenes_are_indexed_with_windows_of_two_sizes(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif")
    keep(tmp_path / "archive")
    large = Reading(tiling=Tiling(64))
    assert keep(tmp_path / "archive", large, name="large").images == 8
    with pytest.raises(InputError, match="already, as 'large'; leave --as out"):
        keep(tmp_path / "archive", large, name="third")
    # Later each is known by how it is read.
    assert (keep(tmp_path / "archive").unchanged, keep(tmp_path / "archive", large).unchanged) == (6, 2)
    archive = open_archive(tmp_path / "archive", reading=large)
    assert list(ids_in_index(opened(tmp_path), archive).values()) == ["large/a.tif/0_0", "large/a.tif/32_0"]


def test_scenes_of_one_place_have_equal_footprints_on_a_common_grid(tmp_path: Path, keep) -> None:
    # Two deliveries of one place differ by 27 m: windows of the grid begin at multiples of 320 m all the same.
    write_scene(tmp_path / "archive/2010.tif", 128, 64)
    write_scene(tmp_path / "archive/2020.tif", 128, 64, seed=1, east=5e5 + 27)
    keep(tmp_path / "archive", Reading(Recipe(resolution=10), Tiling(32, grid=True)))
    index = opened(tmp_path)
    outlines: dict[str, set[bytes | None]] = {}
    for image, footprint in zip(index.images.ids, index.images.footprints, strict=True):
        outlines.setdefault(image.rpartition("/")[2], set()).add(footprint)
    assert {len(same) for same in outlines.values()} == {1}
    assert sum(f"{year}.tif/{window}" in index.images.ids for year in (2010, 2020) for window in outlines) > len(
        outlines
    )


def test_moved_scenes_are_recognised(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "old/deep/a.tif")
    keep(tmp_path / "old")
    stored = IndexWriter.open(tmp_path / "index", None)
    assert '"path":"deep/a.tif"' in stored.facts_of("deep/a.tif/0_0").path
    stored.close()
    shutil.move(tmp_path / "old", tmp_path / "new")
    found = keep(tmp_path / "new")
    assert (found.moved_from, found.unchanged, len(model.asked)) == (str(tmp_path / "old"), 6, 6)
    assert look_up(opened(tmp_path), 0).problem is None
    assert str(tmp_path / "new/deep/a.tif") in opened(tmp_path).images.paths[0]


def test_scenes_of_several_reference_systems_are_one_archive(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/a.tif", 32, 32)
    write_scene(tmp_path / "archive/b.tif", 32, 32, seed=1, epsg=32633)
    keep(tmp_path / "archive")
    assert [place.crs for place in opened(tmp_path).images.places] == ["EPSG:32632", "EPSG:32633"]


def test_a_scene_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path: Path, keep) -> None:
    scene = write_scene(tmp_path / "archive/a.tif", 128, 128)
    content = scene.read_bytes()
    scene.write_bytes(content[: len(content) * 3 // 4])
    write_scene(tmp_path / "archive/b.tif", 32, 32)
    found = keep(tmp_path / "archive")
    assert 0 < len(found.skipped) < 16
    assert found.added == 17 - len(found.skipped)
    assert all("a.tif" in reason for reason in found.skipped.values())
    scene.write_bytes(content)
    found = keep(tmp_path / "archive")
    assert (found.images, found.skipped) == (17, {})
    scene.write_bytes(b"no scene any more")
    found = keep(tmp_path / "archive", prune=True)  # Its windows stay: the file is there, and nothing is known of it.
    assert (found.images, found.removed) == (17, 0)


def test_windows_are_resized_with_their_validity_and_place(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif", 32, 32, void=16)
    keep(tmp_path / "archive", resize=(64, 48))
    entry = opened(tmp_path).entry(0)
    assert model.asked[0].shape == (64, 48, 3)
    assert (entry.height, entry.width, entry.areas.sum()) == (64, 48, 64 * 24)
    # 32 pixels of 10 m are 48 of 6.67 m across and 64 of 5 m down: the footprint is the same.
    assert entry.place.transform == pytest.approx((320 / 48, 0, 500000, 0, -5, 5500000))
    plain = Stand()
    index_archive(open_archive(tmp_path / "archive", reading=WINDOWS), plain, tmp_path / "plain")
    own = open_index(tmp_path / "plain").entry(0)
    assert shapely.from_wkb(own.footprint).equals_exact(shapely.from_wkb(entry.footprint), 1e-12)
    assert keep(tmp_path / "archive", resize=(64, 48)).unchanged == 1


def test_an_index_without_places_gets_them_without_the_model(tmp_path: Path, keep, model: Stand) -> None:
    write_scene(tmp_path / "archive/a.tif", 32, 32)
    keep(tmp_path / "archive", Reading())
    index = opened(tmp_path)
    place, footprint = index.images.places[0], index.images.footprints[0]
    assert place == Place("EPSG:32632", (10.0, 0.0, 500000.0, 0.0, -10.0, 5500000.0))
    with IndexWriter.open(tmp_path / "index", None) as writer:
        facts = writer.facts_of("a.tif")
        writer.refresh("a.tif", dataclasses.replace(facts, place=None, placed=False))
    assert opened(tmp_path).images.footprints == (None,)
    found = keep(tmp_path / "archive", Reading())
    assert (found.refreshed, found.unchanged, len(model.asked)) == (1, 0, 1)
    assert (opened(tmp_path).images.places, opened(tmp_path).images.footprints) == ((place,), (footprint,))
    assert keep(tmp_path / "archive", Reading()).unchanged == 1


def test_names_of_web_tiles_may_come_later(tmp_path: Path, keep, model: Stand) -> None:
    with rasterio.open(
        tmp_path / "12-2148-1363.tif", "w", driver="GTiff", width=32, height=32, count=3, dtype="uint8",
        photometric="RGB",
    ) as tile:  # fmt: skip
        tile.write(np.random.default_rng(0).integers(0, 255, (3, 32, 32), dtype=np.uint8))
    (tmp_path / "tiles").mkdir()
    shutil.move(tmp_path / "12-2148-1363.tif", tmp_path / "tiles")
    keep(tmp_path / "tiles", Reading())
    assert opened(tmp_path).images.places == (None,)
    named = Reading(tile_names="{z}-{x}-{y}.tif")
    found = keep(tmp_path / "tiles", named)
    assert (found.refreshed, len(model.asked)) == (1, 1)
    index = opened(tmp_path)
    # Zoom 12 has 4,096 columns of 360°: column 2,148 begins at 2148 · 360 / 4096 − 180 = 8.7890625° E.
    assert shapely.from_wkb(index.images.footprints[0]).bounds[0] == pytest.approx(8.7890625, abs=1e-9)
    assert index.readings == {"": named}


def test_windows_are_evaluated_by_the_folder_of_their_scene(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/sea/a.tif", 64, 32)
    write_scene(tmp_path / "archive/land/b.tif", 64, 32, seed=1)
    keep(tmp_path / "archive")
    index = opened(tmp_path)
    assert index.images.scenes == ("land", "land", "sea", "sea")
    assert evaluate_index(index, schemes=["recnn+"], relevance="scene").queries == 4
    archive = open_archive(tmp_path / "archive", reading=WINDOWS)
    compared = compare_descriptors(archive, tmp_path / "cache", descriptors=[ColourHistogram()], index=index)
    assert (compared.evaluation.queries, compared.skipped) == (4, {})
    write_scene(tmp_path / "archive/sea/a.tif", 64, 32, seed=2)
    with pytest.raises(MismatchError, match=r"sea/a.tif/0_0 .* has changed since it was indexed"):
        compare_descriptors(archive, tmp_path / "cache", descriptors=[], index=index)


def test_an_index_of_scenes_loses_no_place_by_repairing(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/a.tif", void=33)
    keep(tmp_path / "archive")
    before = opened(tmp_path)
    file = next((tmp_path / "index/segments").iterdir()) / "images.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert [problem.file for problem in verify_index(tmp_path / "index")] == ["images.parquet"]
    found = keep(tmp_path / "archive", repair=True)
    assert (len(found.dropped), found.added, found.left_out) == (1, 4, 2)
    assert opened(tmp_path).images.footprints == before.images.footprints


def test_a_scene_without_any_valid_window_leaves_an_empty_index(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/a.tif", void=96)
    found = keep(tmp_path / "archive")
    assert (found.images, found.left_out) == (0, 6)
    assert json.loads((tmp_path / "index/left_out.json").read_text()).keys() == set(opened(tmp_path).left_out)
    with pytest.raises(InputError):
        evaluate_index(opened(tmp_path), schemes=["recnn+"], relevance="scene")
    assert not os.path.exists(tmp_path / "index/segments/000001")


def test_facts_of_a_window_name_its_archive(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/a.tif", 32, 32)
    keep(tmp_path / "archive", name="first")
    index = opened(tmp_path)
    assert index.images.ids == ("first/a.tif/0_0",)
    facts = index.facts_of(0)
    assert isinstance(facts, ImageFacts)
    assert (facts.archive, facts.placed) == ("first", True)


def test_what_an_index_says_of_places(tmp_path: Path, keep) -> None:
    write_scene(tmp_path / "archive/a.tif", 64, 32, void=33)
    write_scene(tmp_path / "archive/b.tif", 32, 32, seed=1, epsg=32601, east=200000.0)
    keep(tmp_path / "archive")
    index = opened(tmp_path)
    assert describe_scenes(index) == {"scenes": 2, "windows": 2, "left_out": 1}
    said = describe_places(index)
    assert (said["placed"], said["reference_systems"]) == (2, {"EPSG:32632": 1, "EPSG:32601": 1})
    # UTM's scale is 0.9996 at the central meridian, and more than 1 at 300 km from it.
    assert said["metres_a_pixel"] == pytest.approx([10 / 1.0007, 10 / 0.9996], abs=5e-3)
    boxes = image_boxes(index)
    bounds = [shapely.from_wkb(footprint).bounds for footprint in index.images.footprints]
    np.testing.assert_allclose(boxes, bounds, rtol=0, atol=1e-7)
    # Zone 1 begins at 180° W, and the second scene lies so far to the west in it that it is in 178.85° E.
    assert said["extent"] == [boxes[0][0], boxes[1][1], boxes[1][2], boxes[0][3]]


def test_an_extent_across_the_antimeridian_is_the_narrow_one(tmp_path: Path, keep) -> None:
    # Zone 1 is 180° to 174° W: its western edge at 49.6° N is 500 − 216.6 km east of the zone's origin.
    write_scene(tmp_path / "archive/a.tif", 32, 32, epsg=32601, east=283240.0)
    keep(tmp_path / "archive")
    west, _, east, _ = describe_places(opened(tmp_path))["extent"]
    assert 179.9 < west < 180
    assert -180 < east < -179.9
    assert image_boxes(opened(tmp_path))[0] == describe_places(opened(tmp_path))["extent"]
