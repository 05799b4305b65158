"""What pixels weigh, against the literal formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives.labels import VOID, LabelSet
from rsir_tf.archives.masks import write_mask
from rsir_tf.archives.records import Record
from rsir_tf.errors import InputError
from rsir_tf.rasters import FileSource
from rsir_tf.segmentation.data import PairReader
from rsir_tf.segmentation.losses import (
    count_pixels,
    median_frequency_weights,
    pixel_loss,
    require_labels,
    weigh_pixels,
)
from rsir_tf.segmentation.mask_supervision import MaskSupervision
from rsir_tf.segmentation.settings import TrainingSettings

LABELS = LabelSet("test", ("a", "b", "c"), (1, 2, 3), ((9, 0, 0), (0, 9, 0), (0, 0, 9)), ignore_ids=(0,))


def reader_of(folder: Path, masks: list[np.ndarray]) -> PairReader:
    records = []
    for i, mask in enumerate(masks):
        image, file = folder / f"{i}.png", folder / f"{i}_mask.png"
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(image)
        write_mask(file, mask.astype(np.uint8), LABELS)
        records.append(Record(image.name, FileSource(image), file))
    return PairReader(records, LABELS)


def test_the_loss_is_the_weighted_mean_over_labelled_pixels() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 4, 5, 3)).astype(np.float32)
    masks = random.choice([0, 1, 2, VOID], size=(2, 4, 5)).astype(np.int32)
    weights = np.array([0.5, 3.0, 0.0], np.float32)
    classes, pixel_weights = weigh_pixels(masks, weights)
    found = float(pixel_loss()(classes, logits, sample_weight=pixel_weights))
    total, labelled = 0.0, 0
    for place in np.ndindex(masks.shape):
        if masks[place] != VOID:
            logit = logits[place].astype(np.float64)
            total -= weights[masks[place]] * (logit[masks[place]] - np.log(np.exp(logit).sum()))
            labelled += 1
    assert 20 < labelled < 40
    assert found == pytest.approx(total / labelled, rel=1e-5)


def test_a_batch_that_is_void_all_over_costs_nothing() -> None:
    classes, weights = weigh_pixels(np.full((2, 3, 3), VOID, np.int32), np.ones(3, np.float32))
    assert float(pixel_loss()(classes, np.ones((2, 3, 3, 3), np.float32), sample_weight=weights)) == 0


def test_median_frequency_balancing_worked_out_by_hand(tmp_path: Path) -> None:
    first = np.zeros((16, 16))  # 256 of a
    second = np.zeros((16, 16))
    second[:4], second[8:] = 1, VOID  # 64 of b, 64 of a, 128 of void
    pixels, around = count_pixels(reader_of(tmp_path, [first, second]))
    np.testing.assert_array_equal(pixels, [320, 64, 0])
    np.testing.assert_array_equal(around, [256 + 128, 128, 0])
    # f_a = 320/384 = 5/6, f_b = 64/128 = 1/2, their median 2/3; c does not occur and does not count in the median.
    np.testing.assert_allclose(median_frequency_weights(pixels, around), [4 / 5, 4 / 3, 0], rtol=1e-6)


def test_root_weights_are_the_square_roots_of_balanced_ones(tmp_path: Path) -> None:
    first, second = np.zeros((16, 16)), np.zeros((16, 16))
    second[:4], second[8:] = 1, VOID
    records = reader_of(tmp_path, [first, second]).records
    # As above: balanced gives a = (320 / 384 + 64 / 128) / 2 / (320 / 384) = 0.8 and b = (…) / (64 / 128) = 4 / 3.
    settings = TrainingSettings(weights="none", class_weights="root")
    weights = MaskSupervision(LABELS, records, (), settings).record["class_weights"]
    assert weights == {"a": pytest.approx(0.8**0.5, rel=1e-5), "b": pytest.approx((4 / 3) ** 0.5, rel=1e-5), "c": 0}


def test_masks_that_are_void_all_over_are_refused(tmp_path: Path) -> None:
    void = np.full((16, 16), VOID)
    with pytest.raises(InputError, match=r"all 2 training masks are void all over, the first is .*0_mask\.png"):
        require_labels(reader_of(tmp_path, [void, void]))
    labelled = void.copy()
    labelled[3, 3] = 2
    require_labels(reader_of(tmp_path, [void, labelled]))
    binary = LabelSet("x", ("a", "b"), (0, 1))
    records = reader_of(tmp_path, [labelled, labelled]).records
    for record in records:
        write_mask(record.mask, np.zeros((16, 16), np.uint8), binary)
    reader = PairReader(records, binary)
    with pytest.raises(InputError, match="every labelled pixel of the training masks is of class a: there is nothing"):
        require_labels(reader)
