"""Scenes as archives: files that are cut into windows, or that a recipe reads as one image each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from range_server import serving

import rsir_tf
from rsir_tf.archives import check_archive, draw_split, leave_out_void, open_archive, select, why_left_out
from rsir_tf.archives.listing import SCENE_SUFFIXES, list_images
from rsir_tf.errors import InputError
from rsir_tf.rasters import IMAGE_SUFFIXES, RasterSource, Reading, Recipe, Tiling, read_pixels

rasterio = pytest.importorskip("rasterio")

WriteScene = Callable[..., Path]
TILED = Reading(tiling=Tiling(32))


@pytest.fixture
def write_scene(tmp_path: Path) -> WriteScene:
    """Write a GeoTIFF of bands [n, H, W] below tmp_path; its pixels are 10 m wide in UTM zone 32 unless said."""

    def write(relative: str, values: np.ndarray, *, crs: str | None = "EPSG:32632", **profile: object) -> Path:
        path = tmp_path / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        count, height, width = values.shape
        placed = {} if crs is None else {"crs": crs, "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_500_000)}
        profile = {"driver": "GTiff", "dtype": values.dtype.name, **placed, **profile}
        with rasterio.open(path, "w", count=count, height=height, width=width, **profile) as opened:
            opened.write(values)
        return path

    return write


def rgb(height: int = 64, width: int = 96) -> np.ndarray:
    """Every pixel another colour than its neighbours."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows % 250 + 1, columns % 250 + 1, (rows + columns) % 250 + 1]).astype(np.uint8)


def test_windows_of_scenes_at_any_depth(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene("north/scene.tif", rgb())
    write_scene("south/2020/scene.tif", rgb(40, 70))
    (tmp_path / "north/scene.tif.aux.xml").write_text("<PAMDataset></PAMDataset>")
    (tmp_path / "north/scene.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    opened: list[tuple[int, int, str]] = []
    archive = rsir_tf.open_archive(tmp_path, reading=TILED, progress=lambda *step: opened.append(step))
    assert opened == [(1, 2, "north/scene.tif"), (2, 2, "south/2020/scene.tif")]
    assert archive.format == "scenes"
    assert archive.reading == TILED
    # 96×64 in tiles of 32: three columns, two rows. 70×40: the last column starts at 70 − 32, the last row at 40 − 32.
    assert [record.id for record in archive] == [
        *(f"north/scene.tif/{x}_{y}" for y in (0, 32) for x in (0, 32, 64)),
        *(f"south/2020/scene.tif/{x}_{y}" for y in (0, 8) for x in (0, 32, 38)),
    ]
    assert [(record.group, record.scene) for record in archive][::6] == [
        ("north/scene.tif", "north"),
        ("south/2020/scene.tif", "2020"),
    ]
    assert archive.records[4].source == RasterSource(str(tmp_path / "north/scene.tif"), window=(32, 32, 32, 32))
    np.testing.assert_array_equal(archive.records[4].source.read(), np.moveaxis(rgb()[:, 32:64, 32:64], 0, 2))


def test_a_recipe_without_a_tiling_reads_each_file_as_one_image(tmp_path: Path, write_scene: WriteScene) -> None:
    values = (rgb().astype(np.uint16) * 10)[[2, 1, 0]]
    write_scene("forest/a.tif", values)
    write_scene("forest/b.jp2", values, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    write_scene("lake/a.tif", values)
    archive = open_archive(tmp_path, reading=Reading(Recipe((3, 2, 1), ((0, 2550),))))
    assert archive.format == "folder"
    assert [(record.id, record.scene, record.group) for record in archive] == [
        ("forest/a.tif", "forest", None),
        ("forest/b.jp2", "forest", None),
        ("lake/a.tif", "lake", None),
    ]
    # A value of 10·n in 0..2550 becomes n.
    np.testing.assert_array_equal(archive.records[0].source.read(), np.moveaxis(rgb(), 0, 2))
    np.testing.assert_array_equal(archive.records[1].source.read(), np.moveaxis(rgb(), 0, 2))


def test_listing_without_a_reading_stays_as_it_is(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene("a.tif", rgb())
    write_scene("b.jp2", rgb(), driver="JP2OpenJPEG")
    assert [record.id for record in open_archive(tmp_path)] == ["a.tif"]
    assert [record.group for record in open_archive(tmp_path, reading=TILED)][::6] == ["a.tif", "b.jp2"]
    with pytest.raises(InputError, match=r"b\.jp2: is of type '\.jp2'.*; --tile 256 reads it as a scene"):
        open_archive(tmp_path / "b.jp2")
    assert len(open_archive(tmp_path / "b.jp2", reading=TILED)) == 6
    (tmp_path / "a.tif").unlink()
    with pytest.raises(InputError, match=r"1 file with \.jp2.*files with \.jp2 are read as scenes: say --tile 256"):
        open_archive(tmp_path)


WRITABLE = {".jp2": "JP2OpenJPEG", ".j2k": "JP2OpenJPEG", ".img": "HFA", ".ntf": "NITF", ".nitf": "NITF"}
WRITABLE |= {".pix": "PCIDSK", ".ers": "ERS", ".bil": "EHdr", ".bip": "ENVI", ".bsq": "ENVI", ".rst": "RST"}
WRITABLE |= {".mrf": "MRF", ".btf": "GTiff", ".tf8": "GTiff", ".vrt": "VRT"}


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_each_ending_of_scenes_is_read(suffix: str, tmp_path: Path, write_scene: WriteScene) -> None:
    if suffix == ".vrt":
        from rasterio.shutil import copy

        copy(write_scene("elsewhere/a.tif", rgb()), tmp_path / "scene.vrt", driver="VRT")
        (tmp_path / "elsewhere").rename(tmp_path / ".elsewhere")
        text = (tmp_path / "scene.vrt").read_text()
        (tmp_path / "scene.vrt").write_text(text.replace("elsewhere/", ".elsewhere/"))
    else:
        options = {"QUALITY": 100, "REVERSIBLE": "YES"} if "JP2" in WRITABLE[suffix] else {}
        options |= {"COMPRESS": "NONE"} if suffix == ".mrf" else {}
        options |= {"crs": None, "transform": None} if WRITABLE[suffix] == "NITF" else {}
        write_scene(f"scene{suffix}", rgb(), driver=WRITABLE[suffix], **options)
    archive = open_archive(tmp_path, reading=Reading(Recipe((1, 2, 3)), Tiling(32)))
    assert {record.group for record in archive} == {f"scene{suffix}"}
    np.testing.assert_array_equal(archive.records[0].source.read(), np.moveaxis(rgb()[:, :32, :32], 0, 2))


def test_web_tiles_in_one_file_are_read(tmp_path: Path, write_scene: WriteScene) -> None:
    from rasterio.shutil import copy

    # One tile of zoom 10: 2^10 tiles of 256 pixels reach around the Earth.
    pixel = 2 * 20037508.342789244 / 2**10 / 256
    values = np.tile(rgb(128, 128), (1, 2, 2))
    path = write_scene(".a.tif", values, crs="EPSG:3857", transform=rasterio.Affine(pixel, 0, 0, 0, -pixel, 0))
    copy(path, tmp_path / "scene.mbtiles", driver="MBTiles")
    archive = open_archive(tmp_path, reading=Reading(tiling=Tiling(128)))
    np.testing.assert_array_equal(archive.records[3].source.read(), np.moveaxis(rgb(128, 128), 0, 2))


def test_all_endings_are_tried() -> None:
    # SAGA's files hold one band.
    assert SCENE_SUFFIXES - IMAGE_SUFFIXES - set(WRITABLE) == {".sdat", ".mbtiles"}


def test_side_cars_are_no_scenes(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene("a.tif", rgb())
    for name in ("a.tif.aux.xml", "a.tif.ovr", "a.tif.msk", "a.tfw", "a.prj", "a.hdr", "a.rrd", "a.geojson", "a.gpkg"):
        (tmp_path / name).touch()
    assert [str(file) for file in list_images(tmp_path, SCENE_SUFFIXES).files] == ["a.tif"]


def test_a_scene_that_cannot_be_read_is_left_out_and_told(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene("good.tif", rgb())
    write_scene("height.tif", np.zeros((1, 64, 64), np.float32))
    write_scene("four.tif", np.zeros((4, 64, 64), np.uint16))
    (tmp_path / "cut.tif").write_bytes((tmp_path / "good.tif").read_bytes()[:100])
    archive = open_archive(tmp_path, reading=TILED)
    assert {record.group for record in archive} == {"good.tif"}
    left_out = dict(archive.left_out)
    assert list(left_out) == ["cut.tif", "four.tif", "height.tif"]
    assert "--bands" in left_out["four.tif"]
    assert "--stretch" in left_out["four.tif"]
    with pytest.raises(InputError, match=r"cut\.tif"):
        open_archive(tmp_path, reading=TILED, strict=True)
    report = check_archive(archive)
    assert report.left_out == left_out
    assert "3 files or folders are left out" in " ".join(report.remarks)
    (tmp_path / "good.tif").unlink()
    with pytest.raises(InputError, match=r"none of its 3 files can be read like this; the first: .*cut\.tif"):
        open_archive(tmp_path, reading=TILED)


def test_colours_of_a_palette_in_another_order(tmp_path: Path, write_scene: WriteScene) -> None:
    path = write_scene("a.tif", np.full((1, 32, 32), 7, np.uint8), photometric="palette")
    with rasterio.open(path, "r+") as opened:
        opened.write_colormap(1, {7: (10, 20, 30, 255)})
    (record,) = open_archive(tmp_path, reading=Reading(Recipe((3, 2, 1)), Tiling(32)))
    assert record.source.read()[0, 0].tolist() == [30, 20, 10]


def test_parts_of_a_virtual_raster_are_not_read_twice(tmp_path: Path, write_scene: WriteScene) -> None:
    from rasterio.shutil import copy

    copy(write_scene("parts/a.tif", rgb()), tmp_path / "all.vrt", driver="VRT")
    write_scene("parts/b.tif", rgb())
    archive = open_archive(tmp_path, reading=TILED)
    assert {record.group for record in archive} == {"all.vrt", "parts/b.tif"}
    assert dict(archive.left_out) == {"parts/a.tif": "is a part of all.vrt"}


def test_opening_reads_no_pixel(tmp_path: Path, write_scene: WriteScene) -> None:
    write_scene("a.tif", rgb(), nodata=0, tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    content = (tmp_path / "a.tif").read_bytes()
    with rasterio.open(tmp_path / "a.tif") as opened:
        offset = int(opened.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    (tmp_path / "a.tif").write_bytes(content[:offset] + bytes(64) + content[offset + 64 :])
    archive = open_archive(tmp_path, reading=TILED)
    assert len(archive) == 6
    with pytest.raises(InputError):
        archive.records[0].source.read()


def test_windows_with_too_few_valid_pixels(write_scene: WriteScene, tmp_path: Path) -> None:
    values = rgb(32, 128)
    values[:, :, 40:] = 0  # Of four windows: all valid, 8 of 32 columns (25%), none, none.
    write_scene("a.tif", values, nodata=0)
    half = open_archive(tmp_path, reading=TILED)
    assert len(half) == 4
    reasons = [why_left_out(read_pixels(record.source).valid, half.reading) for record in half]
    assert reasons[0] is None
    assert reasons[1] == "25.0% of its pixels are valid; wanted at least 50.0% (--min-valid)"
    assert reasons[2] == "none of its pixels is valid"
    assert [record.id for record in leave_out_void(half)] == ["a.tif/0_0"]
    report = check_archive(half)
    assert report.images == 1
    assert report.sizes == {"32x32": 1}
    assert list(report.windows_left_out) == ["a.tif/32_0", "a.tif/64_0", "a.tif/96_0"]
    (scene,) = report.scene_files
    assert (scene.windows, scene.windows_left_out, scene.valid_share) == (4, 3, 40 / 128)
    quarter = open_archive(tmp_path, reading=Reading(tiling=Tiling(32, min_valid=0.25)))
    assert [record.id for record in leave_out_void(quarter)] == ["a.tif/0_0", "a.tif/32_0"]
    # A window without any valid pixel shows nothing, whatever is asked for.
    none = open_archive(tmp_path, reading=Reading(tiling=Tiling(32, min_valid=0)))
    assert [record.id for record in leave_out_void(none)] == ["a.tif/0_0", "a.tif/32_0"]


def test_a_scene_without_a_valid_pixel(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", np.zeros((3, 64, 64), np.uint8), nodata=0)
    archive = open_archive(tmp_path, reading=TILED)
    report = check_archive(archive)
    assert report.images == 0
    assert "all windows are left out" in report.problems
    with pytest.raises(
        InputError, match=r"all 4 windows are left out, the first is a\.tif/0_0: none of its pixels is valid"
    ):
        leave_out_void(archive)


def test_a_scene_of_one_pixel_is_padded(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb(1, 1))
    (record,) = open_archive(tmp_path, reading=TILED)
    pixels = read_pixels(record.source)
    assert pixels.values.shape == (32, 32, 3)
    assert pixels.valid is not None
    assert pixels.valid.sum() == 1
    assert why_left_out(pixels.valid, TILED) is not None


def test_check_describes_scenes(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb())
    write_scene("b.tif", rgb(), crs="EPSG:32633")
    write_scene("c.tif", rgb(), crs=None)
    report = check_archive(open_archive(tmp_path, reading=TILED))
    assert report.images == 18
    assert report.reading == {"tiling": {"tile": 32}}
    assert [(s.id, s.size, s.bands, s.dtype, s.crs, s.windows) for s in report.scene_files] == [
        ("a.tif", "96x64", 3, "uint8", "EPSG:32632", 6),
        ("b.tif", "96x64", 3, "uint8", "EPSG:32633", 6),
        ("c.tif", "96x64", 3, "uint8", None, 6),
    ]
    # 10 m in UTM are 10 m · 1/0.9996 on the ground at the central meridian.
    assert report.scene_files[0].metres_a_pixel == pytest.approx(10 / 0.9996, abs=0.001)
    assert report.scene_files[2].metres_a_pixel is None
    assert report.groups == {"a.tif": 6, "b.tif": 6, "c.tif": 6}


def test_a_place_that_is_not_on_earth_has_no_resolution(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb(), crs="EPSG:4326")  # Its coordinates are metres.
    (scene,) = check_archive(open_archive(tmp_path, reading=TILED)).scene_files
    assert (scene.crs, scene.metres_a_pixel) == ("EPSG:4326", None)


def test_a_scene_that_is_cut_off_behind_its_header(write_scene: WriteScene, tmp_path: Path) -> None:
    path = write_scene("a.tif", rgb(128, 128), tiled=True, blockxsize=32, blockysize=32, compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = check_archive(open_archive(tmp_path, reading=TILED))
    assert report.images == 16
    assert report.unreadable
    assert report.scene_files[0].valid_share == 1 - len(report.unreadable) / 16
    assert "images cannot be read" in report.problems[0]


def test_scenes_that_are_magnified_are_remarked(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb())
    for resolution, magnified in ((4, True), (6, False)):  # Metres a pixel; the file has 10.
        reading = Reading(Recipe(resolution=resolution), Tiling(64))
        remarks = check_archive(open_archive(tmp_path, reading=reading)).remarks
        wanted = "1 scene is magnified more than twice by --resolution (a.tif: it has 10 m a pixel)"
        assert (wanted in remarks) == magnified


def test_splits_keep_scenes_whole(write_scene: WriteScene, tmp_path: Path) -> None:
    for number in range(5):
        write_scene(f"{number}.tif", rgb())
    archive = open_archive(tmp_path, reading=TILED)
    split = draw_split(archive, 0.4)
    assert split.by == "group"
    assert (len(split.groups), len(split.test), len(split.train)) == (2, 12, 18)
    assert {name.rpartition("/")[0] for name in split.test} == set(split.groups)
    # Parts keep the order of reading.
    part = select(archive, split, "train")
    assert part.records == tuple(record for record in archive if record.group not in split.groups)
    assert draw_split(archive, test_groups=["3.tif"]).groups == ("3.tif",)


def test_tags_are_of_whole_images(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb())
    (tmp_path / "tags.txt").write_text("IMAGE\tsea\na\t1\n")
    with pytest.raises(InputError, match="tells of whole images"):
        open_archive(tmp_path, reading=TILED, tags=tmp_path / "tags.txt")
    chips = open_archive(tmp_path, reading=Reading(Recipe((1, 2, 3))), tags=tmp_path / "tags.txt")
    assert chips.records[0].tags == ("sea",)


def test_a_list_of_scenes(write_scene: WriteScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_scene("north/scene.tif", rgb())
    other = write_scene("south/scene.tif", rgb())
    (tmp_path / "list.txt").write_text(f"# mine\nnorth/scene.tif\n\n{other}\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    archive = open_archive("@list.txt", reading=TILED)
    assert {record.group for record in archive} == {"north/scene.tif", str(other).lstrip("/")}
    (tmp_path / "twice.txt").write_text("a.tif\n./a.tif\n")
    with pytest.raises(InputError, match=r"twice\.txt: lists a\.tif and \./a\.tif, which have the same id, a\.tif"):
        open_archive("@twice.txt", reading=TILED)
    (tmp_path / "twice.txt").write_text("a.tif\na.tif\n")
    with pytest.raises(InputError, match=r"twice\.txt: lists a\.tif twice; wanted each once"):
        open_archive("@twice.txt", reading=TILED)
    (tmp_path / "none.txt").write_text("\n# a.tif\n")
    with pytest.raises(InputError, match="lists no scene"):
        open_archive("@none.txt", reading=TILED)
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read"):
        open_archive("@gone.txt", reading=TILED)


def test_ids_of_a_list_keep_the_dots_of_names(write_scene: WriteScene, tmp_path: Path, monkeypatch) -> None:
    names = ("hid/a.tif", ".hid/a.tif", ".a.tif", "..a.tif")
    for name in (*names, "below/b.tif"):
        write_scene(name, rgb())
    (tmp_path / "below/deeper").mkdir()
    monkeypatch.chdir(tmp_path / "below/deeper")
    (tmp_path / "list.txt").write_text("\n".join(f"../../{name}" for name in (*names, "below/b.tif")))
    archive = open_archive(f"@{tmp_path / 'list.txt'}", reading=TILED)
    assert {record.group for record in archive} == {*names, "below/b.tif"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of tmp_path, served on loopback."""
    with serving(tmp_path) as server:
        yield server.url("").rstrip("/")


def test_a_url(served: str, write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("deep/scene.tif", rgb())
    archive = open_archive(f"{served}/deep/scene.tif", reading=TILED)
    assert [record.group for record in archive] == ["scene.tif"] * 6
    np.testing.assert_array_equal(archive.records[0].source.read(), np.moveaxis(rgb()[:, :32, :32], 0, 2))
    # `pathlib` takes a slash away.
    assert open_archive(Path(f"{served}/deep/scene.tif"), reading=TILED).records == archive.records
    (whole,) = open_archive(f"{served}/deep/scene.tif")
    np.testing.assert_array_equal(whole.source.read(), np.moveaxis(rgb(), 0, 2))
    (tmp_path / "list.txt").write_text(f"{served}/gone.tif\n{served}/deep/scene.tif\n")
    listed = open_archive(f"@{tmp_path / 'list.txt'}", reading=TILED)
    assert {record.group for record in listed} == {f"{served.removeprefix('http://')}/deep/scene.tif"}
    assert [left.path for left in listed.left_out] == [f"{served.removeprefix('http://')}/gone.tif"]


def test_an_archive_without_a_reading_says_so(write_scene: WriteScene, tmp_path: Path) -> None:
    write_scene("a.tif", rgb())
    archive = open_archive(tmp_path)
    assert archive.reading == Reading()
    assert open_archive(tmp_path, reading=Reading()) == archive
    assert check_archive(archive).reading == {}
    assert leave_out_void(archive) is archive
    assert dataclasses.replace(archive, reading=TILED) != archive
