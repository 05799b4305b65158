"""Characters that DejaVu Sans lacks are drawn with a font of the machine that has them, where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from rsir_tf.presentation import fonts
from rsir_tf.presentation.fonts import Face
from rsir_tf.presentation.text import font, wrap


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Give a function that says which fonts this machine has."""

    def has(*paths: object) -> None:
        fonts._covering.cache_clear()
        monkeypatch.setattr(fonts, "system_fonts", lambda: [str(path) for path in paths])

    yield has
    fonts._covering.cache_clear()


@pytest.fixture
def lakes(tmp_path: Path) -> Path:
    """A font whose only letter, for the lake 湖, is a full square."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000, isTTF=True)
    pen = pytest.importorskip("fontTools.pens.ttGlyphPen").TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 800), (1000, 800), (1000, 0)):
        pen.lineTo(point)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyphOrder([".notdef", "lake"])
    builder.setupCharacterMap({ord("湖"): "lake"})
    builder.setupGlyf({".notdef": square, "lake": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "lake": (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "lakes.ttf")
    return tmp_path / "lakes.ttf"


def drawn(face: Face, text: str) -> np.ndarray:
    picture = Image.new("RGB", (120, 40), (255, 255, 255))
    face.draw(ImageDraw.Draw(picture), (4, 4), text, (0, 0, 0))
    return np.asarray(picture)[..., 0]


def test_a_font_of_the_machine_helps_out(machine, lakes: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_text("no font")
    machine(tmp_path / "broken.ttf", lakes)
    face = font(20)
    assert face.getlength("湖湖") == 40
    assert face.getlength("a湖b") == pytest.approx(face.getlength("a") + 20 + face.getlength("b"))
    # Between the two letters stands the square: 20 pixels wide, and 16 high on the letters' base line.
    picture = drawn(face, "湖")
    rows, columns = np.nonzero(picture < 128)
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == (20, 16)
    letter, _ = np.nonzero(drawn(face, "H") < 128)
    assert rows.max() == letter.max()
    assert wrap("湖湖湖", face, 45, 5) == ["湖湖", "湖"]


def test_without_such_a_font_the_picture_is_as_it_was(machine, lakes: Path) -> None:
    machine()
    lone = drawn(font(20), "湖")
    picture = Image.new("RGB", (120, 40), (255, 255, 255))
    ImageDraw.Draw(picture).text((4, 4), "湖", (0, 0, 0), font(20).plain)
    np.testing.assert_array_equal(lone, np.asarray(picture)[..., 0])


def test_no_font_is_looked_for_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> list[str]:
        raise AssertionError("the machine's fonts were listed")

    fonts._covering.cache_clear()
    monkeypatch.setattr(fonts, "system_fonts", asked)
    assert font(13).getlength("Größe ≥ 3 αβγ Ж … →") > 0


def test_the_machines_fonts_are_listed() -> None:
    found = fonts.system_fonts()
    assert all(Path(path).is_file() for path in found)
