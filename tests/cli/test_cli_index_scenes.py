"""`rsir-tf index` and `info` with scenes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rsir_tf.cli.connection import Connection
from rsir_tf.cli.index import _compare_with_card
from rsir_tf.errors import ArtifactError
from rsir_tf.rasters import Reading, Recipe
from rsir_tf.serving.exports import trained_reading


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """One scene of four bands of 16 bits, 192 × 64 pixels, whose first 64 columns are nodata."""
    values = np.random.default_rng(0).integers(1, 3000, (4, 4, 12), dtype=np.uint16).repeat(16, 1).repeat(16, 2)
    values[:, :, :64] = 0
    (tmp_path / "scenes").mkdir()
    with rasterio.open(
        tmp_path / "scenes/a.tif", "w", driver="GTiff", width=192, height=64, count=4, dtype="uint16", nodata=0,
        crs="EPSG:32632", transform=from_origin(5e5, 5.5e6, 10, 10),
    ) as scene:  # fmt: skip
        scene.write(values)
    return tmp_path / "scenes"


def test_scenes_are_indexed_told_of_and_gone_on_with(scenes: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    line = ("index", scenes, "--to", to, "--server", server, "--tile", 64, "--bands", 3, 2, 1)
    ended = command(*line)
    assert ended.code == 1
    assert "--stretch" in ended.err.splitlines()[-1]
    ended = command(*line, "--stretch", 0, 3000, "--json")
    assert ended.code == 0
    said = json.loads(ended.out)
    assert (said["added"], said["left_out"], said["images"]) == (2, 1, 2)
    assert "1 window is left out: too few pixels are valid" in ended.err
    assert json.loads(command(*line, "--stretch", 0, 3000, "--json").out)["unchanged"] == 2
    ended = command(*line, "--stretch", 0, 2000)
    assert ended.code == 1
    assert "stretched from 0..3000; give the options that the index was made with" in ended.err.splitlines()[-1]
    # A percentage means the numbers that it meant when it was first computed.
    percent = tmp_path / "percent"
    line = (*line[:3], percent, *line[4:], "--stretch", "2%", "--json")
    assert "--stretch 2% of this file is --stretch" in command(*line).err
    again = command(*line)
    assert ("of this file" in again.err, json.loads(again.out)["unchanged"]) == (False, 2)

    info = json.loads(command("info", to, "--json").out)
    assert info["archives"][0]["reading"] == {
        "recipe": {"bands": [3, 2, 1], "stretch": [[0.0, 3000.0]]},
        "tiling": {"tile": 64},
    }
    assert info["scenes"] == {"scenes": 1, "windows": 2, "left_out": 1}
    assert (info["places"]["placed"], info["places"]["reference_systems"]) == (2, {"EPSG:32632": 2})
    text = command("info", to).out
    assert "windows of 64 pixels; bands 3 2 1, stretched from 0..3000" in text
    listed = json.loads(command("info", to, "--list", "--json").out)
    assert listed["ids"] == ["a.tif/128_0", "a.tif/64_0"]
    west, south, east, north = listed["boxes"][1]
    # The second window begins 640 m east of the central meridian, 9° E, and is 640 m wide.
    assert west == pytest.approx(9 + 640 / 71_700, abs=1e-4)
    assert (east - west, north - south) == pytest.approx((640 / 71_700, 640 / 111_200), rel=0.01)


def test_what_is_odd_about_scenes_is_told_once(tmp_path: Path, server: str, command) -> None:
    (tmp_path / "scenes").mkdir()
    for name in ("a.tif", "b.tif"):
        with rasterio.open(
            tmp_path / "scenes" / name, "w", driver="GTiff", width=96, height=32, count=3, dtype="uint8",
            crs="EPSG:32632",
        ) as scene:  # fmt: skip
            scene.write(np.random.default_rng(0).integers(1, 255, (3, 32, 96), np.uint8))
    ended = command("index", tmp_path / "scenes", "--to", tmp_path / "index", "--server", server, "--tile", 32)
    note = "has a reference system and no transform: it is read as a picture without a place"
    assert ended.err.splitlines()[0] == f"a.tif (and 1 more): {note}"


def test_windows_of_an_index_are_evaluated_and_compared(tmp_path: Path, server: str, no_report: None, command) -> None:
    # A red and a blue scene of two windows each, in a folder for each class.
    for scene, band in (("fire/a.tif", 0), ("lake/b.tif", 2)):
        values = np.random.default_rng(band).integers(1, 300, (3, 64, 128), dtype=np.uint16)
        values[band] += 2000
        (tmp_path / "classes" / scene).parent.mkdir(parents=True)
        with rasterio.open(
            tmp_path / "classes" / scene, "w", driver="GTiff", width=128, height=64, count=3, dtype="uint16",
            crs="EPSG:32632", transform=from_origin(5e5, 5.5e6, 10, 10),
        ) as file:  # fmt: skip
            file.write(values)
    to, reading = tmp_path / "index", ("--stretch", 0, 3000)
    ended = command("index", tmp_path / "classes", "--to", to, "--server", server, "--tile", 64, *reading)
    assert ended.code == 0, ended.err
    evaluated = command("evaluate", to, "--k", 2, "--json")
    assert evaluated.code == 0, evaluated.err
    found = json.loads(evaluated.out)
    # The two windows of a scene are its class, and nearer to each other than to those of the other colour.
    assert found["queries"] == 4
    assert {name: (own["anmrr"], own["map"], own["p_at_2"]) for name, own in found["schemes"].items()} == {
        "recnn": (0, 1, 1), "recnn+": (0, 1, 1),
    }  # fmt: skip
    line = ("compare", tmp_path / "classes", "--index", to, "--all", "--processes", 1, "--descriptor", "statistics")
    compared = command(*line, "--to", tmp_path / "compared", "--tile", 64, *reading, "--json")
    assert compared.code == 0, compared.err
    found = json.loads(compared.out)
    assert found["queries"] == 4
    assert {name: own["map"] for name, own in found["schemes"].items()} == {"statistics": 1, "recnn": 1, "recnn+": 1}
    # Windows of another size are other images.
    other = command(*line, "--to", tmp_path / "other", "--tile", 32, *reading)
    assert other.code == 1
    assert "fire/a.tif/" in other.err.splitlines()[-1]


def test_a_model_of_another_reading_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = tmp_path / "1"
    (export / "assets.extra").mkdir(parents=True)
    (export / "saved_model.pb").write_bytes(b"")
    (export / "variables").mkdir()
    connection = Connection(saved_model=tmp_path)
    _compare_with_card(connection, Reading())
    card = export / "assets.extra/model_card.json"
    card.write_text(json.dumps({"kind": "rsir_tf.model"}))
    assert trained_reading(tmp_path) is None
    trained = Reading(Recipe((4, 3, 2), ((0, 3000),)))
    card.write_text(json.dumps({"reading": trained.to_json()}))
    assert trained_reading(tmp_path) == trained
    _compare_with_card(connection, trained)
    assert capsys.readouterr().err == ""
    _compare_with_card(connection, Reading())
    told = capsys.readouterr().err
    assert "was trained on images that were read in another way (bands 4 3 2, stretched from 0..3000)" in told
    assert "than these (as they are)" in told
    card.write_text(json.dumps({"reading": {"bands": 3}}))
    with pytest.raises(ArtifactError, match=r"model_card.json: a reading with bands"):
        trained_reading(tmp_path)
