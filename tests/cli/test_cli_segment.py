"""`rsir-tf segment` against a served toy model, whose class is the strongest colour of each pixel."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_pictures import picture
from range_server import serving

rasterio = pytest.importorskip("rasterio")


def scene(path: Path, colour: tuple[int, int, int] = (200, 10, 10), bands: int = 3) -> Path:
    """Write 64 × 96 pixels on the ground, the left half in one colour and the right half blue."""
    values = np.zeros((bands, 64, 96), np.uint8)
    values[:3, :, :48] = np.array(colour)[:, None, None]
    values[2, :, 48:] = 210
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=64, width=96, dtype="uint8", crs="EPSG:32632",
        transform=rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5e6),
    ) as file:  # fmt: skip
        file.write(values)
    return path


def test_a_scene_becomes_a_raster_and_polygons(tmp_path: Path, server: str, command) -> None:
    to, areas = tmp_path / "c.tif", tmp_path / "c.geojson"
    ended = command("segment", scene(tmp_path / "a.tif"), "--to", to, "--polygons", areas, "--server", server)
    assert ended.code == 0, ended.err
    table, areas_line, last = ended.out.splitlines()[0], *ended.out.splitlines()[-2:]
    assert table.split() == ["class", "share", "pixels", "m²"]
    assert "50.00%" in ended.out
    assert areas_line == f"{areas}: 2 areas"
    assert last == str(to)
    with rasterio.open(to) as found:
        assert found.crs.to_epsg() == 32632
        assert len(np.unique(found.read(1))) == 2
    # Once more: both files are this program's own.
    again = command("segment", tmp_path / "a.tif", "--to", to, "--polygons", areas, "--server", server, "--json")
    assert again.code == 0, again.err
    content = json.loads(again.out)
    assert [entry["pixels"] for entry in content["classes"] if entry["pixels"]] == [3072, 3072]
    assert (content["width"], content["height"], content["areas"]) == (96, 64, 2)


def test_a_scene_behind_a_url_is_mapped_like_its_file(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, command
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "www").mkdir()
    cog = tmp_path / "www" / "cog.tif"
    from rasterio.shutil import copy

    copy(scene(tmp_path / "a.tif"), cog, driver="COG", blocksize=128)
    maps = tmp_path / "file.tif", tmp_path / "url.tif"
    assert command("segment", cog, "--to", maps[0], "--server", server).code == 0
    with serving(tmp_path / "www") as web:
        ended = command("segment", web.url("cog.tif"), "--to", maps[1], "--server", server, "--json")
        assert ended.code == 0, ended.err
        assert json.loads(ended.out)["source"] == web.url("cog.tif")
        assert web.sent > 0
        signed = command("segment", web.url("cog.tif?sig=s3cret"), "--to", tmp_path / "s.tif", "--server", server)
        assert signed.code == 0, signed.err
        with rasterio.open(tmp_path / "s.tif") as found:
            assert found.tags()["SOURCE"] == "cog.tif?sig=***"
        lost = command("segment", web.url("lost.tif"), "--to", tmp_path / "lost.tif", "--server", server)
    assert (lost.code, lost.err.count("\n")) == (1, 1)
    assert "lost.tif: " in lost.err
    with rasterio.open(maps[0]) as own, rasterio.open(maps[1]) as other:
        assert (own.crs, own.transform) == (other.crs, other.transform)
        np.testing.assert_array_equal(own.read(), other.read())


def test_what_is_odd_about_a_scene_is_told_before_the_work(tmp_path: Path, server: str, command) -> None:
    from rasterio.control import GroundControlPoint

    points = [GroundControlPoint(row, column, 9 + column / 1e4, 49 - row / 1e4) for row in (0, 9) for column in (0, 9)]
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=3, height=32, width=32, dtype="uint8") as file:
        file.write(np.full((3, 32, 32), 9, np.uint8))
        file.gcps = (points, rasterio.CRS.from_epsg(4326))
    to = ("--to", tmp_path / "c.tif", "--polygons", tmp_path / "c.geojson")
    ended = command("segment", tmp_path / "a.tif", *to, "--server", server)
    assert ended.code == 1
    told, refused = ended.err.splitlines()
    # The model is not even looked for.
    unasked = command("segment", tmp_path / "a.tif", *to, "--saved-model", tmp_path / "none")
    assert unasked.err.splitlines() == [told, refused]
    # A pixel is 1e-4 degrees: 11.1 m from north to south, and 11.1 · cos(49°) = 7.3 m from west to east.
    assert told.endswith(
        "a.tif: has 4 ground control points and no transform: without --resolution (its pixels are about 9 m) it is "
        "read as a picture without a place"
    )
    assert "c.geojson" in refused


def test_several_sources_go_into_a_folder_and_a_bad_one_stops_none(tmp_path: Path, server: str, command) -> None:
    scene(tmp_path / "a.tif")
    picture(tmp_path / "b.png", (10, 200, 10), 1)
    (tmp_path / "c.png").write_bytes(b"nothing")
    to = tmp_path / "maps"
    paths = [tmp_path / name for name in ("a.tif", "b.png", "c.png")]
    ended = command("segment", *paths, "--to", to, "--server", server, "--json")
    assert ended.code == 1
    assert "c.png" in ended.err
    assert sorted(path.name for path in to.iterdir()) == ["a.tif", "a.tif.aux.xml", "b.png"]
    assert [Path(entry["to"]).name for entry in json.loads(ended.out)] == ["a.tif", "b.png"]
    odd = tmp_path / os.fsdecode(b"odd\xff.png")
    shutil.copy(tmp_path / "b.png", odd)
    ended = command("segment", odd, "--to", tmp_path / "odd.png", "--server", server)
    told = f"rsir-tf: {tmp_path}/odd\\xff.png: its name is not UTF-8: rename it\n"
    assert (ended.code, ended.out, ended.err) == (1, "", told)
    ended = command("segment", odd, tmp_path / "b.png", "--to", tmp_path / "two", "--server", server)
    assert (ended.code, ended.err.splitlines()[0] + "\n") == (1, told)
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["b.png"]


@pytest.mark.parametrize("option", ["--to", "--polygons"])
def test_files_of_others_are_left_alone_unless_forced(tmp_path: Path, server: str, command, option: str) -> None:
    other = {"--to": tmp_path / "c.tif", "--polygons": tmp_path / "c.gpkg"}
    other[option].write_text("mine")
    line = ["segment", scene(tmp_path / "a.tif"), *(part for pair in other.items() for part in pair)]
    ended = command(*line, "--server", server)
    assert ended.code == 1
    assert "--force" in ended.err
    assert other[option].read_text() == "mine"
    assert command(*line, "--server", server, "--force").code == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--to", "c.jpg"], 2, "ending"),
        (["--to", "c.tif", "--polygons", "c.shp"], 2, "ending"),
        (["--to", "c.tif", "--margin", "20"], 2, "multiple of 16"),
        (["--to", "c.tif", "--window-size", "100"], 2, "at least 352"),
        (["--to", "missing/c.tif"], 1, "no folder"),
        (["--to", "c.tif"], 2, "name a model"),
        (["b.tif", "--to", "maps", "--polygons", "c.gpkg"], 2, "one source"),
        (["x/a.tif", "--to", "maps"], 1, "both become"),
        (["--to", "a.tif", "--force"], 1, "is the source itself"),
        (["b.tif", "--to", ".", "--force"], 1, "is the source itself"),
    ],
)
def test_bad_usage_is_told_before_the_model_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command, options: list[str], code: int, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    for name in ("a.tif", "b.tif", "x/a.tif"):
        scene(tmp_path / name)
    ended = command("segment", "a.tif", *options)
    assert (ended.code, words in " ".join(ended.err.replace("│", " ").split())) == (code, True), ended.err


def test_a_file_that_needs_a_choice_is_refused_until_it_is_made(tmp_path: Path, server: str, command) -> None:
    source = scene(tmp_path / "a.tif", bands=5)
    with rasterio.open(source, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp.undefined] * 5
    line = ["segment", source, "--to", tmp_path / "c.tif", "--server", server]
    refused = command(*line)
    assert refused.code == 1
    assert "--bands" in refused.err
    assert command(*line, "--bands", 1, 2, 3).code == 0


def test_a_stretch_in_per_cent_is_computed_told_and_recorded(tmp_path: Path, server: str, command) -> None:
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=3, height=64, width=64, dtype="uint16") as file:
        file.write(np.arange(3 * 64 * 64, dtype=np.uint16).reshape(3, 64, 64))
    ended = command(
        "segment", tmp_path / "a.tif", "--to", tmp_path / "c.tif", "--stretch", "2%", "--server", server, "--json"
    )
    assert ended.code == 0, ended.err
    assert "of this file is --stretch" in ended.err
    low, high = json.loads(ended.out)["recipe"]["stretch"][0]
    assert 80 <= low <= 84  # 2% of 4096 values that grow one by one
    assert 4011 <= high <= 4015
