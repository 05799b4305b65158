"""Windows of scenes: which are trained on, and that nothing is learned or scored where a scene shows nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rsir_tf.archives import VOID, Archive, open_archive
from rsir_tf.errors import InputError
from rsir_tf.progress import silent
from rsir_tf.rasters import FILL, Reading, Tiling
from rsir_tf.segmentation.crops import Augmentation, Crops
from rsir_tf.segmentation.data import PairReader, training_dataset
from rsir_tf.segmentation.trained_windows import records_to_train_on


def write(path: Path, bands: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"count": len(bands), "height": bands.shape[1], "width": bands.shape[2], "dtype": bands.dtype}
    place = {"crs": "EPSG:32633", "transform": from_origin(500_000, 5_000_000, 1, 1)}
    with rasterio.open(path, "w", driver="GTiff", nodata=0, **profile, **place) as file:
        file.write(bands)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A scene of four windows of 64 pixels: one shows nothing, one a quarter, one has no label, one has all."""
    picture = np.full((3, 128, 128), 90, np.uint8)
    picture[:, :64, :64] = 0
    picture[:, :64, 64:112] = 0
    classes = np.full((1, 128, 128), 1, np.uint8)
    classes[:, :, ::2] = 2
    classes[:, 64:, :64] = 0
    write(tmp_path / "a" / "images" / "scene.tif", picture)
    write(tmp_path / "a" / "masks" / "scene.tif", classes)
    (tmp_path / "labels.toml").write_text('classes = [{ name = "one", id = 1 }, { name = "two", id = 2 }]\n')
    reading = Reading(tiling=Tiling(64, min_valid=0.2))
    return open_archive(tmp_path / "a", labels=tmp_path / "labels.toml", reading=reading)


def test_windows_without_anything_to_learn_from_are_left_out(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    labels = archive.label_set
    assert labels is not None
    assert len(archive) == 4
    with caplog.at_level(logging.WARNING, "rsir_tf"):
        kept = records_to_train_on(archive, labels, silent, masks=True)
    assert [record.id.rpartition("/")[2] for record in kept] == ["64_0", "64_64"]
    assert "1 of 3 windows have no labelled pixel and are left out" in caplog.text
    mixed = records_to_train_on(archive, labels, silent, masks=False)
    assert [record.id.rpartition("/")[2] for record in mixed] == ["64_0", "0_64", "64_64"]


def test_crops_are_void_where_the_scene_shows_nothing(archive: Archive) -> None:
    assert archive.label_set is not None
    reader = PairReader([archive.records[1]], archive.label_set)
    crops = Crops(64, 1, 1, Augmentation.none())
    ((images, masks),) = training_dataset(reader, crops, seed=0, epoch=0).as_numpy_iterator()
    assert (images[0, :, :48] == FILL).all()
    assert (images[0, :, 48:] == 90).all()
    assert (masks[0, :, :48] == VOID).all()
    np.testing.assert_array_equal(masks[0, :, 48:], np.tile([1, 0], (64, 8)))


def test_an_archive_that_shows_nothing_is_refused(archive: Archive) -> None:
    dark = Archive(archive.root, "scenes", archive.records[:1], archive.label_set, reading=archive.reading)
    assert dark.label_set is not None
    with pytest.raises(InputError, match="its only window is left out"):
        records_to_train_on(dark, dark.label_set, silent, masks=True)
