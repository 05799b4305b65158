"""query, asking a served toy model: whole images, one region, several images, both directions, pictures."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from cli_pictures import picture
from PIL import Image


def test_query_as_json(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    image = colours / "lake/2.png"
    for scheme in ("recnn", "recnn+"):
        ended = command("query", image, "--index", to, "--server", server, "--scheme", scheme, "--json")
        assert (ended.code, ended.err) == (0, "")
        found = json.loads(ended.out)
        assert list(found) == [
            *("query", "scheme", "scheme_options", "ranking", "exact", "without_place", "regions", "hits")
        ]
        assert (found["query"], found["scheme"], found["exact"]) == (str(image), scheme, True)
        hits = found["hits"]
        keys = ["rank", "id", "distance", "scene", "tags", "path", "address", "problem", "place", "matches"]
        assert all(list(hit) == keys for hit in hits)
        # The two with equal pixels are at distance 0 and in order of id; then the other lake, then the fires.
        assert [(hit["rank"], hit["id"], hit["distance"]) for hit in hits[:2]] == [
            (1, "lake/1.png", 0.0),
            (2, "lake/2.png", 0.0),
        ]
        assert hits[2]["id"] == "lake/0.png"
        assert 0 < hits[2]["distance"] < hits[3]["distance"]
        assert [hit["scene"] for hit in hits] == ["lake"] * 3 + ["fire"] * 2
        # All pixels are bluest: one region, which matches the one region of each hit.
        wanted = [1] * 5 if scheme == "recnn" else [0] * 5
        assert [len(hit["matches"]) for hit in hits] == wanted
        one = {"region": 0, "class": "blue", "box": [0, 0, 32, 32]}
        assert found["regions"] == [{**one, "area": 32 * 32}]
        if scheme == "recnn":
            assert hits[2]["matches"] == [{"query_region": 0, **one, "distance": hits[2]["distance"]}]


def test_query_with_one_region(halves: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", halves, "--to", to, "--server", server).code == 0
    line = ("query", halves / "0.png", "--index", to, "--server", server, "--json")
    # Regions are numbered by their first pixel: the red half is 0, the blue one 1.
    both = json.loads(command(*line, "--scheme", "recnn").out)
    assert [region["class"] for region in both["regions"]] == ["red", "blue"]
    assert [region["box"] for region in both["regions"]] == [[0, 0, 32, 32], [0, 32, 32, 64]]
    picked = json.loads(command(*line, "--region", 1).out)
    assert (picked["scheme"], picked["regions"]) == ("recnn", [both["regions"][1]])
    assert picked == json.loads(command(*line, "--at", 40, 3).out)  # x = 40 is in the right half
    first, second, third = picked["hits"]
    assert (first["id"], second["id"], third["id"]) == ("0.png", "2.png", "1.png")
    assert first["matches"] == [
        {"query_region": 1, "region": 1, "distance": 0.0, "class": "blue", "box": [0, 32, 32, 64]}
    ]
    assert second["matches"][0]["class"] == "blue"
    # The picture without blue shares no class with the region, though it does with the image.
    shared = json.loads(command(*line, "--at", 40, 3, "--tags-overlap").out)
    assert [hit["id"] for hit in shared["hits"]] == ["0.png", "2.png"]
    ended = command(*line[:-1], "--region", 0, "--montage", tmp_path / "montage.png")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--region", 2), 1, "0.png: has no region 2; wanted 0 to 1"),
        (("--region", -1), 1, "has no region -1"),
        (("--at", 64, 0), 1, "0.png: has no point (64, 0); wanted x below 64 and y below 32"),
        (("--at", 0, 32), 1, "has no point (0, 32)"),
        (("--region", 0, "--at", 1, 1), 2, "both --region and --at"),
        (("--region", 0, "--scheme", "recnn+"), 2, "one region is picked under scheme recnn+; wanted scheme recnn"),
        (("--direction", "both"), 2, "direction is 'both' for recnn+; wanted query; or scheme recnn"),
        (
            ("--direction", "both", "--scheme", "recnn+"),
            2,
            "direction is 'both' for recnn+; wanted query; or scheme recnn",
        ),
    ],
)
def test_regions_that_cannot_be_asked_with(
    halves: Path, tmp_path: Path, server: str, command, options: tuple, code: int, words: str
) -> None:
    to = tmp_path / "index"
    assert command("index", halves, "--to", to, "--server", server).code == 0
    ended = command("query", halves / "0.png", "--index", to, "--server", server, *options)
    assert (ended.code, ended.out) == (code, "")
    assert words in " ".join(ended.err.replace("│", " ").split())


def test_one_region_is_picked_once_and_under_its_scheme() -> None:
    from rsir_tf.errors import InputError
    from rsir_tf.workflows import query_image

    # Before index and model are looked at.
    with pytest.raises(InputError, match=r"both region 0 and the point \(1, 2\) are picked; wanted one of them"):
        query_image(Path("any.png"), None, None, scheme="recnn", region=0, at=(1, 2))
    with pytest.raises(InputError, match=r"under scheme recnn\+; wanted scheme recnn"):
        query_image(Path("any.png"), None, None, region=0)


def test_query_in_both_directions(halves: Path, tmp_path: Path, server: str, command) -> None:
    lone = picture(tmp_path / "lone.png", (200, 10, 10), 0)  # the left half of 0.png
    to = tmp_path / "index"
    assert command("index", halves, "--to", to, "--server", server).code == 0
    line = ("query", lone, "--index", to, "--server", server, "--scheme", "recnn", "--json")
    there = {hit["id"]: hit["distance"] for hit in json.loads(command(*line).out)["hits"]}
    both = {hit["id"]: hit["distance"] for hit in json.loads(command(*line, "--direction", "both").out)["hits"]}
    # There is a red region everywhere, but the other regions of an image have no like in the query.
    assert set(there) == set(both)
    assert all(both[image] > there[image] for image in there)


def test_several_queries_at_once(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    images = [colours / "lake/2.png", colours / "fire/0.png"]
    line = ("--index", to, "--server", server, "--top", 3)
    alone = [json.loads(command("query", image, *line, "--json").out) for image in images]
    together = command("query", *images, *line, "--json")
    assert (together.code, together.err) == (0, "")
    assert json.loads(together.out) == alone
    tables = [command("query", image, *line).out for image in images]
    ended = command("query", *images, *line)
    assert ended.out == "".join(f"{image}\n{table}\n" for image, table in zip(images, tables, strict=True))
    ended = command("query", *images, *line, "--montage", tmp_path / "montage.png")
    assert ended.code == 2
    assert command("query", *images, *line, "--region", 0).code == 2


def test_what_was_answered_before_an_error_is_kept(
    colours: Path, tmp_path: Path, server: str, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsir_tf.workflows import querying

    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    monkeypatch.setattr(querying, "IMAGES_AT_ONCE", 1)
    (tmp_path / "none.png").write_text("no picture")
    line = ("query", colours / "fire/0.png", tmp_path / "none.png", "--index", to, "--server", server)
    ended = command(*line, "--json")
    assert (ended.code, ended.err.count("\n")) == (1, 1)
    assert [found["query"] for found in json.loads(ended.out)] == [str(colours / "fire/0.png")]


def test_query_as_a_table_with_a_montage(archive: Path, index: Path, tmp_path: Path, server: str, command) -> None:
    image = archive / "Images/harbor/harbor01.tif"
    montage = tmp_path / "montage.png"
    ended = command("query", image, "--index", index, "--server", server, "--top", 3, "--montage", montage)
    assert ended.code == 0
    assert ended.err == f"wrote {montage}\n"
    lines = ended.out.splitlines()
    assert lines[0].split() == ["rank", "distance", "id", "tags"]
    assert len(lines) == 4
    assert lines[1].split()[:3] == ["1", "0.0000", "harbor/harbor01.tif"]
    assert "water" in lines[1]
    with Image.open(montage) as sheet:
        # The query and three hits, side by side or below each other, each drawn larger than it is.
        assert sheet.mode == "RGB"
        assert sheet.width * sheet.height > 4 * 64 * 64


def test_a_montage_that_cannot_be_written_does_not_cost_the_answer(
    archive: Path, index: Path, tmp_path: Path, server: str, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    image = archive / "Images/harbor/harbor01.tif"
    where = tmp_path / "montage.png"
    ended = command("query", image, "--index", index, "--server", server, "--json", "--montage", where)
    assert ended.code == 1
    assert ended.err.startswith(f"rsir-tf: {where}: cannot be written")
    assert ended.err.count("\n") == 1
    assert json.loads(ended.out)["hits"][0]["distance"] == 0


def test_hits_whose_pictures_are_missing_are_named(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    query = shutil.copy(colours / "fire/1.png", tmp_path / "query.png")
    line = ("query", query, "--index", to, "--server", server, "--top", 3)
    whole = command(*line, "--paths")
    assert whole.out.splitlines()[1].split() == ["1", "0.0000", "fire/1.png", str(colours / "fire/1.png")]
    hits = json.loads(command(*line, "--json").out)["hits"]
    assert [(hit["path"], hit["problem"]) for hit in hits][:1] == [(str(colours / "fire/1.png"), None)]
    (colours / "fire/0.png").unlink()
    picture(colours / "fire/1.png", (10, 10, 10))
    os.utime(colours / "lake/0.png", ns=(1, 1))  # touched, with the same pixels
    ended = command(*line, "--montage", tmp_path / "montage.png")
    assert ended.code == 0
    assert [row.split("  ")[-1].strip() for row in ended.out.splitlines()] == [
        "problem", "has changed since it was indexed", "no such file", "lake/0.png",
    ]  # fmt: skip
    assert ended.err.splitlines() == [
        f"2 of 3 hits are not what was indexed ({colours / 'fire/1.png'}: has changed since it was indexed); "
        "if the archive has been moved, name its folder by --root, or index it again",
        f"wrote {tmp_path / 'montage.png'}",
        f"not drawn: fire/1.png: {colours / 'fire/1.png'}: has changed since it was indexed",
        f"not drawn: fire/0.png: {colours / 'fire/0.png'}: no such file",
    ]
    found = json.loads(command(*line, "--json").out)["hits"]
    assert [hit["problem"] for hit in found] == ["has changed since it was indexed", "no such file", None]


def test_a_moved_archive_is_named_for_a_query(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    shutil.move(colours, tmp_path / "moved")
    line = ("query", tmp_path / "moved/fire/0.png", "--index", to, "--server", server, "--top", 2)
    ended = command(*line, "--montage", tmp_path / "montage.png")
    assert ended.code == 1
    assert (tmp_path / "montage.png").exists()
    assert "shows none of the hits: their pictures are missing; if the archive has been moved" in ended.err
    ended = command(*line, "--montage", tmp_path / "again.png", "--root", tmp_path / "moved", "--json")
    assert (ended.code, ended.err) == (0, f"wrote {tmp_path / 'again.png'}\n")
    assert json.loads(ended.out)["hits"][0]["path"] == str(tmp_path / "moved/fire/0.png")
    ended = command(*line, "--root", "other=.")
    assert "has no archive named 'other'; wanted ''" in ended.err
