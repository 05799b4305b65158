"""Scenes on the command line: the options that say how they are read, and check, split and compare with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from rsir_tf.cli.scene_options import SceneOptions, join_ranges, windows_together
from rsir_tf.rasters import Reading, Recipe, Tiling

rasterio = pytest.importorskip("rasterio")

Command = Callable[..., Any]


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Three scenes of four bands in 16 bits, 64×64 pixels of 10 m; of the third, the right half is nodata."""
    root = tmp_path / "scenes"
    root.mkdir()
    rows, columns = np.mgrid[:64, :64]
    for number in range(3):
        values = np.stack([rows * 10 + 100, columns * 10 + 100, rows + columns, rows * 0 + 700]).astype(np.uint16)
        if number == 2:
            values[:, :, 32:] = 0
        with rasterio.open(
            root / f"{number}.tif", "w", driver="GTiff", count=4, height=64, width=64, dtype="uint16", nodata=0,
            crs="EPSG:32632", transform=rasterio.Affine(10, 0, 500_000, 0, -10, 5_500_000),
        ) as opened:  # fmt: skip
            opened.write(values)
    return root


@pytest.mark.parametrize(
    ("line", "joined"),
    [
        ("check a --stretch 0 3000 --tile 32", ["check", "a", "--stretch", "0 3000", "--tile", "32"]),
        ("--stretch 2% a", ["--stretch", "2%", "a"]),
        ("--stretch -5 5 2020 --tile 32", ["--stretch", "-5 5", "2020", "--tile", "32"]),
        ("--stretch 0 1 0 2 0 3 7", ["--stretch", "0 1 0 2 0 3", "7"]),
        ("--stretch 0", ["--stretch", "0"]),
        ("--stretch", ["--stretch"]),
        ("-- --stretch 0 1", ["--", "--stretch", "0", "1"]),
        ("--stretch 0 nan", ["--stretch", "0", "nan"]),
    ],
)
def test_the_numbers_after_stretch_are_one_value(line: str, joined: list[str]) -> None:
    assert join_ranges(line.split()) == joined


@given(st.lists(st.sampled_from(["--stretch", "0", "-5", "1e3", "2%", "a", "--tile", "nan"])))
def test_joining_loses_nothing(arguments: list[str]) -> None:
    assert " ".join(join_ranges(arguments)) == " ".join(arguments)


def test_options_become_a_reading() -> None:
    assert SceneOptions().reading() == Reading()
    assert not SceneOptions().given
    assert SceneOptions(tile=64, overlap=16, min_valid=0.25).reading() == Reading(tiling=Tiling(64, 16, 0.25))
    assert SceneOptions(tile=64, grid=True, resolution=0.5).reading() == Reading(
        Recipe(resolution=0.5), Tiling(64, grid=True)
    )
    recipe = Recipe((4, 3, 2), ((0, 3000),), -1)
    assert SceneOptions(bands=(4, 3, 2), stretch="0 3000", nodata=-1).reading() == Reading(recipe)
    three = SceneOptions(stretch="200 3000 250 2800 300 2500").reading()
    assert three.recipe.stretch == ((200, 3000), (250, 2800), (300, 2500))
    percent = SceneOptions(stretch="2.5%")
    assert percent.percent == 2.5
    assert percent.reading(((1, 2),)).recipe.stretch == ((1, 2),)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"overlap": 8}, "--overlap: is about windows; give --tile PIXELS too"),
        ({"min_valid": 0.2}, "--min-valid: is about windows"),
        ({"grid": True, "resolution": 1.0}, "--grid: is about windows"),
        ({"tile": 64, "grid": True}, "--grid: needs windows of one size on the ground; give --resolution METRES too"),
        ({"tile": 64, "overlap": 64}, "overlap of 64"),
        ({"tile": 64, "overlap": -1}, "overlap of -1"),
        ({"tile": 8}, "tile of 8"),
        ({"tile": 64, "min_valid": 1.5}, "1.5"),
        ({"resolution": 0.0}, "resolution of 0"),
        ({"bands": (0, 1, 2)}, "bands 0 1 2"),
        ({"stretch": "5"}, "wanted two numbers"),
        ({"stretch": "1 2 3 4"}, "wanted two numbers"),
        ({"stretch": "low high"}, "wanted two numbers"),
        ({"stretch": "0 inf"}, "wanted two numbers"),
        ({"stretch": "3000 0"}, "3000 to 0"),
        ({"stretch": "2%"}, "--stretch 2%: is computed over an archive; give the numbers here"),
        ({"stretch": "50%"}, "--stretch 50%: wanted more than 0% and less than 50%"),
        ({"tile_names": "{x}-{y}.png"}, "pattern of tile names"),
    ],
)
def test_impossible_combinations_are_bad_usage(options: dict[str, Any], words: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        SceneOptions(**options).reading()
    assert words in str(refused.value)


def test_bad_usage_ends_with_2(scenes: Path, command: Command) -> None:
    ended = command("check", scenes, "--tile", 32, "--overlap", 32)
    assert (ended.code, ended.out) == (2, "")
    assert "an overlap of 32 pixels" in ended.err


def test_check_of_scenes(scenes: Path, command: Command) -> None:
    line = ("check", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 1000)
    ended = command(*line)
    assert (ended.code, ended.err) == (1, "")
    assert ended.out.splitlines() == [
        f"{scenes}: 10 images, format scenes",
        "layout   a folder of images; each file is cut into windows, which are the images, and it is their group",
        "reading  windows of 32 pixels; bands 1 2 3, stretched from 0..1000",
        "files    3",
        "  0.tif  64x64  4 bands of uint16  EPSG:32632  10 m  4 windows  100.0% valid",
        "  1.tif  64x64  4 bands of uint16  EPSG:32632  10 m  4 windows  100.0% valid",
        "  2.tif  64x64  4 bands of uint16  EPSG:32632  10 m  2 windows  50.0% valid",
        "sizes    32x32 (10)",
        "remark   there are neither masks nor tags: it can be indexed and searched; training needs one of them",
        "remark   2 windows are left out (first 2.tif/32_0: none of its pixels is valid)",
        "fit for search; training would fail",
    ]
    found = json.loads(command(*line, "--json").out)
    assert found["reading"] == {
        "recipe": {"bands": [1, 2, 3], "stretch": [[0.0, 1000.0]]},
        "tiling": {"tile": 32},
    }
    assert found["scene_files"][2]["windows_left_out"] == 2


def test_check_proposes_a_recipe(scenes: Path, command: Command) -> None:
    plain = command("check", scenes)
    assert plain.code == 1
    assert "0.tif: has 4 bands of 16-bit whole numbers (uint16); wanted 8-bit RGB; say --bands R G B and --stretch" in (
        plain.out
    )
    cut = command("check", scenes, "--tile", 32)
    assert cut.code == 1
    assert "none of its 3 files can be read like this; the first: " in cut.err
    assert "say --bands R G B and --stretch LOW HIGH" in cut.err


def test_check_without_a_tile_names_it(tmp_path: Path, command: Command) -> None:
    for name, side in (("large.tif", 4100), ("huge.tif", 10_001)):
        rasterio.open(
            tmp_path / name, "w", driver="GTiff", count=3, height=side, width=side, dtype="uint8", SPARSE_OK=True
        ).close()
    ended = command("check", tmp_path)
    assert (
        "remark   1 image is as large as scenes are: --tile 256 would cut it into windows (large.tif: 4100x4100)"
        in (ended.out.splitlines())
    )
    assert "read it as a scene, which is cut into windows: --tile 256" in ended.out


def test_a_damaged_scene_is_named_once(tmp_path: Path, server: str, command: Command) -> None:
    # The windows of a scene that was cut off fail one by one; here no block of the file is whole.
    (tmp_path / "scenes").mkdir()
    path = tmp_path / "scenes/cut.tif"
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64), np.uint8)
    with rasterio.open(
        path, "w", driver="GTiff", count=3, height=64, width=64, dtype="uint8", COMPRESS="DEFLATE", BLOCKYSIZE=64
    ) as opened:
        opened.write(pixels)
    path.write_bytes(path.read_bytes()[:2000])
    ended = command("check", path.parent, "--tile", 32)
    lines = ended.out.splitlines()
    place = lines.index("problem  4 images cannot be read")
    said = f"cut.tif: 4 windows, the first is cut.tif/0_0: {path}: cannot be read as a raster"
    assert lines[place + 1].startswith(f"  {said}")
    assert lines[place + 2].startswith("remark")
    ended = command("index", path.parent, "--to", tmp_path / "index", "--server", server, "--tile", 32)
    told = [line for line in ended.err.splitlines() if line.startswith("skipped")]
    assert (len(told), told[0].startswith(f"skipped {said}")) == (1, True)


def test_a_scene_that_was_given_up_is_told_with_the_first_reason() -> None:
    reasons = {"a.tif": "9 more were not tried", "a.tif/0_0": "no answer", "a.tif/32_0": "no", "b.tif/0_0": "cut off"}
    assert windows_together({**reasons, "c.png": "no picture"}) == [
        "a.tif: 2 windows, the first is a.tif/0_0: no answer; 9 more were not tried",
        "b.tif/0_0: cut off",
        "c.png: no picture",
    ]


def test_check_of_tiles_with_other_names(tmp_path: Path, command: Command) -> None:
    (tmp_path / "1/0").mkdir(parents=True)
    for name in ("a.tif", "1/0/1.tif"):
        with rasterio.open(tmp_path / name, "w", driver="GTiff", count=3, height=32, width=32, dtype="uint8"):
            pass
    ended = command("check", tmp_path, "--tile-names", "{z}/{x}/{y}.tif")
    assert "remark   1 image: the file does not have a name as in {z}/{x}/{y}.tif, and has no reference" in ended.out


def test_a_percentage_is_told_in_numbers(scenes: Path, command: Command) -> None:
    line = ("check", scenes, "--tile", 32, "--bands", 1, 4, 4)
    ended = command(*line, "--stretch", "10%")
    # Rows 0 to 63 hold 100 to 730, equally often: of 2.5 scenes the 10th percentile is row 6, the 90th row 57. Band 4
    # holds 700 alone.
    assert ended.err == "--stretch 10% of these 3 files is --stretch 160 670 700 701 700 701\n"
    numbers = command(*line, "--stretch", 160, 670, 700, 701, 700, 701)
    assert numbers.out == ended.out


def test_a_wrong_stretch_is_remarked(scenes: Path, command: Command) -> None:
    ended = command("check", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 60000)
    assert "remark   3 scenes are nearly black or white as they are read (first 0.tif: the mean of its colours is" in (
        ended.out
    )
    with rasterio.open(scenes / "rgb.tif", "w", driver="GTiff", count=3, height=64, width=64, dtype="uint8") as opened:
        opened.write(np.full((3, 64, 64), 90, np.uint8))
    ended = command("check", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 1000)
    assert "remark   scenes hold values of several types (uint16, uint8), and have one stretch" in ended.out


def test_split_by_scene(scenes: Path, tmp_path: Path, command: Command) -> None:
    line = ("split", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 1000)
    ended = command(*line, "--to", tmp_path / "split.json", "--test-group", "1.tif")
    assert (ended.code, ended.err) == (0, "8 images to train on, 4 to test on, by group\n")
    assert json.loads((tmp_path / "split.json").read_text())["test"] == [
        f"1.tif/{x}_{y}" for x in (0, 32) for y in (0, 32)
    ]
    wrong = command(*line, "--to", tmp_path / "other.json", "--test-group", "9.tif")
    assert (wrong.code, wrong.err) == (
        1,
        f"rsir-tf: {scenes}: has no group '9.tif'; wanted one of 0.tif, 1.tif, 2.tif\n",
    )


def test_compare_leaves_out_void_windows(scenes: Path, tmp_path: Path, command: Command) -> None:
    for name, folder in (("0.tif", "a"), ("1.tif", "b"), ("2.tif", "b")):
        (scenes / folder).mkdir(exist_ok=True)
        (scenes / name).rename(scenes / folder / name)
    cut = ("--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 1000)
    line = ("compare", scenes, "--descriptor", "statistics", "--processes", 1)
    ended = command(*line, *cut, "--to", tmp_path / "compared", "--all")
    assert ended.code == 0, ended.err
    assert "10 queries" in ended.out
    # The split holds the two windows of 2.tif that show nothing, since it is drawn without a look at any pixel.
    split = tmp_path / "split.json"
    tested = ("--test-group", "b/1.tif", "--test-group", "b/2.tif")
    assert command("split", scenes, *cut, "--to", split, *tested).code == 0
    ended = command(*line, *cut, "--to", tmp_path / "part", "--split", split)
    assert ended.code == 0, ended.err
    assert "6 queries" in ended.out
    ended = command(*line, "--tile", 40, *cut[2:], "--to", tmp_path / "other", "--split", split)
    assert ended.code == 1
    assert "cut into the same windows; check the path, --tile, --overlap and --grid, or make a new split" in ended.err


def test_what_may_be_nodata_is_told(tmp_path: Path, command: Command) -> None:
    values = np.random.default_rng(0).integers(1, 255, (3, 64, 64), np.uint8)
    values[:, :, :16] = 255
    for name, nodata in (("undeclared.tif", None), ("declared.tif", 255)):
        with rasterio.open(
            tmp_path / name, "w", driver="GTiff", count=3, height=64, width=64, dtype="uint8", nodata=nodata
        ) as opened:
            opened.write(values)
    lines = [line for line in command("check", tmp_path, "--tile", 32).out.splitlines() if "--nodata" in line]
    assert lines == [
        "remark   1 scene: the file has the value 255 in 25% of its pixels, at a corner too, and declares no nodata: "
        "if they show nothing, say --nodata 255 (undeclared.tif)"
    ]


def test_a_percentage_says_which_files_it_is_not_of(scenes: Path, command: Command) -> None:
    with rasterio.open(scenes / "one.tif", "w", driver="GTiff", count=1, height=64, width=64, dtype="uint16"):
        pass
    told = command("check", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", "2%").err.splitlines()
    assert told[0].startswith("--stretch 2% of 3 of 4 files is --stretch ")
    assert told[1].startswith(f"not in it, because it cannot be read: {scenes / 'one.tif'}: has no band 2")


def test_a_tile_that_lies_elsewhere_than_its_name_says_is_refused(scenes: Path, command: Command) -> None:
    # Central Europe in UTM; tile 0, 0 of zoom 3 is the north of the Pacific.
    (scenes / "3/0").mkdir(parents=True)
    (scenes / "0.tif").rename(scenes / "3/0/0.tif")
    line = ("check", scenes, "--tile-names", "{z}/{x}/{y}.tif", "--bands", 1, 2, 3, "--stretch", 0, 1000)
    assert "lies elsewhere by its own reference system than by its name as in {z}/{x}/{y}.tif" in command(*line).out


@pytest.mark.parametrize("nodata", ["inf", "1e99", "0.5"])
def test_nodata_that_no_pixel_can_have_is_told(nodata: str, scenes: Path, command: Command) -> None:
    line = ("check", scenes, "--tile", 32, "--bands", 1, 2, 3, "--stretch", 0, 1000, "--nodata", nodata)
    assert "the file holds uint16, which has no value " in command(*line).out
