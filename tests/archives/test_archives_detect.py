from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import rsir_tf
from rsir_tf.archives import LabelSet, open_archive, read_mask
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource

Draw = Callable[..., Path]
ONE = LabelSet("one", ("a",), (1,))


def test_plain_folder(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("b.png", "harbor/a.tif", "harbor/deep/c.PNG", "airplane/z.jpg"):
        draw_image(name)
    (tmp_path / "readme.txt").write_text("not an image")
    draw_image(".hidden/x.png")
    draw_image("harbor/._a.tif.png")
    draw_image("__MACOSX/a.png")
    archive = open_archive(tmp_path)
    assert archive.format == "folder"
    assert archive.label_set is None
    assert [(record.id, record.scene) for record in archive] == [
        ("airplane/z.jpg", "airplane"),
        ("b.png", None),
        ("harbor/a.tif", "harbor"),
        ("harbor/deep/c.PNG", "deep"),
    ]
    assert all(record.source == FileSource(tmp_path / record.id) for record in archive)
    assert all(record.mask is None and record.tags is None and record.group is None for record in archive)


def test_ids_begin_below_a_lone_images_folder(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("Images/harbor/a.png")
    draw_image("Images/b.png")
    for root in (tmp_path, tmp_path / "Images"):
        archive = open_archive(root)
        assert [record.id for record in archive] == ["b.png", "harbor/a.png"]
        assert [record.scene for record in archive] == [None, "harbor"]
        assert archive.records[1].source.path == tmp_path / "Images/harbor/a.png"


def test_two_folders_of_the_same_names_are_remarked(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("x/a/1.png", "x/a/2.png", "x/b/1.jpg", "x/b/2.jpg", "c/3.png"):
        draw_image(name)
    archive = open_archive(tmp_path)
    assert len(archive) == 5
    assert archive.remarks == (
        "x/a and x/b hold files of the same names, and all are taken for images: if one holds masks, say it with "
        "--images 'x/a/*' --masks 'x/b/*', or the other way round",
    )


def test_a_single_image(draw_image: Draw, tmp_path: Path) -> None:
    path = draw_image("a.png")
    archive = open_archive(str(path))
    assert [(record.id, record.source, record.scene) for record in archive] == [("a.png", FileSource(path), None)]
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"is of type '\.txt'"):
        open_archive(tmp_path / "a.txt")


def test_dlrsd(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for name in ("airplane/airplane00", "airplane/airplane01", "beach/beach00"):
        draw_image(f"DLRSD/Images/{name}.tif")
        draw_mask(f"DLRSD/Labels/{name}.png", 17, dlrsd=True)
    archive = rsir_tf.open_archive(tmp_path / "DLRSD")
    assert archive.format == "dlrsd"
    assert archive.label_set is not None
    assert archive.label_set.name == "dlrsd"
    assert [record.id for record in archive] == [
        "airplane/airplane00.tif",
        "airplane/airplane01.tif",
        "beach/beach00.tif",
    ]
    assert [record.scene for record in archive] == ["airplane", "airplane", "beach"]
    assert {record.group for record in archive} == {None}
    assert archive.records[2].mask == tmp_path / "DLRSD/Labels/beach/beach00.png"
    # id 17 is the last of 17 classes
    assert (read_mask(archive.records[2].mask, archive.label_set) == 16).all()


def test_dlrsds_layout_with_another_label_set(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("Images/x/a.tif")
    draw_mask("Labels/x/a.png")
    assert open_archive(tmp_path, labels=ONE).label_set == ONE
    assert open_archive(tmp_path, labels="dubai").label_set.names[0] == "land"


def test_tiles(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for tile in ("Tile 1", "Tile 2"):
        draw_image(f"{tile}/images/part_001.jpg")
        draw_mask(f"{tile}/masks/part_001.png")
    draw_image("overview.png")  # lies in no pair: not an image of the archive
    archive = open_archive(tmp_path, labels=ONE)
    assert archive.format == "masks"
    assert [(record.id, record.group, record.scene) for record in archive] == [
        ("Tile 1/part_001.jpg", "Tile 1", None),
        ("Tile 2/part_001.jpg", "Tile 2", None),
    ]
    assert archive.records[1].mask == tmp_path / "Tile 2/masks/part_001.png"


@pytest.mark.parametrize(
    "names", [("images", "masks"), ("Images", "Labels"), ("IMAGES", "Masks"), ("images", "LABELS")]
)
def test_names_of_a_pair(tmp_path: Path, draw_image: Draw, draw_mask: Draw, names: tuple[str, str]) -> None:
    draw_image(f"{names[0]}/a.png")
    draw_mask(f"{names[1]}/a.tif")
    (record,) = open_archive(tmp_path, labels=ONE)
    assert (record.id, record.mask, record.group) == ("a.png", tmp_path / names[1] / "a.tif", None)


def test_masks_without_a_label_set(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("images/a.png")
    draw_mask("masks/a.png")
    with pytest.raises(
        InputError,
        match=r"has masks \(masks\).*in 1 of 1 masks there are the ids 1; wanted a label set; pass --labels.*dlrsd",
    ):
        open_archive(tmp_path)
    # Images/ and Labels/ without class folders is not DLRSD: nothing says that its ids are DLRSD's.
    draw_image("flat/Images/a.png")
    draw_mask("flat/Labels/a.png")
    with pytest.raises(InputError, match="pass --labels"):
        open_archive(tmp_path / "flat")


def test_images_without_mask_and_masks_without_image(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("t1/images/a.png")
    draw_image("t1/images/lonely.png")
    draw_mask("t1/masks/a.png")
    draw_mask("t1/masks/stray.png")
    draw_image("t2/images/b.png")  # its masks were never copied
    draw_mask("t3/masks/c.png")  # its images were never copied
    archive = open_archive(tmp_path, labels=ONE)
    assert [(record.id, record.mask is not None) for record in archive] == [
        ("t1/a.png", True),
        ("t1/lonely.png", False),
        ("t2/b.png", False),
    ]
    assert sorted(archive.orphan_masks) == [tmp_path / "t1/masks/stray.png", tmp_path / "t3/masks/c.png"]


def test_two_masks_of_one_image(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("images/a.png")
    draw_mask("masks/a.png")
    draw_mask("masks/a.tif")
    with pytest.raises(InputError, match=r"masks/a.png and masks/a.tif are masks of one image"):
        open_archive(tmp_path, labels=ONE)


def test_scenes_inside_a_pair_and_pairs_inside_splits(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for part in ("train", "val"):
        draw_image(f"{part}/images/city/a.png")
        draw_mask(f"{part}/masks/city/a.png")
    assert [(record.id, record.group, record.scene) for record in open_archive(tmp_path, labels=ONE)] == [
        ("train/city/a.png", "train", "city"),
        ("val/city/a.png", "val", "city"),
    ]


def test_ids_stay_unique(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    # Without the images part both would be x/y/a.png.
    draw_image("x/images/y/a.png", value=1)
    draw_mask("x/masks/y/a.png")
    draw_image("x/y/images/a.png", value=2)
    draw_mask("x/y/masks/a.png")
    archive = open_archive(tmp_path, labels=ONE)
    assert [record.id for record in archive] == ["x/images/y/a.png", "x/y/images/a.png"]
    assert [record.mask for record in archive] == [tmp_path / "x/masks/y/a.png", tmp_path / "x/y/masks/a.png"]


def test_a_scene_that_is_called_images(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    # The outermost pair counts; what is inside it may have any name.
    for scene in ("beach", "images"):
        draw_image(f"images/{scene}/a.png")
        draw_mask(f"masks/{scene}/a.png")
    _, record = open_archive(tmp_path, labels=ONE)
    assert (record.id, record.scene, record.mask) == ("images/a.png", "images", tmp_path / "masks/images/a.png")


def test_images_train_and_gt_are_no_scenes_where_that_is_all_there_is(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("train/a.png", "val/b.png"):
        draw_image(name)
    archive = open_archive(tmp_path)
    assert [(record.id, record.scene) for record in archive] == [("train/a.png", None), ("val/b.png", None)]
    assert archive.understood == "a folder of images; folders called train, val are no scenes"


def test_text_labels_beside_images_are_no_masks(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("images/a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 1 1")
    archive = open_archive(tmp_path)
    assert (archive.format, [record.id for record in archive]) == ("folder", ["a.png"])


def test_missing_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such archive; wanted a folder of images; check the path"):
        open_archive(tmp_path / "none")
    with pytest.raises(InputError, match=r"no images here \(it is empty\)"):
        open_archive(tmp_path)
    for number in range(3):
        (tmp_path / f"{number}.jp2").touch()
    (tmp_path / "README").touch()
    with pytest.raises(InputError, match=r"holds 3 files with \.jp2, 1 file with no ending\); wanted \.bmp, \.jpeg"):
        open_archive(tmp_path)


def test_links_are_followed_once(tmp_path: Path, draw_image: Draw) -> None:
    draw_image("store/a.png")
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/scene").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "store/loop").symlink_to(tmp_path / "archive", target_is_directory=True)
    assert [record.id for record in open_archive(tmp_path / "archive")] == ["scene/a.png"]


def test_order_is_by_id_not_by_the_disk(tmp_path: Path, draw_image: Draw) -> None:
    for name in ("b/10.png", "a-b/1.png", "a/2.png", "b/9.png", "a.png", "B/1.png"):
        draw_image(name)
    ids = [record.id for record in open_archive(tmp_path)]
    assert ids == ["B/1.png", "a-b/1.png", "a.png", "a/2.png", "b/10.png", "b/9.png"]
    assert ids == sorted(ids)
