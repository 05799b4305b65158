"""Writing masks: palettes, what could not be read back, a full disk, and round trips."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_samples import BOTH, COLOURS, IDS, drawn_classes, save
from PIL import Image

from rsir_tf.archives import (
    VOID,
    LabelSet,
    load_label_set,
    read_mask,
    write_mask,
)
from rsir_tf.errors import ArtifactError, InputError


@pytest.fixture
def classes() -> np.ndarray:
    return drawn_classes()


@pytest.mark.parametrize("label_set", [IDS, COLOURS, BOTH], ids=lambda label_set: label_set.name)
def test_writing_gives_a_palette_png_that_reads_back(tmp_path: Path, classes: np.ndarray, label_set: LabelSet) -> None:
    written = np.where((classes == 2) & (len(label_set.names) == 2), 0, classes).astype(np.uint8)
    write_mask(tmp_path / "m.png", written, label_set)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", label_set), written)
    with Image.open(tmp_path / "m.png") as picture:
        assert picture.mode == "P"
        rgb = np.asarray(picture.convert("RGB"))
    known = written != VOID
    np.testing.assert_array_equal(rgb[known], np.array(label_set.colours, np.uint8)[written[known]])


def test_dlrsd_masks_hold_ids_1_to_17(tmp_path: Path) -> None:
    dlrsd = load_label_set("dlrsd")
    classes = (np.arange(480).reshape(20, 24) % 17).astype(np.uint8)
    write_mask(tmp_path / "m.png", classes, dlrsd)
    with Image.open(tmp_path / "m.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), classes + 1)
        assert picture.getpalette()[3 * 17 : 3 * 18] == [0, 255, 255]  # water


def test_writing_refuses_what_could_not_be_read(tmp_path: Path) -> None:
    good = np.zeros((20, 24), np.uint8)
    with pytest.raises(InputError, match=r"is int64 \[20, 24\]; wanted uint8 \[H, W\]"):
        write_mask(tmp_path / "m.png", good.astype(np.int64), IDS)
    with pytest.raises(InputError, match=r"holds the class index 3 \(480 pixels\); wanted 0 to 2, or 255 for void"):
        write_mask(tmp_path / "m.png", good + np.uint8(3), IDS)
    with pytest.raises(InputError, match="void has no id"):
        write_mask(tmp_path / "m.png", good + np.uint8(VOID), load_label_set("dlrsd"))
    with pytest.raises(InputError, match="has the id 300; wanted at most 255"):
        write_mask(tmp_path / "m.png", good, LabelSet("wide", ("a",), (300,)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full stands in for a full disk")
def test_writing_on_a_full_disk() -> None:
    with pytest.raises(ArtifactError, match="no space left"):
        write_mask(Path("/dev/full"), np.zeros((20, 24), np.uint8), IDS)


@settings(max_examples=40)
@given(st.data())
def test_round_trip_of_any_label_set(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 255), label="classes")
    by_colour = data.draw(st.booleans(), label="by colour")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    rng = np.random.default_rng(seed)
    ids = tuple(map(int, rng.permutation(256)))
    codes = rng.choice(1 << 24, 256, replace=False)
    colours = tuple((int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in codes)
    label_set = LabelSet(
        "drawn",
        tuple(f"class {index}" for index in range(count)),
        None if by_colour else ids[:count],
        colours[:count],
        () if by_colour else ids[count : count + 1],
        colours[count : count + 1],
    )
    classes = rng.integers(0, count + 1, (17, 19))
    classes = np.where(classes == count, VOID, classes).astype(np.uint8)
    path = tmp_path_factory.mktemp("masks") / "m.png"
    write_mask(path, classes, label_set)
    np.testing.assert_array_equal(read_mask(path, label_set), classes)
    # The same picture as RGB says the same by colour.
    with Image.open(path) as picture:
        picture.convert("RGB").save(path.with_name("rgb.png"))
    np.testing.assert_array_equal(read_mask(path.with_name("rgb.png"), label_set), classes)


def test_large_colour_masks_are_quick(tmp_path: Path) -> None:
    classes = np.kron(np.random.default_rng(0).integers(0, 3, (60, 70)), np.ones((30, 30), int))[:1800, :2000]
    values = np.array(COLOURS.colours, np.uint8)[classes]
    path = save(tmp_path / "m.png", values, compress_level=1)

    def best(action: object) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            action()  # type: ignore[operator]
            times.append(time.perf_counter() - start)
        return min(times)

    decode = best(lambda: np.asarray(Image.open(path)))
    total = best(lambda: read_mask(path, COLOURS))
    # 30 ms beyond decoding where nothing else runs; the bound leaves room for a busy machine, and still tells a lookup
    # from a Python loop or a comparison of three bands with every class.
    assert total < decode * 2 + 0.25
