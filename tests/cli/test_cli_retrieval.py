"""index, query, evaluate and info, asking a served toy model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bad_pictures import MESSAGES, write_bad_pictures
from PIL import Image

from rsir_tf.serving.client import ServedModel


def picture(path: Path, colour: tuple[int, int, int], seed: int = 0) -> Path:
    """A picture of 32 pixels a side whose pixels are all near one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 20, (32, 32, 3))
    Image.fromarray((np.array(colour) + noise).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Two scenes that the toy model tells apart, and a pair with equal pixels."""
    for number in range(2):
        picture(tmp_path / f"colours/fire/{number}.png", (200, 10, 10), number)
        picture(tmp_path / f"colours/lake/{number}.png", (10, 10, 200), number)
    shutil.copy(tmp_path / "colours/lake/1.png", tmp_path / "colours/lake/2.png")
    return tmp_path / "colours"


def refuse_to_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> None:
        raise AssertionError("the model was asked")

    monkeypatch.setattr(ServedModel, "_predict_group", asked)


def test_index_prints_its_path_and_goes_on_where_it_was(
    colours: Path, tmp_path: Path, server: str, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = tmp_path / "index"
    ended = command("index", colours, "--to", to, "--server", server)
    assert (ended.code, ended.out) == (0, f"{to}\n")
    assert ended.err.splitlines()[-1] == (
        "5 images in the index: 4 added, 1 with known content, 0 unchanged, 0 removed, 0 skipped"
    )
    refuse_to_predict(monkeypatch)
    ended = command("index", colours, "--to", to, "--server", server, "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "index": str(to), "images": 5, "added": 0, "reused": 0, "unchanged": 5, "removed": 0, "skipped": {},
        "dropped": [],
    }  # fmt: skip
    (colours / "fire/0.png").unlink()
    ended = command("index", colours, "--to", to, "--server", server, "--prune", "--json")
    assert json.loads(ended.out)["images"] == 4
    assert json.loads(ended.out)["removed"] == 1


def test_the_server_may_be_named_by_the_environment(
    colours: Path, tmp_path: Path, server: str, command, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("index", colours, "--to", tmp_path / "index")
    ended = command(*line)
    assert ended.code == 2
    assert "--server HOST:PORT" in ended.err
    monkeypatch.setenv("RSIR_TF_SERVER", server)
    assert command(*line).code == 0


def test_two_models_at_once_are_bad_usage(colours: Path, tmp_path: Path, server: str, toy: Path, command) -> None:
    ended = command("index", colours, "--to", tmp_path / "index", "--server", server, "--saved-model", toy)
    assert ended.code == 2
    assert "both --server and --saved-model" in ended.err


def test_query_as_json(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    image = colours / "lake/2.png"
    for scheme in ("recnn", "recnn+"):
        ended = command("query", image, "--index", to, "--server", server, "--scheme", scheme, "--json")
        assert (ended.code, ended.err) == (0, "")
        found = json.loads(ended.out)
        assert list(found) == ["query", "scheme", "exact", "regions", "hits"]
        assert (found["query"], found["scheme"], found["exact"]) == (str(image), scheme, True)
        hits = found["hits"]
        assert all(list(hit) == ["rank", "id", "distance", "scene", "tags", "matches"] for hit in hits)
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
        if scheme == "recnn":
            one = {"region": 0, "class": "blue", "box": [0, 0, 32, 32]}
            assert found["regions"] == [{**one, "area": 32 * 32}]
            assert hits[2]["matches"] == [{"query_region": 0, **one, "distance": hits[2]["distance"]}]
        else:
            assert found["regions"] == []


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Pictures with a red left half and another right half; the toy model gives each half a region of its own."""
    for number, colour in enumerate([(10, 10, 200), (10, 200, 10), (10, 10, 190)]):
        path = picture(tmp_path / f"halves/{number}.png", (200, 10, 10), number)
        left = np.asarray(Image.open(path))
        right = np.asarray(Image.open(picture(tmp_path / "right.png", colour, number)))
        Image.fromarray(np.concatenate([left, right], axis=1)).save(path)
    return tmp_path / "halves"


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
        (("--region", 0, "--scheme", "recnn+"), 2, "ask under --scheme recnn"),
        (("--direction", "both"), 2, "--direction both is for --scheme recnn"),
        (("--direction", "both", "--scheme", "recnn+"), 2, "--direction both is for --scheme recnn"),
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


def test_a_damaged_index_is_repaired_and_filled_again(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    line = ("index", colours, "--to", to, "--server", server)
    assert command(*line, "--repair").code == 0  # nothing is there yet, nothing is to be repaired
    whole = json.loads(command("query", colours / "lake/0.png", "--index", to, "--server", server, "--json").out)
    (to / "segments/000001/recnn_plus.npy").unlink()
    ended = command(*line)
    assert ended.code == 1
    assert "recnn_plus.npy: is missing; restore it from a copy, or run rsir-tf index with --repair" in ended.err
    ended = command(*line, "--repair", "--json")
    assert ended.code == 0
    ids = ["fire/0.png", "fire/1.png", "lake/0.png", "lake/1.png", "lake/2.png"]
    assert json.loads(ended.out)["dropped"] == [{"segment": "000001", "images": 5, "ids": ids}]
    assert ended.err.splitlines()[0] == (
        "dropped damaged segment 000001 with 5 images, to be indexed again: " + ", ".join(ids)
    )
    assert json.loads(ended.out)["added"] == 4
    again = command("query", colours / "lake/0.png", "--index", to, "--server", server, "--json")
    assert json.loads(again.out) == whole


def test_merging_takes_removed_images_off_the_disk(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    line = ("index", colours, "--to", to, "--server", server)
    assert command(*line).code == 0
    (colours / "fire/0.png").unlink()
    picture(colours / "fire/2.png", (180, 0, 0))
    assert command(*line, "--prune", "--merge").code == 0
    (segment,) = (to / "segments").iterdir()
    found = json.loads(command("info", to, "--json").out)
    assert [(each["name"], each["images"], each["removed"]) for each in found["segments"]] == [(segment.name, 5, [])]


def test_query_as_a_table_with_a_montage(archive: Path, index: Path, tmp_path: Path, server: str, command) -> None:
    image = archive / "Images/harbor/harbor01.tif"
    montage = tmp_path / "pictures" / "montage.png"
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
    archive: Path, index: Path, tmp_path: Path, server: str, command
) -> None:
    (tmp_path / "file").touch()
    image = archive / "Images/harbor/harbor01.tif"
    where = tmp_path / "file" / "montage.png"
    ended = command("query", image, "--index", index, "--server", server, "--json", "--montage", where)
    assert ended.code == 1
    assert ended.err.startswith(f"rsir-tf: {where}: cannot be written")
    assert ended.err.count("\n") == 1
    assert json.loads(ended.out)["hits"][0]["distance"] == 0


def test_evaluate(colours: Path, tmp_path: Path, server: str, command) -> None:
    to, report = tmp_path / "index", tmp_path / "report"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    ended = command("evaluate", to, "--json", "--report", report)
    assert ended.code == 0
    assert ended.err == f"wrote {report}\n"
    found = json.loads(ended.out)
    assert (found["queries"], found["archive"]) == (5, 5)
    assert list(found["schemes"]) == ["recnn", "recnn+"]
    for figures in found["schemes"].values():
        # Each query has its own scene before the other: nothing is missed, precision is 1 up to full recall.
        assert (figures["anmrr"], figures["map"], figures["pr_curve"]) == (0, 1, [1] * 11)
        # Three queries with 3 relevant of the first 5, two with 2; there are no 10 images.
        assert figures["p_at_5"] == pytest.approx((3 * 3 / 5 + 2 * 2 / 5) / 5)
        assert figures["p_at_10"] is figures["p_at_20"] is figures["p_at_50"] is None
    assert {file.name for file in report.iterdir()} == {
        "report.csv", "report.json", "report.md", "precision_recall.png", "scenes.png",
    }  # fmt: skip
    assert json.loads((report / "report.json").read_text())["schemes"] == found["schemes"]
    ended = command("evaluate", to, "--scheme", "recnn")
    assert ended.out.splitlines()[0] == "5 queries, 5 images ranked, relevant: same scene"
    assert ended.out.splitlines()[2].split() == ["recnn", "0.0000", "1.0000", "0.5200", "–", "–", "–"]
    assert len(ended.out.splitlines()) == 3


def test_evaluate_in_both_directions_and_with_the_coarse_filter(
    halves: Path, tmp_path: Path, server: str, command
) -> None:
    for number in range(3):
        (halves / f"scene {number % 2}").mkdir(exist_ok=True)
        (halves / f"{number}.png").rename(halves / f"scene {number % 2}" / f"{number}.png")
    picture(halves / "scene 1/lone.png", (10, 200, 10))
    to = tmp_path / "index"
    assert command("index", halves, "--to", to, "--server", server).code == 0
    line = ("evaluate", to, "--scheme", "recnn", "--json")
    plain, both, filtered = (
        json.loads(command(*line, *options).out) for options in ((), ("--direction", "both"), ("--tags-overlap",))
    )
    assert plain["schemes"] != both["schemes"]
    # Scene 0 has 0 and 2, red and blue; scene 1 has 1, red and green, and the lone green one. Green shares nothing with
    # red and blue: wherever it was ranked for them, it is last now, and they are last for it.
    assert filtered["schemes"]["recnn"]["map"] >= plain["schemes"]["recnn"]["map"]
    settings = [each["details"] for each in (plain, both, filtered)]
    assert [each["recnn direction"] for each in settings] == ["query", "both", "query"]
    assert [each["images that share no class"] for each in settings] == ["ranked", "ranked", "last"]


def test_evaluate_refuses(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    ended = command("evaluate", to, "--relevance", "tags")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"rsir-tf: {to}: its images have no tags; use --relevance scene\n"
    ended = command("evaluate", to, "--report", colours)
    assert ended.code == 1
    assert "holds files, but no report; wanted a new folder or an earlier report; choose another name" in ended.err
    ended = command("evaluate", colours)
    assert ended.code == 1
    assert ended.err.startswith(f"rsir-tf: {colours}: no index here")


def test_bad_images_are_skipped_and_listed(colours: Path, tmp_path: Path, server: str, command) -> None:
    write_bad_pictures(colours / "bad")
    to = tmp_path / "index"
    ended = command("index", colours, "--to", to, "--server", server, "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["images"] == 5
    assert list(found["skipped"]) == [f"bad/{name}" for name in sorted(MESSAGES)]
    lines = ended.err.splitlines()
    for name, message in MESSAGES.items():
        assert message in found["skipped"][f"bad/{name}"]
        assert any(line.startswith(f"skipped bad/{name}: ") and message in line for line in lines)
    assert json.loads(command("info", to, "--json").out)["skipped"] == len(MESSAGES)
    # Repaired, it is taken in and off the list.
    picture(colours / "bad/empty.jpg", (10, 200, 10))
    found = json.loads(command("index", colours, "--to", to, "--server", server, "--json").out)
    assert (found["images"], found["added"], found["unchanged"]) == (6, 1, 5)
    assert "bad/empty.jpg" not in found["skipped"]


def test_strict_fails_and_keeps_what_was_done(colours: Path, tmp_path: Path, server: str, command) -> None:
    (colours / "lake/1.png").write_text("no picture")
    to = tmp_path / "index"
    line = ("index", colours, "--to", to, "--server", server)
    ended = command(*line, "--strict")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"rsir-tf: {colours / 'lake/1.png'}: is not a picture")
    assert ended.err.count("\n") == 1
    found = json.loads(command("info", to, "--json").out)
    assert found["images"] == 3  # fire/0, fire/1 and lake/0 come before it.
    found = json.loads(command(*line, "--json").out)
    assert (found["added"], found["unchanged"], list(found["skipped"])) == (1, 3, ["lake/1.png"])


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_bad_query_image_is_one_line(name: str, index: Path, server: str, tmp_path: Path, command) -> None:
    write_bad_pictures(tmp_path)
    ended = command("query", tmp_path / name, "--index", index, "--server", server)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"rsir-tf: {tmp_path / name}: {MESSAGES[name]}")
    assert ended.err.count("\n") == 1


def test_settings_that_differ_from_the_indexs_are_refused(
    archive: Path, index: Path, server: str, tmp_path: Path, command
) -> None:
    image = archive / "Images/beach/beach00.tif"
    ended = command("query", image, "--index", index, "--server", server, "--connectivity", "4")
    assert ended.code == 1
    assert "the query has connectivity 4; wanted 8, with which the index was made" in ended.err
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    before = (copy / "manifest.json").read_bytes()
    ended = command("index", archive, "--to", copy, "--server", server, "--min-area", 9)
    assert ended.code == 1
    assert "what is to be added has min_area 9; wanted 0, with which the index was made" in ended.err
    assert (copy / "manifest.json").read_bytes() == before


def test_info_of_an_index_and_of_a_server(index: Path, server: str, command) -> None:
    found = json.loads(command("info", index, "--json").out)
    assert (found["kind"], found["images"], found["settings"]["model_id"]) == ("rsir_tf.index", 6, "toy-1")
    found = json.loads(command("info", server, "--json").out)
    assert (found["kind"], found["model_name"]) == ("server", "fcn8s")
    assert found["description"] == {"model_id": "toy-1", "class_names": ["red", "green", "blue"], "channels": 512}
    assert [(version["version"], version["state"]) for version in found["versions"]] == [(1, "AVAILABLE")]
    assert "toy-1" in command("info", server).out


def test_info_of_nothing(tmp_path: Path, command) -> None:
    ended = command("info", tmp_path / "nothing")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"rsir-tf: {tmp_path / 'nothing'}: no such file or folder; wanted a path, or HOST:PORT of a server\n"
    )
    ended = command("info", tmp_path)
    assert ended.err == f"rsir-tf: {tmp_path}: is no run, export, index, split or report\n"
