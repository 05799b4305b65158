"""Web tiles whose names are read in a wrong order: their edges tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import open_archive
from rsir_tf.archives.tile_neighbours import refuse_misplaced
from rsir_tf.errors import InputError
from rsir_tf.rasters import Reading, Recipe

ZOOM, SIDE = 5, 16
ORDERS = ["{z}/{x}/{y}.png", "{z}/{x}/{-y}.png", "{z}/{y}/{x}.png", "{z}/{-y}/{x}.png"]


def write_tiles(folder: Path, pattern: str, columns: int = 3, rows: int = 4, flat: bool = False) -> list[str]:
    """Tiles of one smooth picture, from column 3 and row 7 (from the north) on, named by a pattern."""
    y, x = np.mgrid[: rows * SIDE, : columns * SIDE]
    picture = np.stack([3 * x % 256, 2 * y % 256, (x + 3 * y) % 256], axis=-1) // (1000 if flat else 1)
    paths = []
    for column in range(columns):
        for row in range(rows):
            north = 7 + row
            name = pattern.format(z=ZOOM, x=3 + column, y=north, **{"-y": 2**ZOOM - 1 - north})
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            part = picture[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
            Image.fromarray(part.astype(np.uint8)).save(path)
            paths.append(str(path))
    return paths


@pytest.mark.parametrize("true", ORDERS)
@pytest.mark.parametrize("given", ORDERS)
def test_edges_prove_the_order_of_numbers(true: str, given: str, tmp_path: Path) -> None:
    paths = write_tiles(tmp_path, true)
    if given == true:
        refuse_misplaced(paths, given, Recipe())
        return
    with pytest.raises(InputError) as refused:
        refuse_misplaced(paths, given, Recipe())
    assert refused.value.cure == f"say --tile-names '{true}'"


def test_what_tells_nothing_is_not_refused(tmp_path: Path) -> None:
    flat = write_tiles(tmp_path / "water", ORDERS[0], flat=True)
    few = write_tiles(tmp_path / "few", ORDERS[0], columns=1, rows=3)
    unlike = write_tiles(tmp_path / "unlike", ORDERS[0])
    random = np.random.default_rng(0)
    for path in unlike:
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
    for paths in (flat, few, unlike):
        for order in ORDERS:
            refuse_misplaced(paths, order, Recipe())


def test_a_name_that_no_file_has_is_refused(tmp_path: Path) -> None:
    write_tiles(tmp_path, "{z}/{x}/{y}.png")
    with pytest.raises(InputError, match=r"does not have a name as in OAM-.*, nor has any other of the 12 files"):
        open_archive(tmp_path, reading=Reading(tile_names="OAM-{x}-{y}-{z}.png"))


def test_real_tiles(real_data) -> None:
    folder = real_data("data/geo/hotosm-fair-banepa/oam")
    names = "OAM-{x}-{y}-{z}.tif"
    assert len(open_archive(folder, reading=Reading(tile_names=names))) == 48
    for wrong in ("OAM-{y}-{x}-{z}.tif", "OAM-{x}-{-y}-{z}.tif", "OAM-{-y}-{x}-{z}.tif"):
        with pytest.raises(InputError) as refused:
            open_archive(folder, reading=Reading(tile_names=wrong))
        assert refused.value.cure == f"say --tile-names '{names}'"
