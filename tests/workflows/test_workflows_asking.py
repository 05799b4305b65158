"""What an image must show to ask with, and what is said of one that cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from placed_scenes import AS_IT_IS, TILE, Toy, ground, index_sources, windows, write_scene, write_scenes
from rasterio.transform import Affine

from rsir_tf.errors import InputError
from rsir_tf.presentation import save_png
from rsir_tf.ranking import Expanded, Index, Mixed, Reranked, make_scheme, open_index
from rsir_tf.ranking.stages import needs_regions
from rsir_tf.rasters import FileSource, RasterSource, Reading, Recipe, Tiling
from rsir_tf.workflows import query_image, query_images, query_together, refine
from rsir_tf.workflows.query_drawing import query_scene
from rsir_tf.workflows.query_windows import QueryWindow, query_source

SCHEMES = ("recnn", "recnn+", "irm", "relations", "relations-graph")
IRM, PLUS = make_scheme("irm"), make_scheme("recnn+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`scenes/2010.tif` and `scenes/2020.tif`, and `void.tif`, whose left window of two shows nothing."""
    folder = tmp_path_factory.mktemp("asking")
    write_scenes(folder / "scenes")
    colours = ground(TILE, 2 * TILE, later=False)
    colours[:, :TILE] = 0
    profile = {"nodata": 0, "dtype": "uint8", "crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5e6)}
    with rasterio.open(folder / "void.tif", "w", "GTiff", 2 * TILE, TILE, 3, **profile) as file:
        file.write(np.moveaxis(colours, -1, 0))
    return folder


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    scenes = windows(*sorted((folder / "scenes").iterdir()))
    return open_index(index_sources(scenes, folder / "index", AS_IT_IS))


@pytest.fixture(scope="module")
def coarse(folder: Path) -> Index:
    """An index of regions of at least 500 pixels; each of its images has one."""
    scenes = list(windows(*sorted((folder / "scenes").iterdir())))
    return open_index(index_sources(scenes, folder / "coarse", AS_IT_IS, min_area=500))


@pytest.mark.parametrize("scheme", [*SCHEMES, Reranked(PLUS, IRM), Mixed(PLUS, IRM), Mixed(IRM, PLUS), Expanded(PLUS)])
def test_a_window_without_a_valid_pixel_asks_under_no_scheme(folder: Path, index: Index, scheme) -> None:
    void = QueryWindow(window=(0, 0, TILE, TILE))
    words = rf"void\.tif, window 0 0 {TILE} {TILE}: shows nothing: no pixel .* is valid; wanted an image, or a window"
    with pytest.raises(InputError, match=words):
        query_image(folder / "void.tif", index, Toy(), scheme=scheme, part=void)
    beside = query_image(
        folder / "void.tif", index, Toy(), scheme=scheme, part=QueryWindow(window=(TILE, 0) + 2 * (TILE,))
    )
    assert np.isfinite([hit.distance for hit in beside.hits]).all()
    # The whole scene shows half of it.
    assert query_image(folder / "void.tif", index, Toy(), scheme=scheme).hits[0].distance < np.inf


def test_of_several_images_the_one_that_shows_nothing_is_named(folder: Path, index: Index) -> None:
    with rasterio.open(folder / "none.tif", "w", "GTiff", TILE, TILE, 3, dtype="uint8", nodata=0) as file:
        file.write(np.zeros((3, TILE, TILE), np.uint8))
    files, refused = [folder / "scenes/2010.tif", folder / "none.tif", folder / "scenes/2020.tif"], []
    found = list(query_images(files, index, Toy(), refused=lambda image, error: refused.append((image, str(error)))))
    assert [result.query for result in found] == [str(files[0]), str(files[2])]
    ((image, error),) = refused
    assert image == str(files[1])
    assert error.startswith(f"{files[1]}: shows nothing")
    with pytest.raises(InputError, match=r"none\.tif: shows nothing"):
        query_together(files, index, Toy())
    # An example of the index that is as void.
    sources = [("none", RasterSource(str(folder / "none.tif"))), ("some", RasterSource(str(files[0])))]
    void = open_index(index_sources(sources, folder / "void"))
    for likes, unlikes in ((["none"], []), (["some", "none"], []), (["some"], ["none"])):
        with pytest.raises(InputError, match="none: shows nothing: its vector is all zeros"):
            refine(void, likes, unlikes)


@pytest.fixture(scope="module")
def speckled(folder: Path) -> Path:
    """A picture whose regions all have 256 pixels: four stripes of red and blue."""
    pixels = np.zeros((TILE, TILE, 3), np.uint8)
    pixels[np.arange(TILE) // 8 % 2 == 0, :, 0] = 200
    pixels[np.arange(TILE) // 8 % 2 == 1, :, 2] = 200
    save_png(folder / "speckled.png", pixels)
    return folder / "speckled.png"


@pytest.mark.parametrize(
    ("scheme", "cure"),
    [
        *((name, r"use --scheme recnn\+$") for name in ("recnn", "irm", "relations", "relations-graph")),
        *((stage, r"use --scheme recnn\+ alone$") for stage in (Reranked(PLUS, IRM), Mixed(IRM, PLUS), Expanded(IRM))),
    ],
)
def test_without_regions_schemes_that_compare_only_them_are_refused(
    coarse: Index, speckled: Path, scheme, cure: str
) -> None:
    with pytest.raises(InputError, match=r"speckled\.png: has no region of at least 500 pixels; " + cure):
        query_image(speckled, coarse, Toy(), scheme=scheme)


@pytest.mark.parametrize("scheme", ["recnn+", Mixed(PLUS, IRM), Expanded(PLUS)])
def test_without_regions_whole_images_are_compared(coarse: Index, speckled: Path, scheme) -> None:
    found = query_image(speckled, coarse, Toy(), scheme=scheme, top=None)
    assert len(found.regions) == 0
    assert np.isfinite([hit.distance for hit in found.hits]).all()
    # Of a mixture the first scheme ranks alone.
    alone = query_image(speckled, coarse, Toy(), scheme=getattr(scheme, "first", scheme), top=None)
    if not isinstance(scheme, Expanded):
        assert [hit.id for hit in found.hits] == [hit.id for hit in alone.hits]


def test_which_schemes_need_regions() -> None:
    every = (*SCHEMES, "multiscale", "multiscale+")
    assert [name for name in every if not needs_regions(make_scheme(name))] == ["recnn+", "multiscale+"]


def test_the_scene_of_a_query_is_its_own_or_that_of_all_equal_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (TILE, TILE, 3), np.uint8) for _ in range(3)]
    files = {"a/0": 0, "b/0": 0, "a/1": 1, "a/2": 1}
    for name, number in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_png(tmp_path / f"{name}.png", pictures[number])
    sources = [(name, FileSource(tmp_path / f"{name}.png")) for name in files]
    index = open_index(index_sources(sources, tmp_path / "index", scenes=True))

    def scene(path: str, number: int) -> str | None:
        if not (tmp_path / path).exists():
            save_png(tmp_path / path, pictures[number])
        return query_scene(query_image(tmp_path / path, index, Toy()), index)

    assert [scene(f"{name}.png", number) for name, number in files.items()] == ["a", "b", "a", "a"]
    assert scene("copy0.png", 0) is None  # Equal pictures lie in a and in b.
    assert scene("copy1.png", 1) == "a"
    assert scene("other.png", 2) is None


def test_an_8_bit_picture_that_is_stretched_as_16_bit_scenes_are_is_told(folder: Path, tmp_path: Path) -> None:
    reading = Reading(Recipe(bands=(3, 2, 1), stretch=((0, 3000),)), Tiling(TILE))
    colours = ground(2 * TILE, 2 * TILE, later=False).astype(np.uint16) * 11
    scene = write_scene(tmp_path / "scene.tif", colours, Affine(10, 0, 500_000, 0, -10, 5e6))
    index = open_index(index_sources(windows(scene, reading=reading), tmp_path / "index", reading))
    save_png(tmp_path / "picture.png", ground(TILE, TILE, later=True))
    picture = tmp_path / "picture.png"
    told = (
        f"{picture}: holds 8-bit values and was read as the images of the index were (bands 3 2 1, stretched from "
        "0..3000), which makes it dark; to read it as it is, say --bands 1 2 3 --stretch 0 255"
    )
    dark = query_image(picture, index, Toy())
    assert dark.remarks == (told,)
    assert dark.image.max() == round(208 * 255 / 3000)  # 20 or 200, and noise of up to 8
    assert query_together([scene, picture], index, Toy()).remarks == (told,)
    (own,) = query_image(picture, index, Toy(), reading={"bands": (1, 2, 3)}).remarks
    assert own.endswith("to read it as it is, say --stretch 0 255")
    bright = query_image(picture, index, Toy(), reading={"bands": (1, 2, 3), "stretch": ((0, 255),)})
    assert (bright.remarks, bright.image.max()) == ((), 208)
    # Values of 16 bits, and an image that the index has read so itself, are read rightly.
    assert query_image(scene, index, Toy()).remarks == ()
    part = query_source(picture, reading)
    mixed = open_index(index_sources([("picture", part)], tmp_path / "mixed", reading))
    assert query_image(picture, mixed, Toy()).remarks == ()
