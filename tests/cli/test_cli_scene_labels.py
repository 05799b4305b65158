"""check, split and train on scenes whose ground truth is mask rasters or polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from narrow_trunk import narrow_trunk
from rasterio.transform import from_origin

from rsir_tf.archives import read_split
from rsir_tf.rasters.vectors import transformed

TRAIN = (
    "--weights", "none", "--head-width", 8, "--crop", 64, "--batch", 2, "--crops-per-epoch", 2, "--freeze", 5,
    "--epochs", 1, "--validation", 0,
)  # fmt: skip
SCENES = ("north.tif", "south.tif")


@pytest.fixture(autouse=True)
def few_channels() -> Iterator[None]:
    with narrow_trunk():
        yield


def write(path: Path, bands: np.ndarray, top: float, metres: float = 1.0, **more: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, top, metres, metres)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **place, **more) as file:
        file.write(bands)


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Two scenes of 128 × 96 pixels of 1 m, whose first 32 columns show nothing, and masks: the left half water."""
    classes = np.repeat([[1] * 64 + [2] * 64], 96, axis=0).astype(np.uint8)
    for name, top in zip(SCENES, (5_000_000, 4_000_000), strict=True):
        picture = np.stack([classes * 80] * 3)
        picture[:, :, :32] = 0
        write(tmp_path / "scenes" / "images" / name, picture, top, nodata=0)
    write(tmp_path / "scenes" / "masks" / SCENES[0], classes[None], 5_000_000)
    # Pixels of 2 m, which hold the same classes.
    write(tmp_path / "scenes" / "masks" / SCENES[1], classes[None, ::2, ::2], 4_000_000, 2.0)
    (tmp_path / "land.toml").write_text('classes = [{ name = "water", id = 1 }, { name = "field", id = 2 }]\n')
    return tmp_path / "scenes"


@pytest.fixture
def polygons(tmp_path: Path) -> Path:
    """A field of 20 × 20 m in either scene, half of it where the scene shows nothing; in longitude and latitude."""
    fields = np.array([shapely.box(500_022, top - 40, 500_042, top - 20) for top in (5_000_000, 4_000_000)], object)
    features = [
        {"type": "Feature", "properties": {"kind": "field"}, "geometry": shapely.geometry.mapping(field)}
        for field in transformed(fields, "EPSG:32633", "EPSG:4326")
    ]
    file = tmp_path / "fields.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return file


def test_windows_have_their_part_of_a_mask_raster(scenes: Path, command) -> None:
    masks = (scenes, "--labels", scenes.parent / "land.toml", "--tile", 64)
    found = json.loads(command("check", *masks, "--json").out)
    # Windows begin in the columns 0 and 64 and the rows 0 and 32.
    assert (found["images"], found["groups"]) == (8, {"north.tif": 4, "south.tif": 4})
    # Of each scene 4 · 64² pixels are seen, the left half of them water; 32 · 64 of each left window show nothing.
    shares = {entry["name"]: entry["pixels"] for entry in found["classes"]}
    assert shares == {"water": 2 * 2 * 32 * 64, "field": 2 * 2 * 64 * 64}
    assert found["void_pixels"] == 2 * 2 * 32 * 64
    assert any("1 mask has another grid than the scene (the first is" in line for line in found["remarks"])
    assert found["trainable"]


def test_a_run_on_windows_keeps_how_scenes_were_read(scenes: Path, tmp_path: Path, command) -> None:
    masks = (scenes, "--labels", scenes.parent / "land.toml")
    train = ("train", *masks, "--run", tmp_path / "run", "--test-group", "south.tif", *TRAIN)
    ended = command(*train, "--tile", 64, "--json")
    assert ended.code == 0, ended.err
    assert "1 mask has another grid than the scene" in ended.err
    scores = json.loads(ended.out)["scores"]
    # What the scene does not show is scored as little as it is trained on.
    assert (scores["images"], scores["pixels"]) == (4, 4 * 64 * 64 - 2 * 32 * 64)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["archive"]["reading"] == {"tiling": {"tile": 64}}
    assert "\ntile = 64\n" in (tmp_path / "run" / "train.toml").read_text()
    refused = command(*train, "--tile", 96)
    assert refused.code == 1
    assert "was begun with archive's reading.tiling.tile = 64, this call has 96" in refused.err
    export = command("export", tmp_path / "run", "--to", tmp_path / "saved_models" / "land")
    assert export.code == 0, export.err
    card = json.loads((tmp_path / "saved_models" / "land" / "1" / "assets.extra" / "model_card.json").read_text())
    assert card["reading"] == {"tiling": {"tile": 64}}


def test_a_run_goes_on_with_the_numbers_that_a_percentage_meant(scenes: Path, tmp_path: Path, command) -> None:
    run = tmp_path / "run"
    train = ("train", scenes, "--labels", scenes.parent / "land.toml", "--run", run, "--test", 0, *TRAIN)
    ended = command(*train, "--tile", 64, "--stretch", "2%")
    assert ended.code == 0, ended.err
    # Fields hold 160, water 80, and nothing else is valid.
    assert "--stretch 2% of these 2 files is --stretch 80 160" in ended.err
    recorded = json.loads((run / "manifest.json").read_text())["archive"]["reading"]
    assert 'stretch = "2%"' in (run / "train.toml").read_text()
    again = command("train", "--config", run / "train.toml", "--run", run)
    assert again.code == 0, again.err
    assert ("of these" in again.err, "complete, 1 of 1 epochs" in again.err) == (False, True)
    assert json.loads((run / "manifest.json").read_text())["archive"]["reading"] == recorded
    other = command("train", "--config", run / "train.toml", "--run", run, "--stretch", "0 100")
    assert other.code == 1
    assert "archive's reading.recipe.stretch" in other.err


def test_polygons_label_scenes_but_not_where_these_show_nothing(scenes: Path, polygons: Path, command) -> None:
    labels = ("--label-polygons", polygons, "--class-field", "kind", "--images", "images/*", "--tile", 64)
    found = json.loads(command("check", scenes, *labels, "--outside", "other", "--json").out)
    # Columns 22 to 41 and rows 20 to 39 are in the polygon. Columns 32 to 41 show something, in the windows that begin
    # in row 0 (rows 20 to 39) and in row 32 (rows 32 to 39).
    shares = {entry["name"]: entry["pixels"] for entry in found["classes"]}
    field = 2 * 10 * (20 + 8)
    assert shares == {"field": field, "other": 2 * (2 * 64 * 64 + 2 * 32 * 64) - field}
    assert found["void_pixels"] == 2 * 2 * 32 * 64
    assert "4 of 8 images lie where no polygon is: other all over" in found["remarks"]
    unknown = json.loads(command("check", scenes, *labels, "--outside", "void", "--json").out)
    assert {entry["name"]: entry["pixels"] for entry in unknown["classes"]} == {"field": field}


def test_options_of_polygons_are_asked_for(scenes: Path, polygons: Path, tmp_path: Path, command) -> None:
    ended = command("split", scenes, "--to", tmp_path / "s.json", "--label-polygons", polygons, "--class-field", "kind")
    assert ended.code == 2
    assert "nothing says what lies outside the polygons" in " ".join(ended.err.split())
    ended = command("check", scenes, "--outside", "void")
    assert ended.code == 2
    assert "--outside: is about polygons; give" in ended.err
    masked = command("check", scenes, "--label-polygons", polygons, "--class-name", "field", "--outside", "other")
    assert masked.code == 1
    assert "2 images have masks (the first is north.tif), and label polygons are given" in masked.err


def test_a_run_on_polygons_keeps_what_they_were(scenes: Path, polygons: Path, tmp_path: Path, command) -> None:
    labels = ("--label-polygons", polygons, "--class-field", "kind", "--images", "images/*", "--tile", 64)
    split = ("split", scenes, "--to", tmp_path / "split.json", *labels, "--outside", "other", "--test", 0.5)
    assert command(*split).code == 0
    assert read_split(tmp_path / "split.json").by == "group"
    train = ("train", scenes, "--run", tmp_path / "run", "--split", tmp_path / "split.json", *labels, *TRAIN)
    ended = command(*train, "--outside", "other", "--json")
    assert ended.code == 0, ended.err
    scores = json.loads(ended.out)["scores"]
    assert scores["pixels"] == 4 * 64 * 64 - 2 * 32 * 64
    assert set(scores["class_iu"]) == {"field", "other"}
    kept = json.loads((tmp_path / "run" / "manifest.json").read_text())["archive"]["label_polygons"]
    assert (kept["class_field"], kept["outside"], kept["overlaps"]) == ("kind", "other", "later on top")
    assert kept["files"][0][0] == "fields.geojson"
    refused = command(*train, "--outside", "field")
    assert "was begun with archive's label_polygons.outside = 'other', this call has 'field'" in refused.err
    # The same command line, from the run's own file.
    again = command("train", scenes, "--run", tmp_path / "run", "--config", tmp_path / "run" / "train.toml")
    assert again.code == 0, again.err
    assert "complete, 1 of 1 epochs" in again.err
    polygons.write_text(polygons.read_text().replace('"field"', '"meadow"'))
    assert "was begun with archive's label_polygons.files" in command(*train, "--outside", "other").err
