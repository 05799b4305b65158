"""query --heatmap: a map of how near each place of a scene is, beside the hits; a served toy model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from placed_scenes import TILE, ground, index_sources, windows, write_scene, write_scenes
from rasterio.transform import Affine

from rsir_tf.rasters import Reading, Tiling


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_scenes(tmp_path_factory.mktemp("heat") / "scenes")


@pytest.fixture(scope="module")
def placed(scenes: tuple[Path, Path]) -> Path:
    """An index of the earlier scene; not to be changed."""
    return index_sources(windows(scenes[0]), scenes[0].parents[1] / "index", Reading(tiling=Tiling(TILE)))


@pytest.fixture
def query(scenes: tuple[Path, Path], placed: Path, server: str) -> tuple[object, ...]:
    """Asks with a window whose upper left corner is green: 35 − 32 columns and 34 rows of it."""
    return ("query", scenes[0], "--window", 32, 0, 32, 32, "--index", placed, "--server", server)


def test_windows_of_an_indexed_scene_are_not_described_again(
    scenes: tuple[Path, Path], query: tuple, tmp_path: Path, command
) -> None:
    to = tmp_path / "near.tif"
    ended = command(*query, "--heatmap", scenes[0], "--to", to, "--json", "--top", 6)
    assert ended.code == 0, ended.err
    assert ended.err.splitlines()[-1] == (
        f"wrote {to} and {to.with_suffix('.png')}; 6 windows from the index, 0 from the model"
    )
    hits = {hit["id"]: hit["distance"] for hit in json.loads(ended.out)["hits"]}
    with rasterio.open(to) as raster:
        found = raster.read(1)
        assert (raster.res, raster.crs.to_epsg(), raster.units) == ((320.0, 320.0), 32632, ("L1",))
        assert raster.tags()["QUERY"] == f"{scenes[0]}, window 32 0 32 32"
    wanted = [[hits[f"2010.tif/{x}_{y}"] for x in (0, 32, 64)] for y in (0, 32)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found[0, 1] == 0
    with Image.open(to.with_suffix(".png")) as picture:
        assert picture.width > 1000


def test_a_region_is_looked_for_cell_by_cell(scenes: tuple[Path, Path], query: tuple, tmp_path: Path, command) -> None:
    to = tmp_path / "near.tif"
    ended = command(*query, "--at", 1, 1, "--heatmap", scenes[1], "--to", to)
    assert ended.code == 0, ended.err
    with rasterio.open(to) as raster:
        assert (raster.shape, raster.res) == ((4, 6), (160.0, 160.0))
        assert raster.tags()["QUERY_REGIONS"].endswith("(green)")
    # By windows instead, which overlap by half.
    ended = command(
        *query, "--at", 1, 1, "--heatmap", scenes[1], "--to", to, "--heatmap-by", "windows", "--overlap", 16
    )
    assert ended.code == 0, ended.err
    assert ended.err.endswith("; 0 windows from the index, 15 from the model\n")
    with rasterio.open(to) as raster:
        assert (raster.shape, raster.res, raster.units) == ((4, 6), (160.0, 160.0), ("L2",))


def test_a_scene_without_a_place_is_said_to_have_none(query: tuple, tmp_path: Path, command) -> None:
    plain = write_scene(tmp_path / "plain.tif", ground(64, 96, later=True), Affine.identity(), crs=None)
    ended = command(*query, "--heatmap", plain, "--to", tmp_path / "near.tif")
    assert ended.code == 0, ended.err
    assert "plain.tif: nothing says where on Earth it lies, so that the map has no place either" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--heatmap", "{scene}"), 2, "--heatmap SCENE and --to FILE: give both"),
        (("--to", "{folder}/near.tif"), 2, "--heatmap SCENE and --to FILE: give both"),
        (("{scene}", "--heatmap", "{scene}", "--to", "{folder}/near.tif"), 2, "--heatmap is for one image"),
        (("--heatmap", "{scene}", "--to", "{folder}/near.jpg"), 2, "the ending is .jpg; wanted .tif"),
        (("--heatmap", "{scene}", "--to", "{folder}/other.tif"), 1, "is not a similarity map that this program made"),
        (("--heatmap", "{scene}", "--to", "{scene}", "--force"), 1, "is the source itself"),
        (("--heatmap", "{scene}", "--to", "{query}", "--force"), 1, "is the source itself"),
        (("--geojson", "{query}", "--force"), 1, "is the source itself"),
        (("--heatmap", "{scene}", "--to", "{folder}/near.tif", "--overlap", 32), 2, "an overlap of 32 pixels"),
        (("--heatmap", "{folder}/none.tif", "--to", "{folder}/near.tif"), 1, "none.tif: no such file"),
        (("--heatmap", "{folder}", "--to", "{folder}/near.tif"), 1, "is a folder; wanted a raster file"),
        (("--heatmap", "{scene}", "--to", "{folder}/near.tif", "--heatmap-by", "cells"), 1, "pick one with --at"),
    ],
)
def test_what_cannot_be_mapped(
    scenes: tuple[Path, Path], query: tuple, tmp_path: Path, command, arguments: tuple, code: int, words: str
) -> None:
    (tmp_path / "other.tif").touch()
    given = [str(part).format(query=scenes[0], scene=scenes[1], folder=tmp_path) for part in arguments]
    ended = command(*query, *given)
    assert (ended.code, ended.out.count("Traceback")) == (code, 0)
    assert words in " ".join(ended.err.split()).replace(" │ │ ", " ").replace("│ │", "")
    assert not list(tmp_path.glob("near*"))
    if words not in ("pick one with --at", "an overlap of 32 pixels"):  # These need the index.
        assert ended.out == ""
