"""Reading masks: ids, palettes and colours, and what is refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from mask_samples import BOTH, COLOURS, IDS, drawn_classes, save
from PIL import Image

from rsir_tf.archives import (
    VOID,
    LabelSet,
    MaskOrientationError,
    MaskSizeError,
    MaskValueError,
    load_label_set,
    read_mask,
)
from rsir_tf.errors import InputError

tifffile = pytest.importorskip("tifffile")


@pytest.fixture
def classes() -> np.ndarray:
    return drawn_classes()


def literal_ids(classes: np.ndarray, label_set: LabelSet, void: int) -> np.ndarray:
    """Pixel by pixel, the id that stands for each class."""
    ids = label_set.ids or ()
    return np.array([[void if value == VOID else ids[value] for value in row] for row in classes], dtype=np.uint16)


def literal_colours(classes: np.ndarray, label_set: LabelSet) -> np.ndarray:
    """Pixel by pixel, the colour that stands for each class."""
    void = label_set.ignore_colours[0]
    rows = [[void if value == VOID else label_set.colours[value] for value in row] for row in classes]
    return np.array(rows, dtype=np.uint8)


@pytest.mark.parametrize("void", [0, 255])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_masks_are_ids(tmp_path: Path, classes: np.ndarray, void: int, suffix: str) -> None:
    path = save(tmp_path / f"m{suffix}", literal_ids(classes, IDS, void).astype(np.uint8))
    mask = read_mask(path, IDS, (20, 24))
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, classes)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_ids(tmp_path: Path, classes: np.ndarray, suffix: str) -> None:
    wide = LabelSet("wide", ("a", "b", "c"), (300, 65535, 9), ignore_ids=(256,))
    path = save(tmp_path / f"m{suffix}", literal_ids(classes, wide, 256))
    np.testing.assert_array_equal(read_mask(path, wide), classes)


def test_32_bit_ids_and_values_beyond_every_label_set(tmp_path: Path, classes: np.ndarray) -> None:
    values = literal_ids(classes, IDS, 0).astype(np.int32)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.tif", values), IDS), classes)
    for odd in (-1, 65536, 65536 + 5):  # the last is id 5 to a table that wraps around
        values[3, 4] = odd
        with pytest.raises(MaskValueError, match="row 3, column 4"):
            read_mask(save(tmp_path / "m.tif", values), IDS)


def test_palette_masks_of_ids_alone_are_read_by_index(tmp_path: Path, classes: np.ndarray) -> None:
    two = classes % 2
    picture = Image.fromarray(two + np.uint8(1))
    ids_alone = LabelSet("ids alone", BOTH.names, BOTH.ids)
    # The colours that a label set without any is given say nothing, though this palette swaps them.
    picture.putpalette([0, 0, 0, *ids_alone.colours[1], *ids_alone.colours[0]])
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", ids_alone), two)


def test_a_palette_that_contradicts_ids_is_refused_with_both(tmp_path: Path, classes: np.ndarray) -> None:
    two = classes % 2
    picture = Image.fromarray(two + np.uint8(1))
    # As a program leaves it that orders palettes by frequency: index 1 has the colour of class b.
    picture.putpalette([0, 0, 0, 40, 50, 60, 10, 20, 30])
    picture.save(tmp_path / "m.png")
    with pytest.raises(
        MaskValueError, match="1 is a in label set both, and the palette gives it #28323C, the colour of b"
    ):
        read_mask(tmp_path / "m.png", BOTH)
    # Where the label set has colours alone, they decide; the file is read right.
    colours = LabelSet("colours", BOTH.names, None, BOTH.colours)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", colours), 1 - two)
    # An index that is no id, in a class's colour, is a contradiction too.
    picture = Image.fromarray(two + np.uint8(3))
    picture.putpalette([0] * 9 + [10, 20, 30, 40, 50, 60])
    picture.save(tmp_path / "m.png")
    with pytest.raises(
        MaskValueError, match="3 is none of its ids in label set both, and the palette gives it #0A141E"
    ):
        read_mask(tmp_path / "m.png", BOTH)


@pytest.mark.parametrize("kind", ["agrees", "ramp", "one colour", "other colours"])
def test_palettes_that_do_not_contradict_ids(tmp_path: Path, classes: np.ndarray, kind: str) -> None:
    two = classes % 2
    picture = Image.fromarray(two + np.uint8(1))
    palettes = {
        "agrees": [0, 0, 0, 10, 20, 30, 40, 50, 60],
        "ramp": [level for level in range(256) for _ in range(3)],
        "one colour": [10, 20, 30] * 3,
        "other colours": [1, 2, 3, 68, 1, 84, 253, 231, 37],
    }
    picture.putpalette(palettes[kind])
    picture.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", BOTH), two)


@pytest.mark.parametrize("bits", [2, 8])
def test_palette_masks_with_colours_are_read_by_colour(tmp_path: Path, classes: np.ndarray, bits: int) -> None:
    # Palette order b, void, a, c: not the order of the classes.
    palette = [*COLOURS.colours[1], *COLOURS.ignore_colours[0], *COLOURS.colours[0], *COLOURS.colours[2]]
    index_of = {1: 0, VOID: 1, 0: 2, 2: 3}
    picture = Image.fromarray(np.vectorize(index_of.get)(classes).astype(np.uint8))
    picture.putpalette(palette)
    picture.save(tmp_path / "m.png", bits=bits)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", COLOURS), classes)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_colour_masks(tmp_path: Path, classes: np.ndarray, suffix: str) -> None:
    path = save(tmp_path / f"m{suffix}", literal_colours(classes, COLOURS))
    np.testing.assert_array_equal(read_mask(path, COLOURS, (20, 24)), classes)


def test_colour_masks_of_a_set_with_both(tmp_path: Path, classes: np.ndarray) -> None:
    two = np.where(classes == 2, VOID, classes)
    path = save(tmp_path / "m.png", literal_colours(two, BOTH))
    np.testing.assert_array_equal(read_mask(path, BOTH), two)


def test_opaque_alpha_is_fine_and_transparency_is_not(tmp_path: Path, classes: np.ndarray) -> None:
    alpha = np.full((20, 24, 1), 255, np.uint8)
    values = np.concatenate([literal_colours(classes, COLOURS), alpha], axis=2)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", values), COLOURS), classes)
    values[5, 6:9, 3] = 0
    with pytest.raises(InputError, match="transparent in 3 pixels"):
        read_mask(save(tmp_path / "m.png", values), COLOURS)


def test_grey_masks_of_a_set_of_colours_are_grey_colours(tmp_path: Path) -> None:
    black_white = LabelSet("bw", ("ground", "building"), None, ((0, 0, 0), (255, 255, 255)))
    values = np.random.default_rng(0).integers(0, 2, (20, 24)).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", values * np.uint8(255)), black_white), values)
    Image.fromarray(values.astype(bool)).save(tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.mode == "1"
    np.testing.assert_array_equal(read_mask(tmp_path / "one.png", black_white), values)


def test_one_bit_ids_are_0_and_1(tmp_path: Path) -> None:
    binary = LabelSet("binary", ("ground", "building"), (0, 1))
    values = np.random.default_rng(0).integers(0, 2, (20, 24)).astype(np.uint8)
    Image.fromarray(values.astype(bool)).save(tmp_path / "one.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "one.png", binary), values)


@pytest.mark.parametrize("bits", [2, 4])
def test_few_bits_of_grey_are_not_stretched(tmp_path: Path, bits: int) -> None:
    # A PNG by hand (PNG specification, section 11): 16 rows, each a filter byte and 16 packed samples.
    # Decoders that stretch grey to 0..255 turn id 1 into 85 or 17, and 17 is an id of DLRSD's.
    per_byte = 8 // bits
    samples = np.arange(256).reshape(16, 16) % (2**bits - 1) + 1
    shifts = np.arange(per_byte)[::-1] * bits
    packed = (samples.reshape(16, -1, per_byte) << shifts).sum(axis=2).astype(np.uint8)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    (tmp_path / "m.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, bits, 0, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed)))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", load_label_set("dlrsd")), samples - 1)


def test_ids_are_never_shifted(tmp_path: Path) -> None:
    # A mask that holds ids 1..16 of DLRSD's 1..17: a reader that takes the smallest value for class 0, or the largest
    # for class 16, is wrong on one of these two.
    for first in (1, 2):
        values = (np.arange(480).reshape(20, 24) % 16 + first).astype(np.uint8)
        np.testing.assert_array_equal(read_mask(save(tmp_path / "m.png", values), load_label_set("dlrsd")), values - 1)


def test_unknown_id_names_value_count_and_place(tmp_path: Path) -> None:
    values = np.full((20, 24), 5, np.uint8)
    values[7, 3] = values[8, 0] = values[19, 23] = 77
    values[9, 9] = 78
    path = save(tmp_path / "m.png", values)
    with pytest.raises(MaskValueError) as caught:
        read_mask(path, IDS)
    assert f"{path}: has the id 77 in 3 pixels, first at row 7, column 3, and 1 more" in str(caught.value)
    assert "wanted what label set ids names" in str(caught.value)


def test_dlrsd_has_no_background(tmp_path: Path) -> None:
    values = np.ones((20, 24), np.uint8)
    values[0, 0] = 0
    with pytest.raises(MaskValueError, match="has the id 0 in 1 pixels, first at row 0, column 0"):
        read_mask(save(tmp_path / "m.png", values), load_label_set("dlrsd"))


def test_unknown_colour_names_value_count_and_place(tmp_path: Path, classes: np.ndarray) -> None:
    values = literal_colours(classes, COLOURS)
    values[2, 5] = values[4, 4] = (1, 2, 255)
    with pytest.raises(MaskValueError, match=r"colour #0102FF in 2 pixels, first at row 2, column 5;"):
        read_mask(save(tmp_path / "m.png", values), COLOURS)


def test_unknown_palette_colour_and_index_beyond_the_palette(tmp_path: Path) -> None:
    values = np.zeros((20, 24), np.uint8)
    picture = Image.fromarray(values)
    picture.putpalette([*COLOURS.colours[0], 9, 9, 9])
    picture.save(tmp_path / "m.png", bits=8)
    assert (read_mask(tmp_path / "m.png", COLOURS) == 0).all()  # an unused entry does no harm
    values[3, 2] = 1
    picture = Image.fromarray(values)
    picture.putpalette([*COLOURS.colours[0], 9, 9, 9])
    picture.save(tmp_path / "m.png", bits=8)
    with pytest.raises(MaskValueError, match=r"colour #090909 in 1 pixels, first at row 3, column 2"):
        read_mask(tmp_path / "m.png", COLOURS)


def test_jpeg_masks_say_what_happened(tmp_path: Path) -> None:
    values = np.zeros((32, 32, 3), np.uint8)
    values[:, 5:] = COLOURS.colours[1]
    with pytest.raises(MaskValueError, match="JPEG changes colours"):
        read_mask(save(tmp_path / "m.jpg", values), COLOURS)


def test_other_size_names_both(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.ones((20, 24), np.uint8))
    with pytest.raises(MaskSizeError, match="the mask is 24×20 pixels; wanted 30×20, as its image"):
        read_mask(path, IDS, (20, 30))


@pytest.mark.parametrize(("mode", "words"), [("CMYK", "is CMYK"), ("LA", "has two bands .grey with alpha.")])
def test_other_kinds(tmp_path: Path, mode: str, words: str) -> None:
    Image.new("L", (24, 20), 1).convert(mode).save(tmp_path / "m.tif")
    for label_set in (IDS, COLOURS):
        with pytest.raises(InputError, match=f"the mask {words}"):
            read_mask(tmp_path / "m.tif", label_set)


def test_white_may_be_zero(tmp_path: Path, classes: np.ndarray) -> None:
    values = literal_ids(classes, IDS, 0).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", values, photometric="miniswhite")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", IDS), classes)
    # Where colours count, they are those that are shown: the value 0 is white.
    black_white = LabelSet("bw", ("ground", "building"), (0, 1), ((0, 0, 0), (255, 255, 255)))
    two = values % 2
    tifffile.imwrite(tmp_path / "m.tif", two * np.uint8(255), photometric="miniswhite")
    by_colour = LabelSet("by colour", black_white.names, None, black_white.colours)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", by_colour), 1 - two)
    tifffile.imwrite(tmp_path / "m.tif", two, photometric="miniswhite")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", black_white), two)


def test_three_equal_bands_are_ids_where_there_are_ids_alone(tmp_path: Path, classes: np.ndarray) -> None:
    values = literal_ids(classes, IDS, 0).astype(np.uint8)
    path = save(tmp_path / "m.png", np.stack([values] * 3, axis=2))
    np.testing.assert_array_equal(read_mask(path, IDS), classes)
    picture = np.stack([values] * 3, axis=2)
    picture[4, 5, 1] += 1
    with pytest.raises(MaskValueError, match=r"is a picture of colours \(RGB\), and label set ids has ids alone"):
        read_mask(save(path, picture), IDS)


def test_a_quarter_turn_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.ones((20, 24), np.uint8))
    with pytest.raises(
        MaskSizeError, match="the mask is 24×20 pixels; wanted 20×24, as its image; turn one of them by a"
    ):
        read_mask(path, IDS, (24, 20))


@pytest.mark.parametrize("orientation", [3, 4, 6])
def test_image_and_mask_have_one_orientation(tmp_path: Path, classes: np.ndarray, orientation: int) -> None:
    values = literal_ids(classes, IDS, 0).astype(np.uint8)
    path = tmp_path / "m.tif"
    tifffile.imwrite(path, values, extratags=[(274, 3, 1, orientation, True)])
    np.testing.assert_array_equal(read_mask(path, IDS, (20, 24), orientation=orientation), classes)
    with pytest.raises(
        MaskOrientationError, match=f"has the orientation tag {orientation}, its image has 1; wanted the same"
    ):
        read_mask(path, IDS, (20, 24), orientation=1)


def test_wide_grey_is_no_colour(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="16 bits a sample"):
        read_mask(save(tmp_path / "m.png", np.ones((20, 24), np.uint16)), COLOURS)


def test_damaged(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="damaged or cut off"):
        read_mask(path, IDS)
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "none.png", IDS)
