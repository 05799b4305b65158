"""index, evaluate and info, asking a served toy model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_pictures import MESSAGES, picture, write_bad_pictures

from rsir_tf.serving.client import ServedModel


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
        "5 images in the index: 4 added, 1 with known content, 0 unchanged, 0 refreshed, 0 removed, 0 skipped"
    )
    refuse_to_predict(monkeypatch)
    ended = command("index", colours, "--to", to, "--server", server, "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {
        "index": str(to), "images": 5, "added": 0, "reused": 0, "unchanged": 5, "refreshed": 0, "removed": 0,
        "absent": 0, "gone": 0, "skipped": {}, "dropped": [], "moved_from": None, "left_out": 0,
    }  # fmt: skip
    (colours / "fire/0.png").unlink()
    ended = command("index", colours, "--to", to, "--server", server)
    assert ended.err.splitlines()[-1] == (
        "1 image of the index is not among those given, and 1 has no file any more; --prune removes it"
    )
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


def test_evaluate(colours: Path, tmp_path: Path, server: str, command) -> None:
    to, report = tmp_path / "index", tmp_path / "report"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    ended = command("evaluate", to, "--json", "--report", report)
    assert ended.code == 0
    assert ended.err.splitlines() == [
        "ACG, NDCG and WAP are left out: the images have no tags.",
        "P@10, P@20, P@50 are left out: only 5 images are ranked.",
        "How well the segmentations show the images' tags is left out: the images have no tags.",
        f"wrote {report}",
    ]
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
        "report.csv", "report.json", "report.md", "precision_recall.png", "scenes.png", "index.html",
        "per_query.csv", "relevance.qrels", "rankings_recnn.run", "rankings_recnn_plus.run", "anmrr_by_scene.png",
        *(f"{kind}_{name}.png" for kind in ("confusion", "best", "worst") for name in ("recnn", "recnn_plus")),
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
    assert [each["scheme_options"]["recnn"]["direction"] for each in settings] == ["query", "both", "query"]
    assert [each["images_sharing_no_class"] for each in settings] == ["ranked", "ranked", "last"]


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
    # In words, and not as Python writes them.
    segment = found["segments"][0]["name"]
    assert f"name {segment}  images 6  regions {found['regions']}  removed –  merged no\n" in command("info", index).out
    found = json.loads(command("info", server, "--json").out)
    assert (found["kind"], found["model_name"]) == ("server", "fcn8s")
    described = {"model_id": "toy-1", "class_names": ["red", "green", "blue"], "channels": 512, "layers": []}
    assert found["description"] == described
    assert [(version["version"], version["state"]) for version in found["versions"]] == [(1, "AVAILABLE")]
    assert "toy-1" in command("info", server).out


def test_images_are_listed_and_removed_without_a_model(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    assert command("index", colours, "--to", to, "--server", server).code == 0
    ids = ["fire/0.png", "fire/1.png", "lake/0.png", "lake/1.png", "lake/2.png"]
    assert command("info", to, "--list").out.splitlines() == ids
    assert json.loads(command("info", to, "--list", "--json").out)["ids"] == ids
    ended = command("index", "--to", to, "--remove", "lake/0.png", "--remove", "sea/0.png")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"rsir-tf: {to}: holds no image 'sea/0.png'; wanted ids of images of the index; "
        "rsir-tf info INDEX --list prints them\n"
    )
    (tmp_path / "ids").write_text("\ufefffire/0.png\r\nlake/0.png\n", encoding="utf-8")
    ended = command("index", "--to", to, "--remove", f"@{tmp_path / 'ids'}", "--remove", "lake/2.png")
    assert (ended.code, ended.out) == (0, f"{to}\n")
    assert ended.err == "2 images in the index: 3 removed\n"
    assert command("info", to, "--list").out.splitlines() == ["fire/1.png", "lake/1.png"]
    for line in (("--to", to), (colours, "--to", to, "--remove", "x"), (colours, "--to", to, "--root", "x=y")):
        assert command("index", *line).code == 2
    assert command("index", "--to", to, "--remove", "@nowhere").err == (
        "rsir-tf: nowhere: cannot be read: no such file or directory; wanted ids, one in each line\n"
    )


def test_an_archive_that_has_moved_and_one_beside_it(colours: Path, tmp_path: Path, server: str, command) -> None:
    to = tmp_path / "index"
    line = ("--to", to, "--server", server)
    assert command("index", colours, *line).code == 0
    shutil.move(colours, tmp_path / "moved")
    ended = command("index", tmp_path / "moved", *line)
    assert ended.err.splitlines()[0] == (f"the archive has been moved from {colours}: the index names its new place")
    other = picture(tmp_path / "other/fire/0.png", (10, 200, 10)).parents[1]
    ended = command("index", other, *line)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"rsir-tf: {to}: holds the images of {tmp_path / 'moved'}, not of {other}; give it a name by --as NAME, "
        f"with which its ids then begin; or --root {other}, if the archive has been moved there\n"
    )
    assert command("index", other, *line, "--as", "green").code == 0
    assert "green/fire/0.png" in command("info", to, "--list").out.splitlines()
    shutil.move(other, tmp_path / "elsewhere")
    ended = command("index", "--to", to, "--root", f"green={tmp_path / 'elsewhere'}", "--json")
    assert json.loads(ended.out)["archives"] == {"": str(tmp_path / "moved"), "green": str(tmp_path / "elsewhere")}


def test_info_verifies_every_byte_of_an_index(index: Path, tmp_path: Path, command) -> None:
    copy = Path(shutil.copytree(index, tmp_path / "index"))
    assert json.loads(command("info", copy, "--verify", "--json").out)["damaged"] == []
    file = next((copy / "segments").iterdir()) / "recnn.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # The same size: opening the index does not tell.
    file.write_bytes(content)
    assert command("info", copy).code == 0
    ended = command("info", copy, "--verify", "--json")
    assert ended.code == 1
    (damaged,) = json.loads(ended.out)["damaged"]
    assert (damaged["segment"], damaged["file"]) == (file.parent.name, "recnn.npy")
    assert f"{copy}: damaged files: 1" in ended.err
    assert "--repair" in ended.err
    ended = command("info", tmp_path, "--verify")
    assert (ended.code, ended.out) == (1, "")
    assert "no index here" in ended.err


def test_info_of_nothing(tmp_path: Path, command) -> None:
    ended = command("info", tmp_path / "nothing")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == (
        f"rsir-tf: {tmp_path / 'nothing'}: no such file or folder; wanted a path, or HOST:PORT of a server\n"
    )
    ended = command("info", tmp_path)
    assert ended.err == f"rsir-tf: {tmp_path}: is not a run, an export, an index, a split or a report\n"
