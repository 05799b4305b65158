"""Similarity maps as files: what the raster holds and says, and what the picture shows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsir_tf.errors import ArtifactError, InputError
from rsir_tf.presentation import Ground
from rsir_tf.presentation.maps.similarity import check_raster_target, similarity_picture, write_similarity
from rsir_tf.rasters import Place

PLACE = Place("EPSG:32632", (8.0, 1.0, 500_000.0, 1.0, -8.0, 5_000_000.0))


def distances(height: int = 600, width: int = 700) -> np.ndarray:
    values = np.random.default_rng(0).random((height, width), dtype=np.float32)
    values[:40] = np.nan
    return values


def test_the_raster_is_a_cog_that_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "near.tif"
    values = distances()
    write_similarity(path, values, PLACE, unit="L2", facts={"SCHEME": "recnn", "QUERY": "Köln.tif, window 0 0 256 256"})
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(1), values)
        assert math.isnan(raster.nodata)
        assert (raster.read_masks(1) == 0).sum() == 40 * 700
        assert raster.crs.to_epsg() == 32632
        assert tuple(raster.transform)[:6] == PLACE.transform
        assert (raster.units, raster.descriptions) == (("L2",), ("distance to the query",))
        tags = raster.tags()
        assert (tags["SCHEME"], tags["QUERY"], tags["UNIT"]) == ("recnn", "Köln.tif, window 0 0 256 256", "L2")
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert raster.overviews(1) == [2, 4]  # Down to one block of 256.
        assert raster.profile["compress"] == "deflate"
    assert not [file for file in tmp_path.iterdir() if file != path]


def test_a_raster_without_a_place_has_none(tmp_path: Path) -> None:
    path = tmp_path / "near.tif"
    write_similarity(path, np.zeros((3, 2), np.float32), None, unit="L1", facts={})
    with rasterio.open(path) as raster:
        assert raster.crs is None
        assert raster.shape == (3, 2)


def test_what_another_program_made_is_not_replaced(tmp_path: Path) -> None:
    other, own = tmp_path / "scene.tif", tmp_path / "near.tif"
    with rasterio.open(other, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8"):
        pass
    write_similarity(own, np.zeros((3, 2), np.float32), None, unit="L1", facts={})
    check_raster_target(own)
    write_similarity(own, np.ones((3, 2), np.float32), None, unit="L1", facts={})
    with pytest.raises(ArtifactError, match="is not a similarity map that this program made"):
        check_raster_target(other)
    check_raster_target(other, force=True)
    with pytest.raises(InputError, match=r"the ending is \.png; wanted \.tif"):
        check_raster_target(tmp_path / "near.png")


def test_the_nearest_place_is_the_brightest() -> None:
    values = np.full((10, 20), 5.0, np.float32)
    values[2, 3] = 1.0
    values[:, 15:] = np.nan
    scene = np.full((200, 400, 3), 90, np.uint8)
    picture = similarity_picture(values, scene, title="near", unit="L2")
    # 20 columns are drawn with 1,024 pixels, below a title: the picture begins at (14 + 4, 14 + 24 + 8 + 4).
    shown = picture[50 : 50 + 512, 18 : 18 + 1024].astype(int).sum(axis=2)
    cells = shown[25::51][:10, 25::51][:, :20]
    assert np.unravel_index(cells.argmax(), cells.shape) == (2, 3)
    # Where nothing is known, the scene is seen in grey.
    np.testing.assert_array_equal(picture[50 + 100, 18 + 900], [90, 90, 90])
    with_bar = similarity_picture(values, scene, title="near", unit="L2", ground=Ground(1.0, (0.0, -1.0)))
    # 400 pixels of 1 m are drawn with 1,024: the longest round length within 0.35 of them is 100 m, 256 pixels.
    white = (with_bar[50 + 512 - 8 - 1, 18 : 18 + 1024] == 255).all(axis=1)
    assert np.ptp(np.flatnonzero(white)) == 256
    # The raster begins two of its columns before the scene, and ends with it: the bright one is drawn further left.
    moved = similarity_picture(values, scene, title="near", unit="L2", extent=(2, 0, 20, 10))
    assert moved[50 + 125, 18 + 84].sum() > 500  # At 1.5 of 18 columns.
    assert moved[50 + 125, 18 + 180].sum() < 100  # At 3.2 of 18, where it was.
    with pytest.raises(InputError, match="no place of the scene has a distance"):
        similarity_picture(np.full((2, 2), np.nan, np.float32), scene, title="near", unit="L2")
