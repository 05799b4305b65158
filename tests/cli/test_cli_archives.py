"""synth, check and split: what they print, and what they say to archives that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cli_pictures import MESSAGES, write_bad_pictures
from PIL import Image

from rsir_tf.archives import load_label_set


def picture(path: Path, size: tuple[int, int] = (32, 32), value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size[1], size[0], 3), value, np.uint8)).save(path)
    return path


def mask(path: Path, value: int = 1, size: tuple[int, int] = (32, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.full((size[1], size[0]), value, np.uint8))
    if "Labels" in path.parts:
        picture.putpalette([0, 0, 0, *(band for colour in load_label_set("dlrsd").colours for band in colour)])
    picture.save(path)
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Four images with masks in DLRSD's layout."""
    for scene in ("beach", "river"):
        for number in ("00", "01"):
            picture(tmp_path / f"data/Images/{scene}/{scene}{number}.tif")
            mask(tmp_path / f"data/Labels/{scene}/{scene}{number}.png", 12)
    return tmp_path / "data"


def test_synth_prints_the_path_and_nothing_else(tmp_path: Path, command) -> None:
    to = tmp_path / "rendered"
    ended = command("synth", to, "--images-per-scene", 1, "--size", 64, "--scene", "river", "--scene", "runway")
    assert (ended.code, ended.out, ended.err) == (0, f"{to}\n", "")
    names = {str(path.relative_to(to)) for path in to.rglob("*") if path.is_file()}
    pairs = {f"Images/{name}/{name}00.tif" for name in ("river", "runway")} | {
        f"Labels/{name}/{name}00.png" for name in ("river", "runway")
    }
    assert names == {"LandUse_Multilabeled.txt", "rendered.json"} | pairs


def test_synth_refuses(tmp_path: Path, archive: Path, command) -> None:
    before = sorted(archive.rglob("*"))
    ended = command("synth", archive)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"rsir-tf: {archive}: exists already; choose another name or remove it\n"
    assert sorted(archive.rglob("*")) == before
    ended = command("synth", tmp_path / "x", "--scene", "moon")
    assert ended.code == 1
    assert ended.err.startswith("rsir-tf: scene 'moon': is not known; wanted one of agricultural, airplane")
    assert not (tmp_path / "x").exists()


def test_check_of_a_sound_archive(sound: Path, command) -> None:
    ended = command("check", sound)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines()[:7] == [
        f"{sound}: 4 images, format dlrsd",
        "layout   images and masks; the scene is the folder that an image lies in",
        "pairs    images lie in folder Images, masks in folder Labels, and a pair has equal names",
        "labels   dlrsd: the masks' palette has DLRSD's 17 colours at its ids",
        "sizes    32x32 (4)",
        "scenes   2, with 2 images each",
        "classes  17 of label set dlrsd, void 0.00%",
    ]
    assert ["sand", "100.00%", "of", "pixels", "4", "images"] in [line.split() for line in ended.out.splitlines()]
    assert ended.out.splitlines()[-1] == "fit for training"
    ended = command("check", sound, "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert found["trainable"] is True
    assert (found["images"], found["scenes"], found["problems"]) == (4, {"beach": 2, "river": 2}, [])


def test_check_names_every_file_that_training_would_fail_at(sound: Path, command) -> None:
    (sound / "Labels/beach/beach00.png").unlink()
    mask(sound / "Labels/beach/beach01.png", size=(30, 32))
    mask(sound / "Labels/river/river00.png", 40)
    (sound / "Labels/river/river01.png").write_text("no mask")
    write_bad_pictures(sound / "Images/bad")
    for name in MESSAGES:
        mask(sound / "Labels/bad" / f"{Path(name).stem}.png")
    ended = command("check", sound)
    assert (ended.code, ended.err) == (1, "")
    for words in (
        "beach/beach00.tif: has no mask",
        "beach01.png: the mask is 30×32 pixels; wanted 32×32",
        "river00.png: has the id 40 in 1024 pixels",
        "river01.png: is not a picture",
        *(f"{name}: {message}" for name, message in MESSAGES.items()),
    ):
        assert any(words in line for line in ended.out.splitlines() if line.startswith("  ")), words
    assert ended.out.splitlines()[-1] == "training would fail"
    found = json.loads(command("check", sound, "--json").out)
    assert sorted(found["unreadable"]) == [f"bad/{name}" for name in sorted(MESSAGES)]
    assert found["images_without_mask"] == ["beach/beach00.tif"]
    assert list(found["masks_of_other_size"]) == ["beach/beach01.tif"]
    assert list(found["masks_with_unknown_values"]) == ["river/river00.tif"]
    assert list(found["unreadable_masks"]) == ["river/river01.tif"]


def test_check_of_an_archive_without_masks_and_tags_says_that_training_needs_them(tmp_path: Path, command) -> None:
    picture(tmp_path / "a.png")
    ended = command("check", tmp_path)
    assert (ended.code, ended.err) == (1, "")
    assert "training needs one of them" in ended.out


def test_an_unknown_colour_is_named(tmp_path: Path, command) -> None:
    picture(tmp_path / "images/a.png")
    picture(tmp_path / "masks/a.png", value=7)
    labels = tmp_path / "labels.json"
    labels.write_text(
        json.dumps({"classes": [{"name": "land", "colour": "#8429F6"}, {"name": "sea", "colour": "#E2A929"}]})
    )
    ended = command("check", tmp_path, "--labels", labels)
    assert ended.code == 1
    assert "masks/a.png: has the colour #070707 in 1024 pixels" in ended.out
    ended = command("check", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert (
        "has masks (masks), and nothing says what their values mean; in 1 of 1 masks there are the colours #070707; "
        "wanted a label set; pass --labels" in ended.err
    )


@pytest.mark.parametrize("name", ["check", "split", "train", "index"])
def test_an_archive_that_is_missing_or_empty(name: str, tmp_path: Path, command) -> None:
    more = {"split": ("--to", "s.json"), "train": ("--run", "r"), "index": ("--to", "i", "--server", "localhost:1")}
    options = [tmp_path / word if not word.startswith(("-", "localhost")) else word for word in more.get(name, ())]
    missing = tmp_path / "missing"
    ended = command(name, missing, *options)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"rsir-tf: {missing}: no such archive; wanted a folder of images; check the path\n"
    empty = tmp_path / "empty"
    empty.mkdir()
    ended = command(name, empty, *options)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"rsir-tf: {empty}: no images here (it is empty); wanted .bmp, .jpeg, .jpg")
    assert ended.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == [empty]


def test_what_is_left_out_is_told(sound: Path, tmp_path: Path, command) -> None:
    picture(sound / "overview.png")
    picture(sound / "@eaDir/x.png")
    ended = command("split", sound, "--to", tmp_path / "s.json", "--test", 0.5)
    assert ended.err.splitlines()[0] == "left out overview.png: an image that lies beside the pairs"
    picture(sound / "sketch.png")
    ended = command("split", sound, "--to", tmp_path / "s.json", "--test", 0.5)
    assert ended.err.splitlines()[:2] == [
        "left out overview.png: an image that lies beside the pairs",
        "left out 1 more: `rsir-tf check` lists them",
    ]
    ended = command("check", sound)
    assert ended.err == ""
    assert [line for line in ended.out.splitlines() if line.startswith("left out")] == [
        "left out @eaDir: a folder that a system or a program keeps for itself",
        "left out overview.png: an image that lies beside the pairs",
        "left out sketch.png: an image that lies beside the pairs",
    ]


def test_patterns_on_the_command_line(tmp_path: Path, command) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"classes": [{"name": name, "id": number} for number, name in enumerate("abc")]}))
    for number in range(5):
        picture(tmp_path / f"data/a/{number}.png")
        mask(tmp_path / f"data/b/{number}_classes.png")
    line = ("check", tmp_path / "data", "--labels", labels, "--images", "a/*")
    ended = command(*line, "--masks", "b/*_classes.png", "--json")
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["pairing"] == (
        "images match a/*, masks match b/*_classes.png, and the wildcards stand for the same in an image and its mask"
    )
    assert found["label_proof"] == "it was given"
    ended = command(*line)
    assert ended.code == 1
    assert "a label set is given (labels), but none of the image files (5) was recognised as a mask" in ended.err


def test_split_is_written_once_and_never_overwritten(sound: Path, tmp_path: Path, command) -> None:
    to = tmp_path / "split.json"
    ended = command("split", sound, "--to", to, "--test", 0.5)
    assert (ended.code, ended.out) == (0, f"{to}\n")
    assert ended.err == "2 images to train on, 2 to test on, by scene\n"
    drawn = json.loads(to.read_text())
    assert len({name.split("/")[0] for name in drawn["test"]}) == 2  # One of each scene.
    assert command("split", sound, "--to", to, "--test", 0.5).code == 0
    ended = command("split", sound, "--to", to, "--test", 0.5, "--seed", 4)
    assert ended.code == 1
    assert ended.err == f"rsir-tf: {to}: holds another split; choose another name or remove it\n"
    assert json.loads(to.read_text()) == drawn
    ended = command("split", sound, "--to", tmp_path / "none.json", "--test", 1.5)
    assert ended.code == 1
    assert ended.err == "rsir-tf: split: the test fraction is 1.5; wanted more than 0 and less than 1\n"


def test_a_split_by_groups(tmp_path: Path, command) -> None:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"classes": [{"name": "land", "id": 1}]}))
    for tile in ("tile 1", "tile 2", "tile 3"):
        picture(tmp_path / "data" / tile / "images/a.png")
        mask(tmp_path / "data" / tile / "masks/a.png")
    line = ("split", tmp_path / "data", "--labels", labels, "--to")
    ended = command(*line, tmp_path / "named.json", "--test-group", "tile 2")
    assert ended.code == 0
    assert json.loads((tmp_path / "named.json").read_text())["test"] == ["tile 2/a.png"]
    ended = command(*line, tmp_path / "other.json", "--test-group", "tile 4")
    assert ended.code == 1
    assert "has no group 'tile 4'; wanted one of tile 1, tile 2, tile 3" in ended.err
    ended = command(*line, tmp_path / "drawn.json", "--test", 0.4)  # round(0.4 · 3) = 1 group
    assert ended.err == "2 images to train on, 1 to test on, by group\n"
    ended = command(*line, tmp_path / "three.json", "--test", 0.4, "--validation", 0.3)
    assert ended.err == "1 image to train on, 1 to validate on, 1 to test on, by group\n"
    ended = command(*line, tmp_path / "both.json", "--test-group", "tile 2", "--validation", 0.3)
    drawn = json.loads((tmp_path / "both.json").read_text())
    assert drawn["test"] == ["tile 2/a.png"]
    assert sorted(drawn["train"] + drawn["validation"]) == ["tile 1/a.png", "tile 3/a.png"]
