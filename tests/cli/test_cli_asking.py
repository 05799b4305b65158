"""query with lists of images, bad ones among them, a largest distance, and montages that must not cost a file."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from cli_pictures import picture
from PIL import Image

GOOD = ("fire/0.png", "lake/2.png", "lake/0.png")


@pytest.fixture
def asked(colours: Path, tmp_path: Path, server: str, command) -> tuple:
    """The options of a query of an index of `colours`."""
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    return ("--index", to, "--server", server)


def test_bad_images_among_several_cost_nobody_else_the_answer(
    colours: Path, tmp_path: Path, asked: tuple, command
) -> None:
    bad = [tmp_path / "text.png", tmp_path / "missing.png"]
    bad[0].write_text("no picture")
    images = [colours / GOOD[0], bad[0], colours / GOOD[1], bad[1], colours / GOOD[2]]
    alone = [json.loads(command("query", colours / name, *asked, "--json").out) for name in GOOD]
    for option in ("--json", "--jsonl"):
        ended = command("query", *images, *asked, option)
        assert ended.code == 1
        lines = ended.err.splitlines()
        assert [line.split(": ")[:2] for line in lines] == [["rsir-tf", str(path)] for path in bad]
        found = json.loads(ended.out) if option == "--json" else [json.loads(line) for line in ended.out.splitlines()]
        assert found == alone
    ended = command("query", *images, *asked)
    assert [line for line in ended.out.splitlines() if line.startswith("/")] == [str(colours / name) for name in GOOD]
    assert command("query", *bad, *asked, "--json").out == "[]\n"


def test_lists_of_images(colours: Path, tmp_path: Path, asked: tuple, command, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(colours / name) for name in GOOD]
    direct = command("query", *paths, *asked, "--jsonl").out
    for content in ("\r\n".join(paths), "\ufeff\n" + "\n\n".join(paths) + "\n", "\0".join(paths)):
        (tmp_path / "list.txt").write_bytes(content.encode())
        assert command("query", f"@{tmp_path / 'list.txt'}", *asked, "--jsonl").out == direct
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode())))
        assert command("query", "-", *asked, "--jsonl").out == direct
    # A list of one image is a list: programs get an array.
    (tmp_path / "list.txt").write_text(paths[0])
    assert len(json.loads(command("query", f"@{tmp_path / 'list.txt'}", *asked, "--json").out)) == 1
    ended = command("query", f"@{tmp_path / 'none.txt'}", *asked)
    assert (ended.code, ended.out) == (1, "")
    assert "none.txt: cannot be read: no such file or directory" in ended.err
    (tmp_path / "list.txt").write_text("\r\n")
    assert "list.txt: holds no path of an image" in command("query", f"@{tmp_path / 'list.txt'}", *asked).err
    # "./" tells an image whose name begins with @ from a list.
    shutil.copy(paths[0], tmp_path / "@odd.png")
    monkeypatch.chdir(tmp_path)
    assert command("query", "./@odd.png", *asked).code == 0


def test_hits_within_a_distance(colours: Path, asked: tuple, command) -> None:
    image = colours / "lake/2.png"
    everything = json.loads(command("query", image, *asked, "--json").out)["hits"]
    middle = everything[2]["distance"]  # After the two with equal pixels.
    for scheme in ("recnn", "recnn+"):
        line = ("query", image, *asked, "--scheme", scheme, "--json")
        hits = json.loads(command(*line).out)["hits"]
        reach = hits[2]["distance"]
        assert json.loads(command(*line, "--within", repr(reach)).out)["hits"] == hits[:3]
        assert json.loads(command(*line, "--within", repr(reach * (1 - 1e-9))).out)["hits"] == hits[:2]
        assert json.loads(command(*line, "--within", repr(reach), "--top", 1).out)["hits"] == hits[:1]
        assert json.loads(command(*line, "--within", "inf").out)["hits"] == hits
    assert middle > 0
    ended = command("query", image, *asked, "--within", 0)
    assert [row.split()[2] for row in ended.out.splitlines()[1:]] == ["lake/1.png", "lake/2.png"]
    for value in (-1, "nan"):
        ended = command("query", image, *asked, f"--within={value}")
        assert (ended.code, ended.out) == (2, "")


def test_an_empty_index_says_so(colours: Path, tmp_path: Path, server: str, command) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    (empty / "bad.png").write_text("no picture")
    to = tmp_path / "index"
    assert command("index", empty, "--to", to, "--server", server).code == 1  # Nothing could be indexed.
    ended = command("query", colours / GOOD[0], "--index", to, "--server", server)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"rsir-tf: {to}: the index is still empty; index an archive into it first\n"


def test_a_montage_does_not_cost_a_photograph(colours: Path, tmp_path: Path, asked: tuple, command) -> None:
    image, photograph = colours / GOOD[0], colours / GOOD[1]
    before = photograph.read_bytes()
    ended = command("query", image, *asked, "--montage", photograph)
    assert (ended.code, ended.out) == (1, "")
    assert f"{photograph}: exists already, and is not a picture that this program made" in ended.err
    assert photograph.read_bytes() == before
    ended = command("query", image, *asked, "--montage", tmp_path / "none" / "montage.png")
    assert (ended.code, ended.out) == (1, "")
    assert f"there is no folder {tmp_path / 'none'}" in ended.err
    assert command("query", image, *asked, "--montage", tmp_path / "montage.tif").code == 2
    montage = tmp_path / "montage.jpg"
    assert command("query", image, *asked, "--montage", montage).code == 0
    assert command("query", image, *asked, "--montage", montage).code == 0  # Its own it may replace.
    with Image.open(montage) as sheet:
        assert sheet.format == "JPEG"
    copy = Path(shutil.copy(photograph, tmp_path / "copy.png"))
    assert command("query", image, *asked, "--montage", copy, "--force").code == 0
    assert copy.read_bytes() != before


def test_a_name_with_a_line_break_stays_in_its_line(colours: Path, tmp_path: Path, server: str, command) -> None:
    (colours / "fire/0.png").rename(colours / "fire/0\n\x1b[31m.png")
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    line = ("query", colours / "fire/0\n\x1b[31m.png", colours / "fire/1.png", "--index", to, "--server", server)
    ended = command(*line, "--top", 2)
    assert "\x1b" not in ended.out
    assert "fire/0\\n\\x1b[31m.png" in ended.out.splitlines()[2]
    assert json.loads(command(*line, "--json").out)[0]["hits"][0]["id"] == "fire/0\n\x1b[31m.png"


def test_a_picture_that_the_reading_of_the_index_makes_dark_is_told(
    colours: Path, tmp_path: Path, server: str, command
) -> None:
    line = ("--stretch", 0, 3000, "--to", tmp_path / "index", "--server", server)
    assert command("index", colours, *line).code == 0
    new = picture(tmp_path / "new.png", (10, 200, 10), 5)
    line = ("--index", tmp_path / "index", "--server", server, "--json")
    ended = command("query", new, colours / GOOD[0], *line)  # The other one is an image of the index.
    assert (ended.code, len(json.loads(ended.out))) == (0, 2)
    assert ended.err == (
        f"{new}: holds 8-bit values and was read as the images of the index were (stretched from 0..3000), which makes "
        "it dark; to read it as it is, say --stretch 0 255\n"
    )
    assert command("query", new, *line, "--stretch", 0, 255).err == ""
