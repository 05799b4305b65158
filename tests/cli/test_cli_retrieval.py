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
        assert list(found) == ["query", "scheme", "exact", "hits"]
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
            assert hits[2]["matches"] == [{"query_region": 0, "region": 0, "distance": hits[2]["distance"]}]


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
        "report.json", "report.md", "precision_recall.png", "scenes.png",
    }  # fmt: skip
    assert json.loads((report / "report.json").read_text())["schemes"] == found["schemes"]
    ended = command("evaluate", to, "--scheme", "recnn")
    assert ended.out.splitlines()[0] == "5 queries, 5 images ranked, relevant: same scene"
    assert ended.out.splitlines()[2].split() == ["recnn", "0.0000", "1.0000", "0.5200", "–", "–", "–"]
    assert len(ended.out.splitlines()) == 3


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
    assert found["description"] == {"model_id": "toy-1", "class_names": ["red", "green", "blue"]}
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
