"""What training sees: crops, augmentation, order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.masks import write_mask
from rsir_tf.archives.records import Record
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource
from rsir_tf.segmentation.augmentation import augment
from rsir_tf.segmentation.crops import Augmentation
from rsir_tf.segmentation.data import (
    Crops,
    PairReader,
    plan_epoch,
    training_dataset,
    validation_crops,
    validation_dataset,
)

LABELS = LabelSet("test", tuple("abcde"), (1, 2, 3, 4, 5), ((9, 0, 0), (0, 9, 0), (0, 0, 9), (9, 9, 0), (9, 9, 9)))


@pytest.fixture
def reader(tmp_path: Path) -> PairReader:
    """Two images whose red channel is 40 × class index: image and mask can be compared after any augmentation."""
    records = []
    for i, (height, width) in enumerate([(96, 160), (40, 50)]):
        classes = np.random.default_rng(i).integers(0, 5, (height // 8, width // 8 + 1)).astype(np.uint8)
        classes = classes.repeat(8, 0).repeat(8, 1)[:height, :width]
        image = np.zeros((height, width, 3), np.uint8)
        image[..., 0] = classes * 40
        Image.fromarray(image).save(tmp_path / f"{i}.png")
        write_mask(tmp_path / f"{i}_mask.png", classes, LABELS)
        records.append(Record(f"{i}.png", FileSource(tmp_path / f"{i}.png"), tmp_path / f"{i}_mask.png"))
    return PairReader(records, LABELS)


def test_an_epoch_covers_the_archives_pixels_once() -> None:
    # 17 crops: with batches of 4 the nearest multiple is 16.
    plan = plan_epoch([15, 2], Crops(32, 4), seed=0, epoch=0)
    assert len(plan) == 16
    assert set(np.bincount(plan[:, 0])) <= {14, 15, 1, 2}
    assert len(plan_epoch([15], Crops(32, 4, per_epoch=100), seed=0, epoch=0)) == 100
    assert len(plan_epoch([1], Crops(32, 8), seed=0, epoch=0)) == 8, "a batch larger than the archive repeats it"


def test_crops_cover_images_with_masks_once_and_others_are_seen_whole(reader: PairReader) -> None:
    # 96·160 / 32² = 15, 40·50 / 32² = 1.95 → 2.
    assert reader.crops(32) == [15, 2]
    assert [reader.frame(index, 32) for index in (0, 1)] == [32, 32]
    bare = PairReader([replace(r, mask=None) for r in reader.records], LABELS, without_masks=True)
    assert bare.crops(32) == [1, 1]
    assert [bare.frame(index, 32) for index in (0, 1)] == [160, 50], "the longer side"
    # What lies beyond the shorter side is mirrored: a tag is nowhere missing, and the crop is as wide as the image.
    crops = Crops(160, 2, 0, Augmentation.none())
    ((images, masks),) = training_dataset(bare, crops, seed=0, epoch=0).as_numpy_iterator()
    wide = bare.records[0].source.read()
    crop = next(image for image in images if np.array_equal(image[:96], wide))
    np.testing.assert_array_equal(crop[96:], wide[95:31:-1])
    assert (masks == VOID).all()
    assert (bare.read(1)[1] == VOID).all()
    with pytest.raises(InputError, match="2 of 2 images have no mask"):
        PairReader(bare.records, LABELS)


def test_the_plan_depends_on_seed_and_epoch_alone() -> None:
    counts, crops = [39] * 3, Crops(32, 4)
    first = plan_epoch(counts, crops, 5, 2)
    np.testing.assert_array_equal(first, plan_epoch(counts, crops, 5, 2))
    assert (first != plan_epoch(counts, crops, 5, 3)).any()
    assert (first != plan_epoch(counts, crops, 6, 2)).any()


def test_batches_repeat_and_image_and_mask_stay_together(reader: PairReader) -> None:
    plain = Augmentation(scale=(1.0, 1.0), flips=True, turns=True, brightness=0, contrast=0, saturation=0)
    crops = Crops(32, 4, augmentation=plain)
    batches = list(training_dataset(reader, crops, seed=1, epoch=0).as_numpy_iterator())
    assert len(batches) == 4
    for (images, masks), (again, _) in zip(
        batches, training_dataset(reader, crops, seed=1, epoch=0).as_numpy_iterator(), strict=True
    ):
        np.testing.assert_array_equal(images, again)
        assert images.dtype == np.float32
        assert masks.dtype == np.int32
        # Nothing is resized at scale 1, so the red channel spells the class exactly.
        np.testing.assert_array_equal(images[..., 0], masks * 40)
    changed = next(training_dataset(reader, crops, seed=1, epoch=1).as_numpy_iterator())[0]
    assert (changed != batches[0][0]).any()


def test_scaled_masks_hold_classes_alone(reader: PairReader) -> None:
    crops = Crops(32, 4, augmentation=Augmentation(scale=(0.5, 2.0)))
    for images, masks in training_dataset(reader, crops, seed=0, epoch=0).as_numpy_iterator():
        assert set(np.unique(masks)) <= {0, 1, 2, 3, 4, VOID}
        assert images.min() >= 0
        assert images.max() <= 255


def test_what_lies_beyond_a_small_image_is_void_in_the_mask(reader: PairReader) -> None:
    small = PairReader(reader.records[1:], LABELS)
    crops = Crops(64, 1, augmentation=Augmentation.none())
    images, masks = next(training_dataset(small, crops, seed=0, epoch=0).as_numpy_iterator())
    image, mask = small.read(0)
    np.testing.assert_array_equal(masks[0, :40, :50], mask)
    assert (masks[0, 40:] == VOID).all()
    assert (masks[0, :, 50:] == VOID).all()
    # Mirrored: row 40 is row 39 again, column 50 is column 49.
    np.testing.assert_array_equal(images[0, 40, :50], image[39])
    np.testing.assert_array_equal(images[0, :40, 50], image[:, 49])


def test_every_position_of_a_square_occurs_and_nothing_else() -> None:
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    mask = np.arange(16, dtype=np.uint8).reshape(4, 4)
    turns_only = Augmentation(scale=(1, 1), brightness=0, contrast=0, saturation=0)
    seen = {augment(image, mask, 4, turns_only, tf.constant(i, tf.int64))[1].numpy().tobytes() for i in range(80)}
    symmetric = {
        np.ascontiguousarray(np.rot90(view, k)).astype(np.int32).tobytes()
        for view in (mask, mask[:, ::-1])
        for k in range(4)
    }
    assert seen == symmetric


def test_colour_varies_within_its_range() -> None:
    image, mask = np.full((8, 8, 3), 100, np.uint8), np.zeros((8, 8), np.uint8)
    brightness = Augmentation(scale=(1, 1), flips=False, turns=False, brightness=0.1, contrast=0, saturation=0)
    values = [float(augment(image, mask, 8, brightness, tf.constant(i, tf.int64))[0][0, 0, 0]) for i in range(60)]
    # 100 ± 25.5, spread out.
    assert 74.5 <= min(values) < 80
    assert 120 < max(values) <= 125.5


def test_crops_look_for_labelled_pixels(tmp_path: Path) -> None:
    # Labelled only in one corner.
    classes = np.full((256, 256), VOID, np.uint8)
    classes[:32, :32] = 1
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(tmp_path / "a.png")
    labels = LabelSet("void", LABELS.names, LABELS.ids, LABELS.colours, ignore_ids=(0,))
    write_mask(tmp_path / "m.png", classes, labels)
    reader = PairReader([Record("a.png", FileSource(tmp_path / "a.png"), tmp_path / "m.png")], labels)
    crops = Crops(32, 4, per_epoch=64, augmentation=Augmentation.none())
    masks = np.concatenate([masks for _, masks in training_dataset(reader, crops, seed=0, epoch=0).as_numpy_iterator()])
    # A crop's corner is one of 225² places, 32² of which show a label: 2%. One of 16 draws does in 1 − 0.98¹⁶ = 28%.
    assert (masks != VOID).any(axis=(1, 2)).mean() > 0.12


def test_validation_windows_cover_all_and_thin_out_by_seed(reader: PairReader) -> None:
    cells = validation_crops(reader, 64, 0, seed=0)
    # 96×160: rows start at 0 and 32, columns at 0, 64, 96; 40×50: one.
    assert cells == [(0, 0, 0), (0, 0, 64), (0, 0, 96), (0, 32, 0), (0, 32, 64), (0, 32, 96), (1, 0, 0)]
    assert validation_crops(reader, 64, 3, seed=0) == validation_crops(reader, 64, 3, seed=0)
    assert set(validation_crops(reader, 64, 3, seed=0)) < set(cells)
    images, masks = next(validation_dataset(reader, cells, 64, 8).as_numpy_iterator())
    np.testing.assert_array_equal(images[4, ..., 0], masks[4] * 40)
    np.testing.assert_array_equal(masks[4], reader.read(0)[1][32:96, 64:128])


def test_kept_pairs_are_read_once(reader: PairReader) -> None:
    keeping = PairReader(reader.records, LABELS, keep=True)
    first = keeping.read(0)
    reader.records[0].source.path.unlink()
    assert keeping.read(0)[0] is first[0]


@pytest.mark.parametrize("size", [0, 31, 100])
def test_crops_that_the_network_cannot_halve_are_refused(size: int) -> None:
    with pytest.raises(InputError, match="multiple of 32"):
        Crops(size)


def test_images_without_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 1 images have no mask, the first is lost\.png"):
        PairReader([Record("lost.png", FileSource(tmp_path / "lost.png"))], LABELS)
