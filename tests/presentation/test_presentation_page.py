"""The static page: well-formed, escaped, and its pictures found."""

from __future__ import annotations

import base64
import io
import math
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from rsir_tf.errors import InputError
from rsir_tf.evaluation import Evaluation, RankingMetrics, SceneConfusion
from rsir_tf.presentation import (
    Output,
    Picture,
    Section,
    ShownImage,
    Table,
    save_png,
    write_page,
    write_report,
)
from rsir_tf.presentation.comparison_page import ExtremeQueries, write_comparison_page

VOID_ELEMENTS = {"meta", "img", "br", "link"}
PIXELS = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


class Reader(HTMLParser):
    """Collects text, attributes and cells, and fails where an element is not closed by its own end."""

    def __init__(self):
        super().__init__()
        self.open, self.texts, self.images, self.cells = [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if tag == "td":
            self.cells.append([dict(attrs).get("class"), ""])
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] == "td":
            self.cells[-1][1] += data


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def test_everything_is_escaped_and_comes_back_as_it_was(tmp_path):
    nasty = "<script>alert('x')</script> & \"R&D\" </pre>"
    picture = tmp_path / "figures & plots" / "a b#1?.png"
    save_png(picture, PIXELS)
    content = [nasty, Output(nasty, nasty), Picture(picture, nasty, nasty), Table([nasty], [[nasty]], nasty)]
    page = write_page(tmp_path / "page.html", nasty, [Section(nasty, content)] * 3, lead=nasty)
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    reader = read(page)
    # Title, h1, lead; 3 links and 3 headings; paragraph, output, figure caption, table caption, head and cell each.
    whole = "".join(reader.texts)
    assert whole.count("<script>alert('x')</script>") == 3 + 6 + 3 * (1 + 2 + 1 + 3)
    assert reader.images[0]["alt"] == nasty
    assert (tmp_path / unquote(reader.images[0]["src"])).resolve() == picture
    assert not set(reader.images[0]["src"]) & set(" #?")  # A browser would read these as something else.


def test_names_of_files_and_scenes_are_never_markup(tmp_path):
    """What an archive may hold: a file and a scene class whose names are HTML, and a name that is no UTF-8."""
    name = '<img src=x onerror="alert(1)">'
    picture = tmp_path / f"{name.replace('/', '')}.png"
    save_png(picture, PIXELS)
    content = [Picture(picture, name, name), Table(["scene", "queries"], [[name, 3]], name), Output(name, name), name]
    page = write_page(tmp_path / "page.html", name, [Section(name, content), Section("\udcff", [])], lead=name)
    reader = read(page)
    # The page's own picture is the only one, and no attribute is of the name's making.
    assert [image.keys() for image in reader.images] == [{"src", "alt", "loading"}]
    assert reader.images[0]["alt"] == name
    assert (tmp_path / unquote(reader.images[0]["src"])).resolve() == picture
    # Title, h1, lead, heading, caption twice, cell, command, output and paragraph; fewer than three sections: no links.
    assert "".join(reader.texts).count(name) == 10


def test_a_comparison_of_such_names_has_a_page_and_a_report(tmp_path):
    scene = "<img src=x onerror=alert(1)>|a"
    confusion = SceneConfusion([scene, scene, "b", "b"])
    metrics = RankingMetrics()
    for query in range(4):
        confusion.add(query, np.array([0, 1, 2, 3]))
        metrics.add(np.array([True, False, True, False]), scene=scene if query < 2 else "b")
    evaluation = Evaluation(4, 4, "scene", "2ng", True, {"lbp": metrics.figures()}, details={"index": scene})
    write_report(tmp_path, evaluation, title=scene, remarks=[scene])
    shown = ShownImage(scene, PIXELS)
    page = write_comparison_page(
        tmp_path,
        evaluation,
        title=scene,
        confusion={"lbp": confusion},
        extremes=[ExtremeQueries("lbp", "best", [("AP 1", shown, [shown])], by_scene=True)],
        remarks=[scene],
        unread=[scene],
    )
    reader = read(page)
    sources = [image["src"] for image in reader.images]
    assert sources == ["precision_recall.png", "anmrr_by_scene.png", "confusion_lbp.png", "best_lbp.png"]
    assert "".join(reader.texts).count(scene) >= 5
    (tmp_path / "best_of_all.png").touch()  # Somebody else's.
    write_comparison_page(tmp_path, evaluation, title="t", confusion={}, extremes=[])
    assert {file.name for file in tmp_path.glob("*.png")} == {
        "precision_recall.png",
        "anmrr_by_scene.png",
        "scenes.png",
        "best_of_all.png",
    }
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "<img" not in text.replace("\\<img", "")
    assert "onerror=alert(1)>\\|a | 2 |" in text


def test_a_picture_given_as_pixels_is_in_the_page(tmp_path):
    page = write_page(tmp_path / "page.html", "t", [Section("s", [Picture(PIXELS, "ramp")])])
    source = read(page).images[0]["src"]
    prefix = "data:image/png;base64,"
    assert source.startswith(prefix)
    decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(source[len(prefix) :]))))
    np.testing.assert_array_equal(decoded, PIXELS)


def test_numbers_in_tables(tmp_path):
    table = Table(["name", "x", "n"], [["a", 0.12345, 54580], ["b", math.nan, 3]])
    cells = read(write_page(tmp_path / "page.html", "t", [Section("s", [table])])).cells
    assert cells == [
        [None, "a"],
        ["number", "0.123"],
        ["number", "54,580"],
        [None, "b"],
        ["number", "–"],
        ["number", "3"],
    ]


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    text = write_page(tmp_path / "page.html", "t", [Section("s", ["p"])]).read_text(encoding="utf-8")
    assert "http" not in text
    assert "prefers-color-scheme: dark" in text


def test_a_missing_picture_leaves_the_earlier_page(tmp_path):
    page = write_page(tmp_path / "page.html", "first", [])
    with pytest.raises(InputError, match="no such picture"):
        write_page(page, "second", [Section("s", [Picture(tmp_path / "none.png", "x")])])
    assert "first" in page.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
