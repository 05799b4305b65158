"""Mask rasters of scenes: read at the window, resampled where the grid is another one, void where nothing is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import Resampling, reproject, transform_bounds

from rsir_tf.archives import VOID, LabelSet, MaskSizeError, MaskValueError, Record
from rsir_tf.archives.annotated import read_annotated
from rsir_tf.archives.record_masks import SceneMask, mask_of
from rsir_tf.errors import InputError
from rsir_tf.rasters import RasterSource, Reading, Recipe, Tiling, windows_of

UTM = CRS.from_epsg(32633)
GRID = from_origin(500_000, 5_000_000, 2, 2)
CLASSES = np.random.default_rng(0).integers(1, 4, (80, 100)).astype(np.uint8)
LABELS = LabelSet("land", ("water", "field", "wood"), (1, 2, 3))


def write(path: Path, bands: np.ndarray, crs: Any = UTM, transform: Any = GRID, **more: Any) -> Path:
    bands = bands[None] if bands.ndim == 2 else bands
    profile = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **profile, **more) as file:
        file.write(bands)
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write(tmp_path / "scene.tif", np.full((3, 80, 100), 90, np.uint8))


def window(scene: Path, *numbers: int) -> RasterSource:
    return RasterSource(str(scene), window=numbers)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", [{}, {"crs": None, "transform": Affine.identity()}], ids=["placed", "as large"])
def test_a_window_of_a_scene_has_the_same_window_of_its_mask(
    scene: Path, tmp_path: Path, place: dict[str, Any]
) -> None:
    mask = mask_of(Record("a", window(scene, 30, 20, 32, 48), write(tmp_path / "mask.tif", CLASSES, **place)))
    assert isinstance(mask, SceneMask)
    assert not mask.resampled
    # Ids 1 to 3 are the classes 0 to 2.
    np.testing.assert_array_equal(mask.read(LABELS), CLASSES[20:68, 30:62] - 1)
    beyond = mask_of(Record("a", window(scene, 80, 60, 64, 64), tmp_path / "mask.tif")).read(LABELS)
    np.testing.assert_array_equal(beyond[:20, :20], CLASSES[60:, 80:] - 1)
    assert (beyond[20:] == VOID).all()
    assert (beyond[:, 20:] == VOID).all()


def test_a_mask_that_begins_elsewhere_on_the_same_grid_is_not_resampled(scene: Path, tmp_path: Path) -> None:
    part = write(tmp_path / "part.tif", CLASSES[10:, 20:], transform=from_origin(500_040, 4_999_980, 2, 2))
    mask = SceneMask(part, window(scene, 0, 0, 64, 64))
    assert not mask.resampled
    found = mask.read(LABELS)
    np.testing.assert_array_equal(found[10:, 20:], CLASSES[10:64, 20:64] - 1)
    assert (found[:10] == VOID).all()
    assert (found[:, :20] == VOID).all()


def test_another_grid_is_resampled_to_the_nearest_pixel(scene: Path, tmp_path: Path) -> None:
    # Pixels of 6 m: each holds nine centres of the scene's pixels.
    coarse = write(tmp_path / "coarse.tif", CLASSES[:20, :30], transform=from_origin(500_000, 5_000_000, 6, 6))
    mask = SceneMask(coarse, window(scene, 30, 21, 33, 39))
    assert mask.resampled
    np.testing.assert_array_equal(mask.read(LABELS), CLASSES[7:20, 10:21].repeat(3, 0).repeat(3, 1) - 1)


def test_another_reference_system_is_that_of_rasterio(scene: Path, tmp_path: Path) -> None:
    left, bottom, right, top = transform_bounds(UTM, CRS.from_epsg(4326), 499_900, 4_999_800, 500_300, 5_000_100)
    other = from_origin(left, top, (right - left) / 100, (top - bottom) / 80)
    mask = SceneMask(write(tmp_path / "m.tif", CLASSES, CRS.from_epsg(4326), other), window(scene, 0, 0, 64, 64))
    assert mask.resampled
    wanted = np.zeros((64, 64), np.uint8)
    reproject(
        CLASSES, wanted, src_transform=other, src_crs="EPSG:4326", dst_transform=GRID, dst_crs=UTM,
        resampling=Resampling.nearest, tolerance=0,
    )  # fmt: skip
    assert (wanted > 0).all()
    np.testing.assert_array_equal(mask.read(LABELS), wanted - 1)


def test_a_picture_with_a_world_file_is_a_mask(scene: Path, tmp_path: Path) -> None:
    # Pixels of 4 m from the scene's corner; a world file has the centre of the first one.
    Image.fromarray(CLASSES[:30, :40]).save(tmp_path / "mask.png")
    (tmp_path / "mask.pgw").write_text("4\n0\n0\n-4\n500002\n4999998\n")
    (tmp_path / "mask.prj").write_text(UTM.to_wkt(version="WKT1_ESRI"))
    found = SceneMask(tmp_path / "mask.png", window(scene, 10, 20, 32, 30)).read(LABELS)
    np.testing.assert_array_equal(found, CLASSES[10:25, 5:21].repeat(2, 0).repeat(2, 1) - 1)


def test_a_scene_at_another_resolution_takes_its_mask_along(scene: Path, tmp_path: Path) -> None:
    # Pixels of 1 m: each pixel of mask and scene becomes four.
    finer = RasterSource(str(scene), Recipe(resolution=1.0))
    placed = write(tmp_path / "placed.tif", CLASSES)
    np.testing.assert_array_equal(SceneMask(placed, finer).read(LABELS), CLASSES.repeat(2, 0).repeat(2, 1) - 1)
    bare = write(tmp_path / "bare.tif", CLASSES, crs=None, transform=Affine.identity())
    with pytest.raises(InputError, match=r"bare\.tif: has no place on Earth, and its scene is resampled"):
        SceneMask(bare, finer).read(LABELS)
    # At its own resolution the scene is not resampled.
    np.testing.assert_array_equal(
        SceneMask(bare, RasterSource(str(scene), Recipe(resolution=2.0))).read(LABELS), CLASSES - 1
    )
    # Windows of a common grid count pixels from the origin of the reference system.
    (first, *_) = windows_of(str(scene), Reading(Recipe(resolution=2.0), Tiling(64, grid=True, min_valid=0.0)))
    assert first.window is not None
    column, row = first.window[0] - 250_000, first.window[1] + 2_500_000
    found = SceneMask(bare, first).read(LABELS)
    known = found[max(0, -row) : 80 - row, max(0, -column) : 100 - column]
    np.testing.assert_array_equal(known, CLASSES[max(0, row) : row + 64, max(0, column) : column + 64] - 1)
    np.testing.assert_array_equal(found, SceneMask(placed, first).read(LABELS))


def test_nodata_is_void_unless_the_label_set_lists_it(scene: Path, tmp_path: Path) -> None:
    holes = CLASSES.copy()
    holes[5:9, 5:9] = 0
    source = window(scene, 0, 0, 32, 32)
    declared = SceneMask(write(tmp_path / "declared.tif", holes, nodata=0), source)
    np.testing.assert_array_equal(declared.read(LABELS) == VOID, holes[:32, :32] == 0)
    listed = LabelSet("all", ("nothing", *LABELS.names), (0, 1, 2, 3))
    np.testing.assert_array_equal(declared.read(listed), holes[:32, :32])
    undeclared = SceneMask(write(tmp_path / "undeclared.tif", holes), source)
    with pytest.raises(
        MaskValueError, match=r"undeclared.tif, window 0 0 32 32: has the id 0 in 16 pixels, first at row 5"
    ):
        undeclared.read(LABELS)
    rest = LabelSet("some", ("water", "other"), (1,), rest=True)
    assert set(np.unique(declared.read(rest))) == {0, 1, VOID}
    empty = SceneMask(write(tmp_path / "empty.tif", np.zeros_like(CLASSES), nodata=0), source)
    assert (empty.read(LABELS) == VOID).all()


def test_colours_and_palettes_are_read_as_in_whole_masks(scene: Path, tmp_path: Path) -> None:
    colours = LabelSet("colours", LABELS.names, None, ((9, 0, 0), (0, 9, 0), (0, 0, 9)))
    table = np.array([(0, 0, 0), *colours.colours], np.uint8)
    source = window(scene, 10, 10, 40, 40)
    rgb = SceneMask(write(tmp_path / "rgb.tif", np.moveaxis(table[CLASSES], -1, 0)), source)
    np.testing.assert_array_equal(rgb.read(colours), CLASSES[10:50, 10:50] - 1)
    palette = write(tmp_path / "palette.tif", CLASSES)
    with rasterio.open(palette, "r+") as file:
        file.write_colormap(1, {index: tuple(colour) for index, colour in enumerate(table.tolist())})
    np.testing.assert_array_equal(SceneMask(palette, source).read(colours), CLASSES[10:50, 10:50] - 1)


def test_a_mask_that_cannot_be_laid_over_its_scene_is_refused(scene: Path, tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.tif", CLASSES[:40], crs=None, transform=Affine.identity())
    with pytest.raises(
        MaskSizeError, match=r"bare\.tif: the mask is 100×40 pixels and has no place .* wanted 100×80 pix"
    ):
        SceneMask(bare, window(scene, 0, 0, 32, 32)).read(LABELS)
    placeless = write(tmp_path / "grey.tif", np.full((3, 40, 40), 90, np.uint8), None, Affine.identity())
    placed = write(tmp_path / "placed.tif", CLASSES)
    with pytest.raises(MaskSizeError, match=r"100×80 pixels, and its scene has no place on Earth; wanted 40×40 pixels"):
        SceneMask(placed, RasterSource(str(placeless))).read(LABELS)
    with pytest.raises(InputError, match=r"lost\.tif"):
        SceneMask(tmp_path / "lost.tif", window(scene, 0, 0, 32, 32)).read(LABELS)


def test_what_the_scene_does_not_show_is_void(tmp_path: Path) -> None:
    pixels = np.full((3, 80, 100), 90, np.uint8)
    pixels[:, :7] = 0
    scene = write(tmp_path / "scene.tif", pixels, nodata=0)
    record = Record("a", window(scene, 0, 0, 32, 32), write(tmp_path / "mask.tif", CLASSES))
    image, classes = read_annotated(record, LABELS)
    assert (image[7:] == 90).all()
    assert (classes[:7] == VOID).all()
    np.testing.assert_array_equal(classes[7:], CLASSES[7:32, :32] - 1)


def test_the_digest_is_that_of_the_file(scene: Path, tmp_path: Path) -> None:
    mask = SceneMask(write(tmp_path / "mask.tif", CLASSES), window(scene, 0, 0, 32, 32))
    before = mask.digest()
    write(tmp_path / "mask.tif", 4 - CLASSES)
    assert mask.digest() != before
    assert SceneMask(tmp_path / "lost.tif", mask.source).digest() is None
