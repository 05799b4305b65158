"""What masks mean is said or proven, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsir_tf.archives import LabelSet, load_label_set, open_archive
from rsir_tf.archives.tags import UCMERCED_TAGS
from rsir_tf.errors import InputError

Draw = Callable[..., Path]
SEVEN = LabelSet("seven", tuple("abcdefg"), tuple(range(1, 8)))


@pytest.fixture
def rural(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> Path:
    """Own data in DLRSD's layout, with ids 1 to 7 that mean something else."""
    for number in range(3):
        draw_image(f"images/Rural/{number}.png")
        draw_mask(f"labels/Rural/{number}.png", (np.arange(480).reshape(20, 24) % 7 + 1).astype(np.uint8))
    return tmp_path


def test_a_layout_proves_nothing(rural: Path) -> None:
    with pytest.raises(InputError) as caught:
        open_archive(rural)
    assert str(caught.value) == (
        f"{rural}: has masks (labels/Rural), and nothing says what their values mean; in 3 of 3 masks there are the "
        "ids 1, 2, 3, 4, 5, 6, 7; wanted a label set; pass --labels FILE or the name of one that is shipped (dlrsd, "
        "dubai)"
    )
    # Search needs no masks.
    archive = open_archive(rural, need_labels=False)
    assert (archive.format, archive.label_set, len(archive)) == ("masks", None, 3)
    archive = open_archive(rural, labels=SEVEN)
    assert (archive.format, archive.label_set, archive.label_proof) == ("masks", SEVEN, "it was given")


def test_the_palette_proves_dlrsd(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    draw_image("Images/x/a.png")
    draw_mask("Labels/x/a.png", 17, dlrsd=True)
    archive = open_archive(tmp_path)
    assert (archive.format, archive.label_set) == ("dlrsd", load_label_set("dlrsd"))
    assert archive.label_proof == "the masks' palette has DLRSD's 17 colours at its ids"
    # One colour at another id: not DLRSD's palette.
    with Image.open(tmp_path / "Labels/x/a.png") as picture:
        palette = picture.getpalette()
        palette[3:6], palette[6:9] = palette[6:9], palette[3:6]
        picture.putpalette(palette)
        picture.save(tmp_path / "Labels/x/a.png")
    with pytest.raises(InputError, match="nothing says what their values mean"):
        open_archive(tmp_path)


def test_the_names_prove_dlrsd(rural: Path) -> None:
    names = [name.replace(" ", "-") for name in load_label_set("dlrsd").names]
    rows = [f"{number}\t" + "\t".join("1" * 17) for number in range(3)]
    (rural / UCMERCED_TAGS).write_text("\n".join(["IMAGE\t" + "\t".join(names), *rows]))
    archive = open_archive(rural)
    assert (archive.format, archive.label_proof) == ("dlrsd", "the tags are DLRSD's 17 names")


def test_labels_without_masks_are_not_ignored(tmp_path: Path, draw_image: Draw) -> None:
    path = draw_image("beach/a.png")
    for target in (tmp_path, path):
        with pytest.raises(InputError) as caught:
            open_archive(target, labels="dubai")
        assert (
            "a label set is given (dubai), but none of the image files (1) was recognised as a mask; wanted masks; say"
            in (str(caught.value))
        )


def test_patterns_say_it(tmp_path: Path, draw_image: Draw, draw_mask: Draw) -> None:
    for number in range(2):
        draw_image(f"a/{number}.png")
        draw_mask(f"b/{number}_x.png")
    archive = open_archive(tmp_path, labels=SEVEN, images="a/*.png", masks="b/*_x.png")
    assert [(record.id, record.mask, record.scene) for record in archive] == [
        ("a/0.png", tmp_path / "b/0_x.png", "a"),
        ("a/1.png", tmp_path / "b/1_x.png", "a"),
    ]
    alone = open_archive(tmp_path, images="a/*")
    assert [record.id for record in alone] == ["a/0.png", "a/1.png"]
    assert alone.left_out[0] == ("b/0_x.png", "--images a/* does not match it")
    with pytest.raises(InputError, match=r"--masks b/\*: is given without --images"):
        open_archive(tmp_path, masks="b/*")


def test_the_ids_of_many_kinds_of_masks_are_told(tmp_path: Path, draw_image: Draw) -> None:
    values = np.full((20, 24), -9999, np.int32)
    values[3] = 4
    draw_image("images/a.png")
    (tmp_path / "gt").mkdir()
    Image.fromarray(values).save(tmp_path / "gt/a.tif")
    with pytest.raises(InputError, match="in 1 of 1 masks there are the ids -9999, 4; wanted"):
        open_archive(tmp_path)
    colours = np.zeros((20, 24, 3), np.uint8)
    colours[2] = 255
    Image.fromarray(colours).save(tmp_path / "gt/a.tif")
    with pytest.raises(InputError, match="there are the colours #000000, #FFFFFF; wanted"):
        open_archive(tmp_path)
    many = np.arange(480, dtype="<u4").view(np.uint8).reshape(20, 24, 4)[..., :3]
    Image.fromarray(np.ascontiguousarray(many)).save(tmp_path / "gt/a.tif")
    with pytest.raises(InputError, match=r"a\.tif: is taken for a mask because of its name, but it holds 480 colours"):
        open_archive(tmp_path)
    (tmp_path / "gt/a.tif").write_text("text")
    with pytest.raises(InputError, match="nothing says what their values mean; none of them can be read"):
        open_archive(tmp_path)
