"""query with several examples together, and by what images show, with and without a query image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def asked(halves: Path, tmp_path: Path, server: str, command) -> tuple:
    """The index of three pictures with a red left half; the right one is blue, green and blue."""
    to = tmp_path / "index"
    assert command("index", halves, "--to", to, "--server", server).code == 0
    return ("--index", to)


def ids(ended) -> list[str]:
    assert ended.code == 0, ended.err
    return [hit["id"] for hit in json.loads(ended.out)["hits"]]


def test_marked_images_ask_without_a_model(asked: tuple, command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RSIR_TF_SERVER", raising=False)
    ended = command("query", *asked, "--like", "0.png", "--unlike", "1.png", "--json")
    assert (ids(ended), ended.err) == (["0.png", "2.png"], "")
    found = json.loads(ended.out)
    assert found["examples"] == {"likes": ["0.png"], "unlikes": ["1.png"], "method": "rocchio", "matches_with": "0.png"}
    assert found["scheme"] == "recnn+, 1 like and 1 unlike by rocchio"
    assert found["exact"]
    for method in ("rocchio", "classifier"):
        for scheme in ("recnn", "recnn+", "irm"):
            line = ("--like", "0.png", "--like", "2.png", "--scheme", scheme, "--method", method)
            assert ids(command("query", *asked, *line, "--json"))[2] == "1.png"
    table = command("query", *asked, "--like", "2.png", "--top", 1).out.splitlines()
    assert table[1].split()[2] == "2.png"


def test_images_that_ask_together(halves: Path, asked: tuple, server: str, command) -> None:
    files = [halves / "0.png", halves / "2.png"]
    line = (*asked, "--server", server, "--json")
    each = json.loads(command("query", *files, *line).out)
    assert [found["query"] for found in each] == [str(file) for file in files]  # one answer for each, as ever
    ended = command("query", *files, *line, "--together", "--scheme", "irm")
    assert ids(ended) == ids(
        command("query", *asked, "--like", "0.png", "--like", "2.png", "--scheme", "irm", "--json")
    )
    found = json.loads(ended.out)
    assert found["query"] == str(files[0])
    wanted = {"likes": [str(files[1])], "unlikes": [], "method": "rocchio", "matches_with": str(files[0])}
    assert found["examples"] == wanted
    marked = command("query", files[0], *line, "--like", "2.png", "--unlike", "1.png")
    assert ids(marked) == ["0.png", "2.png"]
    assert json.loads(marked.out)["scheme"] == "recnn+, 2 likes and 1 unlike by rocchio"


def test_a_montage_of_marked_images(asked: tuple, tmp_path: Path, server: str, command) -> None:
    target = tmp_path / "montage.png"
    line = (*asked, "--server", server, "--like", "0.png", "--like", "2.png", "--montage", target)
    found = json.loads(command("query", *line, "--json").out)
    assert Path(found["query"]).name == "0.png"
    assert found["scheme"] == "recnn+, 2 likes by rocchio"
    assert min(Image.open(target).size) > 64


def test_images_that_show_classes(halves: Path, asked: tuple, server: str, command) -> None:
    ended = command("query", *asked, "--shows", "red,green", "--json")
    assert ids(ended) == ["1.png"]
    found = json.loads(ended.out)
    assert found["shows"] == {"red": 0.0, "green": 0.0}
    assert found["hits"][0]["shares"] == {"red": 0.5, "green": 0.5}
    assert found["hits"][0]["distance"] == 0.5
    assert ids(command("query", *asked, "--shows", "blue", "--shows", "red", "--json")) == ["0.png", "2.png"]
    assert ids(command("query", *asked, "--share", "blue:0.5", "--json")) == ["0.png", "2.png"]
    table = command("query", *asked, "--share", "green:0.5").out.splitlines()
    assert "share of green" in table[0]
    assert table[1].split() == ["1", "0.5000", "1.png", "0.5000"]
    ended = command("query", *asked, "--share", "blue:0.6")
    assert ended.code == 0
    assert "no image of the index shows blue within the limits" in ended.err
    # As a filter of a query image and of marked images.
    image = (halves / "1.png", *asked, "--server", server)
    assert ids(command("query", *image, "--shows", "blue", "--json")) == ids(
        command("query", *asked, "--like", "1.png", "--metric", "l1", "--shows", "blue", "--json")
    )


def test_refused_examples_and_classes(halves: Path, asked: tuple, server: str, command) -> None:
    def refused(*line: object) -> tuple[int, str]:
        ended = command("query", *asked, *line)
        assert ended.out == ""
        return ended.code, " ".join(ended.err.replace("│", " ").split())

    for line, code, words in (
        (("--like", "0"), 1, "holds no image '0'; did you mean 0.png?"),
        (("--like", "lake"), 1, "holds no image 'lake'; check the id"),
        (("--like", "0.png", "--unlike", "0.png"), 1, "0.png: is marked as liked and as not liked; wanted each image"),
        (("--like", "0.png", "--like", "0.png"), 1, "0.png: is marked twice as liked"),
        (("--unlike", "0.png"), 1, "only examples that are not liked are given; wanted at least one that is liked"),
        (("--shows", "rad"), 1, "has no class 'rad'; wanted red, green, blue; did you mean red?"),
        (("--share", "red"), 2, "--share red: wanted CLASS:SHARE, such as dock:0.05"),
        (("--share", "red:2"), 1, "class 'red' is to cover 2.0 of an image; wanted a share from 0 to 1"),
        ((), 2, "images of the index by --like, or classes by --shows"),
        (("--together", "--like", "0.png"), 2, "--together is for several whole images"),
        (("--shows", "red", "--montage", "m.png"), 2, "there is no image to search with"),
        (("--shows", "red", "--scheme", "irm"), 2, "--scheme, --metric"),
        (("--like", "0.png", "--region", "1"), 2, "--region and --at: there is no image to search with"),
        (("--shows", "red", "--tags-overlap"), 2, "--tags-overlap without --like: there is no image to search with"),
    ):
        found = refused(*line)
        assert found[0] == code, found
        assert words in found[1]


def test_class_names_with_commas() -> None:
    from types import SimpleNamespace

    from rsir_tf.cli.example_options import ContentOptions

    names = ("dock", "ship", "roads, paved", "water: deep")
    index = SimpleNamespace(settings=SimpleNamespace(class_names=names))

    def parsed(shows=(), share=()):
        return ContentOptions(list(shows), list(share)).classes(index)

    assert parsed(["dock,ship"]) == {"dock": 0, "ship": 0}
    assert parsed(["dock, ship", "dock"]) == {"dock": 0, "ship": 0}
    assert parsed(["roads, paved"]) == {"roads, paved": 0}
    assert parsed(['dock,"roads, paved"']) == {"dock": 0, "roads, paved": 0}
    assert parsed(share=['"roads, paved":0.1', "roads, paved:0.2"]) == {"roads, paved": 0.2}
    assert parsed(["dock"], ["dock:0.05", "water: deep:0.5"]) == {"dock": 0.05, "water: deep": 0.5}
