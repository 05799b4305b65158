"""Which files are images and which are masks: real data sets' ways of naming them, in a few files each."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from rsir_tf.archives.folder_names import is_plain, scenes_of
from rsir_tf.archives.pairing import find_pairs, pair_by_globs
from rsir_tf.errors import InputError


def files(*names: str) -> list[PurePosixPath]:
    return sorted(map(PurePosixPath, names), key=str)


def pairs(*names: str) -> dict[str, str | None]:
    pairing = find_pairs(files(*names))
    assert pairing is not None
    return {str(image.file): None if image.mask is None else str(image.mask) for image in pairing.images}


TWO = ("a", "b")

# Of each image and its mask, the names; `{}` is a or b.
LAYOUTS = {
    "images and masks": ("images/{}.jpg", "masks/{}.png"),
    "images and labels": ("Images/{}.tif", "Labels/{}.png"),
    "gt": ("images/{}.tif", "gt/{}.tif"),
    "gt beside sat": ("sat/{}.tif", "gt/{}.tif"),
    "targets with an affix": ("images/{}_post.png", "targets/{}_post_target.png"),
    "annotations": ("images/{}.jpg", "annotations/{}.png"),
    "masks_png": ("Train/Rural/images_png/{}.png", "Train/Rural/masks_png/{}.png"),
    "label-chips": ("image-chips/{}.tif", "label-chips/{}.tif"),
    "ann_dir": ("img_dir/train/{}.jpg", "ann_dir/train/{}.png"),
    "JPEGImages": ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
    "train_labels": ("train/{}.tiff", "train_labels/{}.tif"),
    "train_images": ("train_images/{}.tif", "train_labels/{}.tif"),
    "GID": ("image_RGB/{}.tif", "label_5classes/{}_label.tif"),
    "FloodNet": ("train/train-org-img/{}.jpg", "train/train-label-img/{}_lab.png"),
    "gts and a folder that says nothing": ("top/{}.tif", "gts_for_participants/{}.tif"),
    "labels inside the folder of images": ("area/{}.tif", "area/labels/{}.tif"),
    "masks inside the root": ("{}.tif", "masks/{}.tif"),
    "_sat and _mask": ("{}_sat.jpg", "{}_mask.png"),
    "_mask": ("{}.jpg", "{}_mask.png"),
    "_labels": ("x/{}.tif", "x/{}_labels.tif"),
    "_m": ("{}.png", "{}_m.png"),
    "_gt": ("{}.png", "{}_gt.png"),
    "_target": ("{}_img.png", "{}_target.png"),
    "Potsdam": ("top_potsdam_2_{}_RGB.tif", "top_potsdam_2_{}_label.tif"),
    "mask before": ("image_{}.png", "mask_{}.png"),
    ".mask": ("{}.png", "{}.mask.png"),
    "GroundTruth": ("Img/{}.png", "GroundTruth/{}.png"),
    "gtFine": ("leftImg8bit/x/{}_leftImg8bit.png", "annotation/x/{}_leftImg8bit.png"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    image, mask = LAYOUTS[layout]
    names = [pattern.format(name) for name in TWO for pattern in (image, mask)]
    assert pairs(*names) == {image.format(name): mask.format(name) for name in TWO}


def test_the_rule_is_told() -> None:
    def rule(*names: str) -> str:
        pairing = find_pairs(files(*names))
        assert pairing is not None
        return pairing.rule

    assert (
        rule("images/a.png", "gt/a.png")
        == "images lie in folder images, masks in folder gt, and a pair has equal names"
    )
    assert rule("images/a.png", "targets/a_target.png").endswith("a pair has equal names but for _target")
    assert (
        rule("a_sat.jpg", "a_mask.png")
        == "masks have _mask in their names, images _sat, and the rest of the name is equal"
    )
    assert (
        rule("top/a.tif", "gts/a.tif")
        == "masks lie in folder gts, images beside or above them, and a pair has equal names"
    )


@pytest.mark.parametrize(
    "names",
    [
        ("airplane/airplane00.tif", "beach/beach00.tif"),
        ("a.png", "b.png"),
        ("targets/a.png", "targets/b.png"),  # all there is: images of targets
        ("ground_track_field/1.jpg", "swimming_pool/2.jpg"),
        ("a_m.png", "a.png", "b_m.png", "c.png", "d.png"),  # _m means nothing where it is not everywhere
    ],
)
def test_no_masks(names: tuple[str, ...]) -> None:
    assert find_pairs(files(*names)) is None


def test_images_without_masks_masks_without_images_and_files_beside() -> None:
    pairing = find_pairs(files("images/a.png", "images/b.png", "gt/a.png", "gt/c.png", "overview.png"))
    assert pairing is not None
    assert {str(image.file): image.mask is not None for image in pairing.images} == {
        "images/a.png": True,
        "images/b.png": False,
    }
    assert pairing.orphans == (PurePosixPath("gt/c.png"),)
    assert pairing.others == (PurePosixPath("overview.png"),)


def test_names_that_look_equal_are_equal() -> None:
    # The same word with e and a combining accent, as macOS writes it, and with one letter.
    assert pairs("images/cafe\u0301.png", "masks/caf\u00e9.png") == {"images/cafe\u0301.png": "masks/caf\u00e9.png"}


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("images/a.png", "masks/a.png", "masks/a.tif"), "masks/a.png and masks/a.tif are masks of one image"),
        (("a.png", "a_mask.png", "a_label.png"), "are masks of one image"),
        (("A/1.png", "B/1.png", "label/1.png"), "label/1.png: may be the mask of A/1.png or of B/1.png"),
        (("images/a.png", "images/a_gt.png", "masks/a.png"), "two rules find masks, and they disagree"),
        (("tiles/a.png", "tiles/b.png", "gt/x_1.png"), "the folder gt has a name that folders of masks have"),
    ],
)
def test_what_is_not_clear_is_refused(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        find_pairs(files(*names))
    assert "--images GLOB" in str(caught.value)


def test_patterns() -> None:
    found = pair_by_globs(
        files("x/rgb/1.tif", "x/rgb/2.tif", "x/truth/1_class.png", "x/truth/3_class.png", "x/pan/1.tif"),
        "*/rgb/*.tif",
        "*/truth/*_class.png",
    )
    assert found is not None
    assert [(str(image.file), str(image.mask)) for image in found.images] == [
        ("x/rgb/1.tif", "x/truth/1_class.png"),
        ("x/rgb/2.tif", "None"),
    ]
    assert list(map(str, found.orphans)) == ["x/truth/3_class.png"]
    assert list(map(str, found.others)) == ["x/pan/1.tif"]
    deep = files("i/train/x/1.tif", "m/train/x/1.png", "i/2.tif", "m/2.png")
    for images, masks in (("i/**/*", "m/**/*"), ("i/**", "m/**"), ("./i/**/*.*", "m/**/*.png")):
        found = pair_by_globs(deep, images, masks)
        assert found is not None
        assert len(found.masks) == 2, images
    assert pair_by_globs(deep, "i/**", None) is None


@pytest.mark.parametrize(
    ("images", "masks", "words"),
    [
        ("z/*", "m/*", r"--images z/\*: matches none of the 2 image files \(the first is i/a.png\)"),
        ("i/*", "z/*", r"--masks z/\*: matches none of the 2"),
        ("**", "m/*", "m/b.png: matches --images .* and --masks"),
        ("i/*", "m/*", "no mask belongs to an image .of i/a.png the wildcards stand for a, of m/b.png for b"),
    ],
)
def test_patterns_that_do_not_fit(images: str, masks: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        pair_by_globs(files("i/a.png", "m/b.png"), images, masks)


def test_scenes_are_not_the_names_of_roles_and_splits() -> None:
    def scenes(*names: str) -> list[str | None]:
        return scenes_of([PurePosixPath(name).parts for name in names])

    assert scenes("beach/1.png", "river/2.png", "3.png") == ["beach", "river", None]
    assert scenes("train/1.png", "val/2.png") == [None, None]
    assert scenes("gt/1.png", "images_png/2.png", "train2017/3.png") == [None, None, None]
    assert scenes("beach/images/1.png", "river/images/2.png") == ["beach", "river"]
    assert scenes("train/beach/1.png", "val/river/2.png") == ["beach", "river"]
    assert scenes("airplane/1.png", "train/2.png") == ["airplane", "train"]  # a train may be a scene
    assert scenes("Tile 1/1.png", "Tile 2/1.png") == ["Tile 1", "Tile 2"]
    assert not is_plain("17")
