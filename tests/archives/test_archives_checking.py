from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import LabelSet, check_archive, open_archive
from rsir_tf.archives.tags import UCMERCED_TAGS

Draw = Callable[..., Path]
THREE = LabelSet("three", ("a", "b", "c"), (1, 2, 3), ignore_ids=(0,))


@pytest.fixture
def archive_with_every_fault(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> Path:
    half = np.full((20, 24), 1, np.uint8)
    half[:5] = 2
    half[19, :6] = 0
    draw_image("t1/images/good.png")
    draw_mask("t1/masks/good.png", half)
    draw_image("t1/images/other_size.png", shape=(20, 30))
    draw_mask("t1/masks/other_size.png")
    draw_image("t1/images/unknown.png")
    draw_mask("t1/masks/unknown.png", 9)
    draw_image("t1/images/no_mask.png")
    draw_mask("t1/masks/no_image.png")
    draw_image("t2/images/broken_mask.png")
    (tmp_path / "t2/masks").mkdir()
    (tmp_path / "t2/masks/broken_mask.png").write_text("no picture")
    (tmp_path / "t2/images/empty.png").touch()
    draw_mask("t2/masks/empty.png", 2)
    Image.new("L", (24, 20)).save(tmp_path / "t2/images/grey.png")
    draw_mask("t2/masks/grey.png", 2)
    return tmp_path


def test_every_fault_is_named_and_none_stops_it(archive_with_every_fault: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = check_archive(
        open_archive(archive_with_every_fault, labels=THREE), lambda done, total, words: seen.append((done, total))
    )
    assert seen == [(done, 7) for done in range(1, 8)]
    assert report.images == 7
    assert report.supervision == ["masks"]
    assert report.sizes == {"24x20": 4, "30x20": 1}
    assert report.groups == {"t1": 4, "t2": 3}
    assert report.images_without_mask == ["t1/no_mask.png"]
    assert report.masks_without_image == ["t1/masks/no_image.png"]
    assert list(report.unreadable) == ["t2/empty.png", "t2/grey.png"]
    assert "0 bytes" in report.unreadable["t2/empty.png"]
    assert "is grey" in report.unreadable["t2/grey.png"]
    assert list(report.unreadable_masks) == ["t2/broken_mask.png"]
    assert list(report.masks_of_other_size) == ["t1/other_size.png"]
    assert "24×20 pixels; wanted 30×20" in report.masks_of_other_size["t1/other_size.png"]
    assert list(report.masks_with_unknown_values) == ["t1/unknown.png"]
    assert "id 9 in 480 pixels" in report.masks_with_unknown_values["t1/unknown.png"]
    assert [line.split(" (")[0] for line in report.problems] == [
        "2 images cannot be read",
        "1 image has no mask",
        "1 mask cannot be read",
        "1 mask is not as large as its image",
        "1 mask holds values that the label set does not have",
    ]
    assert report.remarks == [
        "1 mask belongs to no image (t1/masks/no_image.png)",
        "1 class occurs in no mask (c)",
    ]
    assert not report.trainable


def test_pixels_of_each_class(archive_with_every_fault: Path) -> None:
    report = check_archive(open_archive(archive_with_every_fault, labels=THREE))
    # good.png: 5 rows of 24 are b, 6 pixels void, the rest of 480 a; empty.png and grey.png: a mask of b each.
    wanted = [("a", 480 - 120 - 6, 1), ("b", 120 + 2 * 480, 3), ("c", 0, 0)]
    assert [(entry.name, entry.pixels, entry.images) for entry in report.classes] == wanted
    assert [entry.share for entry in report.classes] == [354 / 1440, 1080 / 1440, 0]
    assert (report.void_pixels, report.void_share) == (6, 6 / 1440)


def test_a_sound_archive(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for name in ("beach/beach00", "river/river00", "river/river01"):
        draw_image(f"Images/{name}.tif")
        draw_mask(f"Labels/{name}.png", 17, dlrsd=True)
    report = check_archive(open_archive(tmp_path))
    assert report.problems == []
    assert report.trainable
    assert report.scenes == {"beach": 1, "river": 2}
    assert report.label_set == "dlrsd"
    assert report.remarks == [
        "16 classes occur in no mask (first airplane)",
        "by default the split leaves 3 images to train and 0 to test on: choose --test",
    ]


def test_tags_alone(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("beach/beach00", "beach/beach01", "river/river00"):
        draw_image(f"Images/{name}.tif")
    path = tmp_path / UCMERCED_TAGS
    path.write_text("IMAGE\tsea\tsand\ttanks\nbeach00\t1\t1\t0\nbeach01\t1\t0\t0\nriver00\t0\t0\t0\n")
    report = check_archive(open_archive(tmp_path))
    assert report.supervision == ["tags"]
    assert report.tags == {"sand": 1, "sea": 2, "tanks": 0}
    assert report.tags_per_image == 1.0  # (2 + 1 + 0) / 3
    assert report.trainable
    assert report.remarks == [
        "there are tags and no masks: training takes tags",
        "1 tag occurs at no image (tanks)",
        "by default the split leaves 3 images to train and 0 to test on: choose --test",
    ]
    path.write_text("IMAGE\tsea\tsand\nbeach00\t1\t1\nbaech01\t1\t0\nocean07\t0\t0\nriver00\t0\t0\n")
    report = check_archive(open_archive(tmp_path))
    assert report.images_without_tags == {"beach/beach01.tif": "is 'baech01' meant?"}
    assert report.tags_without_image == ["baech01", "ocean07"]
    assert report.problems == [
        "1 image has no line in the tags file (beach/beach01.tif: is 'baech01' meant?)",
    ]
    assert not report.trainable


def test_images_without_a_mask_may_have_tags(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for name in ("beach/beach00", "beach/beach01", "river/river00"):
        draw_image(f"Images/{name}.tif")
    draw_mask("Labels/beach/beach00.png", 17, dlrsd=True)
    path = tmp_path / UCMERCED_TAGS
    path.write_text("IMAGE\tsea\tsand\nbeach00\t1\t1\nbeach01\t1\t0\nriver00\t0\t1\n")
    report = check_archive(open_archive(tmp_path))
    assert report.supervision == ["masks", "tags"]
    assert report.problems == []
    assert report.remarks[0] == (
        "2 images have no mask (first beach/beach01.tif): training takes `--supervision mixed`, or tags alone"
    )
    path.write_text("IMAGE\tsea\tsand\nbeach00\t1\t1\nbeach01\t1\t0\n")
    report = check_archive(open_archive(tmp_path))
    assert report.problems == ["1 image has no mask and no tags (river/river00.tif)"]


def test_neither_masks_nor_tags(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("a.png")
    report = check_archive(open_archive(tmp_path))
    assert report.supervision == []
    assert report.problems == []
    assert not report.trainable
    assert "neither masks nor tags" in report.remarks[0]


def test_masks_that_are_void_all_over_are_no_training(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for number in range(5):
        draw_image(f"images/{number}.png")
        draw_mask(f"masks/{number}.png", 0)
    report = check_archive(open_archive(tmp_path, labels=THREE))
    assert report.problems == ["all 5 masks are void all over, the first is that of 0.png"]
    assert not report.trainable
    draw_mask("masks/3.png", 1)
    report = check_archive(open_archive(tmp_path, labels=THREE))
    assert report.trainable
    assert "4 masks are void all over (first 0.png)" in report.remarks


def test_masks_of_one_class_are_no_training_and_the_cure_is_told(
    tmp_path: Path, draw_image: Draw, draw_mask: Draw
) -> None:
    for number in range(5):
        draw_image(f"images/{number}.png")
        draw_mask(f"masks/{number}.png", 1)
    two = LabelSet("two", ("land", "water"), ids=(1, 2))
    (problem,) = check_archive(open_archive(tmp_path, labels=two)).problems
    assert problem.startswith("every labelled pixel of the masks is of class land: there is nothing to tell it from; ")
    assert problem.endswith("with --label-polygons, say --outside CLASS")


def test_one_image_alone_cannot_be_divided(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("images/a.png")
    draw_mask("masks/a.png")
    report = check_archive(open_archive(tmp_path, labels=THREE))
    assert report.problems == ["one image alone cannot be divided into a part to train on and a part to test on"]


def test_an_image_that_is_turned_on_its_mask(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for name in ("a.jpg", "b.jpg"):
        draw_image(f"images/{name}")
        draw_mask(f"masks/{Path(name).stem}.png")
    exif = Image.Exif()
    exif[274] = 3
    Image.new("RGB", (24, 20)).save(tmp_path / "images/b.jpg", exif=exif)
    report = check_archive(open_archive(tmp_path, labels=THREE))
    assert report.masks_of_other_orientation["b.jpg"].endswith(
        "masks/b.png: the mask has the orientation tag 1, its image has 3; wanted the same for both: pixels are taken "
        "as they are stored; turn the pixels as the tag says, and save them without it"
    )
    assert [line.partition(" (")[0] for line in report.problems] == [
        "1 mask has another orientation tag than its image"
    ]
    assert report.remarks[0].startswith("1 image: the file has the orientation tag 3 (to be shown turned by 180°)")
    assert not report.trainable


def test_json_is_complete_and_plain(archive_with_every_fault: Path) -> None:
    report = check_archive(open_archive(archive_with_every_fault, labels=THREE))
    content = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert content == report.to_json()
    assert content["trainable"] is False
    assert content["classes"][0] == {"name": "a", "pixels": 354, "share": 354 / 1440, "images": 1}
    assert len(content["problems"]) == 5
