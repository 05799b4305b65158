"""The real archives, where RSIR_TF_TEST_DATA names a folder that holds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import check_archive, group_split, load_label_set, open_archive, read_mask, stratified_split

RealData = Callable[[str], Path]


def test_ucmerced(real_data: RealData) -> None:
    archive = open_archive(real_data("data/ucmerced"))
    assert archive.format == "ucmerced"
    assert len(archive) == 2100
    report = check_archive(archive)
    assert report.problems == []
    assert report.supervision == ["tags"]
    assert len(report.tags) == 17
    assert len(report.scenes) == 21
    assert set(report.scenes.values()) == {100}
    # 44 images are not 256×256; 3.33 tags an image, 1 to 7 (Chaudhuri et al., 2018).
    assert 2100 - report.sizes["256x256"] == 44
    assert report.tags_per_image == pytest.approx(3.33, abs=0.005)
    counts = [len(record.tags or ()) for record in archive]
    assert (min(counts), max(counts)) == (1, 7)
    assert open_archive(real_data("data/ucmerced/Images")).records == archive.records
    split = stratified_split(archive)
    assert len(split.test) == 420
    assert {name.split("/")[0] for name in split.test} == set(report.scenes)


def test_ucmerced_tiffs(real_data: RealData) -> None:
    root = real_data("data/ucmerced_tif_sample")
    archive = open_archive(root, tags=real_data("data/ucmerced/LandUse_Multilabeled.txt"))
    report = check_archive(archive)
    assert report.images == 27
    assert report.unreadable == {}
    assert report.images_without_tags == {}
    assert 27 - report.sizes["256x256"] == 6
    by_id = {record.id: record for record in archive}
    # Airplanes on pavement: read off the tags file.
    assert "airplane" in (by_id["airplane/airplane00.tif"].tags or ())


def test_dubai(real_data: RealData) -> None:
    archive = open_archive(real_data("data/dubai/tiles"), labels="dubai")
    assert archive.records[0].id == "Tile 1/image_part_001.jpg"
    report = check_archive(archive)
    assert report.problems == []
    assert report.groups == {f"Tile {number}": 9 for number in range(1, 9)}
    shares = [round(100 * entry.share, 1) for entry in report.classes]
    # Counted colour by colour over the mask files, independently of this package.
    assert shares == [52.4, 13.6, 13.3, 10.3, 9.4]
    assert round(100 * report.void_share, 1) == 1.1  # unlabelled 0.5, black 0.6
    split = group_split(archive, ["Tile 2", "Tile 7"])
    assert len(split.test) == 18


def test_dubais_palette_masks_say_what_their_rgb_says(real_data: RealData) -> None:
    dubai = load_label_set("dubai")
    masks = sorted(real_data("data/dubai/tiles").glob("Tile */masks/*.png"))
    kinds = set()
    for path in masks[::12]:
        with Image.open(path) as picture:
            kinds.add(picture.mode)
            rgb = np.asarray(picture.convert("RGB"))
        classes = read_mask(path, dubai)
        for index, colour in enumerate(dubai.colours):
            np.testing.assert_array_equal(classes == index, (rgb == colour).all(axis=2))
    assert kinds == {"RGB", "P"}
