"""Values of masks that are no class: no data, what is ignored, fractions, and the rest where one class is listed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mask_samples import IDS, drawn_classes, save
from PIL import Image

from rsir_tf.archives import (
    VOID,
    LabelSet,
    MaskValueError,
    read_mask,
    write_mask,
)
from rsir_tf.errors import InputError

rasterio = pytest.importorskip("rasterio")


@pytest.fixture
def classes() -> np.ndarray:
    return drawn_classes()


def test_values_of_no_data_can_be_ignored(tmp_path: Path) -> None:
    values = np.where(np.arange(480).reshape(20, 24) % 5 == 0, -9999, 1)
    values[0, 1] = 2
    wanted = np.where(values == -9999, VOID, values - 1)
    ignoring = LabelSet("ignoring", ("a", "b"), (1, 2), ignore_ids=(-9999, -1))
    for dtype in ("int16", "int32", "int64", "float32", "float64"):
        path = tmp_path / f"{dtype}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", count=1, height=20, width=24, dtype=dtype, nodata=-9999
        ) as opened:
            opened.write(values.astype(dtype)[None])
        np.testing.assert_array_equal(read_mask(path, ignoring), wanted)
        with pytest.raises(MaskValueError) as caught:
            read_mask(path, IDS)
        assert "has the id -9999 in 96 pixels, first at row 0, column 0" in str(caught.value)
        assert "the file declares -9999 to be no data: add it to the label set's ignore_ids" in str(caught.value)


def test_label_sets_may_ignore_any_number() -> None:
    content = {"classes": [{"name": "a", "id": 1}], "ignore_ids": [-1, -9999, 70000]}
    read = LabelSet.from_json(content)
    assert read.ignore_ids == (-1, -9999, 70000)
    assert LabelSet.from_json(read.to_json()) == read
    assert read.has_own_colours is False


def test_fractions_are_no_classes(tmp_path: Path) -> None:
    values = np.ones((20, 24), np.float32)
    values[3, 4:6] = 0.5
    path = save(tmp_path / "m.tif", values)
    with pytest.raises(
        InputError, match=r"the mask holds 0\.5 in row 3, column 4 \(2 such pixels\); wanted whole numbers"
    ):
        read_mask(path, IDS)
    values[3, 4:6] = np.nan
    with pytest.raises(InputError, match=r"the mask holds nan in row 3, column 4 \(2 such pixels\)"):
        read_mask(save(path, values), IDS)
    values[3, 4:6] = -3.4e38
    with pytest.raises(InputError, match=r"the mask holds -3\.4e\+38 in row 3"):
        read_mask(save(path, values), IDS)


BUILDINGS = LabelSet("buildings", ("building", "other"), (255,), ignore_ids=(9, -9999), rest=True)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
def test_the_rest_takes_what_is_not_listed(tmp_path: Path, dtype: str) -> None:
    values = np.full((16, 16), 0, dtype)
    values[0], values[1], values[2] = 255, 9, 7
    path = tmp_path / "mask.tif"
    save(path, values) if dtype == "uint8" else Image.fromarray(values).save(path)
    expected = np.ones((16, 16), np.uint8)
    expected[0], expected[1] = 0, VOID
    np.testing.assert_array_equal(read_mask(path, BUILDINGS), expected)
    write_mask(tmp_path / "again.png", expected, BUILDINGS)
    np.testing.assert_array_equal(read_mask(tmp_path / "again.png", BUILDINGS), expected)


def test_the_rest_takes_colours_but_not_those_that_jpeg_made(tmp_path: Path) -> None:
    by_colour = LabelSet("buildings", ("building", "other"), None, ((255, 0, 0),), rest=True)
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:4] = (255, 0, 0)
    found = read_mask(save(tmp_path / "mask.png", pixels), by_colour)
    assert np.bincount(found.ravel()).tolist() == [64, 192]
    with pytest.raises(InputError, match="is a JPEG file, which changes colours, and other would take those"):
        read_mask(save(tmp_path / "mask.jpg", pixels), by_colour)


def test_the_rest_does_not_take_what_a_file_declares_to_be_no_data(tmp_path: Path) -> None:
    rasterio = pytest.importorskip("rasterio")
    path = tmp_path / "mask.tif"
    with rasterio.open(path, "w", driver="GTiff", width=16, height=16, count=1, dtype="uint8", nodata=0) as file:
        file.write(np.zeros((1, 16, 16), np.uint8))
    with pytest.raises(
        InputError, match="declares 0 to be no data: add it to the label set's ignore_ids, or as a class"
    ):
        read_mask(path, BUILDINGS)
